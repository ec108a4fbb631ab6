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

// The trains of 64 lines: a line fires in a slot with its probability, 2^-32 resolution.
struct TrainLanes {
  alignas(64) u32 threshold[kLanes], word[kLanes], bits[kLanes];
  u64 always;
};

inline void prepare_trains(TrainLanes& s, const Lines& lines, bool sto_round, const Block& b, u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  alignas(64) u32 always[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < kLanes; ++l) {
    s.threshold[l] = l < b.used ? threshold_of(p[l]) : 0u;
    always[l] = l < b.used ? always_of(p[l]) : 0u;
  }
  alignas(64) const u32 none[kLanes] = {};
  s.always = below(none, always);
}

// The lines that fire in one slot.
inline u64 draw_slot(TrainLanes& s, u32 stream, i64 slot, const Block& b, const RoundKeys& keys, u64 step) {
  philox_lines(s.word, keys, stream, step, element_of_line(b.first), (u32)slot);
  return below(s.word, s.threshold) | s.always;
}

// A sample's masks of columns: those where x is positive, then of each slot those that fire, which rows look up.
inline i64 mask_rows(const UpdateJob& job) { return 1 + (job.kind == ohm_ops::kStochastic ? job.longest : 0); }
inline u64* positive_mask(const UpdateJob& job, i64 t) { return job.x_mask + t * mask_rows(job) * job.mask_words; }
inline u64* slot_mask(const UpdateJob& job, i64 t, i64 slot) { return positive_mask(job, t) + (1 + slot) * job.mask_words; }

inline void encode_columns(const UpdateJob& job, const Lines& lines, i64 t, const Block& b, const RoundKeys& keys) {
  const u64 step = job.first_step + (u64)t;
  TrainLanes s;
  prepare_trains(s, lines, job.sto_round, b, keys.seed, step);
  for (i64 slot = 0; slot < job.scales[t].length; ++slot)
    slot_mask(job, t, slot)[b.first / kLanes] = draw_slot(s, lines.stream, slot, b, keys, step);
}

// A row keeps its train, 32 slots a word.
inline void encode_rows(const UpdateJob& job, const Lines& lines, i64 t, const Block& b, const RoundKeys& keys) {
  const u64 step = job.first_step + (u64)t;
  TrainLanes s;
  prepare_trains(s, lines, job.sto_round, b, keys.seed, step);
  for (i64 from = 0; from < job.scales[t].length; from += kSlotsPerWord) {
    for (int l = 0; l < kLanes; ++l) s.bits[l] = 0;
    for (i64 slot = from; slot < job.scales[t].length && slot < from + kSlotsPerWord; ++slot) {
      const u64 fired = draw_slot(s, lines.stream, slot, b, keys, step);
      for (int l = 0; l < kLanes; ++l) s.bits[l] |= (u32)(fired >> l & 1u) << (slot - from);
    }
    u32* train = job.d_train + (t * job.words + from / kSlotsPerWord) * lines.count;
    for (int l = 0; l < b.used; ++l) train[b.first + l] = s.bits[l];
  }
}

inline void mark_positive(const UpdateJob& job, const Lines& lines, i64 t, const Block& b) {
  alignas(64) u32 one[kLanes];
  alignas(64) const u32 none[kLanes] = {};
  for (int l = 0; l < kLanes; ++l) one[l] = lines.value[b.first + b.column[l]] > 0.0f ? 1u : 0u;
  positive_mask(job, t)[b.first / kLanes] = below(none, one);
}

inline void level_lanes(float* level, const Lines& lines, i32 kind, i32 length, bool sto_round, const Block& b,
                        u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < b.used; ++l)
    level[b.first + l] = level_of(p[l], kind, length);
}

inline void encode(const UpdateJob& job, const Lines& lines, i64 t, const RoundKeys& keys) {
  const bool columns = lines.stream == kTrainX;
  float* level = (columns ? job.x_level : job.d_level) + t * lines.count;
  for (i64 first = 0; first < lines.count; first += kLanes) {
    const Block b = block_of(first, lines.count);
    if (columns) mark_positive(job, lines, t, b);
    if (job.kind != ohm_ops::kStochastic)
      level_lanes(level, lines, job.kind, job.scales[t].length, job.sto_round, b, keys.seed, job.first_step + (u64)t);
    else if (columns)
      encode_columns(job, lines, t, b, keys);
    else
      encode_rows(job, lines, t, b, keys);
  }
}

inline void encode_all(const UpdateJob& job, const RoundKeys& keys, i64 out, i64 in, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 t = 0; t < job.samples; ++t) {
    encode(job, {job.x + t * in, in, job.scales[t].x_scale, job.x_res, kTrainX}, t, keys);
    encode(job, {job.d + t * out, out, job.scales[t].d_scale, job.d_res, kTrainD}, t, keys);
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
      if (lift(levels, top, slot_mask(job, t, slot) + first / 64, words)) clear_level(levels, ++top);
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
  encode_all(job, RoundKeys(seed), out, in, 1);
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
