// SPDX-License-Identifier: Apache-2.0
// Converters on many numbers at once, a register at a time.
#pragma once
#include "core/periphery.h"
#include "kernels/vector.h"

namespace OHM_NS {

inline Register clamped(Register v, Register low, Register high) { return least(most(v, low), high); }

// `quotient` of core/maths.h.
inline Register quotient(Register v, const Divisor& d) {
#if defined(__AVX2__)
  const Register by = all_lanes(d.by), reciprocal = all_lanes(d.reciprocal);
  Register q = v * reciprocal;
  q = fused(fused(-q, by, v), reciprocal, q);
  return fused(fused(-q, by, v), reciprocal, q);
#else
  return v / d.by;
#endif
}

// to = change(from), a register at a time; what is left fills one in part.
template <class Change>
inline void in_registers(float* to, const float* from, i64 n, Change change) {
  i64 j = 0;
  for (; j + kRegister <= n; j += kRegister) {
    const Register v = change(load_register(from + j));
    __builtin_memcpy(to + j, &v, sizeof v);
  }
  if (j < n) store_part(to + j, change(load_part(from + j, n - j)), n - j);
}

// Whether codes can be found by a reciprocal and a shift: an exact number of codes, none too large to be rounded so.
inline bool has_quick_codes(const Converter& c, float divisor) {
  return c.codes > 0.0f && c.codes <= 65536.0f && Divisor::fits(divisor);
}

// Codes, not yet limited, of v over the bound: what lies far beyond it needs no quotient. Not-a-numbers pass.
struct QuickCodes {
  Divisor by;
  Register far, codes, shift;
  QuickCodes(const Converter& c, float divisor)
      : by(divisor), far(all_lanes(2.0f * divisor)), codes(all_lanes(c.codes)), shift(all_lanes(12582912.0f)) {}
  Register operator()(Register v) const {
    return (quotient(most(-far, least(far, v)), by) * codes + shift) - shift;
  }
};

// Inputs over a divisor through the DAC. Converters are taken by value: a loop over what they convert must not look
// them up in memory each time.
inline void convert_all(float* z, const float* x, i64 n, float divisor, Converter dac) {
  if (dac.bound != 1.0f || !has_quick_codes(dac, divisor)) {
    for (i64 j = 0; j < n; ++j) z[j] = convert(x[j] / divisor, dac);
    return;
  }
  const QuickCodes code(dac, divisor);
  const Register unit = all_lanes(unit_of(dac)), one = all_lanes(1.0f);
  in_registers(z, x, n, [&](Register v) { return clamped(code(v) * unit, -one, one); });
}

inline void convert_dithered(float* z, const float* x, const float* dither, i64 n, float divisor, Converter dac) {
  for (i64 j = 0; j < n; ++j) z[j] = convert(x[j] / divisor, dac, dither[j]);
}

// Outputs become sizes at the ADC. A bound of zero or less has no codes.
inline void size_all(float* u, i64 m, Converter adc) {
  if (has_quick_codes(adc, adc.bound))
    in_registers(u, u, m, QuickCodes(adc, adc.bound));
  else
    for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, 0.0f);
}

inline void size_dithered(float* u, const float* dither, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, dither[i]);
}

// Sizes become what is read out.
inline void values_of(float* u, i64 m, Converter adc) {
  const Register unit = all_lanes(unit_of(adc)), bound = all_lanes(adc.bound);
  if (adc.bound > 0.0f) in_registers(u, u, m, [&](Register v) { return clamped(v * unit, -bound, bound); });
}

}  // namespace OHM_NS
