// SPDX-License-Identifier: Apache-2.0
// Products of many chips at once, and their devices.
#include <algorithm>
#include <array>

#include "bindings/one_product.hpp"
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace ohm_module {
namespace {

// What `mvm_chips` is told beside the product. What outputs are multiplied by, `factors` (chips, out), and what is added
// then, `offsets` (out); null without them. `activation` is a number of Activation, of vectors alone.
struct Chips {
  bool shared_x, one_hot;
  std::vector<u64> seeds, lines, first_steps;
  Address factors, offsets;
  i32 activation;
  i64 part;  // vectors that a thread takes at a time
  std::vector<i64> patches;  // empty, or of a convolution: channels, from image to image, the two axes (PatchAxis)
};

Patches patches_of(const std::vector<i64>& n) {
  return {nullptr, n[0], n[1], {n[2], n[3], n[4], n[5], n[6], n[7]}, {n[8], n[9], n[10], n[11], n[12], n[13]}};
}

// The vectors of one chip that a thread multiplies at a time.
struct ChipPart {
  i64 chip, first, count;
};

// The buffers of a thread, and the chip whose matrices lie in them.
struct ThreadScratch {
  MvmScratch buffers;
  std::unique_ptr<float[]> rows;  // patches and their outputs
  i64 chip = -1;

  // Whether the chip's matrices lie here; from now on they do, in panels too if there are vectors enough for panels.
  bool prepared(const ChipPart& at) {
    const bool there = at.chip == chip;
    if (!there) chip = at.count >= OHM_NS::kPanelVectors ? at.chip : -1;
    return there;
  }
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
      const bool folded = !c_.patches.empty();
      ThreadScratch scratch{{plan, c_.part}, uncleared<float>(folded ? c_.part * (p_.in + p_.out) : 0)};
#pragma omp for schedule(dynamic)
      for (i64 item = 0; item < (i64)c_.seeds.size() * parts; ++item) {
        const i64 first = item % parts * c_.part;
        const ChipPart at{item / parts, first, std::min(c_.part, p_.samples - first)};
        if (folded)
          convolve(ops, folds, scratch, at);
        else
          multiply(ops, folds, scratch, at);
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

  void multiply(const TileOps& ops, const ChipOps& others, ThreadScratch& scratch, const ChipPart& at) const {
    Product own = product(at);
    own.x += ((c_.shared_x ? 0 : at.chip * p_.samples) + at.first) * p_.in * sizeof(float);
    own.y += (at.chip * p_.samples + at.first) * p_.out * sizeof(float);
    ops.mvm(mvm_job(own, scratch.buffers, {c_.one_hot, at.first}, scratch.prepared(at)));
    others.finish({factors(at.chip), floats(c_.offsets), p_.out, c_.activation}, at.count, mutable_floats(own.y));
  }

  // The same for the patches of images (chips, images, ...): outputs are images (chips, images, out, places).
  void convolve(const TileOps& ops, const ChipOps& folds, ThreadScratch& scratch, const ChipPart& at) const {
    Patches patches = patches_of(c_.patches);
    const i64 places = patches.places(), images = p_.samples / places;
    float *rows = scratch.rows.get(), *found = rows + c_.part * p_.in;
    patches.images = floats(p_.x) + (c_.shared_x ? 0 : at.chip * images * patches.image);
    folds.unfold(patches, at.first, at.count, rows);
    Product own = product(at);
    own.x = reinterpret_cast<Address>(rows), own.y = reinterpret_cast<Address>(found);
    ops.mvm(mvm_job(own, scratch.buffers, {}, scratch.prepared(at)));
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

void tanh_of(Address from, i64 count, int threads, Address to) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.tanh(floats(from), count, threads, mutable_floats(to));
}

// Sums of magnitudes of (chips, rows, count) over the rows, doubles (chips, count).
void size_sums(Address y, const std::array<i64, 3>& shape, int threads, Address sums) {
  const ChipOps& ops = chip_ops().at(isa_in_use());
  py::gil_scoped_release release;
  ops.sizes(floats(y), shape[0], shape[1], shape[2], threads, reinterpret_cast<double*>(sums));
}

}  // namespace

void register_chips(py::module_& m) {
  py::class_<Chips>(m, "Chips")
      .def(py::init([](bool shared_x, bool one_hot, std::vector<u64> seeds, std::vector<u64> lines,
                       std::vector<u64> first_steps, Address factors, Address offsets, i32 activation, i64 part,
                       std::vector<i64> patches) {
        return Chips{shared_x, one_hot, seeds, lines, first_steps, factors, offsets, activation, part, patches};
      }));
  m.def("mvm_chips", &mvm_chips);
  m.def("keep_freed", &keep_freed);
  m.def("device_share", &device_share);
  m.def("size_sums", &size_sums);
  m.def("tanh", &tanh_of);
  m.def("device_draws", &device_draws);
  m.def("device_read", &device_read);
}

}  // namespace ohm_module
