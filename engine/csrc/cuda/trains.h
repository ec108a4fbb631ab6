// SPDX-License-Identifier: Apache-2.0
// Trains or levels of an update's lines on the GPU, one thread a line; the formulas are in kernels/line.h.
// A column keeps its train as a row does, 32 slots a word: two words and a count of ones give a crosspoint's pulses.
#pragma once
#include "cuda/grid.h"
#include "kernels/line.h"

namespace OHM_NS {

// One line of one sample: a row or a column.
struct Line {
  i64 sample, number;
  float p;
  u32 stream;
};

OHM_DEVICE Line line_at(const UpdateJob& job, u64 seed, i64 item, i64 out, i64 in) {
  const i64 t = item / (in + out), at = item % (in + out);
  const bool column = at < in;
  Line line{t, column ? at : at - in, 0.0f, column ? (u32)kTrainX : (u32)kTrainD};
  const float value = column ? job.x[t * in + line.number] : job.d[t * out + line.number];
  const float res = column ? job.x_res : job.d_res;
  line.p = probability_of(value, column ? job.scales[t].x_scale : job.scales[t].d_scale);
  if (res <= 0.0f) return line;
  const u64 step = job.first_step + (u64)t;
  const float jitter =
      job.sto_round ? jitter_of(draw_words(seed, kTrainRound, step, (u32)line.number, line.stream).v[0]) : 0.0f;
  line.p = quantised(line.p, res, jitter);
  return line;
}

// Slots 32 word .. 32 word + 31 of a train, as far as they exist.
OHM_DEVICE u32 train_word(const Line& line, i64 word, i64 length, u64 seed, u64 step) {
  const u32 threshold = threshold_of(line.p), always = always_of(line.p);
  const i64 from = word * kSlotsPerWord, to = length < from + kSlotsPerWord ? length : from + kSlotsPerWord;
  u32 bits = 0;
  for (i64 slot = from; slot < to; slot += 4) {
    const Words w = draw_words(seed, line.stream, step, (u32)line.number, (u32)(slot >> 2));
    u32 nibble = 0;
    OHM_UNROLL(4)
    for (int k = 0; k < 4; ++k) nibble |= fires(w.v[k], threshold, always) << k;
    bits |= (nibble & valid_slots(to - slot)) << (slot - from);
  }
  return bits;
}

OHM_DEVICE void encode_line(const UpdateJob& job, u32* x_train, const Line& line, u64 seed, i64 out, i64 in) {
  const bool column = line.stream == kTrainX;
  const i64 count = column ? in : out, length = job.scales[line.sample].length;
  if (job.kind != ohm_ops::kStochastic) {
    float* level = column ? job.x_level : job.d_level;
    level[line.sample * count + line.number] = level_of(line.p, job.kind, (i32)length);
    return;
  }
  u32* train = column ? x_train : job.d_train;
  for (i64 word = 0; word < job.words; ++word)
    train[(line.sample * job.words + word) * count + line.number] =
        train_word(line, word, length, seed, job.first_step + (u64)line.sample);
}

OHM_DEVICE void encode_lines(const UpdateJob& job, u32* x_train, u64 seed, i64 out, i64 in) {
  for (i64 item = first_item(); item < job.samples * (in + out); item += item_stride())
    encode_line(job, x_train, line_at(job, seed, item, out, in), seed, out, in);
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
