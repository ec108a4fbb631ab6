// SPDX-License-Identifier: Apache-2.0
// What an update does to one line and one crosspoint, as functions for CPU and GPU: from an entry of x or d to a
// probability, a train or a level, and from two lines to a pulse and its direction.
#pragma once
#include "core/ops.h"
#include "core/random.h"

namespace OHM_NS {

using ohm_ops::UpdateJob;

constexpr int kSlotsPerWord = 32;
constexpr u32 kRunCalls = 16;            // calls of the generator that a run of draws takes together
constexpr u32 kRunBlock = 4 * kRunCalls;  // and the draws they give
constexpr i64 kSpan = 1024;  // columns of a row whose draws are numbered together: part of every result

OHM_HD float probability_of(float value, float scale) { return magnitude(value) * scale; }

// Rounds a probability to whole multiples of `res`, half to even or, with a jitter within +-1/2, stochastically.
OHM_HD float quantised(float p, float res, float jitter) { return res * rounded(p / res + jitter); }
OHM_HD float jitter_of(u32 word) { return unit_interval(word) - 0.5f; }

// A slot fires where its random word is below the threshold: 2^-32 resolution. Probability 1 needs a flag of its own.
OHM_HD u32 threshold_of(float p) { return (u32)(i64)(smaller(p, 0.99999994f) * 4294967296.0f); }
OHM_HD u32 always_of(float p) { return p >= 1.0f ? 1u : 0u; }
OHM_HD u32 fires(u32 word, u32 threshold, u32 always) { return (u32)(word < threshold) | always; }

// Four lines share a call of the generator for each slot, those of the same place in four successive groups of sixteen.
OHM_HD u32 element_of_line(i64 line) { return (u32)(line / kRunBlock * kRunCalls + line % kRunCalls); }

// Draw `number` of a run: of `kRunCalls` calls together, all first numbers come first, then all second ones ...
OHM_HD u32 call_of_draw(u32 number) { return number / kRunBlock * kRunCalls + number % kRunCalls; }
OHM_HD u32 draw_of_call(u32 call, u32 k) { return call / kRunCalls * kRunBlock + k * kRunCalls + call % kRunCalls; }

// The deterministic kinds carry a level per line instead of a train: whole pulses, or a quantised probability.
OHM_HD float level_of(float p, i32 kind, i32 length) {
  return kind == ohm_ops::kMeanCount ? clamped(rounded((float)length * p), 0.0f, (float)length)
                                     : clamped(p, 0.0f, 1.0f);
}

// What the deterministic kinds count at a crosspoint.
OHM_HD i32 level_count(const UpdateJob& job, i64 t, i64 row, i64 column, i64 out, i64 in) {
  const float length = (float)job.scales[t].length, d = job.d_level[t * out + row];
  const float factor = job.kind == ohm_ops::kMeanCount ? d / length : length * d;
  return (i32)rounded(factor * job.x_level[t * in + column]);
}

// A row that sends no pulse in this sample needs no look at its columns.
OHM_HD bool row_is_silent(const UpdateJob& job, i64 t, i64 row, i64 out) {
  if (job.scales[t].length == 0 || job.d[t * out + row] == 0.0f) return true;
  if (job.kind != ohm_ops::kStochastic) return job.d_level[t * out + row] == 0.0f;
  u32 any = 0;
  for (i64 word = 0; word < job.words; ++word) any |= job.d_train[(t * job.words + word) * out + row];
  return any == 0;
}

// A pulse goes down where lr * d * x > 0; this is its direction where x > 0.
OHM_HD float sign_where_x_positive(const UpdateJob& job, i64 t, i64 row, i64 out) {
  return (job.d[t * out + row] > 0.0f) == job.negative ? 1.0f : -1.0f;
}
OHM_HD float direction_of(float x, float sign) { return x > 0.0f ? sign : -sign; }

// One sample of the floating-point update W -= lr d x^T at one crosspoint; `scale` is lr d.
OHM_HD float outer_step(float w, float scale, float x) { return w - scale * x; }

}  // namespace OHM_NS
