// SPDX-License-Identifier: Apache-2.0
// What one round of the analog product does to a block of vectors: input scaling, DAC, input noise | product, wires,
// columns, weight read noise | nonlinearity, output noise, ADC. Order and formulas: docs/physics/tile.md.
#pragma once
#include "kernels/product.h"

namespace OHM_NS {

using ohm_ops::MvmJob;

// The weights as a phase reads them, and what wires and weight noise depend on.
struct ArrayView {
  const float *weights, *sizes, *variances;  // (out, in) each; the last two or null
};

// Everything a product needs besides its data.
struct Mvm {
  const MvmJob& job;
  PeripheryParams p;
  i64 n, m;  // inputs and outputs
  MvmPlan plan;
  Converter dac, adc;
  float kappa = 1.0f;
  bool lines, columns, nonlinear;
  ArrayView array{}, negative{};

  explicit Mvm(const MvmJob& job)
      : job(job),
        p(from_block<PeripheryParams>(job.params)),
        n(job.transposed ? job.out : job.in),
        m(job.transposed ? job.in : job.out),
        plan(plan_of(n, m, job.samples, job.threads, p)),
        dac(converter(p.inp_bound, p.inp_res)),
        adc(converter(p.out_bound, p.out_res)),
        lines(lines_differ(p)),
        columns(columns_matter(p)),
        nonlinear(output_is_bent(p)) {}

  u64 step(i64 sample) const { return job.first_step + (u64)sample; }
};

// The vectors of one round that a worker has at hand, and its buffers: row k of each belongs to sample active[k].
struct VectorBlock {
  const Mvm& c;
  i64* active;
  u32* beyond;
  i64 rows;
  u32 round;
  float *scaled, *phase, *derived;           // (rows, n)
  float *sums, *second, *weighted, *placed;  // (rows, m)

  VectorBlock(const Mvm& c, float* buffer) : c(c), active(nullptr), beyond(nullptr), rows(0), round(0) {
    const i64 in = c.plan.block * c.n, out = c.plan.block * c.m;
    scaled = buffer, phase = scaled + in, derived = phase + c.plan.phases * in;
    sums = buffer + c.plan.input_rows() * in, second = sums + out, weighted = second + c.plan.phases * out;
    placed = weighted + out;
  }

