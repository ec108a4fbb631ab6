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
OHM_HD float fused(float a, float b, float c) { return __fmaf_rn(a, b, c); }
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

// a b + c, rounded once: the only place where a product and a sum are one operation, and so on every processor.
#if defined(__FMA__) || defined(__aarch64__)
OHM_HD float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
// The product of two floats is exact in double. Rounding the sum to odd there, by its error (Knuth's two-sum), leaves the
// second rounding, to float, the only one that counts.
OHM_HD float fused(float a, float b, float c) {
  const double product = (double)a * (double)b, addend = (double)c, sum = product + addend;
  const double part = sum - product, error = (product - (sum - part)) + (addend - part);
  i64 bits;
  __builtin_memcpy(&bits, &sum, 8);
  const i64 away = (error > 0.0) == (sum > 0.0) ? 1 : -1;
  bits += error != 0.0 && (bits & 1) == 0 ? away : 0;
  double odd;
  __builtin_memcpy(&odd, &bits, 8);
  return (float)odd;
}
#endif
#endif

// Division by one number many times, with the bits of a division where numbers are neither huge nor tiny: twice what is
// left over corrects the product with the reciprocal, the second time exactly (Markstein, IBM J. Res. Dev. 34, 1990).
struct Divisor {
  float by, reciprocal;
  OHM_HD explicit Divisor(float by) : by(by), reciprocal(1.0f / by) {}
  OHM_HD static bool fits(float by) { return by > 1e-15f && by < 1e15f; }
  OHM_HD float quotient(float v) const {
#if defined(__FMA__)
    float q = v * reciprocal;
    q = fused(fused(-q, by, v), reciprocal, q);
    return fused(fused(-q, by, v), reciprocal, q);
#else
    return v / by;
#endif
  }
};

OHM_HD float smaller(float a, float b) { return a < b ? a : b; }
OHM_HD float larger(float a, float b) { return a > b ? a : b; }
OHM_HD float magnitude(float v) { return float_of(bits_of(v) & 0x7fffffffu); }
// v times +1 or -1.
OHM_HD float with_sign(float v, float sign) { return float_of(bits_of(v) ^ (bits_of(sign) & 0x80000000u)); }
OHM_HD float clamped(float v, float low, float high) { return smaller(larger(v, low), high); }

// As numbers, because compilers make comparisons and choices of limits that are constants, which take longer: larger(v, 0),
OHM_HD float at_least_zero(float v) {
  const i32 bits = (i32)bits_of(v);
  return float_of((u32)(bits > 0 ? bits : 0));
}
// and v within +-limit.
OHM_HD float within(float v, float limit) {
  const u32 sign = bits_of(v) & 0x80000000u, size = bits_of(v) & 0x7fffffffu, most = bits_of(limit);
  return float_of((size < most ? size : most) | sign);
}

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
  float sum = fused(x, 1.44269504f, shift);
  float n = sum - shift;
  float r = fused(n, 2.12194440e-4f, fused(n, -0.693359375f, x));
  const float square = r * r, high = fused(r, 0.00831252f, 0.04189011f), middle = fused(r, 0.16667114f, 0.49999232f);
  const float p = fused(square, fused(square, high, middle), r + 1.0f);
  const float inside = float_of(bits_of(p) + (bits_of(sum) << 23));
  return x < -86.0f ? 4.47377931e-38f : (x > 88.0f ? 1.65163626e38f : inside);
}

// 2^x, saturating outside +-126; relative error below 1.5e-7. As above, but nothing has to be scaled, so that a polynomial of
// one degree more (its own error is 2e-9) still takes less time.
OHM_HD float power_of_two(float x) {
  const float shift = 12582912.0f;
  const float inside = within(x, 126.0f), sum = inside + shift;
  const float r = inside - (sum - shift), square = r * r;
  const float high = fused(square, 1.53534581e-4f, fused(r, 1.33988773e-3f, 9.61843729e-3f));
  const float middle = fused(r, 0.0555033237f, 0.240226477f);
  const float p = fused(square, fused(square, high, middle), fused(r, 0.693147182f, 1.0f));
  return float_of(bits_of(p) + (bits_of(sum) << 23));
}

// a b log2(e), so that 2 to the power of it is e^(a b): rounded about once, as an error counts as often as the exponent is large.
OHM_HD float in_powers_of_two(float a, float b) {
  const float high = 1.44269502f, low = 1.92596303e-8f;  // log2(e) in two parts
  const float product = a * b, error = fused(a, b, -product);
  return fused(product, high, fused(error, high, product * low));
}

// tanh x = e/(e + 2) with e = e^(2|x|) - 1 = 2^n (e^r - 1) + (2^n - 1), |r| <= ln2/2; e^r - 1 is r + r^2 P(r), P a minimax
// polynomial of degree 4 (its own error is 1.3e-8). Within 2.5 units in the last place (tests/engine/test_maths.py).
OHM_HD float hyperbolic_tangent(float x) {
  const float shift = 12582912.0f, twice = 2.0f * magnitude(x), a = twice > 18.5f ? 18.5f : twice;
  const float sum = fused(a, 1.44269504f, shift), n = sum - shift;
  const float r = fused(n, 2.12194440e-4f, fused(n, -0.693359375f, a));
  const float high = fused(fused(r, 0.00138825143f, 0.00836654752f), r, 0.0416672006f);
  const float p = fused(fused(high, r, 0.166665435f), r, 0.49999997f);
  const float power = float_of((bits_of(sum) << 23) + 0x3f800000u);  // 2^n
  const float e = fused(power, fused(r * r, p, r), power - 1.0f);
  return with_sign(e / (e + 2.0f), x);
}

// base^power for base in [0, 1]; relative error about 3e-7 times |power log base|. 0^0 is 1.
OHM_HD float power_of(float base, float power) {
  float inside = exponential(power * natural_log(larger(base, 1e-30f)));
  return base > 0.0f ? inside : (power == 0.0f ? 1.0f : 0.0f);
}

struct SinCos {
  float sin, cos;
};

// Sine and cosine of an eighth of a turn times x, x within +-1; relative error below 1.5e-7. Minimax polynomials with errors
// of their own of 3e-8 and 5e-8.
OHM_HD SinCos sin_cos_eighth(float x) {
  const float q = x * x;
  float s = fused(q, -3.59545083e-05f, 0.00249000709f), c = fused(q, -0.000318880513f, 0.0158499144f);
  s = fused(q, s, -0.0807454363f), c = fused(q, c, -0.308424264f);
  return {x * fused(q, s, 0.785398185f), fused(q, c, 1.0f)};
}

}  // namespace OHM_NS
