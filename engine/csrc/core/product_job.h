// SPDX-License-Identifier: Apache-2.0
// What the kernels of a GPU are told of one round of an analog product. The extension lays the record out, kernels take
// it byte by byte.
#pragma once
#include "core/ops.h"

namespace ohm_ops {

// One activation of the array: all inputs at once, or the negative or the positive ones. n inputs, m outputs.
struct ProductPhase {
  float* inputs;           // (rows, n), after the DAC
  const float* sums;       // (rows, m)
  const float* weighted;   // wires: sums of |W z|, or null
  const float* placed;     // wires: sums with inputs weighted by their place
  const float* variances;  // sums of a weight's noise variance times z^2, or null
  float* total;            // (rows), sum of the inputs, or null
  float* norm;             // (rows), root of the sum of their squares
};

struct ProductJob {
  const float* x;  // (samples, n)
  float* y;        // (samples, m)
  i32* rounds;     // (samples)
  u8* clipped;     // (samples, m), clip_flags of the last round, or null
  float *scale, *reduction;  // (samples)
  const i64* active;         // (rows), the samples of this round, or null: all of them
  u32* again;                // (rows), whether a vector has to be repeated
  float* lines;              // (3, m), what differs from output to output
  float* kappa;              // (1), factor of the output stage
  i64 n, m, rows;
  u64 seed, construction_seed, first_step;
  MvmStreams streams;
  float average;
  u32 round;
  u32 transposed;
  ProductPhase phase[2];
};

static_assert(sizeof(ProductPhase) == 56 && sizeof(ProductJob) == 280,
              "host and GPU compiler must lay out a record alike");

}  // namespace ohm_ops
