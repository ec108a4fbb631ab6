// SPDX-License-Identifier: Apache-2.0
// The only file that knows pybind11. Arrays arrive as addresses that engine/ops.py has checked; nothing here
// knows torch, so one build works with every torch.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

// A namespace of its own: these copies are for the bindings' checks, the kernels have theirs.
#define OHM_ISA bindings
#include "core/chip_ops.h"
#include "core/mvm_plan.h"
#include "core/ops.h"
#include "core/periphery.h"
#include "core/product_job.h"
#include "core/time.h"
#include "kernels/masks.h"

namespace py = pybind11;
using namespace ohm_ops;

namespace {

using Address = std::uintptr_t;

// Filled by register_all when the module is imported.
std::map<std::string, std::map<std::string, DeviceOps>>& devices() {
  static std::map<std::string, std::map<std::string, DeviceOps>> table;
  return table;
}
std::map<std::string, TileOps>& tile_ops() {
  static std::map<std::string, TileOps> table;
  return table;
}
std::map<std::string, ChipOps>& chip_ops() {
  static std::map<std::string, ChipOps> table;
  return table;
}
std::string& isa_in_use() {
  static std::string isa = "portable";
  return isa;
}

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

const DeviceOps& device(const std::string& stem) {
  auto found = devices().find(stem);
  if (found == devices().end()) throw py::key_error("no compiled device " + stem);
  return found->second.at(isa_in_use());
}

std::vector<std::string> split_names(void (*list)(void (*)(const char*))) {
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

std::vector<std::string> periphery_schema() {
  return split_names([](void (*sink)(const char*)) { OHM_NS::PeripheryParams::list_names(sink); });
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

const float* floats(Address a) { return reinterpret_cast<const float*>(a); }
float* mutable_floats(Address a) { return reinterpret_cast<float*>(a); }

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

// The buffers of one update.
struct UpdateScratch {
  std::vector<SampleScale> scales;
  i32 longest = 1;
  i64 words, mask_words;
  std::vector<u64> x_mask, levels;
  std::vector<u32> d_train;
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
    x_mask.resize(u.samples * (1 + (trains ? longest : 0)) * mask_words), d_train.resize(trains ? u.samples * words * out : 0);
    x_level.resize(trains ? 0 : u.samples * in), d_level.resize(trains ? 0 : u.samples * out);
  }
  UpdateJob job(const Update& u) {
    return {floats(u.x), floats(u.d), scales.data(), u.samples, longest, words, mask_words, u.first_step, u.kind, u.x_res, u.d_res,
            u.sto_round, u.negative, x_mask.data(), d_train.data(), x_level.data(), d_level.data(), levels.data()};
  }
};

void update(const Tile& tile, const Update& u) {
  const DeviceOps& ops = device(tile.stem);
  py::gil_scoped_release release;
  UpdateScratch scratch(u, tile.out, tile.in, tile.threads);
  auto cells = tile.cell_pointers();
  ops.update(tile.view(cells), scratch.job(u));
}

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

// --- what a GPU's kernels are given: the same records, with addresses on the GPU ---

template <class Record>
py::bytes bytes_of(const Record& record) {
  return py::bytes(reinterpret_cast<const char*>(&record), sizeof(Record));
}

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

MvmStreams mvm_streams(bool transposed) {
  using namespace OHM_NS;
  if (transposed)
    return {kBackwardInput, kBackwardWeight, kBackwardOutput, kBackwardInputRound, kBackwardOutputRound, kBackwardLines};
  return {kForwardInput, kForwardWeight, kForwardOutput, kForwardInputRound, kForwardOutputRound, kForwardLines};
}

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

// What `mvm_chips` is told beside the product. What outputs are multiplied by, `factors` (chips, out), and what is added
// then, `offsets` (out); null without them.
struct Chips {
  bool shared_x, one_hot;
  std::vector<u64> seeds, lines, first_steps;
  Address factors, offsets;
  i64 part;  // vectors that a thread takes at a time
  std::vector<i64> patches;  // empty, or of a convolution: channels, from image to image, the two axes (PatchAxis)
};

void scale_outputs(float* y, const float* factors, const float* offsets, i64 samples, i64 out) {
  for (i64 s = 0; s < samples; ++s, y += out) {
    for (i64 i = 0; factors && i < out; ++i) y[i] *= factors[i];
    for (i64 i = 0; offsets && i < out; ++i) y[i] += offsets[i];
  }
}

Patches patches_of(const std::vector<i64>& n) {
  return {nullptr, n[0], n[1], {n[2], n[3], n[4], n[5], n[6], n[7]}, {n[8], n[9], n[10], n[11], n[12], n[13]}};
}

// The vectors of one chip that a thread multiplies at a time.
struct ChipPart {
  i64 chip, first, count;
};

// One tile on several chips: weights (chips, out, in), x (chips, samples, in) or the same for all, y (chips, samples,
// out). A thread takes some samples of one chip at a time.
class ChipsProduct {
 public:
  ChipsProduct(const Product& p, const Chips& c) : p_(p), c_(c) {}

  void run() const {
    const TileOps& ops = tile_ops().at(isa_in_use());
    const ChipOps& folds = chip_ops().at(isa_in_use());
    const auto periphery = OHM_NS::from_block<OHM_NS::PeripheryParams>(p_.params.data());
    auto plan = OHM_NS::plan_of(p_.in, p_.out, c_.part, 1, periphery);
    plan.block = std::max(plan.block, OHM_NS::kBlockVectors);  // the last part may be cut into other blocks
    const i64 parts = (p_.samples + c_.part - 1) / c_.part;
#pragma omp parallel num_threads(p_.threads)
    {
      MvmScratch scratch(plan, c_.part);
      const bool folded = !c_.patches.empty();
      auto rows = uncleared<float>(folded ? c_.part * (p_.in + p_.out) : 0);
#pragma omp for schedule(static)
      for (i64 item = 0; item < (i64)c_.seeds.size() * parts; ++item) {
        const i64 first = item % parts * c_.part;
        const ChipPart at{item / parts, first, std::min(c_.part, p_.samples - first)};
        if (folded)
          convolve(ops, folds, scratch, at, rows.get());
        else
          multiply(ops, scratch, at);
      }
    }
  }

 private:
  Product product(const ChipPart& at) const {
    Product own = p_;
    own.samples = at.count, own.weights += at.chip * p_.out * p_.in * sizeof(float);
    own.seed = c_.seeds[at.chip], own.construction_seed = c_.lines[at.chip];
    own.first_step = c_.first_steps[at.chip] + (u64)at.first;
    own.rounds = own.clipped = 0, own.threads = 1;
    return own;
  }

  const float* factors(i64 chip) const { return c_.factors ? floats(c_.factors) + chip * p_.out : nullptr; }

  void multiply(const TileOps& ops, MvmScratch& scratch, const ChipPart& at) const {
    Product own = product(at);
    own.x += ((c_.shared_x ? 0 : at.chip * p_.samples) + at.first) * p_.in * sizeof(float);
    own.y += (at.chip * p_.samples + at.first) * p_.out * sizeof(float);
    ops.mvm(mvm_job(own, scratch, c_.one_hot, at.first));
    scale_outputs(mutable_floats(own.y), factors(at.chip), floats(c_.offsets), at.count, p_.out);
  }

  // The same for the patches of images (chips, images, ...): outputs are images (chips, images, out, places).
  void convolve(const TileOps& ops, const ChipOps& folds, MvmScratch& scratch, const ChipPart& at, float* rows) const {
    Patches patches = patches_of(c_.patches);
    const i64 places = patches.places(), images = p_.samples / places;
    float* found = rows + c_.part * p_.in;
    patches.images = floats(p_.x) + (c_.shared_x ? 0 : at.chip * images * patches.image);
    folds.unfold(patches, at.first, at.count, rows);
    Product own = product(at);
    own.x = reinterpret_cast<Address>(rows), own.y = reinterpret_cast<Address>(found);
    ops.mvm(mvm_job(own, scratch));
    float* to = mutable_floats(p_.y) + at.chip * p_.samples * p_.out;
    folds.fold(found, factors(at.chip), floats(c_.offsets), at.first, at.count, p_.out, places, to);
  }

  const Product& p_;
  const Chips& c_;
};

// Lets the allocator keep what is freed, up to so many bytes, where it can be told: arrays of many chips come and go with every
// layer, and new pages cost as much as what is done with them.
void keep_freed(i64 bytes) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the most it takes
  mallopt(M_TRIM_THRESHOLD, (int)bytes);
#endif
  (void)bytes;
}

void mvm_chips(const Product& p, const Chips& c) {
  py::gil_scoped_release release;
  ChipsProduct(p, c).run();
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

void device_share(Address g, i64 count, const std::array<float, 5>& numbers, int threads, Address to) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  const auto [g_max, factor, exponent, least, most] = numbers;
  ops.share({floats(g), count, g_max, factor, exponent, least, most, threads}, mutable_floats(to));
}

// Sums of magnitudes of (chips, rows, count) over the rows, doubles (chips, count).
void size_sums(Address y, const std::array<i64, 3>& shape, int threads, Address sums) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.sizes(floats(y), shape[0], shape[1], shape[2], threads, reinterpret_cast<double*>(sums));
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

void outer(Address weights, Address x, Address d, float lr, i64 out, i64 in, i64 samples, int threads) {
  const TileOps& ops = tile_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.outer(mutable_floats(weights), floats(x), floats(d), lr, out, in, samples, threads);
}

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
  if (name == "sin") return OHM_NS::sin_cos_eighth(v).sin;
  if (name == "cos") return OHM_NS::sin_cos_eighth(v).cos;
  if (name == "round") return OHM_NS::rounded(v);
  throw py::key_error(name);
}

}  // namespace

