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

OHM_HD float relative_noise(float dw_min_std, float mult_noise) { return mult_noise > 0.0f ? dw_min_std : 0.0f; }

// Multiplicative noise follows the step, additive noise the device's own step scale (it does not vanish at the bound).
OHM_HD Line line_of(float scale, float offset, float slope, float dw_min_std, float mult_noise) {
  const float relative = relative_noise(dw_min_std, mult_noise);
  return {offset, slope, relative, (dw_min_std - relative) * scale};
}

OHM_HD Step step_on(const Line& line, float w) {
  const float mean = fused(line.slope, w, line.offset);
  return {mean, fused(line.relative, mean, line.fixed)};
}

// A line of positive weights' sign instead of the pulse's; its noise relative to the mean is the same for all devices.
struct LineWay : NoFields {
  OHM_FIELDS(NoFields, offset, slope, fixed)
};

// What the classes of this kind share; each gives its own `line`.
struct LineDevice : PulsedDevice {
  using Way = LineWay;
  static constexpr bool has_way = true;
  static constexpr bool has_plain = true;

  template <class Params>
  static bool is_plain(const Params& p) {
    return p.mult_noise > 0.0f;
  }

  template <class Params>
  OHM_HD static float after(const Way& way, float w, float xi, const Params& p) {
    const float factor = fused(relative_noise(p.dw_min_std, p.mult_noise), xi, 1.0f);
    return fused(factor, fused(way.slope, w, way.offset), fused(way.fixed, xi, w));
  }
};

// The same where all noise is relative to the mean.
template <class D>
struct RelativeLine : D {
  struct Way : NoFields {
    OHM_FIELDS(NoFields, offset, slope)
  };
  static constexpr bool has_plain = false;

  template <class Cell, class Params>
  static Way way(float direction, const Cell& c, const Params& p) {
    const Line line = D::line(direction, c, p);
    Way way;
    way.offset = direction * line.offset, way.slope = direction * line.slope;
    return way;
  }
  template <class Params>
  static float after(const Way& way, float w, float xi, const Params& p) {
    const float factor = fused(p.dw_min_std, xi, 1.0f);
    return fused(factor, fused(way.slope, w, way.offset), w);
  }
};

OHM_HD LineWay way_of(const Line& line, float direction) {
  LineWay way;
  way.offset = direction * line.offset, way.slope = direction * line.slope, way.fixed = direction * line.fixed;
  return way;
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
