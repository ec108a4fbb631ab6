// SPDX-License-Identifier: Apache-2.0
// The parallel update on the GPU: one block of threads a row and span of 1024 columns. Each thread keeps the state and
// the parameters of its devices in registers over all samples, which stay in order.
//
// The noise of a sample is one run of draws, all first pulses in the order of their columns, then all second pulses, and so
// on (kernels/update.h). Warps vote who takes part in a level, sums over the votes number the draws, and the block makes
// them together in shared memory: no draw is made for a crosspoint that does not fire, and no lane waits for one.
#pragma once
#include "cuda/crosspoints.h"
#include "cuda/trains.h"

namespace OHM_NS {

constexpr int kWarp = 32;
constexpr int kGroups = kSpan / kWarp;  // groups of 32 columns in a span
constexpr int kBatch = 32;              // levels voted on together
constexpr u32 kNoise = 2048;            // draws in shared memory: the largest level, 1024, always finds room
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
  unsigned char votes[2][kBatch][kGroups];  // how many of a group take part in a level; two batches take turns
  int levels[2][Form::warps];               // levels that a warp has voted on: it takes part in no other
  float noise[kNoise];
};

// One thread's devices.
template <class D, class Form>
struct UpdateThread {
  typename D::Cell cell[Form::columns];
  float hidden[Form::columns], apparent[Form::columns];
  bool touched[Form::columns];
  u32 up[Form::columns], down[Form::columns];
  // Of the sample at hand: pulses, their direction, the number among the columns that fire at all.
  i32 pulses[Form::columns];
  float way[Form::columns];
  u32 rank[Form::columns];
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

// Votes on the levels from `level` on, until the warp's columns take part in none or the batch is full.
template <class Form>
OHM_DEVICE void vote(SharedUpdate<Form>& shared, int turn, const i32* pulses, i32 level) {
  int voted = 0;
  for (; voted < kBatch; ++voted) {
    u32 mask[Form::columns], any = 0;
    OHM_UNROLL(4)
    for (int c = 0; c < Form::columns; ++c) any |= mask[c] = __ballot_sync(kAllLanes, pulses[c] > level + voted);
    if (any == 0) break;
    OHM_UNROLL(4)
    for (int c = 0; c < Form::columns; ++c)
      if (lane_of_warp() == 0) shared.votes[turn][voted][group_of<Form>(c)] = (unsigned char)__popc(mask[c]);
  }
  if (lane_of_warp() == 0) shared.levels[turn][threadIdx.x / kWarp] = voted;
}

// The votes of group `lane` on a level.
template <class Form>
OHM_DEVICE u32 votes_of_lane(const SharedUpdate<Form>& shared, int turn, int level) {
  const u32 group = lane_of_warp();
  const bool voted = group < Form::groups && level < shared.levels[turn][group % Form::warps];
  return voted ? shared.votes[turn][level][group] : 0u;
}

template <class Form>
OHM_DEVICE int most_levels(const SharedUpdate<Form>& shared, int turn) {
  int most = 0;
  for (int warp = 0; warp < Form::warps; ++warp)
    most = shared.levels[turn][warp] > most ? shared.levels[turn][warp] : most;
  return most;
}

template <class Form>
OHM_DEVICE u32 votes_in_all(const SharedUpdate<Form>& shared, int turn, int levels) {
  u32 sum = 0;
  for (int k = 0; k < levels; ++k) sum += votes_of_lane(shared, turn, k);
  return last_lane(running_sum(sum));
}

// One level: who takes part gets the next pulse, with the draw of its number.
template <class D, class Form>
OHM_DEVICE void fire_level(UpdateThread<D, Form>& s, const typename D::Params& p, const float* noise, i32 level,
                           u32 before) {
  const u32 below = (1u << lane_of_warp()) - 1u;
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const bool takes = s.pulses[c] > level;
    const u32 mask = __ballot_sync(kAllLanes, takes);
    const u32 number = __shfl_sync(kAllLanes, before, group_of<Form>(c)) + __popc(mask & below);
    if (takes) s.hidden[c] = pulsed<D>(s.hidden[c], s.way[c], noise[number], s.cell[c], p);
    if (level == 0) s.rank[c] = number;
  }
}

