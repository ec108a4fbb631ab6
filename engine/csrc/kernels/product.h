// SPDX-License-Identifier: Apache-2.0
// Matrix products with a fixed order of summation: the same bits for any number of threads and any instruction set,
// which library products do not promise. 16 partial sums per dot product, always; how many samples and outputs are
// worked on together (a patch) decides the speed alone.
#pragma once
#include "core/mvm_plan.h"
#include "kernels/share.h"
#include "kernels/vector.h"

namespace OHM_NS {

// Patches that keep the sums in registers: two thirds to three quarters of them, as the factors need some too.
#if defined(__AVX512F__)
constexpr int kDotSamples = 4, kDotOutputs = 4;
constexpr int kRowSamples = 6, kRowRegisters = 4;
#elif defined(__AVX2__)
constexpr int kDotSamples = 2, kDotOutputs = 3;
constexpr int kRowSamples = 4, kRowRegisters = 3;
#else
constexpr int kDotSamples = 1, kDotOutputs = 3;
constexpr int kRowSamples = 4, kRowRegisters = 3;
#endif
constexpr i64 kParts = kVec / kRegister;  // registers of one output's partial sums
constexpr i64 kSampleBlock = 16;          // samples and outputs that a thread takes at a time; they stay in the first cache
constexpr i64 kOutputBlock = 48;

// The halves are added to each other until one number is left.
#if defined(__AVX2__)
inline float sum_of(const Register* v) {
#if defined(__AVX512F__)
  const __m512 all = (__m512)v[0];
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
#else
  const __m256 eight = _mm256_add_ps((__m256)v[0], (__m256)v[1]);
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
#else
inline float sum_of(const Register* v) {
  float part[kVec];
  __builtin_memcpy(part, v, sizeof part);
  for (i64 half = kVec / 2; half; half /= 2)
    for (i64 l = 0; l < half; ++l) part[l] += part[l + half];
  return part[0];
}
#endif

#if defined(__AVX512F__)
// Sixteen sums in one register: the additions of sum_of, for several registers side by side. Number 4 c + r of `v` goes
// to place 4 r + c.
inline __m512 sums_of(const Register (&v)[16]) {
  __m512 four[8], two[4], one[2];
  for (int k = 0; k < 8; ++k) {
    const __m512 a = (__m512)v[2 * k], b = (__m512)v[2 * k + 1];
    four[k] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int k = 0; k < 4; ++k)
    two[k] = _mm512_add_ps(_mm512_shuffle_f32x4(four[2 * k], four[2 * k + 1], 0x88),
                           _mm512_shuffle_f32x4(four[2 * k], four[2 * k + 1], 0xdd));
  for (int k = 0; k < 2; ++k)
    one[k] = _mm512_add_ps(_mm512_shuffle_ps(two[2 * k], two[2 * k + 1], 0x44),
                           _mm512_shuffle_ps(two[2 * k], two[2 * k + 1], 0xee));
  return _mm512_add_ps(_mm512_shuffle_ps(one[0], one[1], 0x88), _mm512_shuffle_ps(one[0], one[1], 0xdd));
}

// Adds x[r, k] w[c, k] to place 4 r + c, for the last inputs, which fill no register.
inline __m512 with_rest(__m512 total, const float* w, const float* x, i64 first, i64 in) {
  const __m512i rows = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  for (i64 k = first; k < in; ++k) {
    const __m128 four = _mm_set_ps(x[3 * in + k], x[2 * in + k], x[in + k], x[k]);
    const __m128 across = _mm_set_ps(w[3 * in + k], w[2 * in + k], w[in + k], w[k]);
    const __m512 factor = _mm512_permutexvar_ps(rows, _mm512_castps128_ps512(four));
    total = _mm512_add_ps(total, _mm512_mul_ps(factor, _mm512_broadcast_f32x4(across)));
  }
  return total;
}

// The first products begin the sums. Sums that begin at zero differ from these at most in a zero's sign, which a zero added
// at the end puts right.
template <bool first>
inline __attribute__((always_inline)) void square_step(Register (&sum)[16], const float* w, const float* x, i64 in) {
  Register factor[4];
  for (int r = 0; r < 4; ++r) factor[r] = load_register(x + r * in);
  for (int c = 0; c < 4; ++c) {
    const Register weight = load_register(w + c * in);
    for (int r = 0; r < 4; ++r) sum[4 * c + r] = first ? factor[r] * weight : sum[4 * c + r] + factor[r] * weight;
  }
}

// Four samples and four outputs.
inline void dot_square(const float* w, const float* x, float* y, i64 in, i64 out) {
  Register sum[16];
  i64 j = kVec;
  if (in < kVec)
    for (Register& s : sum) s = Register{}, j = 0;
  else
    square_step<true>(sum, w, x, in);
  for (; j + kVec <= in; j += kVec) square_step<false>(sum, w + j, x + j, in);
  const __m512 total = _mm512_add_ps(with_rest(sums_of(sum), w, x, j, in), _mm512_setzero_ps());
  _mm_storeu_ps(y, _mm512_castps512_ps128(total));
  _mm_storeu_ps(y + out, _mm512_extractf32x4_ps(total, 1));
  _mm_storeu_ps(y + 2 * out, _mm512_extractf32x4_ps(total, 2));
  _mm_storeu_ps(y + 3 * out, _mm512_extractf32x4_ps(total, 3));
}
#endif

// y[s, i] = sum_j x[s, j] W[i, j] for R samples and C outputs.
template <int R, int C>
inline void dot_patch(const float* w, const float* x, float* y, i64 in, i64 out) {
#if defined(__AVX512F__)
  if constexpr (R == 4 && C == 4) {
    dot_square(w, x, y, in, out);
    return;
  }
#endif
  Register sum[R][C][kParts] = {};
  i64 j = 0;
  for (; j + kVec <= in; j += kVec)
    for (i64 part = 0; part < kParts; ++part) {
      Register factor[R];
      for (int r = 0; r < R; ++r) factor[r] = load_register(x + r * in + j + part * kRegister);
      for (int c = 0; c < C; ++c) {
        const Register weight = load_register(w + c * in + j + part * kRegister);
        for (int r = 0; r < R; ++r) sum[r][c][part] += factor[r] * weight;
      }
    }
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      float total = sum_of(sum[r][c]);
      for (i64 k = j; k < in; ++k) total += x[r * in + k] * w[c * in + k];
      y[r * out + c] = total;
    }
}

template <int C>
inline void dot_samples(const float* w, const float* x, float* y, i64 samples, i64 in, i64 out) {
  i64 s = 0;
  for (; s + kDotSamples <= samples; s += kDotSamples) dot_patch<kDotSamples, C>(w, x + s * in, y + s * out, in, out);
  if (kDotSamples > 2 && s + 2 <= samples) dot_patch<2, C>(w, x + s * in, y + s * out, in, out), s += 2;
  for (; s < samples; ++s) dot_patch<1, C>(w, x + s * in, y + s * out, in, out);
}

inline i64 until(i64 first, i64 block, i64 end) { return first + block < end ? first + block : end; }

// Some outputs of some samples: what a thread takes at a time.
inline void dot_block(const float* w, const float* x, float* y, i64 samples, i64 in, i64 out, i64 first, i64 last) {
  i64 i = first;
  for (; i + kDotOutputs <= last; i += kDotOutputs)
    dot_samples<kDotOutputs>(w + i * in, x, y + i, samples, in, out);
  for (; i < last; ++i) dot_samples<1>(w + i * in, x, y + i, samples, in, out);
}

inline void product(const float* w, const float* x, float* y, i64 samples, i64 in, i64 out, int threads) {
  const i64 across = parts_of(out, kOutputBlock);
  share(parts_of(samples, kSampleBlock) * across, threads, [&](i64 part) {
    const i64 s = part / across * kSampleBlock, first = part % across * kOutputBlock;
    dot_block(w, x + s * in, y + s * out, until(s, kSampleBlock, samples) - s, in, out, first,
              until(first, kOutputBlock, out));
  });
}

// y[s, j] = sum_i d[s, i] W[i, j] for R samples and `width` columns, the rows added one after another.
template <int R>
inline void row_patch(const float* w, const float* d, float* y, i64 out, i64 in, i64 width) {
  Register sum[R][kRowRegisters] = {};
  for (i64 i = 0; i < out; ++i) {
    Register weight[kRowRegisters];
    for (int c = 0; c < kRowRegisters; ++c) weight[c] = load_register(w + i * in + c * kRegister);
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < kRowRegisters; ++c) sum[r][c] += d[r * out + i] * weight[c];
  }
  for (int r = 0; r < R; ++r) __builtin_memcpy(y + r * in, sum[r], 4 * (u64)width);
}

