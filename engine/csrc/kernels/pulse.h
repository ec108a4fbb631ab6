// SPDX-License-Identifier: Apache-2.0
// A whole sequence of explicit pulses on every device of a tile, with traces: response curves in one call.
#pragma once
#include "kernels/construct.h"

namespace OHM_NS {

using ohm_ops::PulseJob;

// One programming pulse, the only place where a step is applied.
template <class D>
OHM_HD float pulsed(float w, float direction, float xi, const typename D::Cell& c, const typename D::Params& p) {
  Step s = D::step(w, direction, c, p);
  return D::clip(w + direction * (s.mean + s.spread * xi), c);
}

template <class D>
struct PulseBlock {
  CellLanes<typename D::Cell> cells;
  alignas(64) float hidden[kLanes], apparent[kLanes], direction[kLanes];
  NormalLanes cycle, write;
};

template <class D>
inline void read_directions(PulseBlock<D>& s, const PulseJob& job, const Block& b, i64 pulse, i64 total) {
  const i8* row = job.directions + (job.per_device ? pulse * total : pulse);
  for (int l = 0; l < kLanes; ++l) s.direction[l] = (float)(job.per_device ? row[b.elements[l]] : row[0]);
}

template <class D>
inline void pulse_lanes(PulseBlock<D>& s, const float* xi, const float* eta, const typename D::Params& p,
                        float noise) {
  for (int l = 0; l < kLanes; ++l) {
    float w = s.hidden[l], way = s.direction[l];
    float next = pulsed<D>(w, way, xi[l], s.cells.at(l), p);
    next = way == 0.0f ? w : next;
    s.hidden[l] = next;
    s.apparent[l] = way == 0.0f ? s.apparent[l] : (noise > 0.0f ? next + noise * eta[l] : next);
  }
}

template <class D>
void pulse_block(const TileView& tile, const PulseJob& job, const typename D::Params& p, i64 first) {
  const i64 total = tile.out * tile.in;
  const float noise = write_noise_of<D>(p);
  Block b = block_of(first, total);
  PulseBlock<D> s;
  gather_cells(s.cells, tile.cells, b.elements);
  for (int l = 0; l < kLanes; ++l) {
    s.hidden[l] = tile.hidden[b.elements[l]];
    s.apparent[l] = tile.apparent[b.elements[l]];
  }
  for (i64 k = 0; k < job.pulses; ++k) {
    const u64 step = job.first_step + (u64)k;  // four consecutive pulses share one call of the generator
    if (k == 0 || (step & 3) == 0) {
      draw_lanes(s.cycle, tile.seed, kPulseCycle, step >> 2, b.counter, 0);
      if (noise > 0.0f) draw_lanes(s.write, tile.seed, kPulseWrite, step >> 2, b.counter, 0);
    }
    read_directions(s, job, b, k, total);
    pulse_lanes(s, s.cycle.v[step & 3], s.write.v[step & 3], p, noise);
    if ((k + 1) % job.read_every) continue;
    const i64 row = (k + 1) / job.read_every - 1;
    for (int l = 0; l < b.used; ++l) {
      job.hidden_trace[row * total + first + l] = s.hidden[l];
      job.apparent_trace[row * total + first + l] = s.apparent[l];
    }
  }
  for (int l = 0; l < b.used; ++l) {
    tile.hidden[first + l] = s.hidden[l];
    tile.apparent[first + l] = s.apparent[l];
  }
}

template <class D>
void pulse_tile(const TileView& tile, const PulseJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 first = 0; first < tile.out * tile.in; first += kLanes) pulse_block<D>(tile, job, params, first);
}

}  // namespace OHM_NS
