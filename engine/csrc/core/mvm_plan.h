// SPDX-License-Identifier: Apache-2.0
// How a batch is multiplied on the CPU: by how many workers, in blocks of how many vectors, with which buffers.
#pragma once
#include "core/periphery.h"

namespace OHM_NS {

constexpr i64 kBlockVectors = 32;   // at most, so that a block stays in the second cache
constexpr i64 kPanelVectors = 16;   // with fewer, laying the weights out anew does not pay
constexpr i64 kWorkerVectors = 16;  // with fewer for each thread, threads share the outputs of one block instead

struct MvmPlan {
  i64 n, m, block;  // inputs, outputs, vectors of a block
  int workers;      // threads that each take vectors of their own
  int inside;       // threads that share a block
  bool phases;      // negative and positive inputs apart
  bool wires, variances, factors;        // matrices besides the weights
  bool dithered_inputs, dithered_outputs;
  bool panels;  // matrices laid out in panels of sixteen outputs (kernels/panels.h), where there are registers for that

  bool derives() const { return wires || variances; }
  i64 input_rows() const { return 1 + phases + (derives() || dithered_inputs); }
  i64 output_rows() const { return 1 + phases + (derives() || dithered_outputs) + wires; }
  i64 worker_floats() const { return block * (n * input_rows() + m * output_rows()); }
  // Of one matrix, and of all that a product may need.
  i64 panel_floats() const { return panels ? (m + 15) / 16 * 16 * n : 0; }
  i64 all_panel_floats() const { return panel_floats() * (1 + wires + variances) * (1 + factors); }
  i64 matrices() const { return ((i64)wires + variances) * (1 + factors); }
};

inline i64 parts_of(i64 size, i64 part) { return (size + part - 1) / part; }

// Vectors in the fewest and most equal blocks, by whole patches of four.
inline i64 block_of_vectors(i64 vectors) {
  const i64 blocks = parts_of(vectors, kBlockVectors);
  return blocks ? parts_of(parts_of(vectors, blocks), 4) * 4 : 4;
}

inline MvmPlan plan_of(i64 n, i64 m, i64 samples, int threads, const PeripheryParams& p) {
  MvmPlan plan{};
  const bool apart = samples >= kWorkerVectors * threads;
  plan.n = n, plan.m = m;
  plan.workers = apart ? threads : 1, plan.inside = apart ? 1 : threads;
  plan.block = apart ? block_of_vectors(parts_of(samples, threads)) : samples;
  plan.phases = (i32)p.mv_type != kOnePass;
  plan.wires = p.ir_drop > 0.0f;
  plan.variances = p.w_noise > 0.0f && (i32)p.w_noise_type != kAdditiveConstant;
  plan.factors = plan.phases && p.w_read_asymmetry_dtod > 0.0f;
  plan.panels = samples >= kPanelVectors;
  plan.dithered_inputs = is_on(p.inp_sto_round), plan.dithered_outputs = is_on(p.out_sto_round);
  return plan;
}

}  // namespace OHM_NS
