// SPDX-License-Identifier: Apache-2.0
// Linear step: the step shrinks linearly towards the bound it moves to, by the fraction gamma at that bound.
#pragma once
#include "core/linear.h"

namespace OHM_NS {

struct LinearStep : LineDevice {
  using Plain = RelativeLine<LinearStep>;
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, gamma_up, gamma_down, gamma_up_dtod, gamma_down_dtod, allow_increasing,
               mean_bound_reference, mult_noise, reverse_up, reverse_down, reverse_offset, write_noise_std,
               apply_write_noise_on_set)
  };
  using Cell = SlopedCell;
  static constexpr bool has_write_noise = true;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws& draws) {
    float up = p.gamma_up + p.gamma_up_dtod * draws.normal(kOwnDraws);
    float down = p.gamma_down + p.gamma_down_dtod * draws.normal(kOwnDraws + 1);
    bool mean = p.mean_bound_reference > 0.0f, free = p.allow_increasing > 0.0f;
    float high = mean ? p.w_max : c.max_bound, low = mean ? p.w_min : c.min_bound;
    float ref_up = p.reverse_up > 0.0f ? low - p.reverse_offset : high;
    float ref_down = p.reverse_down > 0.0f ? high + p.reverse_offset : low;
    c.slope_up = slope(c.dwmin_up, free ? up : magnitude(up), ref_up);
    c.slope_down = slope(c.dwmin_down, free ? down : magnitude(down), ref_down);
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
