// SPDX-License-Identifier: Apache-2.0
// The analog product on the GPU, element by element: inputs to the array, sums to digital outputs. What happens to one
// element is in core/periphery.h; order and draws are those of kernels/mvm.h. The products between are torch's.
//
// A thread takes four consecutive lines of a vector, as these share a call of the generator. A vector whose scale is zero
// goes along without a draw; its output is zero.
#pragma once
#include "core/periphery.h"
#include "core/product_job.h"
#include "cuda/grid.h"

namespace OHM_NS {

using ohm_ops::ProductJob;
using ohm_ops::ProductPhase;

constexpr i64 kTogether = 4;  // lines of a call of the generator

struct Four {
  float v[kTogether];
};

// Four lines of one vector, or fewer at its end.
struct LineGroup {
  i64 row, sample, first;
  int count;
};

OHM_DEVICE i64 sample_of(const ProductJob& job, i64 row) { return job.active ? job.active[row] : row; }
OHM_DEVICE i64 groups_of(i64 lines) { return (lines + kTogether - 1) / kTogether; }

OHM_DEVICE LineGroup group_at(const ProductJob& job, i64 item, i64 lines) {
  const i64 row = item / groups_of(lines), first = item % groups_of(lines) * kTogether, left = lines - first;
  return {row, sample_of(job, row), first, (int)(left < kTogether ? left : kTogether)};
}

OHM_DEVICE bool is_silent(const ProductJob& job, i64 sample) { return !(job.scale[sample] > 0.0f); }

// Rounds and phases draw anew.
OHM_DEVICE Words words_of(const ProductJob& job, u32 stream, const LineGroup& at, int phase) {
  return draw_words(job.seed, stream, job.first_step + (u64)at.sample, (u32)(at.first / kTogether),
                    2 * job.round + (u32)phase);
}

// Uniform within +-1/2 where a converter rounds by chance, else zero.
OHM_DEVICE Four dither_of(const ProductJob& job, bool stochastic, u32 stream, const LineGroup& at, int phase) {
  Four dither{};
  if (!stochastic) return dither;
  const Words words = words_of(job, stream, at, phase);
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) dither.v[k] = unit_interval(words.v[k]) - 0.5f;
  return dither;
}

OHM_DEVICE Normals noise_of(const ProductJob& job, bool noisy, u32 stream, const LineGroup& at, int phase) {
  return noisy ? normals_of(words_of(job, stream, at, phase)) : Normals{};
}

// --- inputs ---

OHM_DEVICE float array_input(float v, float dither, float noise, const Converter& dac, const PeripheryParams& p) {
  float z = convert(v, dac, dither);
  if (p.inp_noise != 0.0f) z += p.inp_noise * noise;
  if (is_on(p.inp_noise_before_clip)) z = limited(z, dac);
  return p.inp_asymmetry == 0.0f ? z : skewed(z, p.inp_asymmetry);
}

// Negative inputs have a phase of their own, which comes first.
OHM_DEVICE void hand_over(const ProductJob& job, const PeripheryParams& p, i64 at, float z) {
  if ((i32)p.mv_type == kOnePass) {
    job.phase[0].inputs[at] = z;
    return;
  }
  job.phase[0].inputs[at] = smaller(z, 0.0f);
  job.phase[1].inputs[at] = larger(z, 0.0f);
}

OHM_DEVICE void send_group(const ProductJob& job, const PeripheryParams& p, const LineGroup& at) {
  const bool silent = is_silent(job, at.sample);
  const Converter dac = converter(p.inp_bound, p.inp_res);
  const bool stochastic = !silent && is_on(p.inp_sto_round) && dac.step > 0.0f;
  const Four dither = dither_of(job, stochastic, job.streams.input_round, at, 0);
  const Normals noise = noise_of(job, !silent && p.inp_noise != 0.0f, job.streams.input, at, 0);
  const float divisor = job.scale[at.sample] * job.reduction[at.sample];
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) {
    if (k >= at.count) continue;
    const float x = job.x[at.sample * job.n + at.first + k];
    const float z = silent ? 0.0f : array_input(x / divisor, dither.v[k], noise.v[k], dac, p);
    hand_over(job, p, at.row * job.n + at.first + k, z);
  }
}

OHM_DEVICE void send_inputs(const ProductJob& job, const PeripheryParams& p) {
  for (i64 item = first_item(); item < job.rows * groups_of(job.n); item += item_stride())
    send_group(job, p, group_at(job, item, job.n));
}

// --- inputs and weights changed for the products behind wires and weight noise ---

enum Change : i32 { kMagnitude, kNoiseVariance, kSquare, kPlaced, kNegativePhase };

OHM_DEVICE float changed(const ProductJob& job, const PeripheryParams& p, i32 what, float v, i64 e) {
  switch (what) {
    case kNoiseVariance: return noise_variance(v, p);
    case kSquare: return v * v;
    case kPlaced: return placed(v, e % job.n, (float)job.n);
    case kNegativePhase:
      return read_when_negative(v, Draws{job.construction_seed, (u32)e, kReadAsymmetry}, job.transposed != 0, p);
    default: return magnitude(v);
  }
}

// --- outputs ---

// A sum after wires and columns; output i of a row, element e of all sums.
OHM_DEVICE float after_array(const ProductJob& job, const PeripheryParams& p, const ProductPhase& phase, i64 row, i64 i) {
  const i64 e = row * job.m + i;
  float u = phase.sums[e];
  if (phase.placed) u = after_wires(u, phase.weighted[e], phase.placed[e], (float)job.n, p);
  if (columns_matter(p)) u = after_columns(u, phase.total[row], lines_differ(p) ? job.lines[i] : 0.0f, p);
  return u;
}

