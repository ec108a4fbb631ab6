// SPDX-License-Identifier: Apache-2.0
// Constant step: the same step from every state, noise relative to it.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct ConstantStep : PulsedDevice {
  struct Way : NoFields {
    OHM_FIELDS(NoFields, step)
  };
  static constexpr bool has_way = true;

  OHM_HD static Step step(float, float direction, const Cell& c, const Params& p) {
    float s = direction > 0.0f ? c.dwmin_up : c.dwmin_down;
    return {s, s * p.dw_min_std};
  }
  OHM_HD static Way way(float direction, const Cell& c, const Params&) {
    Way way;
    way.step = direction * (direction > 0.0f ? c.dwmin_up : c.dwmin_down);
    return way;
  }
  OHM_HD static float after(const Way& way, float w, float xi, const Params& p) {
    return fused(way.step, fused(p.dw_min_std, xi, 1.0f), w);
  }
};

}  // namespace OHM_NS
