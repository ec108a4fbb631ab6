// SPDX-License-Identifier: Apache-2.0
// Device-to-device draws, and writing a weight from outside: the CPU's loops.
#pragma once
#include "kernels/crosspoint.h"
#include "kernels/lanes.h"

namespace OHM_NS {

template <class D>
void construct_tile(const TileView& tile, float* const* cells) {
  const auto params = from_block<typename D::Params>(tile.params);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 i = 0; i < tile.out; ++i)
    for (i64 j = 0; j < tile.in; ++j) {
      i64 e = i * tile.in + j;
      auto cell = draw_device<D>(params, Draws{tile.seed, (u32)e}, j == tile.in - 1);
      to_arrays(cell, cells, e);
    }
}

template <class D>
void set_tile_weights(const TileView& tile, const float* target, u64 step) {
  const auto params = from_block<typename D::Params>(tile.params);
  const float noise = noise_on_set<D>(params) ? write_noise_of<D>(params) : 0.0f;
  const i64 total = tile.out * tile.in;
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 first = 0; first < total; first += kLanes) {
    Block b = block_of(first, total);
    NoiseLanes z;
    if (noise > 0.0f) draw_normals(z, tile.seed, kSetWrite, step, b.element, 0);
    for (int l = 0; l < b.used; ++l) {
      i64 e = first + l;
      float w = D::clip_written(target[e], from_arrays<typename D::Cell>(tile.cells, e));
      tile.hidden[e] = w;
      tile.apparent[e] = with_noise(w, noise, z.normal[0][l]);
    }
  }
}

template <class D>
void step_at(const TileView& tile, const float* w, float direction, float* mean, float* spread) {
  const auto params = from_block<typename D::Params>(tile.params);
  for (i64 e = 0; e < tile.out * tile.in; ++e) {
    Step s = D::step(w[e], direction, from_arrays<typename D::Cell>(tile.cells, e), params);
    mean[e] = s.mean;
    spread[e] = s.spread;
  }
}

}  // namespace OHM_NS
