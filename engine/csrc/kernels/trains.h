// SPDX-License-Identifier: Apache-2.0
// From x and d to pulses: trains of random bits, or deterministic levels, one per column and row, and from them the
// columns of a row that get a first, a second, a third ... pulse.
#pragma once
#include "kernels/lanes.h"
#include "kernels/line.h"
#include "kernels/masks.h"

namespace OHM_NS {

// Bin width 0 leaves the probabilities.
inline void quantise_lanes(float* p, float res, bool stochastic, u64 seed, u32 stream, u64 step, const u32* element) {
  if (res <= 0.0f) return;
  alignas(64) u32 word[4 * kLanes];
  if (stochastic) philox_lanes(word, kLanes, seed, kTrainRound, step, element, stream);
  for (int l = 0; l < kLanes; ++l)
    p[l] = quantised(p[l], res, stochastic ? jitter_of(word[l]) : 0.0f);
}

inline void probability_lanes(float* p, const float* value, float scale, const Block& b) {
  for (int l = 0; l < kLanes; ++l) p[l] = probability_of(value[b.first + b.column[l]], scale);
}

// One line of a sample's pulses, columns or rows.
struct Lines {
  const float* value;
  i64 count;
  float scale, res;
  u32 stream;
};

// The trains of 64 lines, 32 slots a word: bit s of a line is set with the line's probability, 2^-32 resolution.
struct TrainLanes {
  alignas(64) u32 threshold[kLanes], always[kLanes], bits[kLanes], word[4 * kLanes];
};

inline void prepare_trains(TrainLanes& s, const Lines& lines, bool sto_round, const Block& b, u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < kLanes; ++l) {
    s.always[l] = always_of(p[l]);
    s.threshold[l] = threshold_of(p[l]);
  }
}

// Slots `from` .. `to` - 1, at most 32 of them, into bits 0 ...
inline void draw_trains(TrainLanes& s, u32 stream, i64 from, i64 to, const Block& b, u64 seed, u64 step) {
  for (int l = 0; l < kLanes; ++l) s.bits[l] = 0;
  for (i64 slot = from; slot < to; slot += 4) {
    const i64 left = to - slot;
    philox_lanes(s.word, kLanes, seed, stream, step, b.element, (u32)(slot >> 2));
    const u32 valid = valid_slots(left);
    for (int l = 0; l < kLanes; ++l) {
      u32 nibble = 0;
      for (int k = 0; k < 4; ++k) nibble |= fires(s.word[k * kLanes + l], s.threshold[l], s.always[l]) << k;
      s.bits[l] |= (nibble & valid) << (slot - from);
    }
  }
}

// A row keeps its train; of the columns, each slot keeps the lines that fire: what rows need to look up.
inline void store_row_trains(u32* train, const TrainLanes& s, const Block& b) {
  for (int l = 0; l < b.used; ++l) train[b.first + l] = s.bits[l];
}

inline void store_column_masks(u64* mask, i64 mask_words, const TrainLanes& s, i64 slots, const Block& b) {
  for (i64 slot = 0; slot < slots; ++slot) {
    u64 lines = 0;
    for (int l = 0; l < b.used; ++l) lines |= (u64)(s.bits[l] >> slot & 1u) << l;
    mask[slot * mask_words + b.first / kLanes] = lines;
  }
}

inline void level_lanes(float* level, const Lines& lines, i32 kind, i32 length, bool sto_round, const Block& b,
                        u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < b.used; ++l)
    level[b.first + l] = level_of(p[l], kind, length);
}

inline void encode_trains(const UpdateJob& job, const Lines& lines, i64 t, bool columns, const Block& b, u64 seed) {
  const u64 step = job.first_step + (u64)t;
  const i64 length = job.scales[t].length;
  TrainLanes s;
  prepare_trains(s, lines, job.sto_round, b, seed, step);
  for (i64 from = 0; from < length; from += kSlotsPerWord) {
    const i64 to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
    draw_trains(s, lines.stream, from, to, b, seed, step);
    if (columns)
      store_column_masks(job.x_mask + (t * job.longest + from) * job.mask_words, job.mask_words, s, to - from, b);
    else
      store_row_trains(job.d_train + (t * job.words + from / kSlotsPerWord) * lines.count, s, b);
  }
}

