// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
//
// Within a sample, all first pulses of a span go before all second pulses, and so on. The noise of a span is one run of
// draws in that order, so that none is made for a crosspoint that does not fire. Crosspoints do not see one another, so the
// pulses of several samples may wait and be applied chunk of columns by chunk, in their order at each.
#pragma once
#include "kernels/draws.h"
#include "kernels/pulse.h"
#include "kernels/trains.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace OHM_NS {

constexpr int kAbreast = 4 * kChunk;  // columns worked on together
constexpr i64 kDraws = 4096;  // draws made before they are used: they stay in the caches next to the processor

// One row's devices of a span.
template <class D>
struct DeviceRow {
  const float* cells[D::Cell::count ? D::Cell::count : 1];
  float *hidden, *apparent;
  i64 start, columns;  // first crosspoint, and how many
  u32 element;         // the span's number in the generator's counter

  DeviceRow(const TileView& tile, i64 row, i64 first)
      : start(row * tile.in + first), columns(tile.in - first < kSpan ? tile.in - first : kSpan) {
    hidden = tile.hidden + start, apparent = tile.apparent + start;
    for (int f = 0; f < D::Cell::count; ++f) cells[f] = tile.cells[f] + start;
    element = (u32)(row * ((tile.in + kSpan - 1) / kSpan) + first / kSpan);
  }
};

// One level: a pulse for the columns of a mask.
struct Pass {
  const u64* mask;
  const float* next;  // draw of the next column
};

// Successive levels of one sample.
struct Turn {
  const u64* positive;  // columns where x is positive
  u32 flip;             // the pulse goes up where x is positive (0) or where it is not (all bits)
  i32 passes;

  u32 up(i64 chunk) const { return chunk_mask(positive, chunk) ^ flip; }
};

// Levels of one or several samples that wait until their draws fill a buffer. Then each chunk of columns takes all of them
// in their order, its devices in registers.
struct Waiting {
  alignas(64) float noise[kDraws + kDrawSlack + kChunk];
  Pass pass[kWaiting];
  Turn turn[kWaiting];
  i64 passes = 0, turns = 0, draws = 0;
  i64 levels = 0;  // of the scratch memory that hold their masks
};

// The devices of the columns that are worked on side by side.
template <class D>
struct Abreast {
  const float* cells[D::Cell::count ? D::Cell::count : 1];
  float* hidden;
};

template <class D>
struct ChunkCells : CellLanes<typename D::Cell, kChunk> {
  explicit ChunkCells(const Abreast<D>& s, int place) {
    for (int f = 0; f < D::Cell::count; ++f)
      for (int l = 0; l < kChunk; ++l) this->field[f][l] = s.cells[f][place * kChunk + l];
  }
};

// Takes the draws from `next` on.
template <class D>
inline __attribute__((always_inline)) void fire_chunk(Held& hidden, const ChunkCells<D>& cells,
                                                      const typename D::Params& p, u32 mask, const float* way,
                                                      const float*& next) {
  alignas(64) float now[kChunk], xi[kChunk], after[kChunk];
  expand(xi, next, mask);
  next += __builtin_popcount(mask);
  show(now, hidden);
  for (int l = 0; l < kChunk; ++l)
    after[l] = pulsed<D>(now[l], way[l], xi[l], cells.at(l), p);
  choose(hidden, after, mask);
}

// Each pass waits for the one before it: chunks side by side fill the time. Written out, as the compiler then keeps their
// weights in registers.
template <class D>
inline void fire_abreast(const Abreast<D>& s, const typename D::Params& params, const Waiting& waiting, Pass* pass,
                         i64 chunk) {
  const typename D::Params p = params;
  const ChunkCells<D> cells_a(s, 0), cells_b(s, 1), cells_c(s, 2), cells_d(s, 3);
  Held a = held(s.hidden), b = held(s.hidden + kChunk), c = held(s.hidden + 2 * kChunk), d = held(s.hidden + 3 * kChunk);
  for (const Turn* turn = waiting.turn; turn < waiting.turn + waiting.turns; ++turn) {
    alignas(64) float way_a[kChunk], way_b[kChunk], way_c[kChunk], way_d[kChunk];
    signs(way_a, turn->up(chunk)), signs(way_b, turn->up(chunk + 1));
    signs(way_c, turn->up(chunk + 2)), signs(way_d, turn->up(chunk + 3));
    for (Pass* end = pass + turn->passes; pass < end; ++pass) {
      const float* next = pass->next;
      fire_chunk<D>(a, cells_a, p, chunk_mask(pass->mask, chunk), way_a, next);
      fire_chunk<D>(b, cells_b, p, chunk_mask(pass->mask, chunk + 1), way_b, next);
      fire_chunk<D>(c, cells_c, p, chunk_mask(pass->mask, chunk + 2), way_c, next);
      fire_chunk<D>(d, cells_d, p, chunk_mask(pass->mask, chunk + 3), way_d, next);
      pass->next = next;
    }
  }
  show(s.hidden, a), show(s.hidden + kChunk, b), show(s.hidden + 2 * kChunk, c), show(s.hidden + 3 * kChunk, d);
}

