// SPDX-License-Identifier: Apache-2.0
// What is done to all devices of a tile on several chips at once, one chip after another in memory.
#pragma once
#include "core/patches.h"

namespace ohm_ops {

using namespace ohm_types;

// What becomes of a draw: uniform in (0, 1]; normal; mean + spread times it, as it is, not below zero, or its magnitude.
enum DrawForm : i32 { kUniform = 0, kNormal = 1, kPlain = 2, kFloored = 3, kFolded = 4 };

// Draws 0 .. rows - 1 of elements 0 .. count - 1 for each seed: (chips, rows, count).
struct DrawJob {
  const u64* seeds;
  i64 chips, rows, count;
  u32 stream;
  i32 form;
  const float *mean, *spread;  // (rows, count) for all chips, or (chips, rows, count); null without them
  bool each_chip;
  int threads;
};

// A read after drift. Arrays are (chips, slices, count); the draw of slice k of a crosspoint is its draw k.
struct ReadJob {
  const float *programmed, *nu, *share;
  float drift_log, growth;
  const u64* seeds;  // (chips), or null: a read without noise
  i64 chips, slices, count;
  u32 stream;
  const float* combine;  // (slices), or null: the sum of the slices times these instead, (chips, count)
  int threads;
};

// What devices programmed to g have of 1/f noise, as a share of g: factor / max(|g / g_max|^exponent, least), at most `most`.
struct ShareJob {
  const float* g;
  i64 count;
  float g_max, factor, exponent, least, most;
  int threads;
};

enum Activation : i32 { kNoActivation = 0, kTanh = 1 };

// What is done to outputs (samples, out) in the end: times factors (out), plus offsets (out), both null without them, and then
// an activation.
struct FinishJob {
  const float *factors, *offsets;
  i64 out;
  i32 activation;
};

struct ChipOps {
  const char* isa;
  void (*draw)(const DrawJob&, float* to);
  void (*read)(const ReadJob&, float* to);
  void (*share)(const ShareJob&, float* to);
  void (*sizes)(const float* y, i64 chips, i64 rows, i64 count, int threads, double* sums);  // of (chips, rows, count)
  void (*finish)(const FinishJob&, i64 samples, float* y);
  void (*tanh)(const float* from, i64 count, int threads, float* to);
  void (*unfold)(const Patches&, i64 first, i64 count, float* to);
  void (*fold)(const float* rows, const float* factors, const float* offsets, i64 first, i64 count, i64 outputs,
               i64 places, float* images);
};

void add_chip_ops(const ChipOps&);

}  // namespace ohm_ops
