// SPDX-License-Identifier: Apache-2.0
// Piecewise step: relative step sizes at equally spaced nodes over the device's own range, linear in between.
#pragma once
#include "core/pulsed.h"
#include "core/tables.h"

namespace OHM_NS {

struct PiecewiseStep : PulsedDevice {
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, write_noise_std, apply_write_noise_on_set)
    static constexpr int table_count = 2;
    Table piecewise_up, piecewise_down;
    OHM_HD void attach(const float* tables) { take_table(piecewise_down, take_table(piecewise_up, tables)); }
    template <class Sink>
    static void list_tables(Sink& sink) {
      sink("piecewise_up, piecewise_down");
    }
  };
  static constexpr bool has_write_noise = true;
  OHM_HD static void draw(Cell&, const Params&, const Draws&) {}

  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    bool up = direction > 0.0f;
    float at = node_position(w, c.min_bound, c.max_bound, p.piecewise_up.size);
    float mean = up ? c.dwmin_up * interpolated(p.piecewise_up, at) : c.dwmin_down * interpolated(p.piecewise_down, at);
    return {mean, mean * p.dw_min_std};
  }
};

}  // namespace OHM_NS
