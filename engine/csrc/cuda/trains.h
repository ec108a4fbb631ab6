// SPDX-License-Identifier: Apache-2.0
// Trains or levels of an update's lines on the GPU, one thread for the lines that share calls of the generator; the formulas
// are in kernels/line.h.
// A column keeps its train as a row does, 32 slots a word: two words and a count of ones give a crosspoint's pulses.
#pragma once
#include "cuda/grid.h"
#include "kernels/line.h"

namespace OHM_NS {

// The lines of one sample that share calls of the generator, rows or columns: `first`, and up to three more, sixteen apart.
struct CallGroup {
  i64 sample, first, count;
  bool column;
  u32 element;  // in the generator's counter

  OHM_DEVICE i64 line(u32 k) const { return first + k * kRunCalls; }
  OHM_DEVICE u32 stream() const { return column ? kTrainX : kTrainD; }
};

OHM_DEVICE i64 call_groups(i64 lines) { return (lines + kRunBlock - 1) / kRunBlock * kRunCalls; }

OHM_DEVICE CallGroup call_group_at(i64 item, i64 out, i64 in) {
  const i64 of_columns = call_groups(in), all = of_columns + call_groups(out), at = item % all;
  const bool column = at < of_columns;
  const i64 group = column ? at : at - of_columns;
  return {item / all, group / kRunCalls * kRunBlock + group % kRunCalls, column ? in : out, column, (u32)group};
}

OHM_DEVICE float probability_at(const UpdateJob& job, const CallGroup& at, i64 line, u64 seed) {
  const float value = at.column ? job.x[at.sample * at.count + line] : job.d[at.sample * at.count + line];
  const float res = at.column ? job.x_res : job.d_res;
  const ohm_ops::SampleScale& scale = job.scales[at.sample];
  const float p = probability_of(value, at.column ? scale.x_scale : scale.d_scale);
  if (res <= 0.0f) return p;
  const u64 step = job.first_step + (u64)at.sample;
  const float jitter =
      job.sto_round ? jitter_of(draw_words(seed, kTrainRound, step, (u32)line, at.stream()).v[0]) : 0.0f;
  return quantised(p, res, jitter);
}

// What a slot of four lines' trains is drawn with; lines that do not exist never fire.
struct LineThresholds {
  u32 threshold[4], always[4];
};

OHM_DEVICE LineThresholds thresholds_of(const UpdateJob& job, const CallGroup& at, u64 seed) {
  LineThresholds t;
  OHM_UNROLL(4)
  for (u32 k = 0; k < 4; ++k) {
    const float p = at.line(k) < at.count ? probability_at(job, at, at.line(k), seed) : 0.0f;
    t.threshold[k] = threshold_of(p), t.always[k] = always_of(p);
  }
  return t;
}

// Slots 32 word .. 32 word + 31 of the trains, as far as they exist.
OHM_DEVICE Words train_words(const CallGroup& at, const LineThresholds& t, i64 word, i64 length, u64 seed, u64 step) {
  const i64 from = word * kSlotsPerWord, to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
  Words bits{};
  for (i64 slot = from; slot < to; ++slot) {
    const Words w = draw_words<kUpdateRounds>(seed, at.stream(), step, at.element, (u32)slot);
    OHM_UNROLL(4)
    for (int k = 0; k < 4; ++k) bits.v[k] |= fires(w.v[k], t.threshold[k], t.always[k]) << (slot - from);
  }
  return bits;
}

OHM_DEVICE void encode_levels(const UpdateJob& job, const CallGroup& at, u64 seed) {
  float* level = (at.column ? job.x_level : job.d_level) + at.sample * at.count;
  for (u32 k = 0; k < 4; ++k)
    if (at.line(k) < at.count)
      level[at.line(k)] =
          level_of(probability_at(job, at, at.line(k), seed), job.kind, (i32)job.scales[at.sample].length);
}

OHM_DEVICE void encode_trains(const UpdateJob& job, u32* x_train, const CallGroup& at, u64 seed) {
  u32* train = (at.column ? x_train : job.d_train) + at.sample * job.words * at.count;
  const LineThresholds thresholds = thresholds_of(job, at, seed);
  const u64 step = job.first_step + (u64)at.sample;
  for (i64 word = 0; word < job.words; ++word) {
    const Words bits = train_words(at, thresholds, word, job.scales[at.sample].length, seed, step);
    OHM_UNROLL(4)
    for (u32 k = 0; k < 4; ++k)
      if (at.line(k) < at.count) train[word * at.count + at.line(k)] = bits.v[k];
  }
}

OHM_DEVICE void encode_lines(const UpdateJob& job, u32* x_train, u64 seed, i64 out, i64 in) {
  for (i64 item = first_item(); item < job.samples * (call_groups(in) + call_groups(out)); item += item_stride()) {
    const CallGroup at = call_group_at(item, out, in);
    if (job.kind == ohm_ops::kStochastic)
      encode_trains(job, x_train, at, seed);
    else
      encode_levels(job, at, seed);
  }
}

// Pulses of one crosspoint in one sample. `words` is the length of a train; a constant where it is known.
OHM_DEVICE i32 pulses_at(const UpdateJob& job, const u32* x_train, i64 words, i64 t, i64 row, i64 column, i64 out,
                         i64 in) {
  i32 count = 0;
  for (i64 word = 0; word < words; ++word)
    count += __popc(x_train[(t * words + word) * in + column] & job.d_train[(t * words + word) * out + row]);
  return count;
}

OHM_DEVICE i32 count_at(const UpdateJob& job, const u32* x_train, i64 t, i64 row, i64 column, i64 out, i64 in) {
  if (row_is_silent(job, t, row, out)) return 0;
  const i32 count = job.kind == ohm_ops::kStochastic ? pulses_at(job, x_train, job.words, t, row, column, out, in)
                                                     : level_count(job, t, row, column, out, in);
  return count * (i32)direction_of(job.x[t * in + column], sign_where_x_positive(job, t, row, out));
}

// Up positive, down negative, (samples, out, in).
OHM_DEVICE void count_coincidences(const UpdateJob& job, const u32* x_train, i64 out, i64 in, i32* counts) {
  for (i64 item = first_item(); item < job.samples * out * in; item += item_stride()) {
    const i64 t = item / (out * in), row = item / in % out;
    counts[item] = count_at(job, x_train, t, row, item % in, out, in);
  }
}

}  // namespace OHM_NS
