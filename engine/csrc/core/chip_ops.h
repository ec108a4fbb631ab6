// SPDX-License-Identifier: Apache-2.0
// What is done to all devices of a tile on several chips at once, one chip after another in memory.
#pragma once
#include "core/macros.h"

namespace ohm_ops {

using namespace ohm_types;

// Draws 0 .. rows - 1 of elements 0 .. count - 1 for each seed: (chips, rows, count).
struct DrawJob {
  const u64* seeds;
  i64 chips, rows, count;
  u32 stream;
  bool normal;  // or uniform in (0, 1]
  int threads;
};

// A read after drift. Arrays are (chips, slices, count); the draw of slice k of a crosspoint is its draw k.
struct ReadJob {
  const float *programmed, *nu, *share;
  float drift_log, growth;
  const u64* seeds;  // (chips), or null: a read without noise
  i64 chips, slices, count;
  u32 stream;
  int threads;
};

struct ChipOps {
  const char* isa;
  void (*draw)(const DrawJob&, float* to);
  void (*read)(const ReadJob&, float* to);
};

void add_chip_ops(const ChipOps&);

}  // namespace ohm_ops
