// SPDX-License-Identifier: Apache-2.0
// Products of one tile.
#include "bindings/one_product.hpp"

namespace ohm_module {
namespace {

std::vector<std::string> periphery_schema() {
  return split_names([](void (*sink)(const char*)) { OHM_NS::PeripheryParams::list_names(sink); });
}

void mvm(const Product& p) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  const i64 n = p.transposed ? p.out : p.in, m = p.transposed ? p.in : p.out;
  const auto periphery = OHM_NS::from_block<OHM_NS::PeripheryParams>(p.params.data());
  MvmScratch s(OHM_NS::plan_of(n, m, p.samples, p.threads, periphery), p.samples);
  ops.mvm(mvm_job(p, s));
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
  m.def("periphery_schema", &periphery_schema);
  m.def("mvm", &mvm);
}

}  // namespace ohm_module
