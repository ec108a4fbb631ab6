// SPDX-License-Identifier: Apache-2.0
// The table of functions that a device's translation unit hands to the bindings. Plain data, the same for every
// instruction set, so it lives outside the per-instruction-set namespaces.
#pragma once
#include "core/filter_job.h"
#include "core/macros.h"

namespace ohm_ops {

using namespace ohm_types;

// State and per-device arrays of one tile, crosspoint (i, j) at i * in + j.
struct TileView {
  const float* params;         // the device's parameters, in schema order
  const float* const* cells;   // one array of out * in floats per cell field
  float* hidden;               // what the dynamics act on
  float* apparent;             // what a read sees; equals `hidden` without write noise
  i64 out, in;
  u64 seed;
  int threads;
  u32* pulses_up;    // counters per crosspoint, or null
  u32* pulses_down;
};

struct PulseJob {
  const i8* directions;  // (pulses) or (pulses, out * in): +1 up, -1 down, 0 none
  bool per_device;
  i64 pulses, read_every;
  u64 first_step;       // number of the first pulse in the tile's life
  float* hidden_trace;  // (pulses / read_every, out * in)
  float* apparent_trace;
};

// What the update needs to know of one sample, from update management.
struct SampleScale {
  i32 length;            // pulse train length; 0: no pulses
  float x_scale, d_scale;  // probabilities are |x| * x_scale and |d| * d_scale
};

// How pulses are made from x and d.
enum UpdateKind : i32 { kStochastic = 0, kMeanCount = 1, kImplicit = 2 };

struct UpdateJob {
  const float* x;  // (samples, in)
  const float* d;  // (samples, out)
  const SampleScale* scales;
  i64 samples;
  i32 longest;     // slots of the longest train
  i64 words;       // 32-bit words per train of a row
  i64 mask_words;  // 64-bit words per slot of all columns
  u64 first_step;
  i32 kind;
  float x_res, d_res;  // bin widths of the quantised probabilities or values, 0: off
  bool sto_round;
  bool negative;   // learning rate below zero: all directions reversed
  u64* x_mask;     // scratch: masks of columns with their counts (kernels/trains.h)
  u32* d_train;    // scratch: (samples, words, out), the slots in which each row fires
  float* x_level;  // scratch of the deterministic kinds: (samples, in)
  float* d_level;  // (samples, out)
  u64* levels;     // scratch: (threads, level_words(longest)), of kernels/masks.h
  u32 *live, *rising;  // scratch of the CPU: (row_words, out), of kernels/trains.h
};

struct TimeJob {
  const float* time_params;
  const float* drift_params;
  const float* const* cells;  // in the order of TimeCell
  float* const* drift;        // in the order of DriftCell, or null
  u64 step;
  float amount;           // decay: its share; reset: the probability
  bool skip_last_column;  // decay leaves a bias column alone
  i64 first_column, columns;
  float clock;  // drift: time since its first call, in units of drift_t_0
};

// A GPU's kernels take these records byte by byte as the host's compiler lays them out.
static_assert(sizeof(TileView) == 80 && sizeof(PulseJob) == 56 && sizeof(SampleScale) == 12 && sizeof(UpdateJob) == 136 &&
                  sizeof(TimeJob) == 72,
              "host and GPU compiler must lay out a record alike");

struct DeviceOps {
  const char* stem;
  const char* isa;
  int param_count, cell_count;
  bool has_write_noise;
  void (*list_params)(void (*sink)(const char*));
  void (*list_cells)(void (*sink)(const char*));
  void (*list_tables)(void (*sink)(const char*));
  void (*construct)(const TileView&, float* const* cells);
  void (*set_weights)(const TileView&, const float* target, u64 step);
  void (*pulse)(const TileView&, const PulseJob&);
  void (*update)(const TileView&, const UpdateJob&);
  void (*step)(const TileView&, const float* w, float direction, float* mean, float* spread);
  void (*construct_time)(const TileView&, const TimeJob&, float* const* cells);
  void (*decay)(const TileView&, const TimeJob&);
  void (*diffuse)(const TileView&, const TimeJob&);
  void (*reset)(const TileView&, const TimeJob&);
  void (*drift)(const TileView&, const TimeJob&);
  void (*clip)(const TileView&, const TimeJob&);
  void (*filter)(const FilterJob&);
};

void add_device(const DeviceOps&);

// The random streams of one direction.
struct MvmStreams {
  u32 input, weight, output, input_round, output_round, lines;
};

struct MvmJob {
  const float* weights;  // (out, in)
  i64 out, in, samples;
  bool transposed;      // y = W^T x
  const float* params;  // periphery, in the order of PeripheryParams
  float average;        // running mean of the largest inputs, for the scaling that uses it
  const float* x;       // (samples, in), or (samples, out) when transposed
  float* y;
  i32* rounds;          // (samples) products made per vector, or null
  u8* clipped;          // (samples, m) what the ADC clipped in the last round (clip_flags), or null
  u64 seed, construction_seed, first_step;
  MvmStreams streams;
  int threads;
  bool one_hot;  // vector s of x drives line hot + s alone
  i64 hot;
  bool prepared;  // the matrices and panels below are those of the weights and the periphery already
  // Scratch; core/mvm_plan.h says how much. n and m are the numbers of inputs and outputs as seen by this product.
  float* blocks;             // (workers, floats of one)
  float* matrices;           // (matrices, out, in)
  float* factors;            // (out, in), or null where not needed
  float* lines;              // (3, m)
  float *scale, *reduction;  // (samples)
  i64* active;               // (samples)
  u32* beyond;               // (samples)
  float* panels;             // the weights and the other matrices in panels
};

struct TileOps {
  const char* isa;
  void (*mvm)(const MvmJob&);
  void (*outer)(float* weights, const float* x, const float* d, float lr, i64 out, i64 in, i64 samples, int threads);
  void (*normals)(u64 seed, u32 stream, u64 step, i64 count, float* out);
  void (*coincidences)(const UpdateJob&, i64 out, i64 in, u64 seed, i32* counts);  // (samples, out, in), signed
  void (*trains)(const UpdateJob&, i64 out, i64 in, u64 seed, u32* x_train);  // (samples, words, in); rows' are the job's
};

void add_tile_ops(const TileOps&);

void register_all();  // calls the two above for everything that was built

}  // namespace ohm_ops