// The last columns of a row, with lanes after them that hold zeros; no pulse reaches those.
template <class D>
inline void fire_rest(const DeviceRow<D>& row, const typename D::Params& p, Waiting& waiting, i64 first) {
  alignas(64) float cells[D::Cell::count ? D::Cell::count : 1][kAbreast] = {}, hidden[kAbreast] = {};
  Abreast<D> s{{}, hidden};
  for (int f = 0; f < D::Cell::count; ++f) s.cells[f] = cells[f];
  for (i64 l = 0; l < row.columns - first; ++l) {
    for (int f = 0; f < D::Cell::count; ++f) cells[f][l] = row.cells[f][first + l];
    hidden[l] = row.hidden[first + l];
  }
  fire_abreast<D>(s, p, waiting, waiting.pass, first / kChunk);
  for (i64 l = 0; l < row.columns - first; ++l) row.hidden[first + l] = hidden[l];
}

template <class D>
inline __attribute__((noinline)) void fire_waiting(const DeviceRow<D>& row, const typename D::Params& p, Waiting& waiting) {
  i64 first = 0;
  if (waiting.passes == 0) return;
  for (; first + kAbreast <= row.columns; first += kAbreast) {
    Abreast<D> s{{}, row.hidden + first};
    for (int f = 0; f < D::Cell::count; ++f) s.cells[f] = row.cells[f] + first;
    fire_abreast<D>(s, p, waiting, waiting.pass, first / kChunk);
  }
  if (first < row.columns) fire_rest<D>(row, p, waiting, first);
  waiting.passes = waiting.turns = waiting.draws = 0;
}

// What is the same for all rows.
template <class D>
struct UpdateTile {
  const TileView& tile;
  const UpdateJob& job;
  typename D::Params params;
  RoundKeys keys;
  float write_noise;

  UpdateTile(const TileView& tile, const UpdateJob& job)
      : tile(tile), job(job), params(from_block<typename D::Params>(tile.params)), keys(tile.seed),
        write_noise(write_noise_of<D>(params)) {}
};

// The levels of a sample on one span.
struct Levels {
  const u64* mask;
  i64 top, sample;
  const u64* positive;
  u32 flip;
  i64 words;  // that hold columns

  const u64* at(i64 level) const { return mask + level * kMaskWords; }
};

// Lets a sample's levels wait, as many at a time as their draws find room.
template <class D>
inline void wait_for_turn(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, const Levels& s) {
  const u64 step = u.job.first_step + (u64)s.sample;
  i64 first_draw = 0;
  for (i64 level = 0; level < s.top;) {
    i64 count[kWaiting], total = 0, more = 0;
    for (; level + more < s.top && more < kWaiting; ++more) {
      count[more] = ones(s.at(level + more), s.words);
      if (total + count[more] > kDraws) break;
      total += count[more];
    }
    if (waiting.draws + total > kDraws || waiting.passes + more > kWaiting) fire_waiting<D>(row, u.params, waiting);
    const float* next = draw_run_from(waiting.noise + waiting.draws, first_draw, total, u.keys, kUpdateCycle, step, row.element);
    for (i64 k = 0; k < more; ++k) {
      waiting.pass[waiting.passes++] = {s.at(level + k), next};
      next += count[k];
    }
    waiting.turn[waiting.turns++] = {s.positive, s.flip, (i32)more};
    waiting.draws = (next - waiting.noise + kRunCalls - 1) / kRunCalls * kRunCalls;
    level += more, first_draw += total;
  }
}

