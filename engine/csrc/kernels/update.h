// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
//
// Within a sample, all first pulses of a span go before all second pulses, and so on. The noise of a span is one run of
// draws in that order, so that none is made for a crosspoint that does not fire.
#pragma once
#include "kernels/draws.h"
#include "kernels/pulse.h"
#include "kernels/trains.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace OHM_NS {

constexpr i64 kDraws = 2048;  // draws made at once: they stay in the first-level cache
constexpr i64 kLevels = 64;   // levels they may serve
constexpr int kDense = 5;     // a level is sparse when less than one column in so many takes part
constexpr int kPack = 64;     // crosspoints of a sparse level handled together

// One row's devices of a span, in one sample.
struct Span {
  i64 start;          // first crosspoint
  i64 columns;
  const float* x;     // of the span's columns
  float sign;         // direction of a pulse where x is positive
  u64 step;
  u32 element;        // the span's number in the generator's counter
  const RoundKeys& keys;

  float direction(i64 column) const { return direction_of(x[column], sign); }
};

// The arrays of that span.
template <class D>
struct DeviceRow {
  const float* cells[D::Cell::count ? D::Cell::count : 1];
  float* hidden;

  DeviceRow(const TileView& tile, i64 start) : hidden(tile.hidden + start) {
    for (int f = 0; f < D::Cell::count; ++f) cells[f] = tile.cells[f] + start;
  }
  typename D::Cell cell(i64 column) const { return from_arrays<typename D::Cell>(cells, column); }
};

// A pulse for the columns of a dense level: all columns take part, in lanes that may be switched off.
template <class D>
inline void fire_all(const DeviceRow<D>& row, const typename D::Params& p, const Span& at, const u64* mask,
                     const float* noise) {
  alignas(64) float xi[kSpan];
  alignas(64) i8 turn[kSpan];
  expand_all(xi, turn, noise, mask, at.columns);
#pragma GCC ivdep
  for (i64 l = 0; l < at.columns; ++l) {
    const float w = row.hidden[l];
    const float next = pulsed<D>(w, at.direction(l), xi[l], row.cell(l), p);
    row.hidden[l] = turn[l] < kChunk ? next : w;
  }
}

// Sparse levels go by the list of their columns, moved next to one another for the arithmetic.
template <class D>
inline void fire_listed(const DeviceRow<D>& row, const typename D::Params& p, const Span& at, const u64* mask,
                        const float* noise) {
  alignas(64) i32 list[kSpan];
  const i64 count = list_columns(list, mask, at.columns);
  for (i64 first = 0; first < count; first += kPack, noise += kPack) {
    const i32* column = list + first;
    const i64 used = count - first < kPack ? count - first : kPack;
    CellLanes<typename D::Cell, kPack> cells;
    alignas(64) float hidden[kPack], direction[kPack];
    for (int f = 0; f < D::Cell::count; ++f)
      for (i64 l = 0; l < used; ++l) cells.field[f][l] = row.cells[f][column[l]];
    for (i64 l = 0; l < used; ++l) {
      hidden[l] = row.hidden[column[l]];
      direction[l] = at.direction(column[l]);
    }
    for (i64 l = 0; l < used; ++l) hidden[l] = pulsed<D>(hidden[l], direction[l], noise[l], cells.at((int)l), p);
    for (i64 l = 0; l < used; ++l) row.hidden[column[l]] = hidden[l];
  }
}

inline void count_fired(const TileView& tile, const Span& at, const u64* mask) {
  alignas(64) i32 list[kSpan];
  const i64 count = list_columns(list, mask, at.columns);
  for (i64 k = 0; k < count; ++k) {
    u32* counter = at.direction(list[k]) > 0.0f ? tile.pulses_up : tile.pulses_down;
    ++counter[at.start + list[k]];
  }
}

