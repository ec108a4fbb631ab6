// SPDX-License-Identifier: Apache-2.0
// One programmed device: power-law drift, then what a read finds of it. docs/physics/inference.md, section 3.
#pragma once
#include "core/random.h"

namespace OHM_NS {

// The moment of a read, from double precision: L = ln((t + t0)/t0), S = root of ln((t + t0 + t_read)/(2 t_read)).
struct ReadMoment {
  float drift_log, growth;
};

// max(0, g exp(-nu L) (1 + q S xi)); the product with S first, as a read without noise has no draw.
OHM_HD float after_drift(float programmed, float nu, const ReadMoment& m) {
  return programmed * exponential(-nu * m.drift_log);
}

OHM_HD float found_by_read(float g, float share, float xi, const ReadMoment& m) {
  return larger(g + g * (share * m.growth * xi), 0.0f);
}

}  // namespace OHM_NS
