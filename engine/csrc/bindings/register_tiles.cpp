// SPDX-License-Identifier: Apache-2.0
// Tiles and their updates, processes in time and likelihoods.
#include "bindings/shared.hpp"

#include <algorithm>

#include "core/time.h"
#include "kernels/trains.h"

namespace ohm_module {
namespace {

py::dict schema(const std::string& stem) {
  const DeviceOps& ops = device(stem);
  py::dict d;
  d["params"] = split_names(ops.list_params);
  d["cells"] = split_names(ops.list_cells);
  d["tables"] = split_names(ops.list_tables);
  d["has_write_noise"] = ops.has_write_noise;
  return d;
}

py::dict time_schema() {
  using namespace OHM_NS;
  py::dict d;
  d["time"] = split_names([](void (*sink)(const char*)) { TimeParams::list_names(sink); });
  d["drift"] = split_names([](void (*sink)(const char*)) { DriftParams::list_names(sink); });
  d["cells"] = split_names([](void (*sink)(const char*)) { TimeCell::list_names(sink); });
  d["drift_cells"] = split_names([](void (*sink)(const char*)) { DriftCell::list_names(sink); });
  return d;
}

void construct(const Tile& tile) {
  std::vector<float*> cells;
  for (Address a : tile.cells) cells.push_back(mutable_floats(a));
  const DeviceOps& ops = device(tile.stem);
  py::gil_scoped_release release;
  ops.construct(tile.view(tile.cell_pointers()), cells.data());
}

void set_weights(const Tile& tile, Address target, u64 step) {
  const DeviceOps& ops = device(tile.stem);
  py::gil_scoped_release release;
  auto cells = tile.cell_pointers();
  ops.set_weights(tile.view(cells), floats(target), step);
}

void pulse(const Tile& tile, Address directions, bool per_device, i64 pulses, i64 read_every, u64 first_step,
           Address hidden_trace, Address apparent_trace) {
  const DeviceOps& ops = device(tile.stem);
  py::gil_scoped_release release;
  auto cells = tile.cell_pointers();
  ops.pulse(tile.view(cells), {reinterpret_cast<const i8*>(directions), per_device, pulses, read_every, first_step,
                               mutable_floats(hidden_trace), mutable_floats(apparent_trace)});
}

// The buffers of one update.
struct UpdateScratch {
  std::vector<SampleScale> scales;
  i32 longest = 1;
  i64 words, mask_words;
  std::vector<u64> x_mask, levels;
  std::vector<u32> d_train, live, rising;
  std::vector<float> x_level, d_level;

  UpdateScratch(const Update& u, i64 out, i64 in, int threads) {
    for (i64 t = 0; t < u.samples; ++t) {
      scales.push_back({u.length[t], u.x_scale[t], u.d_scale[t]});
      longest = u.length[t] > longest ? u.length[t] : longest;
    }
    const bool trains = u.kind == kStochastic;
    words = (longest + 31) / 32;
    mask_words = OHM_NS::mask_words(in);
    levels.resize(threads * OHM_NS::level_words(longest));
    x_mask.resize(u.samples * (1 + (trains ? 2 * longest : 0)) * mask_words), d_train.resize(trains ? u.samples * words * out : 0);
    live.resize(OHM_NS::row_words(u.samples) * out), rising.resize(live.size());
    x_level.resize(trains ? 0 : u.samples * in), d_level.resize(trains ? 0 : u.samples * out);
  }
  UpdateJob job(const Update& u) {
    return {floats(u.x), floats(u.d), scales.data(), u.samples, longest, words, mask_words, u.first_step, u.kind, u.x_res, u.d_res,
            u.sto_round, u.negative, x_mask.data(), d_train.data(), x_level.data(), d_level.data(), levels.data(), live.data(), rising.data()};
  }
};

void update(const Tile& tile, const Update& u) {
  const DeviceOps& ops = device(tile.stem);
  py::gil_scoped_release release;
  UpdateScratch scratch(u, tile.out, tile.in, tile.threads);
  auto cells = tile.cell_pointers();
  ops.update(tile.view(cells), scratch.job(u));
}

void act_in_time(const Tile& tile, const Time& time, const std::string& what) {
  const DeviceOps& ops = device(tile.stem);
  const std::map<std::string, void (*)(const TileView&, const TimeJob&)> acts{
      {"decay", ops.decay}, {"diffuse", ops.diffuse}, {"reset", ops.reset}, {"drift", ops.drift}, {"clip", ops.clip}};
  py::gil_scoped_release release;
  std::vector<float*> own, drift;
  for (Address a : time.cells) own.push_back(mutable_floats(a));
  for (Address a : time.drift) drift.push_back(mutable_floats(a));
  std::vector<const float*> read(own.begin(), own.end());
  auto cells = tile.cell_pointers();
  const TimeJob job{time.time_params.data(), time.drift_params.data(), read.data(), drift.data(), time.step,
                    time.amount, time.skip_last_column, time.first_column, time.columns, time.clock};
  if (what == "construct")
    ops.construct_time(tile.view(cells), job, own.data());
  else
    acts.at(what)(tile.view(cells), job);
}

// Encodes the samples as an update would, and hands out the signed counts instead of applying them.
void coincidences(const Update& u, i64 out, i64 in, u64 seed, Address counts) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  UpdateScratch scratch(u, out, in, 1);
  ops.coincidences(scratch.job(u), out, in, seed, reinterpret_cast<i32*>(counts));
}

// Encodes the samples as an update would, and hands out the trains: (samples, words, in) and (samples, words, out).
void trains(const Update& u, i64 out, i64 in, u64 seed, Address x_train, Address d_train) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  UpdateScratch scratch(u, out, in, 1);
  ops.trains(scratch.job(u), out, in, seed, reinterpret_cast<u32*>(x_train));
  std::copy(scratch.d_train.begin(), scratch.d_train.end(), reinterpret_cast<u32*>(d_train));
}

