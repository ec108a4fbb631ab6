// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
//
// Within a sample, all first pulses of a span go before all second pulses, and so on. The noise of a span is one run of
// draws in that order, so that none is made for a crosspoint that does not fire. Crosspoints do not see one another, so the
// pulses of several samples may wait and be applied chunk of columns by chunk, in their order at each.
#pragma once
#include "core/linear.h"
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

// One slot: a pulse for the columns of a mask.
struct Pass {
  SlotMask slot;
  const float* noise;  // of its first column
};

// Successive slots of one sample.
struct Turn {
  const u64* positive;  // columns where x is positive
  u32 flip;             // the pulse goes up where x is positive (0) or where it is not (all bits)
  i32 passes;

  u32 up(i64 chunk) const { return chunk_mask(positive, chunk) ^ flip; }
};

// Slots of one or several samples that wait until their draws fill a buffer. Then each chunk of columns takes all of them
// in their order, its devices in registers.
struct Waiting {
  alignas(64) float noise[kDraws + kDrawSlack + kChunk];
  Pass pass[kWaiting];
  Turn turn[kWaiting];
  i64 passes = 0, turns = 0, draws = 0;
  i64 masks = 0;  // of the scratch memory, which hold their columns
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

// How a chunk's devices answer to pulses, and what that is in one turn, given who is pulsed up.
template <class D, bool has_way = D::has_way>
struct Answers {
  Answers(const ChunkCells<D>&, const typename D::Params&) {}
};

template <class D, bool has_way = D::has_way>
struct Answer {
  alignas(64) float way[kChunk];
  Answer(const Answers<D>&, u32 up) { signs(way, up); }
  float after(int l, float w, float xi, const ChunkCells<D>& cells, const typename D::Params& p) const {
    return pulsed<D>(w, way[l], xi, cells.at(l), p);
  }
};

// Both directions are made once for all turns.
template <class D>
struct Answers<D, true> {
  CellLanes<typename D::Way, kChunk> up, down;
  Answers(const ChunkCells<D>& cells, const typename D::Params& p) {
    for (int l = 0; l < kChunk; ++l) {
      up.put(l, D::way(1.0f, cells.at(l), p));
      down.put(l, D::way(-1.0f, cells.at(l), p));
    }
  }
};

template <class D>
struct Answer<D, true> {
  CellLanes<typename D::Way, kChunk> way;
  Answer(const Answers<D>& both, u32 up) {
    for (int f = 0; f < D::Way::count; ++f) choose_lanes(way.field[f], both.up.field[f], both.down.field[f], up);
  }
  float after(int l, float w, float xi, const ChunkCells<D>& cells, const typename D::Params& p) const {
    return D::clip(D::after(way.at(l), w, xi, p), cells.at(l));
  }
};

template <class D>
inline __attribute__((always_inline)) void fire_chunk(Held& hidden, const ChunkCells<D>& cells, const Answer<D>& answer,
                                                      const typename D::Params& p, const Pass& pass, i64 chunk) {
  alignas(64) float now[kChunk], xi[kChunk], after[kChunk];
  const u32 mask = chunk_mask(pass.slot.mask, chunk);
  expand(xi, pass.noise + pass.slot.before[chunk], mask);
  show(now, hidden);
  for (int l = 0; l < kChunk; ++l) after[l] = answer.after(l, now[l], xi[l], cells, p);
  choose(hidden, after, mask);
}

// Each pass waits for the one before it: chunks side by side fill the time. Written out, as the compiler then keeps their
// weights in registers.
template <class D>
inline void fire_abreast(const Abreast<D>& s, const typename D::Params& params, const Waiting& waiting, i64 chunk) {
  const typename D::Params p = params;
  const ChunkCells<D> cells_a(s, 0), cells_b(s, 1), cells_c(s, 2), cells_d(s, 3);
  Held a = held(s.hidden), b = held(s.hidden + kChunk), c = held(s.hidden + 2 * kChunk), d = held(s.hidden + 3 * kChunk);
  const Answers<D> on_a(cells_a, p), on_b(cells_b, p), on_c(cells_c, p), on_d(cells_d, p);
  const Pass* pass = waiting.pass;
  for (const Turn* turn = waiting.turn; turn < waiting.turn + waiting.turns; ++turn) {
    const Answer<D> now_a(on_a, turn->up(chunk)), now_b(on_b, turn->up(chunk + 1));
    const Answer<D> now_c(on_c, turn->up(chunk + 2)), now_d(on_d, turn->up(chunk + 3));
    for (const Pass* end = pass + turn->passes; pass < end; ++pass) {
      fire_chunk<D>(a, cells_a, now_a, p, *pass, chunk);
      fire_chunk<D>(b, cells_b, now_b, p, *pass, chunk + 1);
      fire_chunk<D>(c, cells_c, now_c, p, *pass, chunk + 2);
      fire_chunk<D>(d, cells_d, now_d, p, *pass, chunk + 3);
    }
  }
  show(s.hidden, a), show(s.hidden + kChunk, b), show(s.hidden + 2 * kChunk, c), show(s.hidden + 3 * kChunk, d);
}

// The last columns of a row, with lanes after them that hold zeros; no pulse reaches those.
template <class D>
inline void fire_rest(const DeviceRow<D>& row, const typename D::Params& p, const Waiting& waiting, i64 first) {
  alignas(64) float cells[D::Cell::count ? D::Cell::count : 1][kAbreast] = {}, hidden[kAbreast] = {};
  Abreast<D> s{{}, hidden};
  for (int f = 0; f < D::Cell::count; ++f) s.cells[f] = cells[f];
  for (i64 l = 0; l < row.columns - first; ++l) {
    for (int f = 0; f < D::Cell::count; ++f) cells[f][l] = row.cells[f][first + l];
    hidden[l] = row.hidden[first + l];
  }
  fire_abreast<D>(s, p, waiting, first / kChunk);
  for (i64 l = 0; l < row.columns - first; ++l) row.hidden[first + l] = hidden[l];
}

template <class D>
inline __attribute__((noinline)) void fire_waiting(const DeviceRow<D>& row, const typename D::Params& p, Waiting& waiting) {
  i64 first = 0;
  if (waiting.passes == 0) return;
  for (; first + kAbreast <= row.columns; first += kAbreast) {
    Abreast<D> s{{}, row.hidden + first};
    for (int f = 0; f < D::Cell::count; ++f) s.cells[f] = row.cells[f] + first;
    fire_abreast<D>(s, p, waiting, first / kChunk);
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

// A sample on one span, as far as it is the same for all its slots.
struct Sample {
  i64 number;
  const u64* positive;
  u32 flip;
  i64 words;        // that hold columns
  u64* fired;       // columns that got a pulse
  i64 draws = 0;    // made so far
};

inline void add_columns(u64* to, const u64* mask, i64 words) {
  for (i64 w = 0; w < words; w += kMaskStep) *(WideMask*)(to + w) |= *(const WideMask*)(mask + w);
}

inline i64 whole_calls(i64 draws) { return (draws + kRunCalls - 1) / kRunCalls * kRunCalls; }

// Lets the next slots of a sample wait; their draws come with them.
template <class D>
inline void let_wait(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, Sample& s, const SlotMask* slots,
                     i64 count, i64 total) {
  if (waiting.draws + total > kDraws || waiting.passes + count > kWaiting) fire_waiting<D>(row, u.params, waiting);
  const float* next = draw_run_from(waiting.noise + waiting.draws, s.draws, total, u.keys, kUpdateCycle,
                                    u.job.first_step + (u64)s.number, row.element);
  for (i64 k = 0; k < count; ++k) {
    waiting.pass[waiting.passes++] = {slots[k], next};
    next += ones(slots[k], s.words);
  }
  waiting.turn[waiting.turns++] = {s.positive, s.flip, (i32)count};
  waiting.draws = whole_calls(next - waiting.noise);
  s.draws += total;
}

inline void count_slot(const TileView& tile, i64 start, const Sample& s, const SlotMask& slot) {
  for (i64 w = 0; w < s.words; ++w)
    for (u64 bits = slot.mask[w]; bits; bits &= bits - 1) {
      const int l = __builtin_ctzll(bits);
      const bool up = ((s.positive[w] >> l ^ s.flip) & 1u) != 0u;
      ++(up ? tile.pulses_up : tile.pulses_down)[start + 64 * w + l];
    }
}

// Write noise is drawn once for every crosspoint that was pulsed in the sample.
template <class D>
inline void write_pulsed(const UpdateTile<D>& u, const DeviceRow<D>& row, const Sample& s) {
  alignas(64) float draws[kSpan + kDrawSlack];
  alignas(64) i32 list[kSpan];
  const i64 count = list_columns(list, s.fired, row.columns);
  const u64 step = u.job.first_step + (u64)s.number;
  draw_run(draws, count, u.keys, kUpdateWrite, step, row.element, 0);
  for (i64 k = 0; k < count; ++k) row.apparent[list[k]] = with_noise(row.hidden[list[k]], u.write_noise, draws[k]);
}

// As many slots at a time as their draws find room.
template <class D>
inline void update_sample(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, Sample& s, i64 i, i64 first,
                          u64* scratch) {
  SlotMask slots[kWaiting];
  i64 count = 0, total = 0;
  waiting.masks += for_slots(scratch + 2 * waiting.masks * kMaskWords, u.job, s.number, i, first, row.columns, u.tile.out,
                             u.tile.in, [&](const SlotMask& slot) {
    const i64 more = ones(slot, s.words);
    if (more == 0) return;
    if (total + more > kDraws || count == kWaiting) {
      let_wait(u, row, waiting, s, slots, count, total);
      count = total = 0;
    }
    slots[count++] = slot;
    total += more;
    add_columns(s.fired, slot.mask, s.words);
    if (u.tile.pulses_up) count_slot(u.tile, row.start, s, slot);
  });
  if (count > 0) let_wait(u, row, waiting, s, slots, count, total);
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

// Whether a sample of so few slots asks for nothing but their pulses: the most common case of a sparse update.
template <class D>
inline bool is_short(const UpdateTile<D>& u, u32 slots, i64 columns) {
  const bool pulses_only = !u.tile.pulses_up && !(u.write_noise > 0.0f);
  return pulses_only && __builtin_popcount(slots) * columns <= kDraws / 4;
}

// The same as update_sample, told in fewer words: there is room for all draws, however many columns fire.
template <class D>
inline void update_short(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, const Sample& s, u32 slots) {
  const i64 count = __builtin_popcount(slots), words = s.words, stride = u.job.mask_words, before = waiting.passes;
  if (waiting.draws + count * row.columns > kDraws || before + count > kWaiting) fire_waiting<D>(row, u.params, waiting);
  float* const begin = waiting.noise + waiting.draws;
  float* next = begin;
  Pass* pass = waiting.pass + waiting.passes;
  for (; slots; slots &= slots - 1) {
    const u64* mask = s.positive + (1 + 2 * __builtin_ctz(slots)) * stride;
    const SlotMask slot{mask, (const u16*)(mask + stride)};
    const i64 more = ones(slot, words);
    if (more == 0) continue;
    *pass++ = {slot, next};
    next += more;
    add_columns(s.fired, mask, words);
  }
  const i64 passes = pass - (waiting.pass + waiting.passes);
  if (passes == 0) return;
  draw_run(begin, next - begin, u.keys, kUpdateCycle, u.job.first_step + (u64)s.number, row.element, 0);
  waiting.turn[waiting.turns++] = {s.positive, s.flip, (i32)passes};
  waiting.passes += passes;
  waiting.draws = whole_calls(next - waiting.noise);
}

template <class D>
inline void update_any(const UpdateTile<D>& u, const DeviceRow<D>& row, Waiting& waiting, Sample s, i64 i, i64 first,
                       u64* scratch) {
  alignas(64) u64 fired[kMaskWords] = {};
  u64* const touched = s.fired;
  s.fired = fired;
  if (waiting.masks > kWaiting) fire_waiting<D>(row, u.params, waiting);
  if (waiting.passes == 0) waiting.masks = 0;
  update_sample(u, row, waiting, s, i, first, scratch);
  add_columns(touched, fired, s.words);
}

template <class D>
inline void update_row_span(const UpdateTile<D>& u, i64 i, i64 first, u64* scratch) {
  const UpdateJob& job = u.job;
  const DeviceRow<D> row(u.tile, i, first);
  const i64 words = mask_words(row.columns), out = u.tile.out, sample_words = mask_rows(job) * job.mask_words;
  const bool trains = job.kind == ohm_ops::kStochastic && job.words == 1;
  alignas(64) u64 touched[kMaskWords] = {};
  Waiting waiting;
  for (i64 word = 0; word < row_words(job.samples); ++word) {
    const u32 rising = job.rising[word * out + i];
    for (u32 live = job.live[word * out + i]; live; live &= live - 1) {
      const i64 k = __builtin_ctz(live), t = word * kSamplesPerWord + k;
      const Sample s{t, job.x_mask + t * sample_words + first / 64, (rising >> k & 1u) - 1u, words, touched};
      const u32 slots = trains ? job.d_train[t * out + i] : ~0u;
      if (trains && is_short(u, slots, row.columns))
        update_short(u, row, waiting, s, slots);
      else
        update_any(u, row, waiting, s, i, first, scratch);
    }
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
void update_rows(const TileView& tile, const UpdateJob& job) {
  const UpdateTile<D> u(tile, job);
#pragma omp parallel num_threads(tile.threads)
  {
    u64* scratch = job.levels + this_thread() * level_words(job.longest);
    encode_all(job, u.keys, tile.out, tile.in);
    mark_rows(job, tile.out);
#pragma omp for schedule(static)
    for (i64 row = 0; row < tile.out; ++row)
      for (i64 first = 0; first < tile.in; first += kSpan) update_row_span(u, row, first, scratch);
  }
}

template <class D>
void update_tile(const TileView& tile, const UpdateJob& job) {
  if constexpr (D::has_plain)
    if (D::is_plain(from_block<typename D::Params>(tile.params))) return update_rows<typename D::Plain>(tile, job);
  update_rows<D>(tile, job);
}

}  // namespace OHM_NS
