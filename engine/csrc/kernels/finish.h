// SPDX-License-Identifier: Apache-2.0
// What is done to outputs behind the array: factors, offsets, an activation.
#pragma once
#include "core/chip_ops.h"
#include "core/maths.h"
#include "kernels/share.h"

namespace OHM_NS {

using ohm_ops::FinishJob;

inline void tanh_of_all(const float* from, i64 count, float* to) {
  for (i64 k = 0; k < count; ++k) to[k] = hyperbolic_tangent(from[k]);
}

// y (samples, out) = activation(y factor + offset), in place.
inline void finish_outputs(const FinishJob& job, i64 samples, float* y) {
  float* row = y;
  for (i64 s = 0; s < samples; ++s, row += job.out) {
    for (i64 i = 0; job.factors && i < job.out; ++i) row[i] *= job.factors[i];
    for (i64 i = 0; job.offsets && i < job.out; ++i) row[i] += job.offsets[i];
  }
  if (job.activation == ohm_ops::kTanh) tanh_of_all(y, samples * job.out, y);
}

inline void tanh_shared(const float* from, i64 count, int threads, float* to) {
  constexpr i64 part = 4096;
  share((count + part - 1) / part, threads, [&](i64 k) {
    const i64 first = k * part, left = count - first;
    tanh_of_all(from + first, left < part ? left : part, to + first);
  });
}

}  // namespace OHM_NS
