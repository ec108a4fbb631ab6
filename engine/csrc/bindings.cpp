// SPDX-License-Identifier: Apache-2.0
// The module: instruction sets, and all that the files in bindings/ add to it.
#include "bindings/shared.hpp"

using namespace ohm_module;

namespace {

bool cpu_has(const std::string& isa) {
#if defined(__x86_64__)
  if (isa == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("fma");
  if (isa == "avx512")
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#endif
  return isa == "portable";
}

std::vector<std::string> isa_built() {
  std::vector<std::string> names;
  for (const char* isa : {"portable", "avx2", "avx512"})
    if (tile_ops().count(isa)) names.push_back(isa);
  return names;
}

std::vector<std::string> isa_available() {
  std::vector<std::string> names;
  for (const auto& isa : isa_built())
    if (cpu_has(isa)) names.push_back(isa);
  return names;
}

void use_isa(const std::string& isa) {
  if (!tile_ops().count(isa) || !cpu_has(isa)) throw py::value_error("instruction set not available: " + isa);
  isa_in_use() = isa;
}

py::dict build_info() {
  py::dict d;
  d["version"] = OHM_VERSION;
  d["compiler"] = OHM_COMPILER_NAME;
#ifdef OHM_OPENMP
  d["openmp"] = true;
#else
  d["openmp"] = false;
#endif
  d["isa_built"] = isa_built();
  d["isa_available"] = isa_available();
  d["isa"] = isa_in_use();
  std::vector<std::string> stems;
  for (const auto& entry : devices()) stems.push_back(entry.first);
  d["devices"] = stems;
  return d;
}

}  // namespace

void ohm_ops::add_device(const DeviceOps& ops) { devices()[ops.stem][ops.isa] = ops; }
void ohm_ops::add_chip_ops(const ChipOps& ops) { chip_ops()[ops.isa] = ops; }
void ohm_ops::add_tile_ops(const TileOps& ops) { tile_ops()[ops.isa] = ops; }

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled kernels of Ohmscape; use engine.ops, which checks what it passes.";
  register_all();
  use_isa(isa_available().back());
  m.def("build_info", &build_info);
  m.def("use_isa", &use_isa);
  register_tiles(m);
  register_products(m);
  register_chips(m);
  register_records(m);
  register_random(m);
}
