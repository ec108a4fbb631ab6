// SPDX-License-Identifier: Apache-2.0
// The step that is linear in the state, shared by linear_step and the soft-bounds classes.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct SlopedCell : PulsedCell {
  OHM_FIELDS(PulsedCell, slope_up, slope_down)
};

// Multiplicative noise follows the step, additive noise the device's own step scale (it does not vanish at the bound).
OHM_HD Step linear_step_at(float w, float direction, const SlopedCell& c, float dw_min_std, float mult_noise) {
  bool up = direction > 0.0f;
  float scale = up ? c.dwmin_up : c.dwmin_down;
  float mean = scale + (up ? c.slope_up : c.slope_down) * w;
  return {mean, dw_min_std * (mult_noise > 0.0f ? mean : scale)};
}

// The step is scale * (1 - gamma * w / reference); a zero reference means no slope.
OHM_HD float slope(float scale, float gamma, float reference) {
  return reference == 0.0f ? 0.0f : -gamma * scale / reference;
}

}  // namespace OHM_NS
