// SPDX-License-Identifier: Apache-2.0
// The kernels of one device class that treat each crosspoint by itself. Given when it is compiled:
// what cuda/device.h takes, and OHM_WRITE_NOISE (0 or 1).
#include "cuda/device.h"
#include "cuda/crosspoints.h"

using namespace ohm_ops;
using namespace OHM_NS;

constexpr bool kWriteNoise = OHM_WRITE_NOISE;

OHM_KERNEL void ohm_construct(const TileView tile, float* const* cells) { construct_crosspoints<Device>(tile, cells); }

OHM_KERNEL void ohm_set_weights(const TileView tile, const float* target, u64 step) {
  write_crosspoints<Device, kWriteNoise>(tile, target, step);
}

OHM_KERNEL void ohm_step(const TileView tile, const float* w, float direction, float* mean, float* spread) {
  step_crosspoints<Device>(tile, w, direction, mean, spread);
}

OHM_KERNEL void ohm_pulse(const TileView tile, const PulseJob job) {
  pulse_crosspoints<Device, kWriteNoise>(tile, job);
}

OHM_KERNEL void ohm_construct_time(const TileView tile, const TimeJob job, float* const* cells) {
  construct_time_of_crosspoints<Device>(tile, job, cells);
}

OHM_KERNEL void ohm_decay(const TileView tile, const TimeJob job) {
  change_crosspoints<Device, process::Decay, kWriteNoise>(tile, job);
}

OHM_KERNEL void ohm_diffuse(const TileView tile, const TimeJob job) {
  change_crosspoints<Device, process::Diffusion, kWriteNoise>(tile, job);
}

OHM_KERNEL void ohm_reset(const TileView tile, const TimeJob job) {
  change_crosspoints<Device, process::Reset, kWriteNoise>(tile, job);
}

OHM_KERNEL void ohm_drift(const TileView tile, const TimeJob job) {
  change_crosspoints<Device, process::Drift, kWriteNoise>(tile, job);
}

OHM_KERNEL void ohm_clip(const TileView tile, const TimeJob job) {
  change_crosspoints<Device, process::Clip, kWriteNoise>(tile, job);
}
