// SPDX-License-Identifier: Apache-2.0
// Lookup table: mean and spread of the step at equally spaced weights, straight from measured data. Device-to-device
// spread scales both; the tables themselves are in weight units.
#pragma once
#include "core/pulsed.h"
#include "core/tables.h"

namespace OHM_NS {

struct LookupTable : PulsedDevice {
  struct Params : PulsedParams {
    OHM_FIELDS(PulsedParams, write_noise_std, apply_write_noise_on_set)
    static constexpr int table_count = 4;
    Table mean_up, mean_down, spread_up, spread_down;
    OHM_HD void attach(const float* tables) {
      const float* rest = take_table(mean_down, take_table(mean_up, tables));
      take_table(spread_down, take_table(spread_up, rest));
    }
    template <class Sink>
    static void list_tables(Sink& sink) {
      sink("mean_up, mean_down, spread_up, spread_down");
    }
  };
  static constexpr bool has_write_noise = true;
  OHM_HD static void draw(Cell&, const Params&, const Draws&) {}

  OHM_HD static Step step(float w, float direction, const Cell& c, const Params& p) {
    bool up = direction > 0.0f;
    const Table& mean = up ? p.mean_up : p.mean_down;
    const Table& spread = up ? p.spread_up : p.spread_down;
    float scale = (up ? c.dwmin_up : c.dwmin_down) / p.dw_min;
    return {scale * interpolated(mean, node_position(w, p.w_min, p.w_max, mean.size)),
            scale * p.dw_min_std * interpolated(spread, node_position(w, p.w_min, p.w_max, spread.size))};
  }
};

}  // namespace OHM_NS
