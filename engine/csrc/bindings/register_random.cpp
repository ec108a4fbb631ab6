// SPDX-License-Identifier: Apache-2.0
// Random numbers, seeds made from seeds, and elementary functions.
#include "bindings/shared.hpp"

namespace ohm_module {
namespace {

void normals(u64 seed, u32 stream, u64 step_number, i64 count, Address out) {
  tile_ops().at(isa_in_use()).normals(seed, stream, step_number, count, mutable_floats(out));
}

// Draws of elements 0 .. count - 1, four rows of `count`.
void element_draws(u64 seed, u32 stream, u64 step_number, i64 count, u32 block, Address out, bool normal) {
  float* row = mutable_floats(out);
  for (i64 e = 0; e < count; ++e) {
    const auto words = OHM_NS::stream_words(seed, stream, step_number, (u32)e, block);
    const auto z = OHM_NS::normals_of(words);
    for (int k = 0; k < 4; ++k) row[k * count + e] = normal ? z.v[k] : OHM_NS::unit_interval(words.v[k]);
  }
}

std::vector<u32> philox(u64 key, const std::vector<u32>& c, int rounds) {
  if (rounds != OHM_NS::kRounds && rounds != OHM_NS::kUpdateRounds) throw py::value_error("rounds: 7 or 10");
  auto w = rounds == OHM_NS::kRounds ? OHM_NS::philox<OHM_NS::kRounds>(key, c.at(0), c.at(1), c.at(2), c.at(3))
                                     : OHM_NS::philox<OHM_NS::kUpdateRounds>(key, c.at(0), c.at(1), c.at(2), c.at(3));
  return {w.v[0], w.v[1], w.v[2], w.v[3]};
}

// Each seed's child for one path of (kind, number); engine/rng.py says what they are.
std::vector<u64> derive_seeds(std::vector<u64> seeds, const std::vector<std::pair<u32, u64>>& path) {
  for (u64& seed : seeds)
    for (const auto& part : path) {
      const auto w = OHM_NS::philox(seed, (u32)part.second, (u32)(part.second >> 32), part.first, OHM_NS::kDerive << 24);
      seed = (w.v[0] | (u64)w.v[1] << 32) & (~0ull >> 1);
    }
  return seeds;
}

py::dict streams() {
  using namespace OHM_NS;
  py::dict d;
  d["construction"] = (u32)kConstruction, d["pulse_cycle"] = (u32)kPulseCycle, d["pulse_write"] = (u32)kPulseWrite;
  d["train_x"] = (u32)kTrainX, d["train_d"] = (u32)kTrainD, d["update_cycle"] = (u32)kUpdateCycle;
  d["update_write"] = (u32)kUpdateWrite, d["set_write"] = (u32)kSetWrite, d["derive"] = (u32)kDerive;
  d["forward_input"] = (u32)kForwardInput, d["forward_weight"] = (u32)kForwardWeight;
  d["forward_output"] = (u32)kForwardOutput, d["backward_input"] = (u32)kBackwardInput;
  d["backward_weight"] = (u32)kBackwardWeight, d["backward_output"] = (u32)kBackwardOutput;
  d["time_construction"] = (u32)kTimeConstruction, d["diffusion"] = (u32)kDiffusion, d["reset"] = (u32)kReset;
  d["reset_pick"] = (u32)kResetPick, d["drift_exponent"] = (u32)kDriftExponent, d["drift_noise"] = (u32)kDriftNoise;
  d["forward_input_round"] = (u32)kForwardInputRound, d["forward_output_round"] = (u32)kForwardOutputRound;
  d["backward_input_round"] = (u32)kBackwardInputRound, d["backward_output_round"] = (u32)kBackwardOutputRound;
  d["forward_lines"] = (u32)kForwardLines, d["backward_lines"] = (u32)kBackwardLines;
  d["read_asymmetry"] = (u32)kReadAsymmetry;
  d["time_write"] = (u32)kTimeWrite, d["train_round"] = (u32)kTrainRound;
  return d;
}

// The elementary functions, so that their stated error can be checked.
double maths(const std::string& name, const std::vector<float>& values) {
  const float v = values.at(0);
  if (name == "fused") return OHM_NS::fused(v, values.at(1), values.at(2));
  if (name == "log") return OHM_NS::natural_log(v);
  if (name == "exp") return OHM_NS::exponential(v);
  if (name == "exp2") return OHM_NS::power_of_two(v);
  if (name == "tanh") return OHM_NS::hyperbolic_tangent(v);
  if (name == "sin") return OHM_NS::sin_cos_eighth(v).sin;
  if (name == "cos") return OHM_NS::sin_cos_eighth(v).cos;
  if (name == "round") return OHM_NS::rounded(v);
  throw py::key_error(name);
}

}  // namespace

void register_random(py::module_& m) {
  m.def("streams", &streams);
  m.def("derive_seeds", &derive_seeds);
  m.def("philox", &philox);
  m.def("normals", &normals);
  m.def("maths", &maths);
  m.def("element_normals", [](u64 seed, u32 stream, u64 step_number, i64 count, u32 block, Address out) {
    element_draws(seed, stream, step_number, count, block, out, true);
  });
  m.def("element_uniforms", [](u64 seed, u32 stream, u64 step_number, i64 count, u32 block, Address out) {
    element_draws(seed, stream, step_number, count, block, out, false);
  });
}

}  // namespace ohm_module
