// SPDX-License-Identifier: Apache-2.0
// What whole vectors say about themselves, on the GPU: the scale of every input vector, sums over the inputs of a phase.
// Sums are made as the CPU makes them (total_of in kernels/mvm.h): sixteen partial sums, what is left over, then the
// partial sums one by one. Each half of a warp makes one, so two at a time.
#pragma once
#include "cuda/product.h"

namespace OHM_NS {

constexpr int kWarp = 32;
constexpr int kHalf = 16;
constexpr int kScaleThreads = 256;
constexpr u32 kAllLanes = 0xffffffffu;

OHM_DEVICE u32 lane_of_warp() { return threadIdx.x % kWarp; }
OHM_DEVICE bool upper_half() { return lane_of_warp() >= kHalf; }
OHM_DEVICE float from_lane(float v, u32 lane) { return float_of(__shfl_sync(kAllLanes, bits_of(v), lane)); }

// Each half of a warp sums its own term over j < n. All lanes of a warp call it together and get their half's sum.
template <class Term>
OHM_DEVICE float half_total(i64 n, Term term) {
  const i64 whole = n / kHalf * kHalf;
  float part = 0.0f, total = 0.0f;
  for (i64 j = lane_of_warp() % kHalf; j < whole; j += kHalf) part += term(j);
  for (i64 j = whole; j < n; ++j) total += term(j);
  for (u32 l = 0; l < kHalf; ++l) total += from_lane(part, (upper_half() ? kHalf : 0) + l);
  return total;
}

OHM_DEVICE float largest_of_warp(float v) {
  for (u32 hop = kWarp / 2; hop; hop /= 2) v = larger(v, from_lane(v, lane_of_warp() ^ hop));
  return v;
}

// What the warps of a block tell each other.
struct SharedScale {
  float absolute[kScaleThreads / kWarp], largest[kScaleThreads / kWarp];
};

// max |x| and max x (0 if none is positive), for all threads of a block. The order does not matter.
OHM_DEVICE InputStatistics extremes(SharedScale& shared, const float* x, i64 n) {
  float absolute = 0.0f, largest = 0.0f;
  for (i64 j = threadIdx.x; j < n; j += blockDim.x)
    absolute = larger(absolute, magnitude(x[j])), largest = larger(largest, x[j]);
  absolute = largest_of_warp(absolute), largest = largest_of_warp(largest);
  __syncthreads();  // the vector before has been read by all
  shared.absolute[threadIdx.x / kWarp] = absolute, shared.largest[threadIdx.x / kWarp] = largest;
  __syncthreads();
  for (u32 w = 0; w < blockDim.x / kWarp; ++w)
    absolute = larger(absolute, shared.absolute[w]), largest = larger(largest, shared.largest[w]);
  return {absolute, largest, 0.0f, 0.0f};
}

OHM_DEVICE InputStatistics statistics(SharedScale& shared, const float* x, i64 n, bool sums) {
  InputStatistics s = extremes(shared, x, n);
  if (!sums) return s;
  const bool negative = upper_half();
  const float half = half_total(n, [&](i64 j) { return larger(negative ? -x[j] : x[j], 0.0f); });
  s.positive = from_lane(half, 0), s.negative = from_lane(half, kHalf);
  return s;
}

// Only one thread of a block writes.
OHM_DEVICE void first_scale(SharedScale& shared, const ProductJob& job, const PeripheryParams& p, i64 sample) {
  const bool sums = (i32)p.noise_management == kAbsMaxNpSum;
  const float scale = input_scale(statistics(shared, job.x + sample * job.n, job.n, sums), p, job.average);
  if (threadIdx.x != 0) return;
  job.scale[sample] = scale;
  job.reduction[sample] = 1.0f;
  job.rounds[sample] = scale > 0.0f ? 1 : 0;
}

OHM_DEVICE void next_scale(SharedScale& shared, const ProductJob& job, const PeripheryParams& p, i64 sample) {
  const bool worst = tries_worst_case(p, job.round);
  float scale = 0.0f;
  if (worst) scale = np_sum_scale(statistics(shared, job.x + sample * job.n, job.n, true), p);
  if (threadIdx.x != 0) return;
  if (worst)
    job.scale[sample] = scale;
  else
    job.reduction[sample] *= 2.0f;
  job.rounds[sample] = (i32)job.round + 1;
}

// A block takes one vector after another.
OHM_DEVICE void scale_vectors(SharedScale& shared, const ProductJob& job, const PeripheryParams& p) {
  for (i64 row = blockIdx.x; row < job.rows; row += gridDim.x) {
    if (threadIdx.x == 0) job.again[row] = 0;
    if (job.round == 0)
      first_scale(shared, job, p, sample_of(job, row));
    else
      next_scale(shared, job, p, sample_of(job, row));
  }
}

// Sum, and root of the sum of squares, of a phase's inputs; a warp for each vector.
OHM_DEVICE void sum_vectors(const ProductJob& job, int number) {
  const ProductPhase& phase = job.phase[number];
  const bool squares = upper_half();
  for (i64 row = first_item() / kWarp; row < job.rows; row += item_stride() / kWarp) {
    const float* z = phase.inputs + row * job.n;
    const float half = half_total(job.n, [&](i64 j) { return squares ? z[j] * z[j] : z[j]; });
    if (lane_of_warp() == 0) phase.total[row] = half;
    if (lane_of_warp() == kHalf) phase.norm[row] = square_root(half);
  }
}

}  // namespace OHM_NS
