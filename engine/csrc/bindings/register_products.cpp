// SPDX-License-Identifier: Apache-2.0
// Products, of one tile and of many chips, and the devices of chips.
#include "bindings/shared.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include "core/mvm_plan.h"
#include "core/periphery.h"

namespace ohm_module {
namespace {

std::vector<std::string> periphery_schema() {
  return split_names([](void (*sink)(const char*)) { OHM_NS::PeripheryParams::list_names(sink); });
}

// Memory that is written before it is read, and not cleared.
template <class T>
std::unique_ptr<T[]> uncleared(i64 count) {
  return std::unique_ptr<T[]>(new T[count]);
}

// The buffers of one product.
struct MvmScratch {
  std::unique_ptr<float[]> blocks, matrices, factors, lines, scales;
  std::unique_ptr<i64[]> active;
  std::unique_ptr<u32[]> beyond;

  MvmScratch(const OHM_NS::MvmPlan& plan, i64 samples)
      : blocks(uncleared<float>(plan.workers * plan.worker_floats())),
        matrices(uncleared<float>(plan.matrices() * plan.n * plan.m)),
        factors(uncleared<float>(plan.factors ? plan.n * plan.m : 0)),
        lines(uncleared<float>(3 * plan.m)),
        scales(uncleared<float>(2 * samples)),
        active(uncleared<i64>(samples)),
        beyond(uncleared<u32>(samples)) {}
};

MvmJob mvm_job(const Product& p, MvmScratch& s, bool one_hot = false, i64 hot = 0) {
  return {floats(p.weights), p.out, p.in, p.samples, p.transposed, p.params.data(), p.average, floats(p.x),
          mutable_floats(p.y), reinterpret_cast<i32*>(p.rounds), reinterpret_cast<u8*>(p.clipped), p.seed,
          p.construction_seed, p.first_step, mvm_streams(p.transposed), p.threads, one_hot, hot, s.blocks.get(), s.matrices.get(),
          s.factors.get(), s.lines.get(), s.scales.get(), s.scales.get() + p.samples, s.active.get(),
          s.beyond.get()};
}

void mvm(const Product& p) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  const i64 n = p.transposed ? p.out : p.in, m = p.transposed ? p.in : p.out;
  const auto periphery = OHM_NS::from_block<OHM_NS::PeripheryParams>(p.params.data());
  MvmScratch s(OHM_NS::plan_of(n, m, p.samples, p.threads, periphery), p.samples);
  ops.mvm(mvm_job(p, s));
}

// What `mvm_chips` is told beside the product. `factors` (chips, out), or null: what outputs are multiplied by.
struct Chips {
  bool shared_x, one_hot;
  std::vector<u64> seeds, lines, first_steps;
  Address factors;
  i64 part;  // vectors that a thread takes at a time
};

void scale_outputs(float* y, const float* factors, i64 samples, i64 out) {
  for (i64 s = 0; s < samples; ++s)
    for (i64 i = 0; i < out; ++i) y[s * out + i] *= factors[i];
}

// One tile on several chips: weights (chips, out, in), x (chips, samples, in) or the same for all, y (chips, samples,
// out). A thread takes some samples of one chip at a time.
void mvm_chips(const Product& p, const Chips& c) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  const auto periphery = OHM_NS::from_block<OHM_NS::PeripheryParams>(p.params.data());
  const i64 chips = (i64)c.seeds.size(), part = c.part, parts = (p.samples + part - 1) / part;
  auto plan = OHM_NS::plan_of(p.in, p.out, part, 1, periphery);
  plan.block = std::max(plan.block, OHM_NS::kBlockVectors);  // the last part may be cut into other blocks
#pragma omp parallel num_threads(p.threads)
  {
    MvmScratch scratch(plan, part);
#pragma omp for schedule(static)
    for (i64 item = 0; item < chips * parts; ++item) {
      const i64 chip = item / parts, first = item % parts * part;
      Product own = p;
      own.samples = p.samples - first < part ? p.samples - first : part;
      own.weights += chip * p.out * p.in * sizeof(float);
      own.x += ((c.shared_x ? 0 : chip * p.samples) + first) * p.in * sizeof(float);
      own.y += (chip * p.samples + first) * p.out * sizeof(float);
      own.seed = c.seeds[chip], own.construction_seed = c.lines[chip];
      own.first_step = c.first_steps[chip] + (u64)first;
      own.rounds = own.clipped = 0, own.threads = 1;
      ops.mvm(mvm_job(own, scratch, c.one_hot, first));
      if (c.factors) scale_outputs(mutable_floats(own.y), floats(c.factors) + chip * p.out, own.samples, p.out);
    }
  }
}

// Draws of the devices of several chips, (chips, rows, count); `form` is a number of DrawForm. `mean` and `spread` are
// (rows, count) for all chips, or (chips, rows, count).
void device_draws(const std::vector<u64>& seeds, u32 stream, i64 rows, i64 count, i32 form, Address mean, Address spread,
                  bool each_chip, int threads, Address to) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.draw({seeds.data(), (i64)seeds.size(), rows, count, stream, form, floats(mean), floats(spread), each_chip, threads},
           mutable_floats(to));
}

// Devices (chips, slices, count) after drift as a read finds them; without seeds a read without noise.
void device_read(const std::array<Address, 3>& arrays, float drift_log, float growth, const std::vector<u64>& seeds,
                 u32 stream, const std::array<i64, 3>& shape, const std::vector<float>& combine, int threads,
                 Address to) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.read({floats(arrays[0]), floats(arrays[1]), floats(arrays[2]), drift_log, growth,
            seeds.empty() ? nullptr : seeds.data(), shape[0], shape[1], shape[2], stream,
            combine.empty() ? nullptr : combine.data(), threads},
           mutable_floats(to));
}

}  // namespace

void register_products(py::module_& m) {
  py::class_<Product>(m, "Product")
      .def(py::init([](Address weights, Address x, Address y, Address rounds, Address clipped, i64 out, i64 in,
                       i64 samples, bool transposed, std::vector<float> params, float average, u64 seed, u64 construction_seed,
                       u64 first_step, int threads) {
        return Product{weights,    x,      y,       rounds, clipped,           out,        in,     samples,
                       transposed, params, average, seed,   construction_seed, first_step, threads};
      }));
  py::class_<Chips>(m, "Chips")
      .def(py::init([](bool shared_x, bool one_hot, std::vector<u64> seeds, std::vector<u64> lines,
                       std::vector<u64> first_steps, Address factors, i64 part) {
        return Chips{shared_x, one_hot, seeds, lines, first_steps, factors, part};
      }));
  m.def("periphery_schema", &periphery_schema);
  m.def("mvm", &mvm);
  m.def("mvm_chips", &mvm_chips);
  m.def("device_draws", &device_draws);
  m.def("device_read", &device_read);
}

}  // namespace ohm_module
