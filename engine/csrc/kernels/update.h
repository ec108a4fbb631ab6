// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
#pragma once
#include "kernels/compact.h"
#include "kernels/pulse.h"

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

// The crosspoints of a span that fire, those with alike pulse counts together: no lane idles for long.
struct Fired {
  alignas(64) i32 counts[kSpan + kSlack];
  alignas(64) i32 found[kSpan + kSlack], found_pulses[kSpan + kSlack];
  alignas(64) i32 column[kSpan + kLanes], pulses[kSpan + kLanes];
  i64 count;
};

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

// Pulse counts 1, 2, 3-4, 5-8, ... in this order, then the last entry repeated without pulses.
inline void pack_fired(Fired& f, i64 columns, i32 most) {
  i64 active = append_between(f.counts, nullptr, columns, 1, most, f.found, f.found_pulses);
  f.count = 0;
  for (i32 low = 1, high = 1; low <= most; low = high + 1, high *= 2)
    f.count += append_between(f.found_pulses, f.found, active, low, high, f.column + f.count, f.pulses + f.count);
  const i32 last = f.column[f.count - 1];
  for (int l = 0; l < kLanes; ++l) {
    f.column[f.count + l] = last;
    f.pulses[f.count + l] = 0;
  }
}

inline int most_pulses(const i32* pulses) {
  i32 most = 0;
  for (int l = 0; l < kLanes; ++l) most = pulses[l] > most ? pulses[l] : most;
  return most;
}

template <class D>
inline void fire(PulseLanes<D>& s, const i32* pulses, const u32* element, const TileView& tile,
                 const typename D::Params& p, u64 step) {
  const int most = most_pulses(pulses);
  for (int k = 0; k < most; ++k) {
    if ((k & 3) == 0) draw_words_of(s.cycle, tile.seed, kUpdateCycle, step, element, (u32)k >> 2);
    if ((k & 1) == 0) draw_pair(s.cycle, (k & 3) >> 1);
    const float* xi = s.cycle.normal[k & 3];
    for (int l = 0; l < kLanes; ++l) {
      float next = pulsed<D>(s.hidden[l], s.direction[l], xi[l], s.cells.at(l), p);
      s.hidden[l] = k < pulses[l] ? next : s.hidden[l];
    }
  }
}

// 64 packed crosspoints of one sample; `start` is the first crosspoint of the span.
struct Packed {
  i64 start;
  const i32 *column, *pulses;
  int used;
};

inline void count_fired(const TileView& tile, const Packed& at, const float* direction) {
  for (int l = 0; l < at.used; ++l) {
    u32* counter = direction[l] > 0.0f ? tile.pulses_up : tile.pulses_down;
    counter[at.start + at.column[l]] += (u32)at.pulses[l];
  }
}

template <class D>
inline void update_lanes(PulseLanes<D>& s, const TileView& tile, const typename D::Params& p, const Packed& at,
                         const float* x, float d, u64 step) {
  const float noise = write_noise_of<D>(p);
  alignas(64) u32 element[kLanes];
  gather_cells(s.cells, tile.cells, at.start, at.column);
  gather(s.hidden, tile.hidden + at.start, at.column);
  for (int l = 0; l < kLanes; ++l) {
    element[l] = (u32)at.start + (u32)at.column[l];
    s.direction[l] = x[at.column[l]] * d > 0.0f ? -1.0f : 1.0f;  // down where lr*d*x > 0
  }
  fire<D>(s, at.pulses, element, tile, p, step);
  if (tile.pulses_up) count_fired(tile, at, s.direction);
  scatter(tile.hidden + at.start, s.hidden, at.column, at.used);
  if (noise > 0.0f) {
    draw_words_of(s.write, tile.seed, kUpdateWrite, step, element, 0);
    draw_pair(s.write, 0);
    for (int l = 0; l < kLanes; ++l) s.hidden[l] += noise * s.write.normal[0][l];
  }
  scatter(tile.apparent + at.start, s.hidden, at.column, at.used);
}

template <class D>
inline void update_row(const TileView& tile, const UpdateJob& job, const typename D::Params& p, i64 row) {
  PulseLanes<D> s;
  Fired fired;
  for (i64 t = 0; t < job.samples; ++t) {
    const float d = job.d[t * tile.out + row] * (job.negative ? -1.0f : 1.0f);
    if (job.scales[t].length == 0 || d == 0.0f) continue;
    for (i64 first = 0; first < tile.in; first += kSpan) {
      const i64 columns = tile.in - first < kSpan ? tile.in - first : kSpan;
      const auto count = job.kind == ohm_ops::kStochastic ? count_coincidences : count_levels;
      count(fired.counts, job, t, row, first, columns, tile.out, tile.in);
      const i32 most = find_most(fired.counts, columns);
      if (most == 0) continue;
      pack_fired(fired, columns, most);
      for (i64 k = 0; k < fired.count; k += kLanes) {
        const int used = (int)(fired.count - k < kLanes ? fired.count - k : kLanes);
        const Packed at{row * tile.in + first, fired.column + k, fired.pulses + k, used};
        update_lanes<D>(s, tile, p, at, job.x + t * tile.in + first, d, job.first_step + (u64)t);
      }
    }
  }
}

template <class D>
void update_tile(const TileView& tile, const UpdateJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
  encode_all(job, tile.seed, tile.out, tile.in, tile.threads);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 row = 0; row < tile.out; ++row) update_row<D>(tile, job, params, row);
}

}  // namespace OHM_NS