// Write noise is drawn once for every crosspoint that was pulsed in the sample.
inline void write_level(const TileView& tile, const Span& at, const u64* mask, i64 count, float std) {
  alignas(64) float draws[kSpan + kDrawSlack];
  alignas(64) i32 list[kSpan];
  const float* eta = draw_normals_from(draws, 0, count, at.keys, kUpdateWrite, at.step, at.element);
  list_columns(list, mask, at.columns);
  for (i64 k = 0; k < count; ++k)
    tile.apparent[at.start + list[k]] = tile.hidden[at.start + list[k]] + std * eta[k];
}

// All pulses of one sample on one span: as many levels at a time as their draws find room.
template <class D>
inline void update_span(const TileView& tile, const typename D::Params& p, const Span& at, const u64* levels, i64 top) {
  alignas(64) float draws[kDraws + kDrawSlack + kChunk];
  const i64 words = mask_words(at.columns);
  const DeviceRow<D> row(tile, at.start);
  i64 first_draw = 0;
  for (i64 level = 0, end = 0; level < top; level = end) {
    i64 count[kLevels], total = 0;
    for (; end < top && end - level < kLevels; ++end) {
      const i64 more = count[end - level] = ones(levels + end * kMaskWords, words);
      if (total + more > kDraws) break;
      total += more;
    }
    const float* noise =
        draw_normals_from(draws, first_draw, total, at.keys, kUpdateCycle, at.step, at.element);
    for (i64 k = level; k < end; ++k) {
      const u64* mask = levels + k * kMaskWords;
      if (count[k - level] * kDense >= at.columns)
        fire_all<D>(row, p, at, mask, noise);
      else
        fire_listed<D>(row, p, at, mask, noise);
      noise += count[k - level];
    }
    first_draw += total;
  }
}

// What the samples left to do at the end of a row: without write noise, pulsed weights read as they are.
inline void show_hidden(const TileView& tile, const Span& at, const u64* touched) {
  for (i64 l = 0; l < at.columns; ++l) {
    const i64 e = at.start + l;
    tile.apparent[e] = touched[l >> 6] >> (l & 63) & 1u ? tile.hidden[e] : tile.apparent[e];
  }
}

template <class D>
inline void update_row_span(const TileView& tile, const UpdateJob& job, const typename D::Params& p, const RoundKeys& keys,
                            i64 row, i64 first, u64* levels) {
  const float noise = write_noise_of<D>(p);
  const i64 columns = tile.in - first < kSpan ? tile.in - first : kSpan;
  const i64 spans = (tile.in + kSpan - 1) / kSpan;
  Span at{row * tile.in + first, columns, nullptr, 0.0f, 0, (u32)(row * spans + first / kSpan), keys};
  u64 touched[kMaskWords] = {};
  for (i64 t = 0; t < job.samples; ++t) {
    if (row_is_silent(job, t, row, tile.out)) continue;
    const i64 top = stack_levels(levels, job, t, row, first, columns, tile.out, tile.in);
    if (top == 0) continue;
    at.x = job.x + t * tile.in + first;
    at.sign = sign_where_x_positive(job, t, row, tile.out);
    at.step = job.first_step + (u64)t;
    update_span<D>(tile, p, at, levels, top);
    for (i64 w = 0; w < mask_words(columns); ++w) touched[w] |= levels[w];
    if (tile.pulses_up)
      for (i64 k = 0; k < top; ++k) count_fired(tile, at, level_mask(levels, k));
    if (noise > 0.0f) write_level(tile, at, levels, ones(levels, mask_words(columns)), noise);
  }
  if (!(noise > 0.0f)) show_hidden(tile, at, touched);
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
  const auto params = from_block<typename D::Params>(tile.params);
  const RoundKeys keys(tile.seed);
  encode_all(job, tile.seed, tile.out, tile.in, tile.threads);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 row = 0; row < tile.out; ++row) {
    u64* levels = job.levels + this_thread() * level_words(job.longest);
    for (i64 first = 0; first < tile.in; first += kSpan) update_row_span<D>(tile, job, params, keys, row, first, levels);
  }
}

}  // namespace OHM_NS
