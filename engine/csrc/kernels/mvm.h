// SPDX-License-Identifier: Apache-2.0
// The analog matrix-vector product: input scaling, DAC, input noise | product | weight read noise, output noise,
// ADC, rescaling. Order and formulas: docs/physics/tile.md.
#pragma once
#include "core/periphery.h"
#include "kernels/line.h"
#include "kernels/product.h"

namespace OHM_NS {

using ohm_ops::MvmJob;

inline float largest(const float* x, i64 n) {
  float most = 0.0f;
  for (i64 j = 0; j < n; ++j) most = larger(most, magnitude(x[j]));
  return most;
}

// Noise for a vector of lines: four consecutive lines share one call of the generator.
inline void add_normals(float* v, i64 n, float scale, u64 seed, u32 stream, u64 step) {
  if (scale == 0.0f) return;
  for (i64 first = 0; first < n; first += 4 * kLanes) {
    NoiseLanes z;
    u32 group[kLanes];
    for (int l = 0; l < kLanes; ++l) group[l] = (u32)(first / 4 + l);
    draw_normals(z, seed, stream, step, group, 0);
    const i64 width = n - first < 4 * kLanes ? n - first : 4 * kLanes;
    for (i64 k = 0; k < width; ++k) v[first + k] += scale * z.normal[k & 3][k >> 2];
  }
}

inline float euclidean(const float* z, i64 n) {
  float part[kVec] = {}, total = 0.0f;
  i64 j = 0;
  for (; j + kVec <= n; j += kVec)
    for (i64 l = 0; l < kVec; ++l) part[l] += z[j + l] * z[j + l];
  for (; j < n; ++j) total += z[j] * z[j];
  for (i64 l = 0; l < kVec; ++l) total += part[l];
  return square_root(total);
}

inline void to_array(const MvmJob& job, const Periphery& p, i64 sample, i64 n) {
  const float* x = job.x + sample * n;
  float* z = job.scaled + sample * n;
  const float alpha = p.noise_management > 0.0f ? largest(x, n) : 1.0f;
  job.factor[sample] = alpha;
  const Converter dac = converter(p.inp_bound, p.inp_res);
  for (i64 j = 0; j < n; ++j) z[j] = alpha > 0.0f ? convert(x[j] / alpha, dac) : 0.0f;
  if (alpha > 0.0f) add_normals(z, n, p.inp_noise, job.seed, job.input_stream, job.first_step + (u64)sample);
  job.norm[sample] = p.w_noise > 0.0f ? euclidean(z, n) : 0.0f;
}

inline void from_array(const MvmJob& job, const Periphery& p, i64 sample, i64 m) {
  float* y = job.y + sample * m;
  const u64 step = job.first_step + (u64)sample;
  const float alpha = job.factor[sample];
  if (alpha <= 0.0f) {  // an all-zero input under input scaling gives zero, no draw
    for (i64 i = 0; i < m; ++i) y[i] = 0.0f;
    return;
  }
  add_normals(y, m, p.w_noise * job.norm[sample], job.seed, job.weight_stream, step);
  add_normals(y, m, p.out_noise, job.seed, job.output_stream, step);
  const Converter adc = converter(p.out_bound, p.out_res);
  for (i64 i = 0; i < m; ++i) y[i] = convert(y[i], adc) * p.out_scale * alpha;
}

inline void multiply(const MvmJob& job, const float* x, int threads) {
  if (job.transposed)
    product_transposed(job.weights, x, job.y, job.samples, job.in, job.out, threads);
  else
    product(job.weights, x, job.y, job.samples, job.in, job.out, threads);
}

inline void analog_product(const MvmJob& job) {
  const auto p = from_block<Periphery>(job.params);
  const i64 n = job.transposed ? job.out : job.in, m = job.transposed ? job.in : job.out;
  if (p.is_perfect > 0.0f) {
    multiply(job, job.x, job.threads);
    for (i64 k = 0; k < job.samples * m; ++k) job.y[k] *= p.out_scale;
    return;
  }
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 s = 0; s < job.samples; ++s) to_array(job, p, s, n);
  multiply(job, job.scaled, job.threads);
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 s = 0; s < job.samples; ++s) from_array(job, p, s, m);
}

// The floating-point update W -= lr d x^T, samples in order.
inline void outer_update(float* weights, const float* x, const float* d, float lr, i64 out, i64 in, i64 samples,
                         int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 i = 0; i < out; ++i)
    for (i64 s = 0; s < samples; ++s) {
      const float scale = lr * d[s * out + i];
      for (i64 j = 0; j < in; ++j) weights[i * in + j] = outer_step(weights[i * in + j], scale, x[s * in + j]);
    }
}

inline void normal_sample(u64 seed, u32 stream, u64 step, i64 count, float* out) {
  for (i64 k = 0; k < count; ++k) out[k] = 0.0f;
  add_normals(out, count, 1.0f, seed, stream, step);
}

}  // namespace OHM_NS
