// SPDX-License-Identifier: Apache-2.0
// The step that is linear in the state, shared by linear_step and the soft-bounds classes.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct SlopedCell : PulsedCell {
  OHM_FIELDS(PulsedCell, slope_up, slope_down)
};

// The steps in one direction: mean offset + slope w, spread `relative` times the mean plus `fixed`.
struct Line {
  float offset, slope, relative, fixed;
};

// Multiplicative noise follows the step, additive noise the device's own step scale (it does not vanish at the bound).
OHM_HD Line line_of(float scale, float offset, float slope, float dw_min_std, float mult_noise) {
  const float share = mult_noise > 0.0f ? 1.0f : 0.0f;
  return {offset, slope, dw_min_std * share, dw_min_std * (1.0f - share) * scale};
}

OHM_HD Step step_on(const Line& line, float w) {
  const float mean = fused(line.slope, w, line.offset);
  return {mean, fused(line.relative, mean, line.fixed)};
}

// Of positive weights' sign instead of the pulse's.
OHM_HD Line with_direction(const Line& line, float direction) {
  return {direction * line.offset, direction * line.slope, line.relative, direction * line.fixed};
}

// The weight after a pulse of such a line, before its clip. The noise comes to slope and offset first, so that a pulse waits
// for no more than a product and a sum after the one before it.
OHM_HD float moved(const Line& line, float w, float xi) {
  const float factor = fused(line.relative, xi, 1.0f);
  return w + fused(line.slope * factor, w, fused(line.offset, factor, line.fixed * xi));
}

OHM_HD Line sloped_line(float direction, const SlopedCell& c, float dw_min_std, float mult_noise) {
  const bool up = direction > 0.0f;
  const float scale = up ? c.dwmin_up : c.dwmin_down;
  return line_of(scale, scale, up ? c.slope_up : c.slope_down, dw_min_std, mult_noise);
}

// The step is scale * (1 - gamma * w / reference); a zero reference means no slope.
OHM_HD float slope(float scale, float gamma, float reference) {
  return reference == 0.0f ? 0.0f : -gamma * scale / reference;
}

}  // namespace OHM_NS