// Columns that fill no patch.
inline void row_rest(const float* w, const float* d, float* y, i64 out, i64 in, i64 width) {
  constexpr i64 most = kRowRegisters * kRegister;
  float sum[most] = {};
  for (i64 i = 0; i < out; ++i)
    for (i64 l = 0; l < width; ++l) sum[l] += d[i] * w[i * in + l];
  __builtin_memcpy(y, sum, 4 * (u64)width);
}

inline void row_columns(const float* w, const float* d, float* y, i64 samples, i64 out, i64 in, i64 width) {
  i64 s = 0;
  if (width == kRowRegisters * kRegister) {
    for (; s + kRowSamples <= samples; s += kRowSamples) row_patch<kRowSamples>(w, d + s * out, y + s * in, out, in, width);
    for (; s < samples; ++s) row_patch<1>(w, d + s * out, y + s * in, out, in, width);
  }
  for (; s < samples; ++s) row_rest(w, d + s * out, y + s * in, out, in, width);
}

inline void product_transposed(const float* w, const float* d, float* y, i64 samples, i64 in, i64 out, int threads) {
  constexpr i64 width = kRowRegisters * kRegister;
  const i64 across = parts_of(in, width);
  share(parts_of(samples, kSampleBlock) * across, threads, [&](i64 part) {
    const i64 s = part / across * kSampleBlock, first = part % across * width;
    row_columns(w + first, d + s * out, y + s * in + first, until(s, kSampleBlock, samples) - s, out, in,
                until(first, width, in) - first);
  });
}

}  // namespace OHM_NS
