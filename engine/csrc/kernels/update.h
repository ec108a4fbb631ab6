// SPDX-License-Identifier: Apache-2.0
// The parallel rank-1 update with stochastic-compressed pulse trains: one train of random bits per column and
// per row, a device sees a pulse where both fire. Samples strictly in order; rows are independent, so a
// row's samples run one after another on one thread while its devices stay in cache.
#pragma once
#include "kernels/pulse.h"
#include "kernels/trains.h"

namespace OHM_NS {

// The crosspoints of a span that fire, those with alike pulse counts together: no lane idles for long.
struct Fired {
  alignas(64) i32 counts[kSpan + kSlack];
  alignas(64) i32 found[kSpan + kSlack], found_pulses[kSpan + kSlack];
  alignas(64) i32 column[kSpan + kLanes], pulses[kSpan + kLanes];
  i64 count;
};

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
    s.direction[l] = (x[at.column[l]] > 0.0f) == (d > 0.0f) ? -1.0f : 1.0f;  // down where lr*d*x > 0
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
      count_row(fired.counts, job, t, row, first, columns, tile.out, tile.in);
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
