// SPDX-License-Identifier: Apache-2.0
// The analog matrix-vector product: input scaling, DAC, input noise | product, wires, columns, weight read noise |
// nonlinearity, output noise, ADC, rescaling; repeated with smaller inputs for vectors whose output hit the bound.
// Order and formulas: docs/physics/tile.md.
#pragma once
#include "core/periphery.h"
#include "kernels/draws.h"
#include "kernels/line.h"
#include "kernels/product.h"

namespace OHM_NS {

using ohm_ops::MvmJob;

// Everything a product needs besides its data.
struct Mvm {
  const MvmJob& job;
  PeripheryParams p;
  i64 n, m;  // inputs and outputs
  Converter dac, adc;
  float kappa = 1.0f;
  bool one_pass, lines, wires, columns, nonlinear, weighted_noise;
  u32 round = 0;

  explicit Mvm(const MvmJob& job)
      : job(job),
        p(from_block<PeripheryParams>(job.params)),
        n(job.transposed ? job.out : job.in),
        m(job.transposed ? job.in : job.out),
        dac(converter(p.inp_bound, p.inp_res)),
        adc(converter(p.out_bound, p.out_res)),
        one_pass((i32)p.mv_type == kOnePass),
        lines(lines_differ(p)),
        wires(p.ir_drop > 0.0f),
        columns(columns_matter(p)),
        nonlinear(output_is_bent(p)),
        weighted_noise(p.w_noise > 0.0f && (i32)p.w_noise_type != kAdditiveConstant) {}

