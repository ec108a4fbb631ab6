// SPDX-License-Identifier: Apache-2.0
// The parallel update on the GPU: one block of threads a row and span of 1024 columns. Each thread keeps the state and
// the parameters of its devices in registers over all samples, which stay in order.
//
// The noise of a sample is one run of draws, the pulses of its first slot in the order of their columns, then those of the
// second slot, and so on (kernels/update.h). Warps vote who fires in a slot, sums over the votes number the draws, and the
// block makes them together in shared memory: no draw is made for a crosspoint that does not fire, and no lane waits for one.
#pragma once
#include "cuda/crosspoints.h"
#include "cuda/trains.h"

namespace OHM_NS {

constexpr int kWarp = 32;
constexpr int kGroups = kSpan / kWarp;  // groups of 32 columns in a span
constexpr int kBatch = 32;              // slots voted on together: of a word of a train
constexpr u32 kNoise = 2048;            // draws in shared memory: the fullest slot, 1024, always finds room
constexpr u32 kAllLanes = 0xffffffffu;

// What is known when the kernel is compiled. A warp holds the columns of whole groups: group c * warps + warp is its
// threads' c-th column.
template <int threads_, int columns_, int kind_, int words_, bool write_noise_, bool counts_>
struct UpdateForm {
  static constexpr int threads = threads_, columns = columns_;  // of a block, of a thread
  static constexpr int warps = threads / kWarp, groups = warps * columns;
  static constexpr int kind = kind_, words = words_;
  static constexpr bool write_noise = write_noise_, counts = counts_;
  static_assert(threads % kWarp == 0 && groups <= kGroups, "a block holds at most a span, in whole warps");
};

template <class Form>
struct SharedUpdate {
  unsigned char votes[2][kBatch][kGroups];  // how many of a group fire in a slot; two words take turns
  float noise[kNoise];
};

// One thread's devices.
template <class D, class Form>
struct UpdateThread {
  typename D::Cell cell[Form::columns];
  float hidden[Form::columns], apparent[Form::columns];
  bool touched[Form::columns];
  u32 up[Form::columns], down[Form::columns];
  // Of the sample at hand: pulses, their direction, and the slots of the word at hand in which they come.
  i32 pulses[Form::columns];
  float way[Form::columns];
  u32 slots[Form::columns];
};

// The draws of one span and sample, of which shared memory holds those from `from` to `to` - 1.
struct Run {
  u64 seed, step;
  u32 stream, element;
  u32 from, to;
};

OHM_DEVICE u32 lane_of_warp() { return threadIdx.x % kWarp; }

template <class Form>
OHM_DEVICE i64 column_in_span(int c) {
  return (i64)c * Form::threads + threadIdx.x;
}

template <class Form>
OHM_DEVICE int group_of(int c) {
  return c * Form::warps + (int)(threadIdx.x / kWarp);
}

// Makes draws `first` .. `end` - 1, or as many as find room. All threads of a block call it together.
OHM_DEVICE void draw_run(Run& run, float* noise, u32 first, u32 end) {
  run.from = first / kRunBlock * kRunBlock;
  run.to = end - run.from < kNoise ? end : run.from + kNoise;
  for (u32 call = call_of_draw(run.from) + threadIdx.x; draw_of_call(call, 0) < run.to; call += blockDim.x) {
    const Normals z = normals_of(draw_words<kUpdateRounds>(run.seed, run.stream, run.step, run.element, call));
    OHM_UNROLL(4)
    for (u32 k = 0; k < 4; ++k) noise[draw_of_call(call, k) - run.from] = z.v[k];
  }
  __syncthreads();
}

// The sum over the lanes of a warp up to and including this one.
OHM_DEVICE u32 running_sum(u32 value) {
  OHM_UNROLL(5)
  for (u32 hop = 1; hop < kWarp; hop *= 2) {
    const u32 before = __shfl_up_sync(kAllLanes, value, hop);
    if (lane_of_warp() >= hop) value += before;
  }
  return value;
}

OHM_DEVICE u32 last_lane(u32 value) { return __shfl_sync(kAllLanes, value, kWarp - 1); }

// Each of `slots` is voted on in turn: who fires there, by the bits in `fires`.
template <class Form>
OHM_DEVICE void vote(SharedUpdate<Form>& shared, int turn, const u32* fires, u32 slots) {
  for (int k = 0; slots; ++k, slots &= slots - 1) {
    OHM_UNROLL(4)
    for (int c = 0; c < Form::columns; ++c) {
      const u32 mask = __ballot_sync(kAllLanes, (fires[c] & slots & (0u - slots)) != 0u);
      if (lane_of_warp() == 0) shared.votes[turn][k][group_of<Form>(c)] = (unsigned char)__popc(mask);
    }
  }
}

// The votes of group `lane` on a slot.
template <class Form>
OHM_DEVICE u32 votes_of_lane(const SharedUpdate<Form>& shared, int turn, int slot) {
  return lane_of_warp() < Form::groups ? shared.votes[turn][slot][lane_of_warp()] : 0u;
}

template <class Form>
OHM_DEVICE u32 votes_in_all(const SharedUpdate<Form>& shared, int turn, int slots) {
  u32 sum = 0;
  for (int k = 0; k < slots; ++k) sum += votes_of_lane(shared, turn, k);
  return last_lane(running_sum(sum));
}

// The number of each of a thread's columns among those that vote, given how many do so in the groups before `lane`'s.
template <class Form>
OHM_DEVICE u32 number_of(int c, bool votes, u32 before) {
  const u32 mask = __ballot_sync(kAllLanes, votes), below = (1u << lane_of_warp()) - 1u;
  return __shfl_sync(kAllLanes, before, group_of<Form>(c)) + __popc(mask & below);
}

// One slot: who fires gets a pulse, with the draw of its number.
template <class D, class Form>
OHM_DEVICE void fire_slot(UpdateThread<D, Form>& s, const typename D::Params& p, const float* noise, u32 slot, u32 before) {
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const bool fires = (s.slots[c] & slot) != 0u;
    const u32 number = number_of<Form>(c, fires, before);
    if (fires) s.hidden[c] = pulsed<D>(s.hidden[c], s.way[c], noise[number], s.cell[c], p);
  }
}

