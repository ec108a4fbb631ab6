// SPDX-License-Identifier: Apache-2.0
// What a GPU's kernels are given: the records of the CPU's, with addresses on the GPU.
#include "bindings/shared.hpp"

#include <array>

#include "core/periphery.h"
#include "core/product_job.h"

namespace ohm_module {
namespace {

const float* const* pointer_table(Address a) { return reinterpret_cast<const float* const*>(a); }

py::bytes tile_record(const Tile& tile, Address params, Address cells) {
  TileView view = tile.view({});
  view.params = floats(params), view.cells = pointer_table(cells), view.threads = 0;
  return bytes_of(view);
}

py::bytes pulse_record(Address directions, bool per_device, i64 pulses, i64 read_every, u64 first_step,
                       Address hidden_trace, Address apparent_trace) {
  return bytes_of(PulseJob{reinterpret_cast<const i8*>(directions), per_device, pulses, read_every, first_step,
                           mutable_floats(hidden_trace), mutable_floats(apparent_trace)});
}

// The scales of an update's samples, one after another.
py::bytes scale_records(const Update& u) {
  std::vector<SampleScale> scales;
  for (i64 t = 0; t < u.samples; ++t) scales.push_back({u.length[t], u.x_scale[t], u.d_scale[t]});
  return py::bytes(reinterpret_cast<const char*>(scales.data()), scales.size() * sizeof(SampleScale));
}

py::bytes update_record(const Update& u, Address scales, i32 longest, i64 words, Address d_train, Address x_level,
                        Address d_level) {
  UpdateJob job{};
  job.x = floats(u.x), job.d = floats(u.d), job.scales = reinterpret_cast<const SampleScale*>(scales);
  job.samples = u.samples, job.longest = longest, job.words = words, job.first_step = u.first_step;
  job.kind = u.kind, job.x_res = u.x_res, job.d_res = u.d_res, job.sto_round = u.sto_round, job.negative = u.negative;
  job.d_train = reinterpret_cast<u32*>(d_train);
  job.x_level = mutable_floats(x_level), job.d_level = mutable_floats(d_level);
  return bytes_of(job);
}

py::bytes time_record(const Time& time, Address time_params, Address drift_params, Address cells, Address drift) {
  return bytes_of(TimeJob{floats(time_params), floats(drift_params), pointer_table(cells),
                          reinterpret_cast<float* const*>(drift), time.step, time.amount, time.skip_last_column,
                          time.first_column, time.columns, time.clock});
}

// Addresses of one activation's arrays, in the order of ProductPhase.
using PhaseAddresses = std::array<Address, 7>;

ProductPhase phase_of(const PhaseAddresses& a) {
  return {mutable_floats(a[0]), floats(a[1]), floats(a[2]), floats(a[3]), floats(a[4]), mutable_floats(a[5]),
          mutable_floats(a[6])};
}

// Addresses of one round's arrays: scale, reduction, active, again, lines, kappa.
py::bytes product_record(const Product& p, const std::array<Address, 6>& a, i64 rows, u32 round,
                         const std::array<PhaseAddresses, 2>& phases) {
  const i64 n = p.transposed ? p.out : p.in, m = p.transposed ? p.in : p.out;
  return bytes_of(ProductJob{floats(p.x), mutable_floats(p.y), reinterpret_cast<i32*>(p.rounds),
                             reinterpret_cast<u8*>(p.clipped), mutable_floats(a[0]),
                             mutable_floats(a[1]), reinterpret_cast<const i64*>(a[2]), reinterpret_cast<u32*>(a[3]),
                             mutable_floats(a[4]), mutable_floats(a[5]), n, m, rows, p.seed, p.construction_seed,
                             p.first_step, mvm_streams(p.transposed), p.average, round, p.transposed,
                             {phase_of(phases[0]), phase_of(phases[1])}});
}

py::bytes periphery_record(const std::vector<float>& params) {
  return bytes_of(OHM_NS::from_block<OHM_NS::PeripheryParams>(params.data()));
}

}  // namespace

void register_records(py::module_& m) {
  m.def("tile_record", &tile_record);
  m.def("pulse_record", &pulse_record);
  m.def("scale_record", &scale_records);
  m.def("update_record", &update_record);
  m.def("time_record", &time_record);
  m.def("product_record", &product_record);
  m.def("periphery_record", &periphery_record);
}

}  // namespace ohm_module