// The levels of one batch; returns how many there were. `drawn` counts the draws of the sample.
template <class D, class Form>
OHM_DEVICE int fire_batch(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, const typename D::Params& p, Run& run,
                          int turn, i32 level, u32& drawn) {
  const int levels = most_levels(shared, turn);
  const u32 end = drawn + votes_in_all(shared, turn, levels);
  bool in_use = false;  // by a warp that is still behind
  for (int k = 0; k < levels; ++k) {
    const u32 votes = votes_of_lane(shared, turn, k), sum = running_sum(votes), count = last_lane(sum);
    if (drawn + count > run.to) {
      if (in_use) __syncthreads();
      draw_run(run, shared.noise, drawn, end);
      in_use = true;
    }
    fire_level<D, Form>(s, p, shared.noise + (drawn - run.from), level + k, sum - votes);
    drawn += count;
  }
  return levels;
}

// Write noise: one draw for every column that fired, numbered in their order.
template <class D, class Form>
OHM_DEVICE void renew_write_noise(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, Run run, float std, u32 count) {
  __syncthreads();  // the cycle noise may still be in use
  run.stream = kUpdateWrite;
  draw_run(run, shared.noise, 0, count);
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c)
    if (s.pulses[c] > 0) s.apparent[c] = with_noise(s.hidden[c], std, shared.noise[s.rank[c]]);
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

template <class Form>
OHM_DEVICE i32 pulses_of(const UpdateJob& job, const u32* x_train, i64 t, const Place& at, i64 column) {
  if constexpr (Form::kind == ohm_ops::kStochastic)
    return pulses_at(job, x_train, Form::words, t, at.row, column, at.out, at.in);
  else
    return level_count(job, t, at.row, column, at.out, at.in);
}

template <class D, class Form>
OHM_DEVICE void read_sample(UpdateThread<D, Form>& s, const UpdateJob& job, const u32* x_train, i64 t, const Place& at) {
  const float sign = sign_where_x_positive(job, t, at.row, at.out);
  OHM_UNROLL(4)
  for (int c = 0; c < Form::columns; ++c) {
    const i64 column = at.first + column_in_span<Form>(c);
    s.pulses[c] = column < at.in ? pulses_of<Form>(job, x_train, t, at, column) : 0;
    s.way[c] = s.pulses[c] > 0 ? direction_of(job.x[t * at.in + column], sign) : 0.0f;
    s.touched[c] |= s.pulses[c] > 0;
    if constexpr (Form::counts) (s.way[c] > 0.0f ? s.up[c] : s.down[c]) += (u32)s.pulses[c];
  }
}

template <class D, class Form>
OHM_DEVICE void update_sample(UpdateThread<D, Form>& s, SharedUpdate<Form>& shared, const typename D::Params& p,
                              const TileView& tile, u64 step, const Place& at, int& turn) {
  Run run{tile.seed, step, kUpdateCycle, at.element, 0, 0};
  u32 drawn = 0, fired = 0;
  for (i32 level = 0;; level += kBatch) {
    vote<Form>(shared, turn, s.pulses, level);
    __syncthreads();
    if (Form::write_noise && level == 0) fired = votes_in_all(shared, turn, most_levels(shared, turn) > 0 ? 1 : 0);
    const int levels = fire_batch<D, Form>(s, shared, p, run, turn, level, drawn);
    turn ^= 1;  // slower warps still read what this batch has voted
    if (levels < kBatch) break;
  }
  if (Form::write_noise && fired > 0) renew_write_noise<D, Form>(s, shared, run, write_noise_of<D>(p), fired);
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
    read_sample(s, job, x_train, t, at);
    update_sample<D, Form>(s, shared, params, tile, job.first_step + (u64)t, at, turn);
  }
  store_thread(s, tile, at);
}

}  // namespace OHM_NS
