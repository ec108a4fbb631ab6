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

  // With the pulse's sign: s, gamma z as a power of two (its slope and its value at 0), dw_min_std; and A.
  struct Way : NoFields {
    OHM_FIELDS(NoFields, scale, rate, offset, noise, share)
  };
  static constexpr bool has_way = true;
  static constexpr bool has_plain = true;
  struct Plain;
  static bool is_plain(const Params& p) { return p.dw_min_std_add == 0.0f && p.dw_min_std_slope == 0.0f; }

  OHM_HD static Way way(float direction, const Cell& c, const Params& p) {
    const bool up = direction > 0.0f;
    const float gamma = up ? p.gamma_up : -p.gamma_down;
    Way way;
    way.scale = direction * (up ? c.dwmin_up : c.dwmin_down);
    way.rate = in_powers_of_two(gamma, c.z_scale);
    way.offset = in_powers_of_two(gamma, p.b);
    way.noise = direction * p.dw_min_std;
    way.share = up ? p.A_up : p.A_down;
    return way;
  }

  // The step as a share of its scale.
  template <class AnyWay>
  OHM_HD static float height(const AnyWay& way, float w) {
    return at_least_zero(fused(-way.share, power_of_two(fused(way.rate, w, way.offset)), 1.0f));
  }
  OHM_HD static float extra(float w, const Params& p) { return fused(p.dw_min_std_slope, magnitude(w), p.dw_min_std_add); }

  OHM_HD static float after(const Way& way, float w, float xi, const Params& p) {
    const float moved = fused(way.noise * xi, extra(w, p), w);
    return fused(way.scale * fused(p.dw_min_std, xi, 1.0f), height(way, w), moved);
  }

  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    const Way made = way(direction, c, p);
    const float mean = direction * made.scale * height(made, w);
    return {mean, p.dw_min_std * (mean + extra(w, p))};
  }
};

// Noise in proportion to the step alone.
struct ExpStep::Plain : ExpStep {
  struct Way : NoFields {
    OHM_FIELDS(NoFields, scale, rate, offset, share)
  };
  static constexpr bool has_plain = false;

  static Way way(float direction, const Cell& c, const Params& p) {
    const ExpStep::Way all = ExpStep::way(direction, c, p);
    Way way;
    way.scale = all.scale, way.rate = all.rate, way.offset = all.offset, way.share = all.share;
    return way;
  }
  static float after(const Way& way, float w, float xi, const Params& p) {
    return fused(way.scale * fused(p.dw_min_std, xi, 1.0f), height(way, w), w);
  }
};

}  // namespace OHM_NS
