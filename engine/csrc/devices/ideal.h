// SPDX-License-Identifier: Apache-2.0
// Ideal device: no bounds, no spread, no noise. Trained in floating point; a single pulse moves it by dw_min.
#pragma once
#include "core/pulsed.h"

namespace OHM_NS {

struct Ideal {
  struct Params : NoFields {
    OHM_FIELDS(NoFields, dw_min)
  };
  struct Cell : NoFields {
    OHM_FIELDS(NoFields, dwmin_up, dwmin_down)
  };
  static constexpr bool has_write_noise = false;
  static constexpr bool draws_common = false;
  static constexpr bool has_way = false;
  static constexpr bool has_plain = false;

  OHM_HD static void draw(Cell& c, const Params& p, const Draws&) { c.dwmin_up = c.dwmin_down = p.dw_min; }
  OHM_HD static float reset_shift(const Cell&, const Params&) { return 0.0f; }
  OHM_HD static Step step(float, float direction, const Cell& c, const Params&) {
    return {direction > 0.0f ? c.dwmin_up : c.dwmin_down, 0.0f};
  }
  OHM_HD static float clip(float w, const Cell&) { return w; }
  OHM_HD static float clip_written(float w, const Cell&) { return w; }
};

}  // namespace OHM_NS