// The slots of one word. `drawn` counts the draws of the sample.
template <class D, class Form>
OHM_DEVICE void fire_word(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, const typename D::Params& p, Run& run,
                          int turn, u32 slots, u32& drawn) {
  const u32 end = drawn + votes_in_all(shared, turn, __popc(slots));
  bool in_use = false;  // by a warp that is still behind
  for (int k = 0; slots; ++k, slots &= slots - 1) {
    const u32 votes = votes_of_lane(shared, turn, k), sum = running_sum(votes), count = last_lane(sum);
    if (count == 0) continue;
    if (drawn + count > run.to) {
      if (in_use) __syncthreads();
      draw_run(run, shared.noise, drawn, end);
      in_use = true;
    }
    fire_slot<D, Form>(s, p, shared.noise + (drawn - run.from), slots & (0u - slots), sum - votes);
    drawn += count;
  }
}

// Write noise: one draw for every column that fired, numbered in their order.
template <class D, class Form>
OHM_DEVICE void renew_write_noise(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, Run run, float std, int turn) {
  u32 fires[Form::columns];
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) fires[c] = s.pulses[c] > 0;
  vote<Form>(shared, turn, fires, 1u);
  __syncthreads();  // for the votes, and the cycle noise may still be in use
  const u32 votes = votes_of_lane(shared, turn, 0), sum = running_sum(votes), count = last_lane(sum);
  if (count == 0) return;
  run.stream = kUpdateWrite;
  draw_run(run, shared.noise, 0, count);
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const u32 number = number_of<Form>(c, fires[c] != 0u, sum - votes);
    if (fires[c] != 0u) s.apparent[c] = with_noise(s.hidden[c], std, shared.noise[number]);
  }
}

// The place of a block: a row, and the columns from `first` on.
struct Place {
  i64 row, first, out, in;
  u32 element;  // in the generator's counter
};

OHM_DEVICE Place place_of_block(const TileView& tile) {
  const i64 spans = (tile.in + kSpan - 1) / kSpan;
  return {blockIdx.x / spans, blockIdx.x % spans * kSpan, tile.out, tile.in, blockIdx.x};
}

// The first `count` slots of a word, none below zero, all from 32 on.
OHM_DEVICE u32 first_slots(i64 count) {
  return count <= 0 ? 0u : (count >= kSlotsPerWord ? ~0u : (1u << count) - 1u);
}

// The slots of word `word` in which the row may send a pulse; the same for the whole block.
template <class Form>
OHM_DEVICE u32 slots_of_row(const UpdateJob& job, i64 t, const Place& at, i64 word) {
  if constexpr (Form::kind == ohm_ops::kStochastic)
    return job.d_train[(t * Form::words + word) * at.out + at.row];
  else
    return first_slots(job.scales[t].length - word * kSlotsPerWord);
}

