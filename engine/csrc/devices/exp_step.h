// SPDX-License-Identifier: Apache-2.0
// Exponential step: s (1 - A exp(+-gamma z)), z the state relative to the device's own range; never negative.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct ExpStep : PulsedDevice {
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, A_up, A_down, gamma_up, gamma_down, a, b, dw_min_std_add, dw_min_std_slope,
               write_noise_std, apply_write_noise_on_set)
  };
  struct Cell : PulsedCell {
    OHM_FIELDS(PulsedCell, z_scale)
  };
  static constexpr bool has_write_noise = true;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws&) {
    float range = c.max_bound - c.min_bound;
    bool open = range > 0.0f;
    c.z_scale = open ? 2.0f * p.a / range : 0.0f;
    c.dwmin_up = open ? c.dwmin_up : 0.0f;  // a device without a range takes no step
    c.dwmin_down = open ? c.dwmin_down : 0.0f;
  }

  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    bool up = direction > 0.0f;
    const float gamma = up ? p.gamma_up : -p.gamma_down;
    const float rising = exponential(fused(gamma * c.z_scale, w, gamma * p.b));
    const float mean = (up ? c.dwmin_up : c.dwmin_down) * at_least_zero(fused(up ? -p.A_up : -p.A_down, rising, 1.0f));
    const float extra = fused(p.dw_min_std_slope, magnitude(w), p.dw_min_std_add);
    return {mean, p.dw_min_std * (mean + extra)};
  }
};

}  // namespace OHM_NS
