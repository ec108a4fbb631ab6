// SPDX-License-Identifier: Apache-2.0
// What acts in time, the same for every device: parameters, per-device arrays, the draw, the formulas.
// Source: aihwkit 1.2.0, as restated in docs/physics/devices.md, section 5.
#pragma once
#include "core/fields.h"
#include "core/random.h"

namespace OHM_NS {

struct TimeParams : NoFields {
  OHM_FIELDS(NoFields, diffusion, diffusion_dtod, lifetime, lifetime_dtod, reset, reset_dtod, reset_std, peer_compat)
};

struct DriftParams : NoFields {
  OHM_FIELDS(NoFields, drift_nu, drift_nu_dtod, drift_nu_std, drift_t_0, drift_reset_tol, drift_nu_k, drift_log_g0,
             drift_wg_ratio, drift_g_offset, drift_w_offset, drift_w_noise_std, peer_compat)
};

struct TimeCell : NoFields {
  OHM_FIELDS(NoFields, decay_scales, diffusion_rates, reset_bias, drift_nu)
};

// What drift remembers of each device: the weight and the time of the last write, the weight it left itself.
struct DriftCell : NoFields {
  OHM_FIELDS(NoFields, written_weight, written_at, left_weight)
};

OHM_HD TimeCell draw_time(const TimeParams& p, const DriftParams& d, const Draws& draws) {
  float life = p.lifetime * (1.0f + p.lifetime_dtod * draws.normal(1));
  TimeCell c;
  c.diffusion_rates = magnitude(p.diffusion * (1.0f + p.diffusion_dtod * draws.normal(0)));
  c.decay_scales = p.lifetime > 0.0f ? (life > 1.0f ? 1.0f - 1.0f / life : 0.0f) : 1.0f;
  c.reset_bias = p.reset + p.reset_dtod * draws.normal(2);
  c.drift_nu = d.drift_nu * (1.0f + d.drift_nu_dtod * draws.normal(3));
  return c;
}

OHM_HD float decayed(float w, const TimeCell& c, float alpha) {
  return c.reset_bias + (w - c.reset_bias) * (1.0f + alpha * (c.decay_scales - 1.0f));
}

// Power law from the last write at `clock - age`; ages below one unit do not drift. The exponent follows the conductance
// as it is now, `w`, as in aihwkit.
OHM_HD float drifted(float written, float w, float age, float nu, const DriftParams& p) {
  float inside = (w - p.drift_w_offset) / p.drift_wg_ratio + p.drift_g_offset;
  float correction = p.drift_nu_k * (natural_log(larger(inside, 1e-30f)) - p.drift_log_g0);
  float exponent = nu - (p.drift_nu_k != 0.0f ? correction : 0.0f);
  float f = exponential(-exponent * natural_log(larger(age, 1.0f)));
  float sign = p.peer_compat > 0.0f ? 1.0f : -1.0f;
  return written * f + (p.drift_g_offset * p.drift_wg_ratio + sign * p.drift_w_offset) * (f - 1.0f);
}

}  // namespace OHM_NS
