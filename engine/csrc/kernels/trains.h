// SPDX-License-Identifier: Apache-2.0
// From x and d to pulses: trains of random bits, or deterministic levels, one per column and row, and from them the
// columns of a row that get a pulse, slot by slot.
#pragma once
#include "kernels/lanes.h"
#include "kernels/line.h"
#include "kernels/masks.h"

namespace OHM_NS {

// Bin width 0 leaves the probabilities.
inline void quantise_lanes(float* p, float res, bool stochastic, u64 seed, u32 stream, u64 step, const u32* element) {
  if (res <= 0.0f) return;
  alignas(64) u32 word[4 * kLanes];
  if (stochastic) philox_lanes(word, kLanes, seed, kTrainRound, step, element, stream);
  for (int l = 0; l < kLanes; ++l)
    p[l] = quantised(p[l], res, stochastic ? jitter_of(word[l]) : 0.0f);
}

// The entries of a block; a full one lies in order.
inline void values_of(float* lane, const float* value, const Block& b) {
  if (b.used == kLanes)
    for (int l = 0; l < kLanes; ++l) lane[l] = value[b.first + l];
  else
    for (int l = 0; l < kLanes; ++l) lane[l] = value[b.first + b.column[l]];
}

inline void probability_lanes(float* p, const float* value, float scale, const Block& b) {
  values_of(p, value, b);
  for (int l = 0; l < kLanes; ++l) p[l] = probability_of(p[l], scale);
}

// One line of a sample's pulses, columns or rows.
struct Lines {
  const float* value;
  i64 count;
  float scale, res;
  u32 stream;
};

// The trains of 64 lines: a line fires in a slot with its probability, 2^-32 resolution.
struct TrainLanes {
  alignas(64) u32 threshold[kLanes], word[kLanes], bits[kLanes];
  u64 always;
};

inline void prepare_trains(TrainLanes& s, const Lines& lines, bool sto_round, const Block& b, u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  alignas(64) u32 always[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < kLanes; ++l) {
    s.threshold[l] = l < b.used ? threshold_of(p[l]) : 0u;
    always[l] = l < b.used ? always_of(p[l]) : 0u;
  }
  alignas(64) const u32 none[kLanes] = {};
  s.always = below(none, always);
}

// The lines that fire in one slot.
inline u64 draw_slot(TrainLanes& s, u32 stream, i64 slot, const Block& b, const RoundKeys& keys, u64 step) {
  philox_lines(s.word, keys, stream, step, element_of_line(b.first), (u32)slot);
  return below(s.word, s.threshold) | s.always;
}

// A sample's masks of columns: those where x is positive, then of each slot those that fire, which rows look up, with their
// counts.
inline i64 mask_rows(const UpdateJob& job) { return 1 + 2 * (job.kind == ohm_ops::kStochastic ? job.longest : 0); }
inline u64* positive_mask(const UpdateJob& job, i64 t) { return job.x_mask + t * mask_rows(job) * job.mask_words; }
inline u64* slot_mask(const UpdateJob& job, i64 t, i64 slot) { return positive_mask(job, t) + (1 + 2 * slot) * job.mask_words; }
inline u16* slot_counts(const UpdateJob& job, i64 t, i64 slot) { return (u16*)(slot_mask(job, t, slot) + job.mask_words); }

inline void encode_columns(const UpdateJob& job, const Lines& lines, i64 t, const Block& b, const RoundKeys& keys) {
  const u64 step = job.first_step + (u64)t;
  TrainLanes s;
  prepare_trains(s, lines, job.sto_round, b, keys.seed, step);
  for (i64 slot = 0; slot < job.scales[t].length; ++slot)
    slot_mask(job, t, slot)[b.first / kLanes] = draw_slot(s, lines.stream, slot, b, keys, step);
}

// A row keeps its train, 32 slots a word.
inline void encode_rows(const UpdateJob& job, const Lines& lines, i64 t, const Block& b, const RoundKeys& keys) {
  const u64 step = job.first_step + (u64)t;
  TrainLanes s;
  prepare_trains(s, lines, job.sto_round, b, keys.seed, step);
  for (i64 from = 0; from < job.words * kSlotsPerWord; from += kSlotsPerWord) {
    for (int l = 0; l < kLanes; ++l) s.bits[l] = 0;
    for (i64 slot = from; slot < job.scales[t].length && slot < from + kSlotsPerWord; ++slot) {
      const u64 fired = draw_slot(s, lines.stream, slot, b, keys, step);
      add_bit(s.bits, fired, 1u << (slot - from));
    }
    u32* train = job.d_train + (t * job.words + from / kSlotsPerWord) * lines.count;
    for (int l = 0; l < b.used; ++l) train[b.first + l] = s.bits[l];
  }
}

inline void mark_positive(const UpdateJob& job, const Lines& lines, i64 t, const Block& b) {
  alignas(64) float value[kLanes];
  alignas(64) u32 one[kLanes];
  alignas(64) const u32 none[kLanes] = {};
  values_of(value, lines.value, b);
  for (int l = 0; l < kLanes; ++l) one[l] = value[l] > 0.0f ? 1u : 0u;
  positive_mask(job, t)[b.first / kLanes] = below(none, one);
}

inline void level_lanes(float* level, const Lines& lines, i32 kind, i32 length, bool sto_round, const Block& b,
                        u64 seed, u64 step) {
  alignas(64) float p[kLanes];
  probability_lanes(p, lines.value, lines.scale, b);
  quantise_lanes(p, lines.res, sto_round, seed, lines.stream, step, b.element);
  for (int l = 0; l < b.used; ++l)
    level[b.first + l] = level_of(p[l], kind, length);
}

inline void encode(const UpdateJob& job, const Lines& lines, i64 t, const RoundKeys& keys) {
  const bool columns = lines.stream == kTrainX;
  float* level = (columns ? job.x_level : job.d_level) + t * lines.count;
  for (i64 first = 0; first < lines.count; first += kLanes) {
    const Block b = block_of(first, lines.count);
    if (columns) mark_positive(job, lines, t, b);
    if (job.kind != ohm_ops::kStochastic)
      level_lanes(level, lines, job.kind, job.scales[t].length, job.sto_round, b, keys.seed, job.first_step + (u64)t);
    else if (columns)
      encode_columns(job, lines, t, b, keys);
    else
      encode_rows(job, lines, t, b, keys);
  }
}

// Shared out over the threads of the region it is called in.
inline void encode_all(const UpdateJob& job, const RoundKeys& keys, i64 out, i64 in) {
#pragma omp for schedule(static)
  for (i64 t = 0; t < job.samples; ++t) {
    encode(job, {job.x + t * in, in, job.scales[t].x_scale, job.x_res, kTrainX}, t, keys);
    encode(job, {job.d + t * out, out, job.scales[t].d_scale, job.d_res, kTrainD}, t, keys);
    for (i64 slot = 0; job.kind == ohm_ops::kStochastic && slot < job.scales[t].length; ++slot)
      count_before(slot_counts(job, t, slot), slot_mask(job, t, slot), job.mask_words);
  }
}

// What a row does in 32 samples, a bit each: whether it sends a pulse, and whether that goes up where x is positive. Few rows
// send one in a sparse update, at random: they are found without branches.
constexpr i64 kSamplesPerWord = 32;
constexpr i64 row_words(i64 samples) { return (samples + kSamplesPerWord - 1) / kSamplesPerWord; }

inline void mark_block(const UpdateJob& job, i64 word, const Block& b, i64 out) {
  alignas(64) u32 live[kLanes] = {}, rising[kLanes] = {};
  const i64 from = word * kSamplesPerWord;
  const bool trains = job.kind == ohm_ops::kStochastic && job.words == 1;
  for (i64 k = 0; k < kSamplesPerWord && from + k < job.samples; ++k) {
    const i64 t = from + k;
    const float* d = job.d + t * out + b.first;
    const u32* train = job.d_train + t * out + b.first;
    if (trains && b.used == kLanes)
      for (int l = 0; l < kLanes; ++l) live[l] |= (u32)(train[l] != 0u) << k;
    else
      for (int l = 0; l < b.used; ++l) live[l] |= (u32)!row_is_silent(job, t, b.first + l, out) << k;
    for (int l = 0; l < b.used; ++l) rising[l] |= (u32)((d[l] > 0.0f) == job.negative) << k;
  }
  for (int l = 0; l < b.used; ++l) {
    job.live[word * out + b.first + l] = live[l];
    job.rising[word * out + b.first + l] = rising[l];
  }
}

inline void mark_rows(const UpdateJob& job, i64 out) {
#pragma omp for schedule(static)
  for (i64 first = 0; first < out; first += kLanes)
    for (i64 word = 0; word < row_words(job.samples); ++word) mark_block(job, word, block_of(first, out), out);
}

// Calls body(slot) for the slots in which a row fires, in their order.
template <class Body>
inline void for_slots_of_row(const UpdateJob& job, i64 t, i64 row, i64 out, Body body) {
  for (i64 word = 0; word < job.words; ++word)
    for (u32 slots = job.d_train[(t * job.words + word) * out + row]; slots; slots &= slots - 1)
      body(kSlotsPerWord * word + __builtin_ctz(slots));
}

// The deterministic kinds count: slot k takes the columns of a span that get more than k pulses. Masks of kMaskWords with
// their counts, one after another; returns how many slots there are.
inline i64 slots_of_counts(u64* to, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in) {
  i64 top = 0;
  for (i64 l = 0; l < columns; ++l) {
    const i32 count = level_count(job, t, row, first + l, out, in);
    for (; top < count; ++top)
      for (i64 w = 0; w < kMaskWords; ++w) to[2 * top * kMaskWords + w] = 0;
    for (i32 k = 0; k < count; ++k) to[2 * k * kMaskWords + (l >> 6)] |= 1ull << (l & 63);
  }
  for (i64 k = 0; k < top; ++k) count_before((u16*)(to + (2 * k + 1) * kMaskWords), to + 2 * k * kMaskWords, kMaskWords);
  return top;
}

// Calls body(SlotMask) for the slots in which a row and any column of a span fire, in their order. `scratch` is for the
// masks of the deterministic kinds; returns how many slots of it are in use.
template <class Body>
inline i64 for_slots(u64* scratch, const UpdateJob& job, i64 t, i64 row, i64 first, i64 columns, i64 out, i64 in, Body body) {
  if (job.kind == ohm_ops::kStochastic) {
    for_slots_of_row(job, t, row, out, [&](i64 slot) {
      body(SlotMask{slot_mask(job, t, slot) + first / 64, slot_counts(job, t, slot) + first / kChunk});
    });
    return 0;
  }
  const i64 used = slots_of_counts(scratch, job, t, row, first, columns, out, in);
  for (i64 k = 0; k < used; ++k) body(SlotMask{scratch + 2 * k * kMaskWords, (u16*)(scratch + (2 * k + 1) * kMaskWords)});
  return used;
}

// The trains of the columns as those of the rows lie in the job: 32 slots a word.
inline void trains_in_words(const UpdateJob& job, i64 out, i64 in, u64 seed, u32* x_train) {
  encode_all(job, RoundKeys(seed), out, in);
  for (i64 t = 0; t < job.samples; ++t)
    for (i64 slot = 0; slot < job.scales[t].length; ++slot) {
      u32* to = x_train + (t * job.words + slot / kSlotsPerWord) * in;
      const u64* mask = slot_mask(job, t, slot);
      for (i64 l = 0; l < in; ++l) to[l] |= (u32)(mask[l >> 6] >> (l & 63) & 1u) << slot % kSlotsPerWord;
    }
}

// Up positive, down negative, as an update would apply them.
inline void signed_coincidences(const UpdateJob& job, i64 out, i64 in, u64 seed, i32* counts) {
  encode_all(job, RoundKeys(seed), out, in);
  for (i64 t = 0; t < job.samples; ++t)
    for (i64 row = 0; row < out; ++row)
      for (i64 first = 0; first < in; first += kSpan) {
        const i64 columns = in - first < kSpan ? in - first : kSpan;
        i32* to = counts + (t * out + row) * in + first;
        for (i64 l = 0; l < columns; ++l) to[l] = 0;
        if (row_is_silent(job, t, row, out)) continue;
        const float sign = sign_where_x_positive(job, t, row, out);
        for_slots(job.levels, job, t, row, first, columns, out, in, [&](const SlotMask& slot) {
          for (i64 l = 0; l < columns; ++l)
            if (slot.mask[l >> 6] >> (l & 63) & 1u) to[l] += (i32)direction_of(job.x[t * in + first + l], sign);
        });
      }
}

}  // namespace OHM_NS
