// SPDX-License-Identifier: Apache-2.0
// From x and d to pulse counts: trains of random bits, or deterministic levels, one per column and row, and the
// number of coincidences at each crosspoint.
#pragma once
#include "kernels/compact.h"
#include "kernels/lanes.h"

namespace OHM_NS {

using ohm_ops::UpdateJob;

constexpr int kSlotsPerWord = 32;

// Rounds a probability to whole multiples of `res`, half to even or stochastically; 0: leaves it.
inline void quantise_lanes(float* p, float res, bool stochastic, u64 seed, u32 stream, u64 step, const u32* element) {
  if (res <= 0.0f) return;
  alignas(64) u32 word[4 * kLanes];
  if (stochastic) philox_lanes(word, kLanes, seed, kTrainRound, step, element, stream);
  for (int l = 0; l < kLanes; ++l)
    p[l] = res * rounded(p[l] / res + (stochastic ? unit_interval(word[l]) - 0.5f : 0.0f));
}

inline void probability_lanes(float* p, const float* value, float scale, const Block& b) {
  for (int l = 0; l < kLanes; ++l) p[l] = magnitude(value[b.first + b.column[l]]) * scale;
}

// One line of a sample's pulses, columns or rows.
struct Lines {
  const float* value;
  i64 count;
  float scale, res;
  u32 stream;
};

// The bits of 64 lines: bit s of a line is set with the line's probability, 2^-32 resolution.
inline void train_lanes(u32* train, i64 words, const Lines& lines, i32 length, bool sto_round, const Block& b, u64 seed,
                        u64 step) {
  alignas(64) u32 threshold[kLanes], always[kLanes], bits[kLanes], w[4 * kLanes];
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < kLanes; ++l) {
    always[l] = p[l] >= 1.0f ? 1u : 0u;
    threshold[l] = (u32)(i64)(smaller(p[l], 0.99999994f) * 4294967296.0f);
  }
  for (i64 word = 0; word < words; ++word) {
    for (int l = 0; l < kLanes; ++l) bits[l] = 0;
    i64 from = word * kSlotsPerWord, to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
    for (i64 slot = from; slot < to; slot += 4) {
      const i64 left = to - slot;
      philox_lanes(w, kLanes, seed, lines.stream, step, b.element, (u32)(slot >> 2));
      const u32 valid = left >= 4 ? 15u : (1u << left) - 1u;
      for (int l = 0; l < kLanes; ++l) {
        u32 nibble = 0;
        for (int k = 0; k < 4; ++k) nibble |= (u32)((w[k * kLanes + l] < threshold[l]) | always[l]) << k;
        bits[l] |= (nibble & valid) << (slot - from);
      }
    }
    for (int l = 0; l < b.used; ++l) train[word * lines.count + b.first + l] = bits[l];
  }
}

// The deterministic kinds carry a level per line instead of a train: whole pulses, or a quantised probability.
inline void level_lanes(float* level, const Lines& lines, i32 kind, i32 length, bool sto_round, const Block& b,
                        u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < b.used; ++l)
    level[b.first + l] = kind == ohm_ops::kMeanCount ? clamped(rounded((float)length * p[l]), 0.0f, (float)length)
                                                     : clamped(p[l], 0.0f, 1.0f);
}

inline void encode(const UpdateJob& job, const Lines& lines, i64 t, u32* train, float* level, u64 seed) {
  const u64 step = job.first_step + (u64)t;
  const i32 length = job.scales[t].length;
  for (i64 first = 0; first < lines.count; first += kLanes) {
    const Block b = block_of(first, lines.count);
    if (job.kind == ohm_ops::kStochastic)
      train_lanes(train + t * lines.count * job.words, job.words, lines, length, job.sto_round, b, seed, step);
    else
      level_lanes(level + t * lines.count, lines, job.kind, length, job.sto_round, b, seed, step);
  }
}

inline void encode_all(const UpdateJob& job, u64 seed, i64 out, i64 in, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 t = 0; t < job.samples; ++t) {
    encode(job, {job.x + t * in, in, job.scales[t].x_scale, job.x_res, kTrainX}, t, job.x_train, job.x_level, seed);
    encode(job, {job.d + t * out, out, job.scales[t].d_scale, job.d_res, kTrainD}, t, job.d_train, job.d_level, seed);
  }
}

constexpr i64 kSpan = 1024;  // columns whose firing crosspoints are packed together

inline void count_coincidences(i32* counts, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out,
                               i64 in) {
  const u32* x_train = job.x_train + t * job.words * in + first;
  const u32* d_train = job.d_train + t * job.words * out + row;
  count_ones(counts, x_train, d_train[0], columns);
  for (i64 word = 1; word < job.words; ++word) {
    alignas(64) i32 more[kSpan];
    count_ones(more, x_train + word * in, d_train[word * out], columns);
    for (i64 l = 0; l < columns; ++l) counts[l] += more[l];
  }
}

inline void count_levels(i32* counts, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in) {
  const float* x = job.x_level + t * in + first;
  const float length = (float)job.scales[t].length, d = job.d_level[t * out + row];
  const float factor = job.kind == ohm_ops::kMeanCount ? d / length : length * d;
  for (i64 l = 0; l < columns; ++l) counts[l] = (i32)rounded(factor * x[l]);
}

inline i32 find_most(const i32* counts, i64 columns) {
  i32 most = 0;
  for (i64 l = 0; l < columns; ++l) most = counts[l] > most ? counts[l] : most;
  return most;
}

inline void count_row(i32* counts, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in) {
  if (job.kind == ohm_ops::kStochastic)
    count_coincidences(counts, job, t, row, first, columns, out, in);
  else
    count_levels(counts, job, t, row, first, columns, out, in);
}

// Up positive, down negative, as an update would apply them.
inline void signed_coincidences(const UpdateJob& job, i64 out, i64 in, u64 seed, i32* counts) {
  encode_all(job, seed, out, in, 1);
  for (i64 t = 0; t < job.samples; ++t)
    for (i64 row = 0; row < out; ++row)
      for (i64 first = 0; first < in; first += kSpan) {
        alignas(64) i32 n[kSpan + kSlack];
        const i64 columns = in - first < kSpan ? in - first : kSpan;
        const float d = job.d[t * out + row] * (job.negative ? -1.0f : 1.0f);
        count_row(n, job, t, row, first, columns, out, in);
        for (i64 l = 0; l < columns; ++l) {
          const bool silent = job.scales[t].length == 0 || d == 0.0f;
          const i32 way = (job.x[t * in + first + l] > 0.0f) == (d > 0.0f) ? -1 : 1;
          counts[(t * out + row) * in + first + l] = silent ? 0 : way * n[l];
        }
      }
}

}  // namespace OHM_NS
