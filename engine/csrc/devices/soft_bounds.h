// SPDX-License-Identifier: Apache-2.0
// Soft bounds: the step falls linearly to zero at the device's own bound.
#pragma once
#include "core/linear.h"

namespace OHM_NS {

struct SoftBounds : LineDevice {
  using Plain = RelativeLine<SoftBounds>;
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, mult_noise, reverse_up, reverse_down, reverse_offset, write_noise_std,
               apply_write_noise_on_set)
  };
  using Cell = SlopedCell;
  static constexpr bool has_write_noise = true;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws&) {
    float ref_up = p.reverse_up > 0.0f ? c.min_bound - p.reverse_offset : c.max_bound;
    float ref_down = p.reverse_down > 0.0f ? c.max_bound + p.reverse_offset : c.min_bound;
    c.slope_up = slope(c.dwmin_up, 1.0f, ref_up);
    c.slope_down = slope(c.dwmin_down, 1.0f, ref_down);
  }

  OHM_HD static Line line(float direction, const Cell& c, const Params& p) {
    return sloped_line(direction, c, p.dw_min_std, p.mult_noise);
  }
  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    return step_on(line(direction, c, p), w);
  }
  OHM_HD static Way way(float direction, const Cell& c, const Params& p) { return way_of(line(direction, c, p), direction); }
};

}  // namespace OHM_NS