void ohm_ops::add_device(const DeviceOps& ops) { devices()[ops.stem][ops.isa] = ops; }
void ohm_ops::add_chip_ops(const ChipOps& ops) { chip_ops()[ops.isa] = ops; }
void ohm_ops::add_tile_ops(const TileOps& ops) { tile_ops()[ops.isa] = ops; }

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled kernels of Ohmscape; use engine.ops, which checks what it passes.";
  register_all();
  use_isa(isa_available().back());
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
  py::class_<Product>(m, "Product")
      .def(py::init([](Address weights, Address x, Address y, Address rounds, Address clipped, i64 out, i64 in,
                       i64 samples, bool transposed, std::vector<float> params, float average, u64 seed, u64 construction_seed,
                       u64 first_step, int threads) {
        return Product{weights,    x,      y,       rounds, clipped,           out,        in,     samples,
                       transposed, params, average, seed,   construction_seed, first_step, threads};
      }));
  py::class_<Chips>(m, "Chips")
      .def(py::init([](bool shared_x, bool one_hot, std::vector<u64> seeds, std::vector<u64> lines,
                       std::vector<u64> first_steps, Address factors, Address offsets, i64 part,
                       std::vector<i64> patches) {
        return Chips{shared_x, one_hot, seeds, lines, first_steps, factors, offsets, part, patches};
      }));
  py::class_<Time>(m, "Time")
      .def(py::init([](std::vector<float> time_params, std::vector<float> drift_params, std::vector<Address> cells,
                       std::vector<Address> drift, u64 step_number, float amount, bool skip_last_column,
                       i64 first_column, i64 columns, float clock) {
        return Time{time_params, drift_params, cells, drift, step_number, amount, skip_last_column, first_column,
                    columns, clock};
      }));
  m.def("build_info", &build_info);
  m.def("use_isa", &use_isa);
  m.def("schema", &schema);
  m.def("periphery_schema", &periphery_schema);
  m.attr("span") = OHM_NS::kSpan;
  m.def("streams", &streams);
  m.def("derive_seeds", &derive_seeds);
  m.def("philox", &philox);
  m.def("normals", &normals);
  m.def("maths", &maths);
  m.def("coincidences", &coincidences);
  m.def("element_normals", [](u64 seed, u32 stream, u64 step_number, i64 count, u32 block, Address out) {
    element_draws(seed, stream, step_number, count, block, out, true);
  });
  m.def("element_uniforms", [](u64 seed, u32 stream, u64 step_number, i64 count, u32 block, Address out) {
    element_draws(seed, stream, step_number, count, block, out, false);
  });
  m.def("construct", &construct);
  m.def("set_weights", &set_weights);
  m.def("pulse", &pulse);
  m.def("update", &update);
  m.def("act_in_time", &act_in_time);
  m.def("time_schema", &time_schema);
  m.def("tile_record", &tile_record);
  m.def("pulse_record", &pulse_record);
  m.def("scale_record", &scale_records);
  m.def("update_record", &update_record);
  m.def("time_record", &time_record);
  m.def("product_record", &product_record);
  m.def("periphery_record", &periphery_record);
  m.def("step", &step);
  m.def("filter", &filter);
  m.def("mvm", &mvm);
  m.def("mvm_chips", &mvm_chips);
  m.def("keep_freed", &keep_freed);
  m.def("device_share", &device_share);
  m.def("size_sums", &size_sums);
  m.def("device_draws", &device_draws);
  m.def("device_read", &device_read);
  m.def("outer", &outer);
}
