// SPDX-License-Identifier: Apache-2.0
// Matrix products with a fixed order of summation: the same bits for any number of threads and any
// instruction set, which library products do not promise. 16 partial sums per dot product, always.
#pragma once
#include "kernels/lanes.h"

namespace OHM_NS {

typedef float Vec __attribute__((vector_size(64)));
constexpr i64 kVec = 16;

inline Vec load_vec(const float* from) {
  Vec v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

inline float sum_of(const Vec& v) {
  float part[kVec];
  __builtin_memcpy(part, &v, sizeof part);
  for (i64 half = kVec / 2; half; half /= 2)
    for (i64 l = 0; l < half; ++l) part[l] += part[l + half];
  return part[0];
}

// y[s, i] = sum_j x[s, j] W[i, j] for a patch of R samples and C outputs.
template <int R, int C>
inline void dot_patch(const float* w, const float* x, float* y, i64 in, i64 out) {
  Vec acc[R][C] = {};
  i64 j = 0;
  for (; j + kVec <= in; j += kVec)
    for (int r = 0; r < R; ++r) {
      Vec xv = load_vec(x + r * in + j);
      for (int c = 0; c < C; ++c) acc[r][c] += xv * load_vec(w + c * in + j);
    }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      float total = sum_of(acc[r][c]);
      for (i64 k = j; k < in; ++k) total += x[r * in + k] * w[c * in + k];
      y[r * out + c] = total;
    }
}

template <int R>
inline void dot_rows(const float* w, const float* x, float* y, i64 in, i64 out) {
  i64 i = 0;
  for (; i + 4 <= out; i += 4) dot_patch<R, 4>(w + i * in, x, y + i, in, out);
  for (; i < out; ++i) dot_patch<R, 1>(w + i * in, x, y + i, in, out);
}

inline void product(const float* w, const float* x, float* y, i64 samples, i64 in, i64 out, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 s = 0; s < samples; s += 4) {
    if (s + 4 <= samples) {
      dot_rows<4>(w, x + s * in, y + s * out, in, out);
      continue;
    }
    for (i64 r = s; r < samples; ++r) dot_rows<1>(w, x + r * in, y + r * out, in, out);
  }
}

// y[s, j] = sum_i d[s, i] W[i, j], the rows added one after another.
inline void product_transposed(const float* w, const float* d, float* y, i64 samples, i64 in, i64 out,
                               int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 s = 0; s < samples; ++s)
    for (i64 first = 0; first < in; first += kLanes) {
      const i64 width = in - first < kLanes ? in - first : kLanes;
      alignas(64) float acc[kLanes] = {};
      for (i64 i = 0; i < out; ++i) {
        const float scale = d[s * out + i];
        const float* row = w + i * in + first;
        if (width == kLanes)
          for (int l = 0; l < kLanes; ++l) acc[l] += scale * row[l];
        else
          for (i64 l = 0; l < width; ++l) acc[l] += scale * row[l];
      }
      for (i64 l = 0; l < width; ++l) y[s * in + first + l] = acc[l];
    }
}

}  // namespace OHM_NS