  u64 step(i64 sample) const { return job.first_step + (u64)sample; }
  u32 block(int phase) const { return 2 * round + (u32)phase; }  // rounds and phases draw anew
};

// Draws for up to kLineDraws lines from `first` on, in order. Four consecutive lines share one call of the generator.
constexpr i64 kLineDraws = 4 * kBatch;

inline void line_words(Drawn<u32>& word, i64 first, u64 seed, u32 stream, u64 step, u32 block) {
  alignas(64) u32 group[kBatch];
  number_calls(group, (u32)(first / 4), kBatch);
  philox_lanes(word.row[0], kBatch, seed, stream, step, group, block);
}

inline void in_order(float* to, const Drawn<float>& z) {
  for (i64 l = 0; l < kBatch; l += kCalls) interleave(to + 4 * l, z, l);
}

inline void line_normals(float* to, i64 first, u64 seed, u32 stream, u64 step, u32 block) {
  Drawn<u32> word;
  Drawn<float> z;
  line_words(word, first, seed, stream, step, block);
  turn_normal(z, word, kBatch);
  in_order(to, z);
}

// Calls use(draws, first, width) for all lines.
template <class Use>
inline void with_normals(i64 n, u64 seed, u32 stream, u64 step, u32 block, Use use) {
  alignas(64) float xi[kLineDraws];
  for (i64 first = 0; first < n; first += kLineDraws) {
    line_normals(xi, first, seed, stream, step, block);
    use(xi, first, n - first < kLineDraws ? n - first : kLineDraws);
  }
}

inline void add_normals(float* v, i64 n, float scale, u64 seed, u32 stream, u64 step, u32 block) {
  if (scale == 0.0f) return;
  with_normals(n, seed, stream, step, block, [&](const float* xi, i64 first, i64 width) {
    for (i64 k = 0; k < width; ++k) v[first + k] += scale * xi[k];
  });
}

// Uniform within +-1/2, for stochastic rounding.
inline void draw_dither(float* v, i64 n, u64 seed, u32 stream, u64 step, u32 block) {
  alignas(64) float uniform[kLineDraws];
  for (i64 first = 0; first < n; first += kLineDraws) {
    Drawn<u32> word;
    Drawn<float> z;
    line_words(word, first, seed, stream, step, block);
    for (int row = 0; row < 4; ++row)
      for (i64 l = 0; l < kBatch; ++l) z.row[row][l] = unit_interval(word.row[row][l]) - 0.5f;
    in_order(uniform, z);
    const i64 width = n - first < kLineDraws ? n - first : kLineDraws;
    for (i64 k = 0; k < width; ++k) v[first + k] = uniform[k];
  }
}

// Sixteen partial results, whatever the instruction set: the same bits everywhere.
template <class Term>
inline float total_of(i64 n, Term term) {
  float part[kVec] = {}, total = 0.0f;
  i64 j = 0;
  for (; j + kVec <= n; j += kVec)
    for (i64 l = 0; l < kVec; ++l) part[l] += term(j + l);
  for (; j < n; ++j) total += term(j);
  for (i64 l = 0; l < kVec; ++l) total += part[l];
  return total;
}

// The largest term, 0 if none is positive; many comparisons at a time, as each waits for the one before.
template <class Term>
inline float largest_of(i64 n, Term term) {
  constexpr i64 width = 4 * kVec;
  float part[width] = {}, most = 0.0f;
  i64 j = 0;
  for (; j + width <= n; j += width)
    for (i64 l = 0; l < width; ++l) part[l] = larger(part[l], term(j + l));
  for (; j < n; ++j) most = larger(most, term(j));
  for (i64 l = 0; l < width; ++l) most = larger(most, part[l]);
  return most;
}

inline InputStatistics statistics(const float* x, i64 n, bool sums) {
  InputStatistics s{0.0f, 0.0f, 0.0f, 0.0f};
  s.absolute = largest_of(n, [&](i64 j) { return magnitude(x[j]); });
  s.largest = largest_of(n, [&](i64 j) { return x[j]; });
  if (!sums) return s;
  s.positive = total_of(n, [&](i64 j) { return larger(x[j], 0.0f); });
  s.negative = total_of(n, [&](i64 j) { return larger(-x[j], 0.0f); });
  return s;
}

// The scale of every vector's first round. A scale of zero asks for an output of zero, without a draw.
inline void scale_input(const Mvm& c, i64 sample) {
  const bool sums = (i32)c.p.noise_management == kAbsMaxNpSum;
  const InputStatistics s = statistics(c.job.x + sample * c.n, c.n, sums);
  c.job.scale[sample] = input_scale(s, c.p, c.job.average);
  c.job.reduction[sample] = 1.0f;
}

// The worst-case rule looks at the sum of the inputs in the second round.
inline void rescale(const Mvm& c, i64 sample) {
  if (tries_worst_case(c.p, c.round))
    c.job.scale[sample] = np_sum_scale(statistics(c.job.x + sample * c.n, c.n, true), c.p);
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

inline void to_array(const Mvm& c, i64 row, i64 sample) {
  const MvmJob& job = c.job;
  const float* x = job.x + sample * c.n;
  float *z = job.scaled + row * c.n, *dither = job.derived + row * c.n;
  const float divisor = job.scale[sample] * job.reduction[sample];
  const u64 step = c.step(sample);
  if (is_on(c.p.inp_sto_round) && c.dac.step > 0.0f) {
    draw_dither(dither, c.n, job.seed, job.streams.input_round, step, c.block(0));
    convert_dithered(z, x, dither, c.n, divisor, c.dac);
  } else {
    convert_all(z, x, c.n, divisor, c.dac);
  }
  add_normals(z, c.n, c.p.inp_noise, job.seed, job.streams.input, step, c.block(0));
  if (is_on(c.p.inp_noise_before_clip))
    for (i64 j = 0; j < c.n; ++j) z[j] = limited(z[j], c.dac);
  skew_all(z, c.n, c.p.inp_asymmetry);
}

inline void multiply(const Mvm& c, const float* weights, const float* x, float* y, i64 rows) {
  if (c.job.transposed)
    product_transposed(weights, x, y, rows, c.job.in, c.job.out, c.job.threads);
  else
    product(weights, x, y, rows, c.job.in, c.job.out, c.job.threads);
}

// Inputs changed element by element, and their product with weights changed element by element.
template <class Weight, class Input>
inline void multiply_changed(const Mvm& c, const float* weights, const float* z, float* y, i64 rows, Weight weight,
                             Input input) {
  const MvmJob& job = c.job;
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 e = 0; e < job.out * job.in; ++e) job.matrix[e] = weight(weights[e]);
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 k = 0; k < rows; ++k)
    for (i64 j = 0; j < c.n; ++j) job.derived[k * c.n + j] = input(z[k * c.n + j], j);
  multiply(c, job.matrix, job.derived, y, rows);
}

inline void lose_to_wires(const Mvm& c, const float* weights, const float* z, float* u, i64 rows) {
  const MvmJob& job = c.job;
  const float inputs = (float)c.n;
  multiply_changed(c, weights, z, job.weighted, rows, [](float w) { return magnitude(w); },
                   [](float v, i64) { return magnitude(v); });
  multiply_changed(c, weights, z, job.placed, rows, [](float w) { return w; },
                   [&](float v, i64 j) { return placed(v, j, inputs); });
  for (i64 k = 0; k < rows * c.m; ++k) u[k] = after_wires(u[k], job.weighted[k], job.placed[k], inputs, c.p);
}

