// SPDX-License-Identifier: Apache-2.0
// Constant step: the same step from every state, noise relative to it.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct ConstantStep : PulsedDevice {
  OHM_HD static Step step(float, float direction, const Cell& c, const Params& p) {
    float s = direction > 0.0f ? c.dwmin_up : c.dwmin_down;
    return {s, s * p.dw_min_std};
  }
};

}  // namespace OHM_NS
