// SPDX-License-Identifier: Apache-2.0
// The step that follows a power of the distance to the bound, shared by pow_step and pow_step_reference.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct PowerCell : PulsedCell {
  OHM_FIELDS(PulsedCell, gamma_up, gamma_down)
};

struct PowerParams : PulsedParams {
  OHM_FIELDS(PulsedParams, pow_gamma, pow_gamma_dtod, pow_up_down, pow_up_down_dtod)
};

OHM_HD void draw_exponents(PowerCell& c, const PowerParams& p, const Draws& draws) {
  float common = 1.0f + p.pow_gamma_dtod * draws.normal(kOwnDraws);
  float shift = p.pow_up_down_dtod * draws.normal(kOwnDraws + 1);
  float up = p.pow_gamma * (common + smaller(p.pow_up_down, 0.0f) + shift);
  float down = p.pow_gamma * (common - larger(p.pow_up_down, 0.0f) - shift);
  bool fold = p.enforce_consistency > 0.0f;
  c.gamma_up = fold ? magnitude(up) : up;
  c.gamma_down = fold ? magnitude(down) : down;
}

// Distance to the upper bound: 1 at the lower bound, 0 at the upper. Clamped, because a state with a reference may
// lie outside the bounds and a negative number has no power.
OHM_HD float distance_up(float v, const PulsedCell& c) {
  float range = c.max_bound - c.min_bound;
  return clamped((c.max_bound - v) / (range == 0.0f ? 1.0f : range), 0.0f, 1.0f);
}

OHM_HD Step power_step_at(float v, float direction, const PowerCell& c, float dw_min_std) {
  bool up = direction > 0.0f;
  float u = distance_up(v, c);
  float mean = (up ? c.dwmin_up : c.dwmin_down) * power_of(up ? u : 1.0f - u, up ? c.gamma_up : c.gamma_down);
  mean = c.max_bound == c.min_bound ? 0.0f : mean;
  return {mean, mean * dw_min_std};
}

// The state where up and down step are equal, by bisection: their difference falls with the state.
OHM_HD float power_symmetry_point(const PowerCell& c) {
  float low = c.min_bound, high = c.max_bound;
  for (int k = 0; k < 40; ++k) {
    float v = 0.5f * (low + high);
    bool rising = power_step_at(v, 1.0f, c, 0.0f).mean > power_step_at(v, -1.0f, c, 0.0f).mean;
    low = rising ? v : low;
    high = rising ? high : v;
  }
  return 0.5f * (low + high);
}

}  // namespace OHM_NS
