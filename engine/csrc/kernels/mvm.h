// SPDX-License-Identifier: Apache-2.0
// The analog matrix-vector product: phases, rounds of bound management, workers; kernels/vector_block.h has the rest.
//
// A worker takes its vectors through all of it in blocks that stay in its cache. Vectors whose output hit the bound are
// repeated with smaller inputs.
#pragma once
#include "kernels/line.h"
#include "kernels/vector_block.h"

namespace OHM_NS {

// --- phases and rounds ---

template <class Part>
inline void take_phase(const VectorBlock& b, Part part) {
  for (i64 k = 0; k < b.rows * b.c.n; ++k) b.phase[k] = part(b.scaled[k]);
}

inline void add_rows(float* to, const float* from, i64 count) {
  for (i64 k = 0; k < count; ++k) to[k] += from[k];
}

// Negative inputs in a phase of their own, through the devices' read asymmetry where there is any; then the positive ones.
inline void separate_phases(const VectorBlock& b) {
  const bool digital = (i32)b.c.p.mv_type == kPosNegDigitalSum;
  take_phase(b, [](float v) { return smaller(v, 0.0f); });
  activate(b, b.c.negative, b.phase, b.sums, 0);
  if (digital) finish(b, b.sums, 0);
  take_phase(b, [](float v) { return larger(v, 0.0f); });
  activate(b, b.c.array, b.phase, b.second, 1);
  if (digital) finish(b, b.second, 1);
  add_rows(b.sums, b.second, b.rows * b.c.m);
  if (!digital) finish(b, b.sums, 0);
}

inline void no_flags(const Mvm& c, i64 sample) {
  if (c.job.clipped) __builtin_memset(c.job.clipped + sample * c.m, 0, (u64)c.m);
}

// Digital outputs of a round. Returns how many vectors hit the bound and may be repeated: the first of `left`.
inline i64 hand_out(const VectorBlock& b, i64* left) {
  const MvmJob& job = b.c.job;
  const i64 m = b.c.m;
  i64 count = 0;
  for (i64 k = 0; k < b.rows; ++k) {
    const i64 sample = b.active[k];
    const float factor = b.c.p.out_scale * job.scale[sample] * job.reduction[sample];
    for (i64 i = 0; i < m; ++i) job.y[sample * m + i] = b.sums[k * m + i] * factor;
    if (job.rounds) job.rounds[sample] = (i32)b.round + 1;
    if (b.beyond[k] && job.reduction[sample] <= b.c.most_reduced) left[count++] = sample;
  }
  return count;
}

inline void run_block(const VectorBlock& b) {
  each_row(b, [&](i64 k) {
    b.beyond[k] = 0;
    no_flags(b.c, b.active[k]);
    if (b.round > 0) rescale(b, b.active[k]);
    to_array(b, k);
  });
  if (b.c.plan.phases) {
    separate_phases(b);
    return;
  }
  activate(b, b.c.array, b.scaled, b.sums, 0);
  finish(b, b.sums, 0);
}

// One round of a worker's vectors; the list then starts with those to be repeated.
inline i64 run_round(VectorBlock& b, i64* active, i64 count) {
  i64 left = 0;
  for (i64 first = 0; first < count; first += b.c.plan.block) {
    b.active = active + first;
    b.rows = until(first, b.c.plan.block, count) - first;
    run_block(b);
    left += hand_out(b, active + left);
  }
  ++b.round;
  return left;
}

// Vectors first .. last - 1. One whose scale is zero is zero, without a product.
inline void run_vectors(const Mvm& c, float* buffer, i64 first, i64 last) {
  const MvmJob& job = c.job;
  i64 count = 0, *active = job.active + first;
  for (i64 s = first; s < last; ++s) {
    scale_input(c, s);
    if (job.rounds) job.rounds[s] = 0;
    if (job.scale[s] > 0.0f) {
      active[count++] = s;
      continue;
    }
    no_flags(c, s);
    for (i64 i = 0; i < c.m; ++i) job.y[s * c.m + i] = 0.0f;
  }
  VectorBlock b(c, buffer);
  b.beyond = job.beyond + first;
  while (count > 0) count = run_round(b, active, count);
}

// --- what is drawn or derived once a call ---

inline void draw_lines(Mvm& c) {
  const MvmJob& job = c.job;
  float mean = 0.0f;
  for (i64 i = 0; c.lines && i < c.m; ++i) {
    const OutputLine line = output_line(c.p, {job.construction_seed, (u32)i, job.streams.lines});
    job.lines[i] = line.offset, job.lines[c.m + i] = line.bend, job.lines[2 * c.m + i] = line.noise;
    mean += line.bend;
  }
  c.kappa = calibration(mean / (float)c.m, c.p);
}

template <class Change>
inline const float* matrix_of(const Mvm& c, float* to, Change change) {
  if (c.job.prepared) return to;
  share(c.job.out, c.job.threads, [&](i64 row) {
    for (i64 e = row * c.job.in; e < (row + 1) * c.job.in; ++e) to[e] = change(e);
  });
  return to;
}

// Where the next matrix is put, in rows and in panels.
struct Space {
  float *rows, *panels;
};

// A matrix, in panels too where they pay.
inline Matrix laid_out(const Mvm& c, const float* rows, Space& to) {
  if (!c.panels) return {rows, nullptr};
  const Matrix matrix{rows, to.panels};
  if (!c.job.prepared) fill_panels(rows, c.job.out, c.job.in, c.job.threads, to.panels);
  to.panels += c.plan.panel_floats();
  return matrix;
}

template <class Change>
inline Matrix new_matrix(const Mvm& c, Space& to, Change change) {
  const float* rows = matrix_of(c, to.rows, change);
  to.rows += c.job.out * c.job.in;
  return laid_out(c, rows, to);
}

// A view of `weights` with the matrices that are asked for.
inline ArrayView view_of(const Mvm& c, const float* weights, Space& to) {
  ArrayView view{laid_out(c, weights, to), {}, {}};
  if (c.plan.wires) view.sizes = new_matrix(c, to, [&](i64 e) { return magnitude(weights[e]); });
  if (c.plan.variances) view.variances = new_matrix(c, to, [&](i64 e) { return noise_variance(weights[e], c.p); });
  return view;
}

inline void view_array(Mvm& c) {
  const MvmJob& job = c.job;
  Space to{job.matrices, job.panels};
  c.negative = c.array = view_of(c, job.weights, to);
  if (!c.plan.factors) return;
  c.negative = view_of(c, matrix_of(c, job.factors, [&](i64 e) {
    return read_when_negative(job.weights[e], {job.construction_seed, (u32)e, kReadAsymmetry}, job.transposed, c.p);
  }), to);
}

inline void perfect_product(const Mvm& c) {
  const MvmJob& job = c.job;
  Space to{nullptr, job.panels};
  multiply(c, laid_out(c, job.weights, to), job.x, job.y, job.samples, job.threads);
  if (job.clipped) __builtin_memset(job.clipped, 0, (u64)(job.samples * c.m));
  if (c.p.out_scale == 1.0f) return;
  for (i64 k = 0; k < job.samples * c.m; ++k) job.y[k] *= c.p.out_scale;
}

inline void analog_product(const MvmJob& job) {
  Mvm c(job);
  if (is_on(c.p.is_perfect)) {
    perfect_product(c);
    return;
  }
  draw_lines(c);
  view_array(c);
  const i64 workers = c.plan.workers;
  share(workers, c.plan.workers, [&](i64 k) {
    run_vectors(c, job.blocks + k * c.plan.worker_floats(), k * job.samples / workers, (k + 1) * job.samples / workers);
  });
}

// The floating-point update W -= lr d x^T, samples in order.
inline void outer_update(float* weights, const float* x, const float* d, float lr, i64 out, i64 in, i64 samples,
                         int threads) {
  share(out, threads, [&](i64 i) {
    for (i64 s = 0; s < samples; ++s) {
      const float scale = lr * d[s * out + i];
      for (i64 j = 0; j < in; ++j) weights[i * in + j] = outer_step(weights[i * in + j], scale, x[s * in + j]);
    }
  });
}

}  // namespace OHM_NS
