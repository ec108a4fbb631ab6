// SPDX-License-Identifier: Apache-2.0
// Soft bounds on the physical state v = w + reference; the weight is v less the reference device.
#pragma once
#include "core/linear.h"

namespace OHM_NS {

struct SoftBoundsReference : LineDevice {
  using Plain = RelativeLine<SoftBoundsReference>;
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, mult_noise, slope_up_dtod, slope_down_dtod, reference_mean, reference_std,
               subtract_symmetry_point, write_noise_std, apply_write_noise_on_set)
  };
  struct Cell : PulsedCell {
    OHM_FIELDS(PulsedCell, reference)
  };
  static constexpr bool has_write_noise = true;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws& draws) {
    bool proper = c.max_bound > 0.0f && c.min_bound < 0.0f;
    if (proper) {
      c.max_bound /= magnitude(1.0f + p.slope_up_dtod * draws.normal(kOwnDraws));
      c.min_bound /= magnitude(1.0f + p.slope_down_dtod * draws.normal(kOwnDraws + 1));
    }
    c.reference = p.reference_mean + p.reference_std * draws.normal(kOwnDraws + 2) + reset_shift(c, p);
  }

  // The symmetry point, where it is to be subtracted; a reset then goes there as well.
  OHM_HD static float reset_shift(const Cell& c, const Params& p) {
    bool proper = c.max_bound > 0.0f && c.min_bound < 0.0f;
    float curvature = c.dwmin_up / (proper ? c.max_bound : 1.0f) - c.dwmin_down / (proper ? c.min_bound : -1.0f);
    bool shifted = p.subtract_symmetry_point > 0.0f && proper && curvature > 0.0f;
    return shifted ? (c.dwmin_up - c.dwmin_down) / curvature : 0.0f;
  }

  // A bound on the wrong side of zero gives no slope.
  OHM_HD static Line line(float direction, const Cell& c, const Params& p) {
    const bool up = direction > 0.0f;
    const float slope_up = c.max_bound > 0.0f ? -c.dwmin_up / c.max_bound : 0.0f;
    const float slope_down = c.min_bound < 0.0f ? -c.dwmin_down / c.min_bound : 0.0f;
    const float scale = up ? c.dwmin_up : c.dwmin_down, slope = up ? slope_up : slope_down;
    return line_of(scale, fused(slope, c.reference, scale), slope, p.dw_min_std, p.mult_noise);
  }
  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    return step_on(line(direction, c, p), w);
  }
  OHM_HD static Way way(float direction, const Cell& c, const Params& p) { return way_of(line(direction, c, p), direction); }

  // The bounds hold for the physical state.
  OHM_HD static float clip(float w, const Cell& c) {
    return clamped(w, c.min_bound - c.reference, c.max_bound - c.reference);
  }
};

}  // namespace OHM_NS
