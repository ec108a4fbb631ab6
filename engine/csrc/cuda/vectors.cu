// SPDX-License-Identifier: Apache-2.0
// The kernels of the analog product that look at whole vectors.
#include "cuda/vectors.h"

using namespace ohm_ops;
using namespace OHM_NS;

OHM_KERNEL void __launch_bounds__(kScaleThreads) ohm_scale(const ProductJob job, const PeripheryParams p) {
  __shared__ SharedScale shared;
  scale_vectors(shared, job, p);
}

// `number` of the phase.
OHM_KERNEL void ohm_sum(const ProductJob job, i32 number) { sum_vectors(job, number); }
