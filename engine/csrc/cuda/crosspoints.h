// SPDX-License-Identifier: Apache-2.0
// The GPU's loops over the crosspoints of a tile, one thread each; what happens there is kernels/crosspoint.h.
// `kWriteNoise` is known when a kernel is compiled: without it nothing is drawn for it.
#pragma once
#include "cuda/grid.h"
#include "kernels/crosspoint.h"

namespace OHM_NS {

using ohm_ops::PulseJob;

OHM_DEVICE i64 crosspoints(const TileView& tile) { return tile.out * tile.in; }

template <class D>
OHM_DEVICE typename D::Cell cell_at(const TileView& tile, i64 e) {
  return from_arrays<typename D::Cell>(tile.cells, e);
}

// The first draw of a crosspoint's own.
OHM_DEVICE float normal_of(u64 seed, u32 stream, u64 step, i64 e) {
  return normals_of(draw_words(seed, stream, step, (u32)e, 0)).v[0];
}

template <class D>
OHM_DEVICE void construct_crosspoints(const TileView& tile, float* const* cells) {
  const auto params = from_block<typename D::Params>(tile.params);
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride()) {
    auto cell = draw_device<D>(params, Draws{tile.seed, (u32)e}, e % tile.in == tile.in - 1);
    to_arrays(cell, cells, e);
  }
}

template <class D, bool kWriteNoise>
OHM_DEVICE void write_crosspoints(const TileView& tile, const float* target, u64 step) {
  const auto params = from_block<typename D::Params>(tile.params);
  const float noise = kWriteNoise && noise_on_set<D>(params) ? write_noise_of<D>(params) : 0.0f;
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride()) {
    const float w = D::clip_written(target[e], cell_at<D>(tile, e));
    const float eta = noise > 0.0f ? normal_of(tile.seed, kSetWrite, step, e) : 0.0f;
    tile.hidden[e] = w;
    tile.apparent[e] = with_noise(w, noise, eta);
  }
}

template <class D>
OHM_DEVICE void step_crosspoints(const TileView& tile, const float* w, float direction, float* mean, float* spread) {
  const auto params = from_block<typename D::Params>(tile.params);
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride()) {
    const Step s = D::step(w[e], direction, cell_at<D>(tile, e), params);
    mean[e] = s.mean;
    spread[e] = s.spread;
  }
}

OHM_DEVICE void record(const PulseJob& job, const Weights& s, i64 pulse, i64 total, i64 e) {
  if ((pulse + 1) % job.read_every != 0) return;
  const i64 row = (pulse + 1) / job.read_every - 1;
  job.hidden_trace[row * total + e] = s.hidden;
  job.apparent_trace[row * total + e] = s.apparent;
}

// A whole sequence of pulses on one device, its state and parameters in registers.
template <class D, bool kWriteNoise>
OHM_DEVICE void pulse_crosspoint(const TileView& tile, const PulseJob& job, const typename D::Params& p, i64 e) {
  const i64 total = crosspoints(tile);
  const float noise = kWriteNoise ? write_noise_of<D>(p) : 0.0f;
  const auto cell = cell_at<D>(tile, e);
  Weights s{tile.hidden[e], tile.apparent[e]};
  Normals cycle{}, write{};
  u32 up = 0, down = 0;
  for (i64 k = 0; k < job.pulses; ++k) {
    const u64 step = job.first_step + (u64)k;  // four consecutive pulses share one call of the generator
    if (k == 0 || (step & 3) == 0) {
      cycle = normals_of(draw_words(tile.seed, kPulseCycle, step >> 2, (u32)e, 0));
      if (noise > 0.0f) write = normals_of(draw_words(tile.seed, kPulseWrite, step >> 2, (u32)e, 0));
    }
    const float way = (float)job.directions[job.per_device ? k * total + e : k];
    s = after_pulse<D>(s, way, cycle.v[step & 3], write.v[step & 3], cell, p, noise);
    up += way > 0.0f, down += way < 0.0f;
    record(job, s, k, total, e);
  }
  tile.hidden[e] = s.hidden;
  tile.apparent[e] = s.apparent;
  if (tile.pulses_up) tile.pulses_up[e] += up, tile.pulses_down[e] += down;
}

template <class D, bool kWriteNoise>
OHM_DEVICE void pulse_crosspoints(const TileView& tile, const PulseJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride())
    pulse_crosspoint<D, kWriteNoise>(tile, job, params, e);
}

template <class D>
OHM_DEVICE void construct_time_of_crosspoints(const TileView& tile, const TimeJob& job, float* const* cells) {
  const auto params = from_block<typename D::Params>(tile.params);
  const auto time = from_block<TimeParams>(job.time_params);
  const auto drift = from_block<DriftParams>(job.drift_params);
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride()) {
    const Draws draws{tile.seed, (u32)e, kTimeConstruction};
    TimeCell c = draw_time_of<D>(time, drift, draws, cell_at<D>(tile, e), params);
    to_arrays(c, cells, e);
  }
}

template <class Process>
OHM_DEVICE TimeDraws draws_of(u64 seed, u64 step, i64 e) {
  if constexpr (Process::stream == kNoStream) {
    return {};
  } else {
    const Words words = draw_words(seed, Process::stream, step, (u32)e, 0);
    const Normals z = normals_of(words);
    return {z.v[0], z.v[1], words.v[2]};
  }
}

template <class D, class Process, bool kWriteNoise>
OHM_DEVICE void change_crosspoints(const TileView& tile, const TimeJob& job) {
  const auto params = from_block<typename D::Params>(tile.params);
  const Process process(job);
  const float noise = kWriteNoise ? write_noise_of<D>(params) : 0.0f;
  for (i64 e = first_item(); e < crosspoints(tile); e += item_stride()) {
    const TimeDraws z = draws_of<Process>(tile.seed, job.step, e);
    const float w = D::clip(process.template changed<D>(tile, e, tile.hidden[e], z), cell_at<D>(tile, e));
    const float eta = noise > 0.0f ? normal_of(tile.seed, kTimeWrite, job.step, e) : 0.0f;
    tile.hidden[e] = w;
    tile.apparent[e] = with_noise(w, noise, eta);
  }
}

}  // namespace OHM_NS
