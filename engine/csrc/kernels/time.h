// SPDX-License-Identifier: Apache-2.0
// Decay, diffusion, reset and drift over all devices of a tile: the CPU's loops. Each ends with a clip and fresh write
// noise everywhere.
#pragma once
#include "kernels/crosspoint.h"
#include "kernels/lanes.h"

namespace OHM_NS {

template <class D>
void construct_time(const TileView& tile, const TimeJob& job, float* const* cells) {
  const auto params = from_block<typename D::Params>(tile.params);
  const auto time = from_block<TimeParams>(job.time_params);
  const auto drift = from_block<DriftParams>(job.drift_params);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 e = 0; e < tile.out * tile.in; ++e) {
    const auto cell = from_arrays<typename D::Cell>(tile.cells, e);
    TimeCell c = draw_time_of<D>(time, drift, Draws{tile.seed, (u32)e, kTimeConstruction}, cell, params);
    to_arrays(c, cells, e);
  }
}

// Gives every crosspoint the weight that `Process` makes of it, clips it, and renews the write noise.
template <class D, class Process>
void change_tile(const TileView& tile, const TimeJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
  const Process process(job);
  const float noise = write_noise_of<D>(params);
  const i64 total = tile.out * tile.in;
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 first = 0; first < total; first += kLanes) {
    const Block b = block_of(first, total);
    NoiseLanes own, write;
    if constexpr (Process::stream != kNoStream) {
      draw_words_of(own, tile.seed, Process::stream, job.step, b.element, 0);
      draw_pair(own, 0);
    }
    if (noise > 0.0f) draw_normals(write, tile.seed, kTimeWrite, job.step, b.element, 0);
    for (int l = 0; l < b.used; ++l) {
      const i64 e = first + l;
      TimeDraws z{};
      if constexpr (Process::stream != kNoStream) z = {own.normal[0][l], own.normal[1][l], own.word[2][l]};
      const float moved = process.template changed<D>(tile, e, tile.hidden[e], z);
      const float w = D::clip(moved, from_arrays<typename D::Cell>(tile.cells, e));
      tile.hidden[e] = w;
      tile.apparent[e] = with_noise(w, noise, write.normal[0][l]);
    }
  }
}

}  // namespace OHM_NS
