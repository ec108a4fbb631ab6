// SPDX-License-Identifier: Apache-2.0
// The kernels of the analog product whose threads have nothing to tell each other.
#include "cuda/product.h"

using namespace ohm_ops;
using namespace OHM_NS;

OHM_KERNEL void ohm_send(const ProductJob job, const PeripheryParams p) { send_inputs(job, p); }

OHM_KERNEL void ohm_read(const ProductJob job, const PeripheryParams p) { read_outputs(job, p); }

// Inputs or weights changed element by element, `count` of them.
OHM_KERNEL void ohm_change(const ProductJob job, const PeripheryParams p, i32 what, const float* from, float* to,
                           i64 count) {
  for (i64 e = first_item(); e < count; e += item_stride()) to[e] = changed(job, p, what, from[e], e);
}

OHM_KERNEL void ohm_lines(const ProductJob job, const PeripheryParams p) { draw_output_lines(job, p); }

OHM_KERNEL void ohm_calibrate(const ProductJob job, const PeripheryParams p) {
  if (first_item() == 0) calibrate_outputs(job, p);
}
