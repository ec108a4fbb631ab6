// SPDX-License-Identifier: Apache-2.0
// What the files that talk to pybind11 share: the tables of kernels, and the records that Python hands over. Arrays arrive as
// addresses that engine/ops.py has checked; nothing here knows torch, so one build works with every torch.
#pragma once
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <string>
#include <vector>

// A namespace of its own: these copies are for the bindings' checks, the kernels have theirs.
#define OHM_ISA bindings
#include "core/chip_ops.h"
#include "core/ops.h"
#include "core/random.h"

namespace py = pybind11;

namespace ohm_module {

using namespace ohm_ops;
using Address = std::uintptr_t;

// Each file adds its own part of the module.
void register_chips(py::module_& m);
void register_products(py::module_& m);
void register_random(py::module_& m);
void register_records(py::module_& m);
void register_tiles(py::module_& m);

// Filled by register_all when the module is imported.
inline std::map<std::string, std::map<std::string, DeviceOps>>& devices() {
  static std::map<std::string, std::map<std::string, DeviceOps>> table;
  return table;
}
inline std::map<std::string, TileOps>& tile_ops() {
  static std::map<std::string, TileOps> table;
  return table;
}
inline std::map<std::string, ChipOps>& chip_ops() {
  static std::map<std::string, ChipOps> table;
  return table;
}
inline std::string& isa_in_use() {
  static std::string isa = "portable";
  return isa;
}

// The kernels of the instruction set in use.
inline const DeviceOps& device(const std::string& stem) {
  auto found = devices().find(stem);
  if (found == devices().end()) throw py::key_error("no compiled device " + stem);
  return found->second.at(isa_in_use());
}

inline std::vector<std::string> split_names(void (*list)(void (*)(const char*))) {
  static thread_local std::string joined;
  joined.clear();
  list([](const char* part) { joined += (joined.empty() ? "" : ",") + std::string(part); });
  std::vector<std::string> names;
  if (joined.empty()) return names;
  std::string name;
  for (char c : joined + ",") {
    if (c == ',') names.push_back(name), name.clear();
    else if (c != ' ') name += c;
  }
  return names;
}

inline const float* floats(Address a) { return reinterpret_cast<const float*>(a); }
inline float* mutable_floats(Address a) { return reinterpret_cast<float*>(a); }

// A tile as Python hands it over: addresses of arrays of out * in floats.
struct Tile {
  std::string stem;
  std::vector<float> params;
  std::vector<Address> cells;
  Address hidden, apparent;
  i64 out, in;
  u64 seed;
  int threads;
  Address pulses_up, pulses_down;

  std::vector<const float*> cell_pointers() const {
    std::vector<const float*> p;
    for (Address a : cells) p.push_back(reinterpret_cast<const float*>(a));
    return p;
  }
  TileView view(const std::vector<const float*>& pointers) const {
    return {params.data(), pointers.data(), reinterpret_cast<float*>(hidden), reinterpret_cast<float*>(apparent),
            out, in, seed, threads, reinterpret_cast<u32*>(pulses_up), reinterpret_cast<u32*>(pulses_down)};
  }
};

// What one update needs beside the tile.
struct Update {
  Address x, d;
  i64 samples;
  std::vector<i32> length;
  std::vector<float> x_scale, d_scale;
  u64 first_step;
  i32 kind;
  float x_res, d_res;
  bool sto_round, negative;
};

// The processes in time, as Python hands them over.
struct Time {
  std::vector<float> time_params, drift_params;
  std::vector<Address> cells, drift;
  u64 step;
  float amount;
  bool skip_last_column;
  i64 first_column, columns;
  float clock;
};

// A product as Python hands it over.
struct Product {
  Address weights, x, y, rounds, clipped;
  i64 out, in, samples;
  bool transposed;
  std::vector<float> params;
  float average;
  u64 seed, construction_seed, first_step;
  int threads;
};

inline MvmStreams mvm_streams(bool transposed) {
  using namespace OHM_NS;
  if (transposed)
    return {kBackwardInput, kBackwardWeight, kBackwardOutput, kBackwardInputRound, kBackwardOutputRound, kBackwardLines};
  return {kForwardInput, kForwardWeight, kForwardOutput, kForwardInputRound, kForwardOutputRound, kForwardLines};
}

// A record as a GPU's kernels are given it.
template <class Record>
py::bytes bytes_of(const Record& record) {
  return py::bytes(reinterpret_cast<const char*>(&record), sizeof(Record));
}

}  // namespace ohm_module