// Sums of one phase with the read noise of the weights.
OHM_DEVICE Four sums_of(const ProductJob& job, const PeripheryParams& p, const LineGroup& at, int number) {
  const ProductPhase& phase = job.phase[number];
  const bool noisy = p.w_noise > 0.0f;
  const Normals xi = noise_of(job, noisy, job.streams.weight, at, number);
  Four u{};
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) {
    if (k >= at.count) continue;
    const i64 i = at.first + k;
    u.v[k] = after_array(job, p, phase, at.row, i);
    if (!noisy) continue;
    const float spread = phase.variances ? square_root(phase.variances[at.row * job.m + i]) : phase.norm[at.row];
    u.v[k] += p.w_noise * spread * xi.v[k];
  }
  return u;
}

// One output between array and ADC.
OHM_DEVICE float after_stage(const ProductJob& job, const PeripheryParams& p, float u, float xi, i64 i) {
  if (output_is_bent(p)) u = bent(u, lines_differ(p) ? job.lines[job.m + i] : 0.0f, job.kappa[0]);
  if (p.out_asymmetry != 0.0f) u = skewed(u, p.out_asymmetry);
  const float noise = p.out_noise_std > 0.0f ? job.lines[2 * job.m + i] : p.out_noise;
  return p.out_noise_std > 0.0f || p.out_noise != 0.0f ? u + noise * xi : u;
}

// What was clipped of four outputs, one entry each.
struct FourFlags {
  u32 v[kTogether];
};

// Sums become digital outputs; true where one of them went beyond the bound.
OHM_DEVICE bool read_group(const ProductJob& job, const PeripheryParams& p, Four& u, FourFlags& clipped,
                           const LineGroup& at, int phase) {
  const Converter adc = converter(p.out_bound, p.out_res);
  const Normals xi = noise_of(job, p.out_noise_std > 0.0f || p.out_noise != 0.0f, job.streams.output, at, phase);
  const Four dither =
      dither_of(job, is_on(p.out_sto_round) && adc.step > 0.0f, job.streams.output_round, at, phase);
  bool hit = false;
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) {
    if (k >= at.count) continue;
    const float size = size_of(after_stage(job, p, u.v[k], xi.v[k], at.first + k), adc, dither.v[k]);
    u.v[k] = value_of(size, adc);
    hit |= is_beyond(size, adc, is_on(p.bm_test_negative_bound));
    clipped.v[k] |= clip_flags(size, adc);
  }
  return hit;
}

OHM_DEVICE void add_to(Four& u, const Four& other) {
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) u.v[k] += other.v[k];
}

// All phases of four outputs, digital.
OHM_DEVICE bool outputs_of(const ProductJob& job, const PeripheryParams& p, const LineGroup& at, Four& u,
                           FourFlags& clipped) {
  u = sums_of(job, p, at, 0);
  if ((i32)p.mv_type == kOnePass) return read_group(job, p, u, clipped, at, 0);
  Four second = sums_of(job, p, at, 1);
  if ((i32)p.mv_type == kPosNegSeparate) {
    add_to(u, second);
    return read_group(job, p, u, clipped, at, 0);
  }
  const bool first_hit = read_group(job, p, u, clipped, at, 0);
  const bool second_hit = read_group(job, p, second, clipped, at, 1);
  add_to(u, second);
  return first_hit | second_hit;
}

// Several threads may mark the same vector; all of them write a one.
OHM_DEVICE void finish_group(const ProductJob& job, const PeripheryParams& p, const LineGroup& at) {
  Four u{};
  FourFlags clipped{};
  const bool silent = is_silent(job, at.sample);
  if (!silent && outputs_of(job, p, at, u, clipped) && may_repeat(job.reduction[at.sample], p)) job.again[at.row] = 1;
  const float factor = p.out_scale * job.scale[at.sample] * job.reduction[at.sample];
  OHM_UNROLL(4)
  for (int k = 0; k < 4; ++k) {
    if (k >= at.count) continue;
    const i64 e = at.sample * job.m + at.first + k;
    job.y[e] = silent ? 0.0f : u.v[k] * factor;
    if (job.clipped) job.clipped[e] = (u8)clipped.v[k];
  }
}

OHM_DEVICE void read_outputs(const ProductJob& job, const PeripheryParams& p) {
  for (i64 item = first_item(); item < job.rows * groups_of(job.m); item += item_stride())
    finish_group(job, p, group_at(job, item, job.m));
}

// --- what differs from output to output ---

OHM_DEVICE void draw_output_lines(const ProductJob& job, const PeripheryParams& p) {
  for (i64 i = first_item(); i < job.m; i += item_stride()) {
    const OutputLine line = output_line(p, {job.construction_seed, (u32)i, job.streams.lines});
    job.lines[i] = line.offset, job.lines[job.m + i] = line.bend, job.lines[2 * job.m + i] = line.noise;
  }
}

// One thread: the mean is summed in the order of the CPU.
OHM_DEVICE void calibrate_outputs(const ProductJob& job, const PeripheryParams& p) {
  float mean = 0.0f;
  for (i64 i = 0; lines_differ(p) && i < job.m; ++i) mean += job.lines[job.m + i];
  job.kappa[0] = calibration(mean / (float)job.m, p);
}

}  // namespace OHM_NS