void step(const Tile& tile, Address w, float direction, Address mean, Address spread) {
  auto cells = tile.cell_pointers();
  device(tile.stem).step(tile.view(cells), floats(w), direction, mutable_floats(mean), mutable_floats(spread));
}

// A trace and the sets to judge by it: addresses in the order of FilterJob, those of results 0 where not wanted.
void filter(const std::string& stem, i64 rows, const std::vector<Address>& trace, i64 sets, i64 params_each,
            const std::vector<Address>& given, const std::vector<Address>& results) {
  auto doubles = [](Address at) { return reinterpret_cast<double*>(at); };
  FilterJob job{rows,
                reinterpret_cast<const i32*>(trace[0]),
                reinterpret_cast<const i32*>(trace[1]),
                doubles(trace[2]),
                doubles(trace[3]),
                reinterpret_cast<const i8*>(trace[4]),
                reinterpret_cast<const i8*>(trace[5]),
                sets,
                params_each,
                floats(given[0]),
                doubles(given[1]),
                doubles(given[2]),
                doubles(results[0]),
                doubles(results[1]),
                doubles(results[2]),
                doubles(results[3]),
                doubles(results[4])};
  py::gil_scoped_release free_python;
  device(stem).filter(job);
}

void outer(Address weights, Address x, Address d, float lr, i64 out, i64 in, i64 samples, int threads) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.outer(mutable_floats(weights), floats(x), floats(d), lr, out, in, samples, threads);
}

}  // namespace

void register_tiles(py::module_& m) {
  py::class_<Tile>(m, "Tile")
      .def(py::init([](std::string stem, std::vector<float> params, std::vector<Address> cells, Address hidden,
                       Address apparent, i64 out, i64 in, u64 seed, int threads, Address pulses_up,
                       Address pulses_down) {
        return Tile{stem, params, cells, hidden, apparent, out, in, seed, threads, pulses_up, pulses_down};
      }));
  py::class_<Update>(m, "Update")
      .def(py::init([](Address x, Address d, i64 samples, std::vector<i32> length, std::vector<float> x_scale,
                       std::vector<float> d_scale, u64 first_step, i32 kind, float x_res, float d_res, bool sto_round,
                       bool negative) {
        return Update{x, d, samples, length, x_scale, d_scale, first_step, kind, x_res, d_res, sto_round, negative};
      }));
  py::class_<Time>(m, "Time")
      .def(py::init([](std::vector<float> time_params, std::vector<float> drift_params, std::vector<Address> cells,
                       std::vector<Address> drift, u64 step_number, float amount, bool skip_last_column,
                       i64 first_column, i64 columns, float clock) {
        return Time{time_params, drift_params, cells, drift, step_number, amount, skip_last_column, first_column,
                    columns, clock};
      }));
  m.attr("span") = OHM_NS::kSpan;
  m.attr("train_slots") = OHM_NS::kSlotsPerWord;
  m.def("schema", &schema);
  m.def("time_schema", &time_schema);
  m.def("construct", &construct);
  m.def("set_weights", &set_weights);
  m.def("pulse", &pulse);
  m.def("update", &update);
  m.def("coincidences", &coincidences);
  m.def("trains", &trains);
  m.def("act_in_time", &act_in_time);
  m.def("step", &step);
  m.def("filter", &filter);
  m.def("outer", &outer);
}

}  // namespace ohm_module
