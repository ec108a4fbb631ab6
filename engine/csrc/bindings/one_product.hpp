// SPDX-License-Identifier: Apache-2.0
// What a product needs beside its record: buffers, and the job that the kernels are given.
#pragma once
#include <memory>

#include "bindings/shared.hpp"
#include "core/mvm_plan.h"
#include "core/periphery.h"

namespace ohm_module {

// Memory that is written before it is read, and not cleared.
template <class T>
std::unique_ptr<T[]> uncleared(i64 count) {
  return std::unique_ptr<T[]>(new T[count]);
}

// The buffers of one product.
struct MvmScratch {
  std::unique_ptr<float[]> blocks, matrices, factors, lines, scales, panels;
  std::unique_ptr<i64[]> active;
  std::unique_ptr<u32[]> beyond;

  MvmScratch(const OHM_NS::MvmPlan& plan, i64 samples)
      : blocks(uncleared<float>(plan.workers * plan.worker_floats())),
        matrices(uncleared<float>(plan.matrices() * plan.n * plan.m)),
        factors(uncleared<float>(plan.factors ? plan.n * plan.m : 0)),
        lines(uncleared<float>(3 * plan.m)),
        scales(uncleared<float>(2 * samples)),
        panels(uncleared<float>(plan.all_panel_floats())),
        active(uncleared<i64>(samples)),
        beyond(uncleared<u32>(samples)) {}
};

// A product of vectors that drive one line each, from line `hot` on.
struct OneHot {
  bool is = false;
  i64 hot = 0;
};

inline MvmJob mvm_job(const Product& p, MvmScratch& s, OneHot lines = {}, bool prepared = false) {
  return {floats(p.weights), p.out, p.in, p.samples, p.transposed, p.params.data(), p.average, floats(p.x),
          mutable_floats(p.y), reinterpret_cast<i32*>(p.rounds), reinterpret_cast<u8*>(p.clipped), p.seed,
          p.construction_seed, p.first_step, mvm_streams(p.transposed), p.threads, lines.is, lines.hot, prepared,
          s.blocks.get(), s.matrices.get(), s.factors.get(), s.lines.get(), s.scales.get(), s.scales.get() + p.samples, s.active.get(),
          s.beyond.get(), s.panels.get()};
}

}  // namespace ohm_module
