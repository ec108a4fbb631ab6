// SPDX-License-Identifier: Apache-2.0
// Power step: the step follows a power of the distance to the bound it moves to.
#pragma once
#include "core/powers.h"

namespace OHM_NS {

struct PowStep : PulsedDevice {
  struct Params : PowerParams {
    OHM_FIELDS(PowerParams, write_noise_std, apply_write_noise_on_set)
  };
  using Cell = PowerCell;
  static constexpr bool has_write_noise = true;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws& draws) { draw_exponents(c, p, draws); }
  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    return power_step_at(w, direction, c, p.dw_min_std);
  }
};

}  // namespace OHM_NS
