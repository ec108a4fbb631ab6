// SPDX-License-Identifier: Apache-2.0
// A whole sequence of explicit pulses on every device of a tile, with traces: response curves in one call.
#pragma once
#include "kernels/crosspoint.h"
#include "kernels/lanes.h"

namespace OHM_NS {

using ohm_ops::PulseJob;

template <class D>
struct PulseLanes {
  CellLanes<typename D::Cell> cells;
  alignas(64) float hidden[kLanes], apparent[kLanes], direction[kLanes];
  NoiseLanes cycle, write;
};

template <class D>
inline void read_directions(PulseLanes<D>& s, const PulseJob& job, const Block& b, i64 pulse, i64 total) {
  const i8* row = job.directions + (job.per_device ? pulse * total + b.first : pulse);
  for (int l = 0; l < kLanes; ++l) s.direction[l] = (float)(job.per_device ? row[b.column[l]] : row[0]);
}

template <class D>
inline void pulse_lanes(PulseLanes<D>& s, int draw, const typename D::Params& p, float noise) {
  const float *xi = s.cycle.normal[draw], *eta = s.write.normal[draw];
  for (int l = 0; l < kLanes; ++l) {
    const Weights now{s.hidden[l], s.apparent[l]};
    const Weights next = after_pulse<D>(now, s.direction[l], xi[l], eta[l], s.cells.at(l), p, noise);
    s.hidden[l] = next.hidden;
    s.apparent[l] = next.apparent;
  }
}

template <class D>
inline void record(const PulseLanes<D>& s, const PulseJob& job, const Block& b, i64 row, i64 total) {
  for (int l = 0; l < b.used; ++l) {
    job.hidden_trace[row * total + b.first + l] = s.hidden[l];
    job.apparent_trace[row * total + b.first + l] = s.apparent[l];
  }
}

// Counters are kept for sequences too; a plain loop, as nobody counts in a hurry.
inline void count_pulses(const TileView& tile, const float* direction, const Block& b) {
  for (int l = 0; l < b.used; ++l) {
    tile.pulses_up[b.first + l] += direction[l] > 0.0f;
    tile.pulses_down[b.first + l] += direction[l] < 0.0f;
  }
}

template <class D>
void pulse_block(const TileView& tile, const PulseJob& job, const typename D::Params& p, i64 first) {
  const i64 total = tile.out * tile.in;
  const float noise = write_noise_of<D>(p);
  const Block b = block_of(first, total);
  PulseLanes<D> s;
  gather_cells(s.cells, tile.cells, first, b.column);
  gather(s.hidden, tile.hidden + first, b.column);
  gather(s.apparent, tile.apparent + first, b.column);
  for (i64 k = 0; k < job.pulses; ++k) {
    const u64 step = job.first_step + (u64)k;  // four consecutive pulses share one call of the generator
    if (k == 0 || (step & 3) == 0) {
      draw_normals(s.cycle, tile.seed, kPulseCycle, step >> 2, b.element, 0);
      if (noise > 0.0f) draw_normals(s.write, tile.seed, kPulseWrite, step >> 2, b.element, 0);
    }
    read_directions(s, job, b, k, total);
    pulse_lanes(s, (int)(step & 3), p, noise);
    if (tile.pulses_up) count_pulses(tile, s.direction, b);
    if ((k + 1) % job.read_every == 0) record(s, job, b, (k + 1) / job.read_every - 1, total);
  }
  scatter(tile.hidden + first, s.hidden, b.column, b.used);
  scatter(tile.apparent + first, s.apparent, b.column, b.used);
}

template <class D>
void pulse_tile(const TileView& tile, const PulseJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 first = 0; first < tile.out * tile.in; first += kLanes) pulse_block<D>(tile, job, params, first);
}

}  // namespace OHM_NS