inline void encode(const UpdateJob& job, const Lines& lines, i64 t, bool columns, u64 seed) {
  float* level = (columns ? job.x_level : job.d_level) + t * lines.count;
  for (i64 first = 0; first < lines.count; first += kLanes) {
    const Block b = block_of(first, lines.count);
    if (job.kind == ohm_ops::kStochastic)
      encode_trains(job, lines, t, columns, b, seed);
    else
      level_lanes(level, lines, job.kind, job.scales[t].length, job.sto_round, b, seed, job.first_step + (u64)t);
  }
}

inline void encode_all(const UpdateJob& job, u64 seed, i64 out, i64 in, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 t = 0; t < job.samples; ++t) {
    encode(job, {job.x + t * in, in, job.scales[t].x_scale, job.x_res, kTrainX}, t, true, seed);
    encode(job, {job.d + t * out, out, job.scales[t].d_scale, job.d_res, kTrainD}, t, false, seed);
  }
}

// Column masks by level: level k holds the columns of a span that get at least k + 1 pulses, so each level contains the
// next and a column's pulses are applied in order, level by level. (levels, kMaskWords) words.
inline u64* level_mask(u64* levels, i64 level) { return levels + level * kMaskWords; }

// Lifts the columns of one slot by one level; returns whether the level above the `top` was reached.
inline bool lift(u64* levels, i64 top, const u64* slot, i64 words) {
  u64 reached = 0;
  for (i64 k = top; k >= 0; --k) {
    u64* to = level_mask(levels, k);
    const u64* below = k ? level_mask(levels, k - 1) : slot;
    for (i64 w = 0; w < words; w += kMaskStep) *(WideMask*)(to + w) |= *(const WideMask*)(below + w) & *(const WideMask*)(slot + w);
    if (k == top)
      for (i64 w = 0; w < words; ++w) reached |= to[w];
  }
  return reached != 0;
}

inline void clear_level(u64* levels, i64 level) {
  for (i64 w = 0; w < kMaskWords; ++w) level_mask(levels, level)[w] = 0;
}

inline i64 stack_trains(u64* levels, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out) {
  const i64 words = mask_words(columns);
  i64 top = 0;
  clear_level(levels, 0);
  for (i64 word = 0; word < job.words; ++word) {
    u32 slots = job.d_train[(t * job.words + word) * out + row];
    for (; slots; slots &= slots - 1) {
      const i64 slot = kSlotsPerWord * word + __builtin_ctz(slots);
      const u64* mask = job.x_mask + (t * job.longest + slot) * job.mask_words + first / 64;
      if (lift(levels, top, mask, words)) clear_level(levels, ++top);
    }
  }
  return top;
}

inline i64 stack_counts(u64* levels, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in) {
  i64 top = 0;
  clear_level(levels, 0);
  for (i64 l = 0; l < columns; ++l) {
    const i32 count = level_count(job, t, row, first + l, out, in);
    while (top < count) clear_level(levels, ++top);
    for (i32 k = 0; k < count; ++k) level_mask(levels, k)[l >> 6] |= 1ull << (l & 63);
  }
  return top;
}

// Fills the levels of one row's span and returns how many there are; (longest + 1, kMaskWords) words suffice.
inline i64 stack_levels(u64* levels, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in) {
  return job.kind == ohm_ops::kStochastic ? stack_trains(levels, job, t, row, first, columns, out)
                                          : stack_counts(levels, job, t, row, first, columns, out, in);
}

// Up positive, down negative, as an update would apply them.
inline void signed_coincidences(const UpdateJob& job, i64 out, i64 in, u64 seed, i32* counts) {
  encode_all(job, seed, out, in, 1);
  for (i64 t = 0; t < job.samples; ++t)
    for (i64 row = 0; row < out; ++row)
      for (i64 first = 0; first < in; first += kSpan) {
        const i64 columns = in - first < kSpan ? in - first : kSpan;
        i32* to = counts + (t * out + row) * in + first;
        for (i64 l = 0; l < columns; ++l) to[l] = 0;
        if (row_is_silent(job, t, row, out)) continue;
        const float sign = sign_where_x_positive(job, t, row, out);
        const i64 top = stack_levels(job.levels, job, t, row, first, columns, out, in);
        for (i64 k = 0; k < top; ++k)
          for (i64 l = 0; l < columns; ++l)
            if (level_mask(job.levels, k)[l >> 6] >> (l & 63) & 1u)
              to[l] += (i32)direction_of(job.x[t * in + first + l], sign);
      }
}

}  // namespace OHM_NS
