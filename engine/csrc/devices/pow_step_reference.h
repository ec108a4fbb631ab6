// SPDX-License-Identifier: Apache-2.0
// Power step on the physical state v = w + reference; the weight is v less the reference device.
#pragma once
#include "core/powers.h"

namespace OHM_NS {

struct PowStepReference : PulsedDevice {
  struct Params : PowerParams {
    OHM_FIELDS(PowerParams, reference_mean, reference_std, subtract_symmetry_point)
  };
  struct Cell : PowerCell {
    OHM_FIELDS(PowerCell, reference)
  };

  OHM_HD static float reset_shift(const Cell& c, const Params& p) {
    bool proper = c.max_bound > 0.0f && c.min_bound < 0.0f && c.dwmin_up + c.dwmin_down > 0.0f;
    return p.subtract_symmetry_point > 0.0f && proper ? power_symmetry_point(c) : 0.0f;
  }
  OHM_HD static void draw(Cell& c, const Params& p, const Draws& draws) {
    draw_exponents(c, p, draws);
    c.reference = p.reference_mean + p.reference_std * draws.normal(kOwnDraws + 2) + reset_shift(c, p);
  }
  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    return power_step_at(w + c.reference, direction, c, p.dw_min_std);
  }
  OHM_HD static float clip(float w, const Cell& c) {
    return clamped(w + c.reference, c.min_bound, c.max_bound) - c.reference;
  }
};

}  // namespace OHM_NS
