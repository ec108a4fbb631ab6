// SPDX-License-Identifier: Apache-2.0
// Decay, diffusion, reset and drift over all devices of a tile. Each ends with a clip and fresh write noise everywhere.
#pragma once
#include "core/time.h"
#include "kernels/construct.h"

namespace OHM_NS {

using ohm_ops::TimeJob;

template <class D>
void construct_time(const TileView& tile, const TimeJob& job, float* const* cells) {
  const auto params = from_block<typename D::Params>(tile.params);
  const auto time = from_block<TimeParams>(job.time_params);
  const auto drift = from_block<DriftParams>(job.drift_params);
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 e = 0; e < tile.out * tile.in; ++e) {
    TimeCell c = draw_time(time, drift, Draws{tile.seed, (u32)e, kTimeConstruction});
    c.reset_bias += D::reset_shift(from_arrays<typename D::Cell>(tile.cells, e), params);
    to_arrays(c, cells, e);
  }
}

// Calls change(block, lane, weight) for the new weight of every crosspoint, clips it, and renews the write noise.
template <class D, class Prepare, class Change>
inline void change_all(const TileView& tile, u64 step, Prepare prepare, Change change) {
  const auto params = from_block<typename D::Params>(tile.params);
  const float noise = write_noise_of<D>(params);
  const i64 total = tile.out * tile.in;
#pragma omp parallel for num_threads(tile.threads) schedule(static)
  for (i64 first = 0; first < total; first += kLanes) {
    const Block b = block_of(first, total);
    NoiseLanes own, write;
    prepare(own, b);
    if (noise > 0.0f) draw_normals(write, tile.seed, kTimeWrite, step, b.element, 0);
    for (int l = 0; l < b.used; ++l) {
      const i64 e = first + l;
      const float w = D::clip(change(own, l, e, tile.hidden[e]), from_arrays<typename D::Cell>(tile.cells, e));
      tile.hidden[e] = w;
      tile.apparent[e] = noise > 0.0f ? w + noise * write.normal[0][l] : w;
    }
  }
}

template <class D>
void decay_tile(const TileView& tile, const TimeJob& job) {
  change_all<D>(
      tile, job.step, [](NoiseLanes&, const Block&) {},
      [&](const NoiseLanes&, int, i64 e, float w) {
        const bool kept = job.skip_last_column && e % tile.in == tile.in - 1;
        return kept ? w : decayed(w, from_arrays<TimeCell>(job.cells, e), job.amount);
      });
}

template <class D>
void diffuse_tile(const TileView& tile, const TimeJob& job) {
  change_all<D>(
      tile, job.step,
      [&](NoiseLanes& z, const Block& b) { draw_normals(z, tile.seed, kDiffusion, job.step, b.element, 0); },
      [&](const NoiseLanes& z, int l, i64 e, float w) { return w + job.cells[1][e] * z.normal[0][l]; });
}

// Columns start .. start + count - 1, wrapping around; each device with probability `amount`.
template <class D>
void reset_tile(const TileView& tile, const TimeJob& job) {
  const auto time = from_block<TimeParams>(job.time_params);
  change_all<D>(
      tile, job.step,
      [&](NoiseLanes& z, const Block& b) {
        draw_words_of(z, tile.seed, kReset, job.step, b.element, 0);
        draw_pair(z, 0);
      },
      [&](const NoiseLanes& z, int l, i64 e, float w) {
        const i64 column = (e % tile.in - job.first_column + tile.in) % tile.in;
        const bool taken = column < job.columns && unit_interval(z.word[2][l]) <= job.amount;
        return taken ? job.cells[2][e] + time.reset_std * z.normal[0][l] : w;
      });
}

template <class D>
void drift_tile(const TileView& tile, const TimeJob& job) {
  const auto p = from_block<DriftParams>(job.drift_params);
  change_all<D>(
      tile, job.step,
      [&](NoiseLanes& z, const Block& b) { draw_normals(z, tile.seed, kDriftExponent, job.step, b.element, 0); },
      [&](const NoiseLanes& z, int l, i64 e, float w) {
        if (magnitude(w - job.drift[2][e]) > p.drift_reset_tol) {  // written since: starts anew, no drift in this call
          job.drift[0][e] = w;
          job.drift[1][e] = job.clock;
        } else {
          const float nu = job.cells[3][e] * (1.0f + p.drift_nu_std * z.normal[0][l]);
          w = drifted(job.drift[0][e], w, job.clock - job.drift[1][e], nu, p);
        }
        w = D::clip(w + p.drift_w_noise_std * z.normal[1][l], from_arrays<typename D::Cell>(tile.cells, e));
        job.drift[2][e] = w;
        return w;
      });
}

template <class D>
void clip_tile(const TileView& tile, const TimeJob& job) {
  change_all<D>(
      tile, job.step, [](NoiseLanes&, const Block&) {}, [](const NoiseLanes&, int, i64, float w) { return w; });
}

}  // namespace OHM_NS
