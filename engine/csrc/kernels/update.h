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

// The bits of 64 lines: bit s of a line is set with the line's probability, 2^-32 resolution.
inline void train_lanes(u32* train, i64 words, const float* value, float scale, i32 length, const Block& b,
                        u64 seed, u32 stream, u64 step) {
  alignas(64) u32 threshold[kLanes], always[kLanes], bits[kLanes], w[4 * kLanes];
  for (int l = 0; l < kLanes; ++l) {
    float p = magnitude(value[b.first + b.column[l]]) * scale;
    always[l] = p >= 1.0f ? 1u : 0u;
    threshold[l] = (u32)(i64)(smaller(p, 0.99999994f) * 4294967296.0f);
  }
  for (i64 word = 0; word < words; ++word) {
    for (int l = 0; l < kLanes; ++l) bits[l] = 0;
    i64 from = word * kSlotsPerWord, to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
    for (i64 slot = from; slot < to; slot += 4) {
      const i64 left = to - slot;
      philox_lanes(w, kLanes, seed, stream, step, b.element, (u32)(slot >> 2));
      const u32 valid = left >= 4 ? 15u : (1u << left) - 1u;
      for (int l = 0; l < kLanes; ++l) {
        u32 nibble = 0;
        for (int k = 0; k < 4; ++k)
          nibble |= (u32)((w[k * kLanes + l] < threshold[l]) | always[l]) << k;
        bits[l] |= (nibble & valid) << (slot - from);
      }
    }
    for (int l = 0; l < b.used; ++l) train[(b.first + l) * words + word] = bits[l];
  }
}

inline void make_trains(const UpdateJob& job, u64 seed, i64 out, i64 in, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 t = 0; t < job.samples; ++t) {
    const auto& scale = job.scales[t];
    for (i64 first = 0; first < in; first += kLanes)
      train_lanes(job.x_train + t * in * job.words, job.words, job.x + t * in, scale.x_scale, scale.length,
                  block_of(first, in), seed, kTrainX, job.first_step + (u64)t);
    for (i64 first = 0; first < out; first += kLanes)
      train_lanes(job.d_train + t * out * job.words, job.words, job.d + t * out, scale.d_scale, scale.length,
                  block_of(first, out), seed, kTrainD, job.first_step + (u64)t);
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

inline i32 count_coincidences(i32* counts, const u32* x_train, const u32* d_train, i64 words, i64 columns) {
  if (words == 1) {  // trains of up to 32 slots: the usual case
    count_ones(counts, x_train, d_train[0], columns);
  } else {
    for (i64 l = 0; l < columns; ++l) counts[l] = 0;
    for (i64 word = 0; word < words; ++word)
      for (i64 l = 0; l < columns; ++l) counts[l] += __builtin_popcount(x_train[l * words + word] & d_train[word]);
  }
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

// One sample's pulses on 64 packed crosspoints; `start` is the first crosspoint of the span.
template <class D>
inline void update_lanes(PulseLanes<D>& s, const TileView& tile, const typename D::Params& p, i64 start,
                         const i32* column, const i32* pulses, int used, const float* x, float d, u64 step) {
  const float noise = write_noise_of<D>(p);
  alignas(64) u32 element[kLanes];
  gather_cells(s.cells, tile.cells, start, column);
  gather(s.hidden, tile.hidden + start, column);
  for (int l = 0; l < kLanes; ++l) {
    element[l] = (u32)start + (u32)column[l];
    s.direction[l] = x[column[l]] * d > 0.0f ? -1.0f : 1.0f;  // down where d*x > 0, for lr > 0
  }
  fire<D>(s, pulses, element, tile, p, step);
  scatter(tile.hidden + start, s.hidden, column, used);
  if (noise > 0.0f) {
    draw_words_of(s.write, tile.seed, kUpdateWrite, step, element, 0);
    draw_pair(s.write, 0);
    for (int l = 0; l < kLanes; ++l) s.hidden[l] += noise * s.write.normal[0][l];
  }
  scatter(tile.apparent + start, s.hidden, column, used);
}

template <class D>
inline void update_row(const TileView& tile, const UpdateJob& job, const typename D::Params& p, i64 row) {
  PulseLanes<D> s;
  Fired fired;
  for (i64 t = 0; t < job.samples; ++t) {
    const float d = job.d[t * tile.out + row];
    if (job.scales[t].length == 0 || d == 0.0f) continue;
    const u32* d_train = job.d_train + (t * tile.out + row) * job.words;
    for (i64 first = 0; first < tile.in; first += kSpan) {
      const i64 columns = tile.in - first < kSpan ? tile.in - first : kSpan;
      const u32* x_train = job.x_train + (t * tile.in + first) * job.words;
      const i32 most = count_coincidences(fired.counts, x_train, d_train, job.words, columns);
      if (most == 0) continue;
      pack_fired(fired, columns, most);
      for (i64 k = 0; k < fired.count; k += kLanes)
        update_lanes<D>(s, tile, p, row * tile.in + first, fired.column + k, fired.pulses + k,
                        (int)(fired.count - k < kLanes ? fired.count - k : kLanes), job.x + t * tile.in + first, d,
                        job.first_step + (u64)t);
    }
  }
}

template <class D>
void update_tile(const TileView& tile, const UpdateJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
  make_trains(job, tile.seed, tile.out, tile.in, tile.threads);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 row = 0; row < tile.out; ++row) update_row<D>(tile, job, params, row);
}

}  // namespace OHM_NS
