// SPDX-License-Identifier: Apache-2.0
// Reading a table of equally spaced nodes.
#pragma once
#include "core/fields.h"
#include "core/maths.h"

namespace OHM_NS {

// Linear interpolation at `position` in node units, held constant beyond both ends.
OHM_HD float interpolated(const Table& table, float position) {
  if (table.size == 1) return table.value[0];
  float t = clamped(position, 0.0f, (float)(table.size - 1));
  i32 left = (i32)t;
  left = left > table.size - 2 ? table.size - 2 : left;
  float share = t - (float)left;
  return (1.0f - share) * table.value[left] + share * table.value[left + 1];
}

// Where `w` lies between two bounds, in node units of a table spread over them.
OHM_HD float node_position(float w, float low, float high, i32 nodes) {
  float range = high - low;
  return range > 0.0f ? (w - low) / range * (float)(nodes - 1) : 0.0f;
}

}  // namespace OHM_NS