// Those in which it sends one to a column. The deterministic kinds count, and fill the slots from the first on.
template <class Form>
OHM_DEVICE u32 slots_of_column(const UpdateJob& job, const u32* x_train, i64 t, const Place& at, i64 word, i64 column) {
  if constexpr (Form::kind == ohm_ops::kStochastic)
    return x_train[(t * Form::words + word) * at.in + column] & slots_of_row<Form>(job, t, at, word);
  else
    return first_slots(level_count(job, t, at.row, column, at.out, at.in) - word * kSlotsPerWord);
}

// The words of a sample's trains; the deterministic kinds need no memory for theirs.
template <class Form>
OHM_DEVICE i64 words_of(const UpdateJob& job, i64 t) {
  return Form::kind == ohm_ops::kStochastic ? Form::words : (job.scales[t].length + kSlotsPerWord - 1) / kSlotsPerWord;
}

template <class D, class Form>
OHM_DEVICE void read_word(UpdateThread<D, Form>& s, const UpdateJob& job, const u32* x_train, i64 t, const Place& at,
                          i64 word) {
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const i64 column = at.first + column_in_span<Form>(c);
    s.slots[c] = column < at.in ? slots_of_column<Form>(job, x_train, t, at, word, column) : 0u;
    const i32 pulses = __popc(s.slots[c]);
    s.pulses[c] += pulses;
    s.touched[c] |= pulses > 0;
    if constexpr (Form::counts) (s.way[c] > 0.0f ? s.up[c] : s.down[c]) += (u32)pulses;
  }
}

template <class D, class Form>
OHM_DEVICE void begin_sample(UpdateThread<D, Form>& s, const UpdateJob& job, i64 t, const Place& at) {
  const float sign = sign_where_x_positive(job, t, at.row, at.out);
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const i64 column = at.first + column_in_span<Form>(c);
    s.pulses[c] = 0;
    s.way[c] = column < at.in ? direction_of(job.x[t * at.in + column], sign) : 0.0f;
  }
}

template <class D, class Form>
OHM_DEVICE void update_sample(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, const typename D::Params& p,
                              const TileView& tile, const UpdateJob& job, const u32* x_train, i64 t, const Place& at,
                              int& turn) {
  Run run{tile.seed, job.first_step + (u64)t, kUpdateCycle, at.element, 0, 0};
  u32 drawn = 0;
  begin_sample<D, Form>(s, job, t, at);
  for (i64 word = 0; word < words_of<Form>(job, t); ++word) {
    const u32 slots = slots_of_row<Form>(job, t, at, word);
    if (slots == 0u) continue;
    read_word<D, Form>(s, job, x_train, t, at, word);
    vote<Form>(shared, turn, s.slots, slots);
    __syncthreads();
    fire_word<D, Form>(s, shared, p, run, turn, slots, drawn);
    turn ^= 1;  // slower warps still read what has been voted on this word
  }
  if (Form::write_noise && drawn > 0) {
    renew_write_noise<D, Form>(s, shared, run, write_noise_of<D>(p), turn);
    turn ^= 1;
  }
}

template <class D, class Form>
OHM_DEVICE void load_thread(UpdateThread<D, Form>& s, const TileView& tile, const Place& at) {
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const i64 column = at.first + column_in_span<Form>(c);
    const i64 e = at.row * at.in + (column < at.in ? column : at.first);  // a device that exists, never pulsed
    s.cell[c] = cell_at<D>(tile, e);
    s.hidden[c] = tile.hidden[e];
    s.apparent[c] = 0.0f;
    s.touched[c] = false;
    s.up[c] = s.down[c] = 0u;
  }
}

template <class D, class Form>
OHM_DEVICE void store_thread(const UpdateThread<D, Form>& s, const TileView& tile, const Place& at) {
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const i64 e = at.row * at.in + at.first + column_in_span<Form>(c);
    if (!s.touched[c]) continue;
    tile.hidden[e] = s.hidden[c];
    tile.apparent[e] = Form::write_noise ? s.apparent[c] : s.hidden[c];
    if constexpr (Form::counts) {
      tile.pulses_up[e] += s.up[c];
      tile.pulses_down[e] += s.down[c];
    }
  }
}

template <class D, class Form>
OHM_DEVICE void update_block(SharedUpdate<Form>& shared, const TileView& tile, const UpdateJob& job,
                             const u32* x_train) {
  const auto params = from_block<typename D::Params>(tile.params);
  const Place at = place_of_block(tile);
  UpdateThread<D, Form> s;
  load_thread(s, tile, at);
  int turn = 0;
  for (i64 t = 0; t < job.samples; ++t) {
    if (row_is_silent(job, t, at.row, at.out)) continue;  // the same for the whole block
    update_sample<D, Form>(s, shared, params, tile, job, x_train, t, at, turn);
  }
  store_thread(s, tile, at);
}

}  // namespace OHM_NS