  u32 draws(int phase) const { return 2 * round + (u32)phase; }  // rounds and phases draw anew
};

template <class Body>
inline void each_row(const VectorBlock& b, Body body) {
  share(b.rows, b.c.plan.inside, body);
}

// --- inputs ---

inline InputStatistics statistics(const float* x, i64 n, const PeripheryParams& p, bool sums) {
  InputStatistics s{0.0f, 0.0f, 0.0f, 0.0f};
  s.absolute = largest_of(n, [&](i64 j) { return magnitude(x[j]); });
  if ((i32)p.noise_management == kMax) s.largest = largest_of(n, [&](i64 j) { return x[j]; });
  if (!sums) return s;
  s.positive = total_of(n, [&](i64 j) { return larger(x[j], 0.0f); });
  s.negative = total_of(n, [&](i64 j) { return larger(-x[j], 0.0f); });
  return s;
}

// The scale of every vector's first round. A scale of zero asks for an output of zero, without a draw.
inline void scale_input(const Mvm& c, i64 sample) {
  const bool sums = (i32)c.p.noise_management == kAbsMaxNpSum;
  const InputStatistics s = statistics(c.job.x + sample * c.n, c.n, c.p, sums);
  c.job.scale[sample] = input_scale(s, c.p, c.job.average);
  c.job.reduction[sample] = 1.0f;
}

// The worst-case rule looks at the sum of the inputs in the second round.
inline void rescale(const VectorBlock& b, i64 sample) {
  const Mvm& c = b.c;
  if (tries_worst_case(c.p, b.round))
    c.job.scale[sample] = np_sum_scale(statistics(c.job.x + sample * c.n, c.n, c.p, true), c.p);
  else
    c.job.reduction[sample] *= 2.0f;
}

// Converters are taken by value: a loop over what they convert must not look them up in memory each time.
inline void convert_all(float* z, const float* x, i64 n, float divisor, Converter dac) {
  for (i64 j = 0; j < n; ++j) z[j] = convert(x[j] / divisor, dac);
}

inline void convert_dithered(float* z, const float* x, const float* dither, i64 n, float divisor, Converter dac) {
  for (i64 j = 0; j < n; ++j) z[j] = convert(x[j] / divisor, dac, dither[j]);
}

inline void skew_all(float* v, i64 n, float asymmetry) {
  if (asymmetry == 0.0f) return;
  for (i64 j = 0; j < n; ++j) v[j] = skewed(v[j], asymmetry);
}

inline void to_array(const VectorBlock& b, i64 row) {
  const Mvm& c = b.c;
  const MvmJob& job = c.job;
  const i64 sample = b.active[row];
  const float* x = job.x + sample * c.n;
  float *z = b.scaled + row * c.n, *dither = b.derived + row * c.n;
  const float divisor = job.scale[sample] * job.reduction[sample];
  const u64 step = c.step(sample);
  if (is_on(c.p.inp_sto_round) && c.dac.step > 0.0f) {
    draw_dither(dither, c.n, job.seed, job.streams.input_round, step, b.draws(0));
    convert_dithered(z, x, dither, c.n, divisor, c.dac);
  } else {
    convert_all(z, x, c.n, divisor, c.dac);
  }
  add_normals(z, c.n, c.p.inp_noise, job.seed, job.streams.input, step, b.draws(0));
  if (is_on(c.p.inp_noise_before_clip))
    for (i64 j = 0; j < c.n; ++j) z[j] = limited(z[j], c.dac);
  skew_all(z, c.n, c.p.inp_asymmetry);
}

// --- the array ---

inline void multiply(const Mvm& c, const float* weights, const float* x, float* y, i64 rows, int threads) {
  if (c.job.transposed)
    product_transposed(weights, x, y, rows, c.job.in, c.job.out, threads);
  else
    product(weights, x, y, rows, c.job.in, c.job.out, threads);
}

// The product of inputs that were changed one by one.
template <class Change>
inline void multiply_changed(const VectorBlock& b, const float* weights, const float* z, float* y, Change change) {
  each_row(b, [&](i64 k) {
    for (i64 j = 0; j < b.c.n; ++j) b.derived[k * b.c.n + j] = change(z[k * b.c.n + j], j);
  });
  multiply(b.c, weights, b.derived, y, b.rows, b.c.plan.inside);
}

inline void lose_to_wires(const VectorBlock& b, const ArrayView& array, const float* z, float* u) {
  const float inputs = (float)b.c.n;
  multiply_changed(b, array.sizes, z, b.weighted, [](float v, i64) { return magnitude(v); });
  multiply_changed(b, array.weights, z, b.placed, [&](float v, i64 j) { return placed(v, j, inputs); });
  each_row(b, [&](i64 k) {
    for (i64 i = k * b.c.m; i < (k + 1) * b.c.m; ++i)
      u[i] = after_wires(u[i], b.weighted[i], b.placed[i], inputs, b.c.p);
  });
}

inline void pass_columns(const Mvm& c, const float* z, float* u) {
  const float total = total_of(c.n, [&](i64 j) { return z[j]; });
  for (i64 i = 0; i < c.m; ++i) u[i] = after_columns(u[i], total, c.lines ? c.job.lines[i] : 0.0f, c.p);
}

inline void add_weight_noise(const VectorBlock& b, const float* z, float* u, i64 row, int phase) {
  const Mvm& c = b.c;
  const MvmJob& job = c.job;
  const u64 step = c.step(b.active[row]);
  if (!c.plan.variances) {
    const float norm = square_root(total_of(c.n, [&](i64 j) { return z[j] * z[j]; }));
    add_normals(u, c.m, c.p.w_noise * norm, job.seed, job.streams.weight, step, b.draws(phase));
    return;
  }
  const float* variance = b.weighted + row * c.m;
  with_normals(c.m, job.seed, job.streams.weight, step, b.draws(phase), [&](const float* xi, i64 first, i64 width) {
    for (i64 k = 0; k < width; ++k) u[first + k] += c.p.w_noise * square_root(variance[first + k]) * xi[k];
  });
}

// One activation of the array with inputs z (rows, n): sums (rows, m).
inline void activate(const VectorBlock& b, const ArrayView& array, const float* z, float* u, int phase) {
  const Mvm& c = b.c;
  multiply(c, array.weights, z, u, b.rows, c.plan.inside);
  if (c.plan.wires) lose_to_wires(b, array, z, u);
  if (c.plan.variances) multiply_changed(b, array.variances, z, b.weighted, [](float v, i64) { return v * v; });
  if (!c.columns && c.p.w_noise <= 0.0f) return;
  each_row(b, [&](i64 k) {
    if (c.columns) pass_columns(c, z + k * c.n, u + k * c.m);
    if (c.p.w_noise > 0.0f) add_weight_noise(b, z + k * c.n, u + k * c.m, k, phase);
  });
}

// --- outputs ---

inline void mark_clipped(u8* flags, const float* size, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) flags[i] |= (u8)clip_flags(size[i], adc);
}

