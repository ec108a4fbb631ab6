// SPDX-License-Identifier: Apache-2.0
// Elementary functions written out in float arithmetic, branch-free so that loops over crosspoints
// vectorise. Own code, because library versions differ in the last bit between CPUs and GPUs, and one seed
// must give one result everywhere: compiled without contraction, these give the same bits on each.
#pragma once
#include "core/macros.h"

namespace OHM_NS {

using namespace ohm_types;

#if defined(OHM_GPU)
OHM_HD u32 bits_of(float value) { return __float_as_uint(value); }
OHM_HD float float_of(u32 bits) { return __uint_as_float(bits); }
OHM_HD float square_root(float v) { return __fsqrt_rn(v); }
#else
OHM_HD u32 bits_of(float value) {
  u32 bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
}

OHM_HD float float_of(u32 bits) {
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

OHM_HD float square_root(float v) { return __builtin_sqrtf(v); }
#endif

OHM_HD float smaller(float a, float b) { return a < b ? a : b; }
OHM_HD float larger(float a, float b) { return a > b ? a : b; }
OHM_HD float magnitude(float v) { return float_of(bits_of(v) & 0x7fffffffu); }
OHM_HD float clamped(float v, float low, float high) { return smaller(larger(v, low), high); }

// Round half to even for |v| < 2^22; larger values carry no fraction that a converter code could use.
OHM_HD float rounded(float v) {
  const float shift = 12582912.0f;
  float r = (v + shift) - shift;
  return magnitude(v) < 4194304.0f ? r : v;
}

// x = m 2^exponent with m in [sqrt(1/2), sqrt(2)), and s = (m-1)/(m+1), |s| < 0.172. In two parts, as loops over many
// numbers run faster through two short chains of operations than through a long one.
struct LogParts {
  float exponent, s;
};

OHM_HD LogParts log_parts(float x) {
  i32 shifted = (i32)bits_of(x) - 0x3f3504f3;  // bits of sqrt(1/2)
  float m = float_of((u32)(shifted & 0x007fffff) + 0x3f3504f3u);
  return {(float)(shifted >> 23), (m - 1.0f) / (m + 1.0f)};
}

// log m is odd in s: 2s + s^3 P(s^2), P the minimax polynomial (its own error is 8e-10).
OHM_HD float log_of(const LogParts& x) {
  float q = x.s * x.s;
  float tail = q * (0.66666776f + q * (0.39977542f + q * 0.29871729f));
  return x.exponent * 0.69314718f + (2.0f * x.s + x.s * tail);
}

// Natural logarithm of a positive normal number; relative error below 2e-7 (tests/engine/test_maths.py).
OHM_HD float natural_log(float x) { return log_of(log_parts(x)); }

// e^x, saturating outside [-86, 88] where float runs out; relative error below 3e-7.
// x = n ln2 + r, |r| <= ln2/2; e^r by the minimax polynomial of degree 5 (its own error is 1.1e-7). Adding the shift
// rounds to n and leaves n in the last bits of the sum, from where it goes into the result's exponent.
OHM_HD float exponential(float x) {
  const float shift = 12582912.0f;
  float v = clamped(x, -86.0f, 88.0f);
  float sum = v * 1.44269504f + shift;
  float n = sum - shift;
  float r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.0f + r * (1.0f + r * (0.49999232f + r * (0.16667114f + r * (0.04189011f + r * 0.00831252f))));
  return float_of(bits_of(p) + (bits_of(sum) << 23));
}

// base^power for base in [0, 1]; relative error about 3e-7 times |power log base|. 0^0 is 1.
OHM_HD float power_of(float base, float power) {
  float inside = exponential(power * natural_log(larger(base, 1e-30f)));
  return base > 0.0f ? inside : (power == 0.0f ? 1.0f : 0.0f);
}

struct SinCos {
  float sin, cos;
};

// Sine and cosine of an angle within +-pi/4; relative error below 1.5e-7. Minimax polynomials with errors of their own of
// 4e-9 and 4e-8.
OHM_HD SinCos sin_cos(float angle) {
  float q = angle * angle;
  float s = angle + angle * (q * (-0.16666655f + q * (0.00833216f + q * -0.00019515f)));
  float c = 1.0f + q * (-0.49999885f + q * (0.04165578f + q * -0.00135919f));
  return {s, c};
}

}  // namespace OHM_NS
