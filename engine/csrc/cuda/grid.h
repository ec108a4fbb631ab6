// SPDX-License-Identifier: Apache-2.0
// How a GPU's threads share the crosspoints of a tile. The kernels are plain CUDA; tests/cuda/emulator gives a host
// compiler the same words.
#pragma once
#include "core/macros.h"

#define OHM_KERNEL extern "C" __global__
#define OHM_DEVICE __device__ __forceinline__

namespace OHM_NS {

using namespace ohm_types;

OHM_DEVICE i64 first_item() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }
OHM_DEVICE i64 item_stride() { return (i64)gridDim.x * blockDim.x; }

}  // namespace OHM_NS