inline void pass_columns(const Mvm& c, const float* z, float* u) {
  const float total = total_of(c.n, [&](i64 j) { return z[j]; });
  for (i64 i = 0; i < c.m; ++i) u[i] = after_columns(u[i], total, c.lines ? c.job.lines[i] : 0.0f, c.p);
}

inline void add_weight_noise(const Mvm& c, const float* z, const float* variance, float* u, i64 sample, int phase) {
  const MvmJob& job = c.job;
  const u64 step = c.step(sample);
  if (!c.weighted_noise) {
    const float norm = square_root(total_of(c.n, [&](i64 j) { return z[j] * z[j]; }));
    add_normals(u, c.m, c.p.w_noise * norm, job.seed, job.streams.weight, step, c.block(phase));
    return;
  }
  with_normals(c.m, job.seed, job.streams.weight, step, c.block(phase), [&](const float* xi, i64 first, i64 width) {
    for (i64 k = 0; k < width; ++k) u[first + k] += c.p.w_noise * square_root(variance[first + k]) * xi[k];
  });
}

// One activation of the array with inputs z (rows, n): sums (rows, m).
inline void activate(const Mvm& c, const float* weights, const float* z, float* u, i64 rows, int phase) {
  const MvmJob& job = c.job;
  multiply(c, weights, z, u, rows);
  if (c.wires) lose_to_wires(c, weights, z, u, rows);
  if (c.weighted_noise)
    multiply_changed(c, weights, z, job.weighted, rows, [&](float w) { return noise_variance(w, c.p); },
                     [](float v, i64) { return v * v; });
  if (!c.columns && c.p.w_noise <= 0.0f) return;
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 k = 0; k < rows; ++k) {
    if (c.columns) pass_columns(c, z + k * c.n, u + k * c.m);
    if (c.p.w_noise > 0.0f)
      add_weight_noise(c, z + k * c.n, job.weighted + k * c.m, u + k * c.m, job.active[k], phase);
  }
}

// Outputs at the ADC, in loops that vectorise. True where one went beyond the bound: the largest tells for all.
inline bool read_all(float* u, i64 m, Converter adc, bool negative_too) {
  const float most = negative_too ? largest_of(m, [&](i64 i) { return magnitude(u[i]); })
                                  : largest_of(m, [&](i64 i) { return u[i]; });
  const float unit = unit_of(adc), bound = adc.bound;
  if (bound > 0.0f)
    for (i64 i = 0; i < m; ++i) u[i] = clamped(u[i] * unit, -bound, bound);
  return is_beyond(most, adc, false);
}

inline void size_all(float* u, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, 0.0f);
}

inline void size_dithered(float* u, const float* dither, i64 m, Converter adc) {
  for (i64 i = 0; i < m; ++i) u[i] = size_of(u[i], adc, dither[i]);
}

// From sums to the digital output, in units of the scaled input; true where an output went beyond the bound.
inline bool from_array(const Mvm& c, float* u, float* dither, i64 sample, int phase) {
  const MvmJob& job = c.job;
  const float* bend = job.lines + c.m;
  const float* noise = job.lines + 2 * c.m;
  const u64 step = c.step(sample);
  if (c.nonlinear)
    for (i64 i = 0; i < c.m; ++i) u[i] = bent(u[i], c.lines ? bend[i] : 0.0f, c.kappa);
  skew_all(u, c.m, c.p.out_asymmetry);
  if (c.p.out_noise_std > 0.0f)
    with_normals(c.m, job.seed, job.streams.output, step, c.block(phase), [&](const float* xi, i64 first, i64 width) {
      for (i64 k = 0; k < width; ++k) u[first + k] += noise[first + k] * xi[k];
    });
  else
    add_normals(u, c.m, c.p.out_noise, job.seed, job.streams.output, step, c.block(phase));
  if (is_on(c.p.out_sto_round) && c.adc.step > 0.0f) {
    draw_dither(dither, c.m, job.seed, job.streams.output_round, step, c.block(phase));
    size_dithered(u, dither, c.m, c.adc);
  } else {
    size_all(u, c.m, c.adc);
  }
  return read_all(u, c.m, c.adc, is_on(c.p.bm_test_negative_bound));
}

template <class Part>
inline void take_phase(const Mvm& c, i64 rows, Part part) {
  for (i64 k = 0; k < rows * c.n; ++k) c.job.phase[k] = part(c.job.scaled[k]);
}

