// SPDX-License-Identifier: Apache-2.0
// Parameters of the converters around an array, and the conversion itself.
#pragma once
#include "core/fields.h"
#include "core/maths.h"

namespace OHM_NS {

struct Periphery : NoFields {
  OHM_FIELDS(NoFields, is_perfect, inp_bound, inp_res, inp_noise, out_bound, out_res, out_noise, out_scale, w_noise,
             noise_management)
};

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

// Codes are computed from the value relative to the bound, with an exact number of codes: no ties by float rounding.
OHM_HD float convert(float v, const Converter& c) {
  float code = c.codes > 0.0f ? rounded(v / c.bound * c.codes) * (c.bound / c.codes) : rounded(v / c.step) * c.step;
  float q = c.step > 0.0f ? code : v;
  return c.bound > 0.0f ? clamped(q, -c.bound, c.bound) : q;
}

}  // namespace OHM_NS