inline void count_level(const TileView& tile, i64 start, const Levels& s, i64 level, i64 columns) {
  for (i64 w = 0; w < (columns + 63) >> 6; ++w)
    for (u64 bits = s.at(level)[w]; bits; bits &= bits - 1) {
      const int l = __builtin_ctzll(bits);
      const bool up = ((s.positive[w] >> l ^ s.flip) & 1u) != 0u;
      ++(up ? tile.pulses_up : tile.pulses_down)[start + 64 * w + l];
    }
}

// Write noise is drawn once for every crosspoint that was pulsed in the sample.
template <class D>
inline void write_pulsed(const UpdateTile<D>& u, const DeviceRow<D>& row, const Levels& s) {
  alignas(64) float draws[kSpan + kDrawSlack];
  alignas(64) i32 list[kSpan];
  const i64 count = list_columns(list, s.mask, row.columns);
  const u64 step = u.job.first_step + (u64)s.sample;
  draw_run(draws, count, u.keys, kUpdateWrite, step, row.element, 0);
  for (i64 k = 0; k < count; ++k) row.apparent[list[k]] = with_noise(row.hidden[list[k]], u.write_noise, draws[k]);
}

template <class D>
inline void update_sample(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, const Levels& s) {
  wait_for_turn(u, row, waiting, s);
  if (u.tile.pulses_up)
    for (i64 k = 0; k < s.top; ++k) count_level(u.tile, row.start, s, k, row.columns);
  if (u.write_noise > 0.0f) {
    fire_waiting<D>(row, u.params, waiting);
    write_pulsed(u, row, s);
  }
}

// What the samples left to do at the end of a row: without write noise, pulsed weights read as they are.
template <class D>
inline void show_hidden(const DeviceRow<D>& row, const u64* touched) {
  i64 l = 0;
  for (; l + kChunk <= row.columns; l += kChunk) {
    Held apparent = held(row.apparent + l);
    choose(apparent, row.hidden + l, chunk_mask(touched, l / kChunk));
    show(row.apparent + l, apparent);
  }
  for (; l < row.columns; ++l)
    if (touched[l >> 6] >> (l & 63) & 1u) row.apparent[l] = row.hidden[l];
}

template <class D>
inline void update_row_span(const UpdateTile<D>& u, i64 i, i64 first, u64* scratch) {
  const UpdateJob& job = u.job;
  const DeviceRow<D> row(u.tile, i, first);
  const i64 words = mask_words(row.columns);
  u64 touched[kMaskWords] = {};
  Waiting waiting;
  for (i64 t = 0; t < job.samples; ++t) {
    if (row_is_silent(job, t, i, u.tile.out)) continue;
    if (waiting.levels > kWaiting) fire_waiting<D>(row, u.params, waiting);
    if (waiting.passes == 0) waiting.levels = 0;
    u64* levels = scratch + waiting.levels * kMaskWords;
    const i64 top = stack_levels(levels, job, t, i, first, row.columns, u.tile.out, u.tile.in);
    if (top == 0) continue;
    const u32 flip = sign_where_x_positive(job, t, i, u.tile.out) > 0.0f ? 0u : ~0u;
    update_sample(u, row, waiting, {levels, top, t, positive_mask(job, t) + first / 64, flip, words});
    waiting.levels += top;
    for (i64 w = 0; w < words; ++w) touched[w] |= levels[w];
  }
  fire_waiting<D>(row, u.params, waiting);
  if (!(u.write_noise > 0.0f)) show_hidden(row, touched);
}

inline int this_thread() {
#if defined(_OPENMP)
  return omp_get_thread_num();
#else
  return 0;
#endif
}

template <class D>
void update_tile(const TileView& tile, const UpdateJob& job) {
  const UpdateTile<D> u(tile, job);
  encode_all(job, u.keys, tile.out, tile.in, tile.threads);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 row = 0; row < tile.out; ++row) {
    u64* scratch = job.levels + this_thread() * level_words(job.longest);
    for (i64 first = 0; first < tile.in; first += kSpan) update_row_span(u, row, first, scratch);
  }
}

}  // namespace OHM_NS