inline void finish(const Mvm& c, float* u, i64 rows, int phase) {
#pragma omp parallel for num_threads(c.job.threads) schedule(static)
  for (i64 k = 0; k < rows; ++k)
    c.job.beyond[k] |= (u32)from_array(c, u + k * c.m, c.job.weighted + k * c.m, c.job.active[k], phase);
}

inline void add_rows(float* to, const float* from, i64 count) {
  for (i64 k = 0; k < count; ++k) to[k] += from[k];
}

// Negative inputs in a phase of their own, through the devices' read asymmetry where there is any; then the positive ones.
inline void separate_phases(const Mvm& c, i64 rows) {
  const MvmJob& job = c.job;
  const bool digital = (i32)c.p.mv_type == kPosNegDigitalSum;
  take_phase(c, rows, [](float v) { return smaller(v, 0.0f); });
  activate(c, c.p.w_read_asymmetry_dtod > 0.0f ? job.factors : job.weights, job.phase, job.sums, rows, 0);
  if (digital) finish(c, job.sums, rows, 0);
  take_phase(c, rows, [](float v) { return larger(v, 0.0f); });
  activate(c, job.weights, job.phase, job.second, rows, 1);
  if (digital) finish(c, job.second, rows, 1);
  add_rows(job.sums, job.second, rows * c.m);
  if (!digital) finish(c, job.sums, rows, 0);
}

inline void draw_lines(Mvm& c) {
  const MvmJob& job = c.job;
  if (c.lines) {
    float mean = 0.0f;
    for (i64 i = 0; i < c.m; ++i) {
      const OutputLine line = output_line(c.p, {job.construction_seed, (u32)i, job.streams.lines});
      job.lines[i] = line.offset, job.lines[c.m + i] = line.bend, job.lines[2 * c.m + i] = line.noise;
      mean += line.bend;
    }
    c.kappa = calibration(mean / (float)c.m, c.p);
  } else {
    c.kappa = calibration(0.0f, c.p);
  }
  if (c.one_pass || c.p.w_read_asymmetry_dtod <= 0.0f) return;
  for (i64 e = 0; e < job.out * job.in; ++e) {
    const Draws draws{job.construction_seed, (u32)e, kReadAsymmetry};
    job.factors[e] = read_when_negative(job.weights[e], draws, job.transposed, c.p);
  }
}

// One round for all vectors still active; keeps those active that hit the bound and may be repeated.
inline i64 run_round(Mvm& c, i64 rows) {
  const MvmJob& job = c.job;
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 k = 0; k < rows; ++k) {
    job.beyond[k] = 0;
    if (c.round > 0) rescale(c, job.active[k]);
    to_array(c, k, job.active[k]);
  }
  if (c.one_pass) {
    activate(c, job.weights, job.scaled, job.sums, rows, 0);
    finish(c, job.sums, rows, 0);
  } else {
    separate_phases(c, rows);
  }
  i64 left = 0;
  for (i64 k = 0; k < rows; ++k) {
    const i64 sample = job.active[k];
    const float factor = c.p.out_scale * job.scale[sample] * job.reduction[sample];
    for (i64 i = 0; i < c.m; ++i) job.y[sample * c.m + i] = job.sums[k * c.m + i] * factor;
    if (job.rounds) job.rounds[sample] = (i32)c.round + 1;
    if (job.beyond[k] && may_repeat(job.reduction[sample], c.p)) job.active[left++] = sample;
  }
  ++c.round;
  return left;
}

inline void analog_product(const MvmJob& job) {
  Mvm c(job);
  if (is_on(c.p.is_perfect)) {
    multiply(c, job.weights, job.x, job.y, job.samples);
    for (i64 k = 0; k < job.samples * c.m; ++k) job.y[k] *= c.p.out_scale;
    return;
  }
  draw_lines(c);
#pragma omp parallel for num_threads(job.threads) schedule(static)
  for (i64 s = 0; s < job.samples; ++s) scale_input(c, s);
  i64 rows = 0;
  for (i64 s = 0; s < job.samples; ++s) {
    if (job.rounds) job.rounds[s] = 0;
    if (job.scale[s] > 0.0f) {
      job.active[rows++] = s;
      continue;
    }
    for (i64 i = 0; i < c.m; ++i) job.y[s * c.m + i] = 0.0f;
  }
  while (rows > 0) rows = run_round(c, rows);
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
  add_normals(out, count, 1.0f, seed, stream, step, 0);
}

}  // namespace OHM_NS
