// SPDX-License-Identifier: Apache-2.0
// What one round of the analog product does to a block of vectors: input scaling, DAC, input noise | product, wires,
// columns, weight read noise | nonlinearity, output noise, ADC. Order and formulas: docs/physics/tile.md.
#pragma once
#include "kernels/converters.h"
#include "kernels/panels.h"
#include "kernels/product.h"

namespace OHM_NS {

using ohm_ops::MvmJob;

// (out, in); `panels` is null where it lies in rows alone.
struct Matrix {
  const float *rows, *panels;
};

// The weights as a phase reads them, and what wires and weight noise depend on: the last two or none.
struct ArrayView {
  Matrix weights, sizes, variances;
};

// Everything a product needs besides its data.
struct Mvm {
  const MvmJob& job;
  PeripheryParams p;
  i64 n, m;  // inputs and outputs
  MvmPlan plan;
  Converter dac, adc;
  float kappa = 1.0f, most_reduced;
  bool lines, columns, nonlinear, one_hot;
  bool panels;  // whether matrices lie in panels too
  ArrayView array{}, negative{};

  explicit Mvm(const MvmJob& job)
      : job(job),
        p(from_block<PeripheryParams>(job.params)),
        n(job.transposed ? job.out : job.in),
        m(job.transposed ? job.in : job.out),
        plan(plan_of(n, m, job.samples, job.threads, p)),
        dac(converter(p.inp_bound, p.inp_res)),
        adc(converter(p.out_bound, p.out_res)),
        most_reduced(largest_reduction(p)),
        lines(lines_differ(p)),
        columns(columns_matter(p)),
        nonlinear(output_is_bent(p)),
        one_hot(job.one_hot && !job.transposed && p.inp_noise <= 0.0f && !plan.dithered_inputs),
        panels(kHasPanels && plan.panels && !job.transposed && !one_hot) {}

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
  s.absolute = largest_size(x, n);
  if ((i32)p.noise_management == kMax) s.largest = largest_of(n, [&](i64 j) { return x[j]; });
  if (!sums) return s;
  s.positive = total_of(n, [&](i64 j) { return larger(x[j], 0.0f); });
  s.negative = total_of(n, [&](i64 j) { return larger(-x[j], 0.0f); });
  return s;
}

// The scale of every vector's first round. A scale of zero asks for an output of zero, without a draw.
inline void scale_input(const Mvm& c, i64 sample) {
  const bool sums = (i32)c.p.noise_management == kAbsMaxNpSum;
  const float* x = c.job.x + sample * c.n;
  const i64 hot = c.job.hot + sample;
  const InputStatistics s = c.one_hot ? statistics(x + hot, 1, c.p, sums) : statistics(x, c.n, c.p, sums);
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
  if (c.one_hot) {
    const i64 hot = job.hot + sample;
    __builtin_memset(z, 0, 4 * (u64)c.n);
    convert_all(z + hot, x + hot, 1, divisor, c.dac);
  } else if (is_on(c.p.inp_sto_round) && c.dac.step > 0.0f) {
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

inline void multiply(const Mvm& c, const Matrix& matrix, const float* x, float* y, i64 rows, int threads) {
  if (matrix.panels)
    panel_product(matrix.panels, x, y, rows, c.job.in, c.job.out, threads);
  else if (c.job.transposed)
    product_transposed(matrix.rows, x, y, rows, c.job.in, c.job.out, threads);
  else
    product(matrix.rows, x, y, rows, c.job.in, c.job.out, threads);
}

// Each vector drives one line: its column of weights for each, with the bits of the whole product. Some outputs at a time, so
// that their weights stay in the cache.
inline void pick_columns(const VectorBlock& b, const float* weights, const float* x, float* y) {
  const i64 n = b.c.n, m = b.c.m;
  for (i64 first = 0; first < m; first += kVec)
    for (i64 k = 0; k < b.rows; ++k) {
      const i64 line = b.c.job.hot + b.active[k];
      const float driven = x[k * n + line];
      for (i64 i = first; i < until(first, kVec, m); ++i) y[k * m + i] = driven * weights[i * n + line];
    }
}

inline void multiply_rows(const VectorBlock& b, const Matrix& matrix, const float* x, float* y) {
  if (b.c.one_hot)
    pick_columns(b, matrix.rows, x, y);
  else
    multiply(b.c, matrix, x, y, b.rows, b.c.plan.inside);
}

// The product of inputs that were changed one by one.
template <class Change>
inline void multiply_changed(const VectorBlock& b, const Matrix& matrix, const float* z, float* y, Change change) {
  each_row(b, [&](i64 k) {
    for (i64 j = 0; j < b.c.n; ++j) b.derived[k * b.c.n + j] = change(z[k * b.c.n + j], j);
  });
  multiply_rows(b, matrix, b.derived, y);
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
  multiply_rows(b, array.weights, z, u);
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

// The outputs of one vector at the ADC. True where one went beyond the bound: the largest tells for all.
inline bool read_all(float* u, i64 m, Converter adc, bool negative_too, u8* flags) {
  bool beyond = is_beyond(largest_size(u, m), adc, false);
  if (beyond && flags) mark_clipped(flags, u, m, adc);
  if (beyond && !negative_too) beyond = is_beyond(largest_of(m, [&](i64 i) { return u[i]; }), adc, false);
  values_of(u, m, adc);
  return beyond;
}

// What follows is done to vectors `first` .. `first + rows - 1` of the block, whose outputs start at `u`.

inline void add_output_noise(const VectorBlock& b, float* u, i64 first, i64 rows, int phase) {
  const MvmJob& job = b.c.job;
  const float *noise = job.lines + 2 * b.c.m, scale = b.c.p.out_noise;
  const i64 m = b.c.m;
  auto step_of = [&](i64 k) { return b.c.step(b.active[first + k]); };
  auto with = [&](auto use) { with_normals_of(rows, m, job.seed, job.streams.output, step_of, b.draws(phase), use); };
  if (b.c.p.out_noise_std > 0.0f)
    with([&](const float* xi, i64 k, i64 line, i64 width) {
      float* v = u + k * m + line;
      for (i64 i = 0; i < width; ++i) v[i] += noise[line + i] * xi[i];
    });
  else if (scale != 0.0f)
    with([&](const float* xi, i64 k, i64 line, i64 width) {
      float* v = u + k * m + line;
      for (i64 i = 0; i < width; ++i) v[i] += scale * xi[i];
    });
}

inline void to_codes(const VectorBlock& b, float* u, i64 first, i64 rows, int phase) {
  const Mvm& c = b.c;
  if (!is_on(c.p.out_sto_round) || c.adc.step <= 0.0f) {
    size_all(u, rows * c.m, c.adc);
    return;
  }
  for (i64 k = 0; k < rows; ++k) {
    float* dither = b.weighted + (first + k) * c.m;
    draw_dither(dither, c.m, c.job.seed, c.job.streams.output_round, c.step(b.active[first + k]), b.draws(phase));
    size_dithered(u + k * c.m, dither, c.m, c.adc);
  }
}

// Where no output of any vector is beyond the bound, all are read at once.
inline void read_rows(const VectorBlock& b, float* u, i64 first, i64 rows) {
  const Mvm& c = b.c;
  const i64 m = c.m;
  if (!is_beyond(largest_size(u, rows * m), c.adc, false)) {
    values_of(u, rows * m, c.adc);
    return;
  }
  for (i64 k = 0; k < rows; ++k) {
    u8* flags = c.job.clipped ? c.job.clipped + b.active[first + k] * m : nullptr;
    b.beyond[first + k] |= (u32)read_all(u + k * m, m, c.adc, is_on(c.p.bm_test_negative_bound), flags);
  }
}

// From sums to the digital output, in units of the scaled input; vectors with an output beyond the bound are marked.
inline void from_array(const VectorBlock& b, float* u, i64 first, i64 rows, int phase) {
  const Mvm& c = b.c;
  const float* bend = c.job.lines + c.m;
  for (i64 k = 0; c.nonlinear && k < rows; ++k)
    for (i64 i = 0; i < c.m; ++i) u[k * c.m + i] = bent(u[k * c.m + i], c.lines ? bend[i] : 0.0f, c.kappa);
  skew_all(u, rows * c.m, c.p.out_asymmetry);
  add_output_noise(b, u, first, rows, phase);
  to_codes(b, u, first, rows, phase);
  read_rows(b, u, first, rows);
}

inline void finish(const VectorBlock& b, float* u, int phase) {
  if (b.c.plan.inside == 1)
    from_array(b, u, 0, b.rows, phase);
  else
    each_row(b, [&](i64 k) { from_array(b, u + k * b.c.m, k, 1, phase); });
}

}  // namespace OHM_NS
