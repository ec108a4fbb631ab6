// SPDX-License-Identifier: Apache-2.0
// What all pulsed devices have in common: parameters, per-crosspoint arrays, the draw of one device.
// Source: aihwkit 1.2.0 (PulsedDevice), as restated in docs/physics/devices.md.
#pragma once
#include "core/fields.h"
#include "core/random.h"

namespace OHM_NS {

struct PulsedParams : NoFields {
  OHM_FIELDS(NoFields, dw_min, dw_min_dtod, dw_min_dtod_log_normal, dw_min_std, up_down, up_down_dtod, w_max,
             w_max_dtod, w_min, w_min_dtod, enforce_consistency, perfect_bias, corrupt_devices_prob,
             corrupt_devices_range)
};

// The exchange names of the field: bounds, and the step scales s_up and s_dn.
struct PulsedCell : NoFields {
  OHM_FIELDS(NoFields, max_bound, min_bound, dwmin_up, dwmin_down)
};

// Mean and standard deviation of one step from a given state, both along the pulse's direction.
struct Step {
  float mean, spread;
};

// Draw numbers of the common part; a device's own draws start at kOwnDraws.
enum CommonDraw : u32 { kMaxBound, kMinBound, kGain, kAsymmetry, kStuck, kStuckAt, kOwnDraws = 8 };

OHM_HD void draw_bounds(PulsedCell& c, const PulsedParams& p, const Draws& draws) {
  c.max_bound = p.w_max * (1.0f + p.w_max_dtod * draws.normal(kMaxBound));
  c.min_bound = p.w_min * (1.0f + p.w_min_dtod * draws.normal(kMinBound));
}

OHM_HD void draw_scales(PulsedCell& c, const PulsedParams& p, const Draws& draws) {
  float spread = p.dw_min_dtod * draws.normal(kGain);
  float gain = p.dw_min_dtod_log_normal > 0.0f ? exponential(spread) : 1.0f + spread;
  float shift = p.up_down_dtod * draws.normal(kAsymmetry);
  c.dwmin_up = p.dw_min * (gain + smaller(p.up_down, 0.0f) + shift);
  c.dwmin_down = p.dw_min * (gain - larger(p.up_down, 0.0f) - shift);
}

OHM_HD void make_consistent(PulsedCell& c, const PulsedParams& p) {
  float low = smaller(c.min_bound, c.max_bound), high = larger(c.min_bound, c.max_bound);
  if (p.enforce_consistency > 0.0f) {
    c.dwmin_up = magnitude(c.dwmin_up);
    c.dwmin_down = magnitude(c.dwmin_down);
    c.max_bound = magnitude(high);
    c.min_bound = -magnitude(low);
  } else if (c.min_bound > c.max_bound) {  // crossed bounds: the device is switched off
    c.max_bound = c.min_bound = 0.5f * (low + high);
  }
}

OHM_HD void make_stuck(PulsedCell& c, const PulsedParams& p, const Draws& draws) {
  if (draws.uniform(kStuck) > p.corrupt_devices_prob) return;
  float low = larger(smaller(c.min_bound, c.max_bound), -p.corrupt_devices_range);
  float high = smaller(larger(c.min_bound, c.max_bound), p.corrupt_devices_range);
  c.max_bound = c.min_bound = low + (high - low) * draws.uniform(kStuckAt);
  c.dwmin_up = c.dwmin_down = 0.0f;
}

OHM_HD void make_perfect(PulsedCell& c, const PulsedParams& p) {
  c.dwmin_up = c.dwmin_down = p.dw_min;
  c.max_bound = 100.0f * p.w_max;
  c.min_bound = 100.0f * p.w_min;
}

OHM_HD void draw_common(PulsedCell& c, const PulsedParams& p, const Draws& draws, bool last_column) {
  draw_bounds(c, p, draws);
  draw_scales(c, p, draws);
  make_consistent(c, p);
  make_stuck(c, p, draws);
  if (p.perfect_bias > 0.0f && last_column) make_perfect(c, p);
}

// Defaults a pulsed device inherits: nothing further to draw, state clipped to its own bounds.
struct PulsedDevice {
  using Params = PulsedParams;
  using Cell = PulsedCell;
  static constexpr bool has_write_noise = false;
  static constexpr bool draws_common = true;
  // Whether a class splits a pulse in two: `way`, all that direction, device and parameters make of it (made once a row for
  // all samples of an update), and `after`, the weight it leaves, before its clip. `step` says the same.
  static constexpr bool has_way = false;
  // Whether there is a class `Plain` that gives the same numbers in less time where `is_plain(params)`.
  static constexpr bool has_plain = false;
  OHM_HD static void draw(PulsedCell&, const PulsedParams&, const Draws&) {}
  // Added to the value that a reset goes to.
  OHM_HD static float reset_shift(const PulsedCell&, const PulsedParams&) { return 0.0f; }
  // After every pulse.
  OHM_HD static float clip(float w, const PulsedCell& c) { return clamped(w, c.min_bound, c.max_bound); }
  // When a weight is written from outside: always the plain bounds, as in aihwkit.
  OHM_HD static float clip_written(float w, const PulsedCell& c) { return clamped(w, c.min_bound, c.max_bound); }
};

}  // namespace OHM_NS
