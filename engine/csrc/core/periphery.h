// SPDX-License-Identifier: Apache-2.0
// Parameters of the converters around an array, and what happens to one line of it. Formulas: docs/physics/tile.md.
#pragma once
#include "core/fields.h"
#include "core/maths.h"
#include "core/random.h"

namespace OHM_NS {

struct Periphery : NoFields {
  OHM_FIELDS(NoFields, is_perfect, mv_type, inp_bound, inp_res, inp_sto_round, inp_noise, inp_noise_before_clip,
             inp_asymmetry, noise_management, nm_thres, nm_decay, nm_assumed_wmax, bound_management, max_bm_factor)
};

struct ArrayEffects : Periphery {
  OHM_FIELDS(Periphery, max_bm_res, bm_test_negative_bound, w_noise, w_noise_type, w_noise_power,
             w_read_asymmetry_dtod, ir_drop, ir_drop_g_ratio, v_offset_std, v_offset_w_min, r_series,
             r_series_max_total)
};

struct PeripheryParams : ArrayEffects {
  OHM_FIELDS(ArrayEffects, out_nonlinearity, out_nonlinearity_std, slope_calibration, out_asymmetry, out_noise,
             out_noise_std, out_bound, out_res, out_sto_round, out_scale)
};

// The numbers behind the choices; engine/tiles/periphery.py has the words.
enum NoiseManagement : i32 { kNmNone, kAbsMax, kMax, kConstant, kAverageAbsMax, kAbsMaxNpSum };
enum BoundManagement : i32 { kBmNone, kIterative, kIterativeWorstCase };
enum MvType : i32 { kOnePass, kPosNegSeparate, kPosNegDigitalSum };
enum WeightNoise : i32 { kAdditiveConstant, kPcmRead, kPower };

OHM_HD bool is_on(float flag) { return flag > 0.0f; }

// A converter: codes are whole multiples of the step, the top code sits on the bound. Step 0: no quantisation.
struct Converter {
  float bound, step, codes;
};

OHM_HD Converter converter(float bound, float resolution) {
  float fraction = resolution > 1.0f ? 1.0f / resolution : resolution;
  if (bound <= 0.0f || fraction <= 0.0f) return {bound, 0.0f, 0.0f};
  float step = 2.0f * bound * fraction;
  float exact = 1.0f / (2.0f * fraction), whole = rounded(exact);  // codes from 0 to the bound
  return {bound, step, magnitude(exact - whole) < 1e-6f * exact ? whole : 0.0f};
}

// The code, not yet limited. It comes from the value relative to the bound, with an exact number of codes: no ties by
// float rounding. `dither` within +-1/2 rounds stochastically.
OHM_HD float code_of(float v, const Converter& c, float dither = 0.0f) {
  return rounded((c.codes > 0.0f ? v / c.bound * c.codes : v / c.step) + dither);
}

OHM_HD float limited(float v, const Converter& c) { return c.bound > 0.0f ? clamped(v, -c.bound, c.bound) : v; }

OHM_HD float convert(float v, const Converter& c, float dither = 0.0f) {
  if (c.step <= 0.0f) return limited(v, c);
  return limited(code_of(v, c, dither) * (c.codes > 0.0f ? c.bound / c.codes : c.step), c);
}

// What a whole code is worth, and the largest code; without quantisation, sizes are values themselves.
OHM_HD float unit_of(const Converter& c) {
  return c.step <= 0.0f ? 1.0f : c.codes > 0.0f ? c.bound / c.codes : c.step;
}
OHM_HD float limit_of(const Converter& c) {
  return c.step <= 0.0f ? c.bound : c.codes > 0.0f ? c.codes : c.bound / c.step;
}

// An output at the ADC: its size (a code, not yet limited, where there are codes), the value that is read out, and whether
// it lies beyond the bound. A value on the top code does not. Without branches, so that loops over outputs vectorise.
OHM_HD float size_of(float v, const Converter& c, float dither) { return c.step > 0.0f ? code_of(v, c, dither) : v; }
OHM_HD float value_of(float size, const Converter& c) { return limited(size * unit_of(c), c); }
OHM_HD bool is_beyond(float size, const Converter& c, bool negative_too) {
  return (c.bound > 0.0f) & ((size > limit_of(c)) | (negative_too & (-size > limit_of(c))));
}

// Whether an output was clipped: bit 0 at the upper end, bit 1 at the lower one.
OHM_HD u32 clip_flags(float size, const Converter& c) {
  return c.bound > 0.0f ? (u32)(size > limit_of(c)) | (u32)(-size > limit_of(c)) << 1 : 0u;
}

// What a vector says about itself, for input scaling.
struct InputStatistics {
  float absolute, largest, positive, negative;  // max |x|, max x, sum of positive x, minus the sum of negative x
};

OHM_HD float capped(float v, float limit) { return limit > 0.0f ? smaller(v, limit) : v; }

OHM_HD float np_sum_scale(const InputStatistics& x, const PeripheryParams& p) {
  float m = capped(x.absolute, p.nm_thres), bound = p.out_bound > 0.0f ? p.out_bound : 1.0f;
  float wanted = larger(x.positive, x.negative) * p.nm_assumed_wmax / bound;
  Converter dac = converter(p.inp_bound, p.inp_res);
  return larger(m, dac.step > 0.0f ? smaller(wanted, m / dac.step * p.max_bm_res) : wanted);
}

// Whether a vector's second round looks at the sum of its inputs in place of doubling the reduction.
OHM_HD bool tries_worst_case(const PeripheryParams& p, u32 round) {
  const i32 nm = (i32)p.noise_management;
  return (i32)p.bound_management == kIterativeWorstCase && nm != kNmNone && nm != kAbsMaxNpSum && round == 1;
}

// The input scale alpha; `average` is the running mean where one is kept. Zero or less: the output is zero.
OHM_HD float input_scale(const InputStatistics& x, const PeripheryParams& p, float average) {
  switch ((i32)p.noise_management) {
    case kAbsMax: return capped(x.absolute, p.nm_thres);
    case kMax: return capped(larger(x.largest, 0.0f), p.nm_thres);
    case kConstant: return p.nm_thres > 0.0f ? p.nm_thres : 1.0f;
    case kAverageAbsMax: return average;
    case kAbsMaxNpSum: return x.absolute > 0.0f ? np_sum_scale(x, p) : 0.0f;
    default: return 1.0f;
  }
}

// The largest reduction of the inputs with which a product whose output hit the bound is repeated; negative: with none.
OHM_HD float largest_reduction(const PeripheryParams& p) {
  if ((i32)p.bound_management == kBmNone) return -1.0f;
  const Converter dac = converter(p.inp_bound, p.inp_res);
  return dac.step > 0.0f ? smaller(p.max_bm_factor, p.max_bm_res / dac.step) : p.max_bm_factor;
}

OHM_HD bool may_repeat(float reduction, const PeripheryParams& p) { return reduction <= largest_reduction(p); }

// What differs from output to output, drawn once.
struct OutputLine {
  float offset, bend, noise;  // of the read voltage; of the nonlinearity; standard deviation
};

OHM_HD OutputLine output_line(const PeripheryParams& p, const Draws& draws) {
  float bound = p.out_bound > 0.0f ? p.out_bound : 1.0f;
  float bend = magnitude(p.out_nonlinearity / bound * (1.0f + p.out_nonlinearity_std * draws.normal(1)));
  float noise = p.out_noise_std > 0.0f ? magnitude(p.out_noise * (1.0f + p.out_noise_std * draws.normal(2))) : p.out_noise;
  return {p.v_offset_std * draws.normal(0), bend, noise};
}

OHM_HD bool lines_differ(const PeripheryParams& p) {
  return p.v_offset_std > 0.0f || p.out_nonlinearity > 0.0f || p.out_noise_std > 0.0f;
}

// A weight as a phase of negative inputs reads it; drawn once, for either direction.
OHM_HD float read_when_negative(float w, const Draws& draws, bool transposed, const PeripheryParams& p) {
  return w * (1.0f + p.w_read_asymmetry_dtod * draws.normal(transposed ? 1 : 0));
}

// Input j of `inputs`, weighted by its distance from the sense node.
OHM_HD float placed(float v, i64 j, float inputs) {
  const float far = 1.0f - (float)j / inputs;
  return v * (1.0f - far * far);
}

OHM_HD bool columns_matter(const PeripheryParams& p) { return p.v_offset_std > 0.0f || p.r_series > 0.0f; }
OHM_HD bool output_is_bent(const PeripheryParams& p) { return p.out_nonlinearity > 0.0f || p.r_series > 0.0f; }

// Simple wire resistance: `weighted` is sum |A z|, `placed` the product with inputs weighted by their distance.
OHM_HD float after_wires(float u, float weighted, float placed, float inputs, const PeripheryParams& p) {
  float a = weighted * inputs / p.ir_drop_g_ratio;
  return u - p.ir_drop * (a * (0.05f * a * a - 0.2f * a + 0.5f)) * placed;
}

OHM_HD float through_resistance(float u, const PeripheryParams& p) {
  return u / (1.0f + capped(p.r_series * magnitude(u), p.r_series_max_total));
}

// Read-voltage offset and series resistance; `total` is the sum of the inputs.
OHM_HD float after_columns(float u, float total, float offset, const PeripheryParams& p) {
  float reference = -p.v_offset_w_min * total;
  if (p.v_offset_w_min == 0.0f) return (1.0f - offset) * through_resistance(u, p);
  if (p.r_series == 0.0f) return (1.0f - offset) * u - 2.0f * offset * reference;
  return (1.0f - offset) * through_resistance(u + reference, p) - (1.0f + offset) * through_resistance(reference, p);
}

// The factor that makes up for the mean loss of nonlinear outputs.
OHM_HD float calibration(float mean_bend, const PeripheryParams& p) {
  float bound = p.out_bound > 0.0f ? p.out_bound : 1.0f;
  float root = 1.0f + (mean_bend + p.r_series) * p.slope_calibration * bound;
  return p.slope_calibration > 0.0f && (p.out_nonlinearity > 0.0f || p.r_series > 0.0f) ? root * root : 1.0f;
}

OHM_HD float bent(float u, float bend, float kappa) { return kappa * u / (1.0f + magnitude(bend * u)); }
OHM_HD float skewed(float u, float asymmetry) { return u < 0.0f ? u * (1.0f - asymmetry) : u; }

// Standard deviation of a weight's read noise, squared, per w_noise^2.
OHM_HD float noise_variance(float w, const PeripheryParams& p) {
  float size = magnitude(w);
  switch ((i32)p.w_noise_type) {
    case kPcmRead: return size;
    case kPower: {
      float grown = exponential(2.0f * p.w_noise_power * natural_log(larger(size, 1e-30f)));
      return p.w_noise_power == 0.0f ? 1.0f : (size > 0.0f ? grown : 0.0f);
    }
    default: return 1.0f;
  }
}

}  // namespace OHM_NS
