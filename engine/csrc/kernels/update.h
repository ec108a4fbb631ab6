// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
#pragma once
#include "kernels/pulse.h"

namespace OHM_NS {

using ohm_ops::UpdateJob;

constexpr int kSlotsPerWord = 32;

// The bits of 64 lines: bit s of a line is set with the line's probability, 2^-32 resolution.
inline void train_lanes(u32* train, i64 words, const float* value, float scale, i32 length, const Block& b,
                        u64 seed, u32 stream, u64 step) {
  alignas(64) u32 threshold[kLanes], always[kLanes], bits[kLanes];
  for (int l = 0; l < kLanes; ++l) {
    float p = magnitude(value[b.elements[l]]) * scale;
    always[l] = p >= 1.0f ? 1u : 0u;
    threshold[l] = (u32)(i64)(smaller(p, 0.99999994f) * 4294967296.0f);
  }
  for (i64 word = 0; word < words; ++word) {
    for (int l = 0; l < kLanes; ++l) bits[l] = 0;
    i64 from = word * kSlotsPerWord, to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
    for (i64 slot = from; slot < to; slot += 4) {
      const i64 left = to - slot;
      for (int l = 0; l < kLanes; ++l) {
        Words w = draw_words(seed, stream, step, b.counter[l], (u32)(slot >> 2));
        u32 nibble = ((w.v[0] < threshold[l]) | always[l]) | (((w.v[1] < threshold[l]) | always[l]) << 1) |
                     (((w.v[2] < threshold[l]) | always[l]) << 2) | (((w.v[3] < threshold[l]) | always[l]) << 3);
        bits[l] |= (nibble & (left >= 4 ? 15u : (1u << left) - 1u)) << (slot - from);
      }
    }
    for (int l = 0; l < b.used; ++l) train[b.elements[l] * words + word] = bits[l];
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

OHM_HD u32 ones(u32 v) {  // population count in plain arithmetic: vectorises on every instruction set
  v -= (v >> 1) & 0x55555555u;
  v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
  v = (v + (v >> 4)) & 0x0f0f0f0fu;
  return (v * 0x01010101u) >> 24;
}

// The crosspoints of one block that fire, moved together so that no lane idles.
struct Active {
  Block block;
  alignas(64) i32 pulses[kLanes];
  int count, most;
};

inline void count_coincidences(i32* counts, const u32* x_train, const u32* d_train, i64 words, i64 columns) {
  for (i64 l = 0; l < columns; ++l) counts[l] = 0;
  for (i64 word = 0; word < words; ++word)
    for (i64 l = 0; l < columns; ++l) counts[l] += (i32)ones(x_train[l * words + word] & d_train[word]);
}

inline void find_active(Active& active, const i32* counts, i64 row_start, i64 first, i64 columns) {
  active.count = 0, active.most = 0;
  for (i64 l = 0; l < columns; ++l) {
    active.block.elements[active.count] = row_start + first + l;
    active.pulses[active.count] = counts[l];
    active.count += counts[l] > 0;
    active.most = counts[l] > active.most ? counts[l] : active.most;
  }
  active.block.used = active.count;
  for (int l = active.count; l < kLanes && active.count; ++l) {
    active.block.elements[l] = active.block.elements[active.count - 1];
    active.pulses[l] = 0;
  }
  for (int l = 0; l < kLanes && active.count; ++l) active.block.counter[l] = (u32)active.block.elements[l];
}

template <class D>
inline void fire(PulseBlock<D>& s, const Active& active, const TileView& tile, const typename D::Params& p,
                 u64 step) {
  for (int k = 0; k < active.most; ++k) {
    if ((k & 3) == 0) draw_lanes(s.cycle, tile.seed, kUpdateCycle, step, active.block.counter, (u32)k >> 2);
    const float* xi = s.cycle.v[k & 3];
    for (int l = 0; l < kLanes; ++l) {
      float next = pulsed<D>(s.hidden[l], s.direction[l], xi[l], s.cells.at(l), p);
      s.hidden[l] = k < active.pulses[l] ? next : s.hidden[l];
    }
  }
}

template <class D>
inline void store_active(PulseBlock<D>& s, const Active& active, const TileView& tile, float noise, u64 step) {
  if (noise > 0.0f) draw_lanes(s.write, tile.seed, kUpdateWrite, step, active.block.counter, 0);
  for (int l = 0; l < active.count; ++l) {
    i64 e = active.block.elements[l];
    tile.hidden[e] = s.hidden[l];
    tile.apparent[e] = noise > 0.0f ? s.hidden[l] + noise * s.write.v[0][l] : s.hidden[l];
  }
}

// Down where lr*d*x > 0, up where it is < 0 (lr > 0).
template <class D>
inline void update_row(const TileView& tile, const UpdateJob& job, const typename D::Params& p, i64 row) {
  const float noise = write_noise_of<D>(p);
  PulseBlock<D> s;
  Active active;
  alignas(64) i32 counts[kLanes];
  for (i64 t = 0; t < job.samples; ++t) {
    const float d = job.d[t * tile.out + row];
    if (job.scales[t].length == 0 || d == 0.0f) continue;
    const u32* d_train = job.d_train + (t * tile.out + row) * job.words;
    const float* x = job.x + t * tile.in;
    for (i64 first = 0; first < tile.in; first += kLanes) {
      const i64 columns = tile.in - first < kLanes ? tile.in - first : kLanes;
      count_coincidences(counts, job.x_train + (t * tile.in + first) * job.words, d_train, job.words, columns);
      find_active(active, counts, row * tile.in, first, columns);
      if (active.count == 0) continue;
      gather_cells(s.cells, tile.cells, active.block.elements);
      for (int l = 0; l < kLanes; ++l) {
        s.hidden[l] = tile.hidden[active.block.elements[l]];
        s.direction[l] = x[active.block.elements[l] - row * tile.in] * d > 0.0f ? -1.0f : 1.0f;
      }
      fire<D>(s, active, tile, p, job.first_step + (u64)t);
      store_active<D>(s, active, tile, noise, job.first_step + (u64)t);
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