// Outputs at the ADC, in loops that vectorise. True where one went beyond the bound: the largest tells for all.
inline bool read_all(float* u, i64 m, Converter adc, bool negative_too, u8* flags) {
  const float unit = unit_of(adc), bound = adc.bound;
  bool beyond = is_beyond(largest_of(m, [&](i64 i) { return magnitude(u[i]); }), adc, false);
  if (beyond && flags) mark_clipped(flags, u, m, adc);
  if (beyond && !negative_too) beyond = is_beyond(largest_of(m, [&](i64 i) { return u[i]; }), adc, false);
  if (bound > 0.0f)
    for (i64 i = 0; i < m; ++i) u[i] = clamped(u[i] * unit, -bound, bound);
  return beyond;
}

inline void size_all(float* u, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, 0.0f);
}

inline void size_dithered(float* u, const float* dither, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, dither[i]);
}

inline void add_output_noise(const VectorBlock& b, float* u, u64 step, int phase) {
  const MvmJob& job = b.c.job;
  const float* noise = job.lines + 2 * b.c.m;
  if (b.c.p.out_noise_std <= 0.0f) {
    add_normals(u, b.c.m, b.c.p.out_noise, job.seed, job.streams.output, step, b.draws(phase));
    return;
  }
  with_normals(b.c.m, job.seed, job.streams.output, step, b.draws(phase), [&](const float* xi, i64 first, i64 width) {
    for (i64 k = 0; k < width; ++k) u[first + k] += noise[first + k] * xi[k];
  });
}

// From sums to the digital output, in units of the scaled input; true where an output went beyond the bound.
inline bool from_array(const VectorBlock& b, float* u, i64 row, int phase) {
  const Mvm& c = b.c;
  const MvmJob& job = c.job;
  const float* bend = job.lines + c.m;
  const i64 sample = b.active[row];
  const u64 step = c.step(sample);
  if (c.nonlinear)
    for (i64 i = 0; i < c.m; ++i) u[i] = bent(u[i], c.lines ? bend[i] : 0.0f, c.kappa);
  skew_all(u, c.m, c.p.out_asymmetry);
  add_output_noise(b, u, step, phase);
  if (is_on(c.p.out_sto_round) && c.adc.step > 0.0f) {
    float* dither = b.weighted + row * c.m;
    draw_dither(dither, c.m, job.seed, job.streams.output_round, step, b.draws(phase));
    size_dithered(u, dither, c.m, c.adc);
  } else {
    size_all(u, c.m, c.adc);
  }
  return read_all(u, c.m, c.adc, is_on(c.p.bm_test_negative_bound), job.clipped ? job.clipped + sample * c.m : nullptr);
}

inline void finish(const VectorBlock& b, float* u, int phase) {
  each_row(b, [&](i64 k) { b.beyond[k] |= (u32)from_array(b, u + k * b.c.m, k, phase); });
}

}  // namespace OHM_NS
