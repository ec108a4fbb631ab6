// SPDX-License-Identifier: Apache-2.0
// Draws and reads of the devices of many chips, in blocks of lanes: the CPU's loops.
#pragma once
#include "core/chip_ops.h"
#include "core/inference.h"
#include "kernels/lanes.h"

namespace OHM_NS {

using ohm_ops::DrawJob;
using ohm_ops::ReadJob;
using ohm_ops::ShareJob;

// Calls use(chip, block of crosspoints) for all of them, chips side by side.
template <class Use>
inline void for_each_block(i64 chips, i64 count, int threads, Use use) {
  const i64 blocks = (count + kLanes - 1) / kLanes;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 item = 0; item < chips * blocks; ++item) use(item / blocks, block_of(item % blocks * kLanes, count));
}

// Draws 4 quad .. 4 quad + rows - 1; pairs that nobody asks for are not made.
inline void draw_rows(NoiseLanes& z, u64 seed, u32 stream, const u32* element, i64 quad, i64 rows) {
  draw_words_of(z, seed, stream, 0, element, (u32)quad);
  draw_pair(z, 0);
  if (rows > 2) draw_pair(z, 1);
}

inline float formed(i32 form, float mean, float spread, float xi) {
  const float v = mean + spread * xi;
  return form == ohm_ops::kFloored ? larger(v, 0.0f) : form == ohm_ops::kFolded ? magnitude(v) : v;
}

// One row of one block; `k` is the row's draw among the four at hand.
inline void write_row(const DrawJob& job, const NoiseLanes& z, int k, i64 chip, i64 row, const Block& b, float* to) {
  const i64 at = (chip * job.rows + row) * job.count + b.first;
  const i64 own = ((job.each_chip ? chip * job.rows : 0) + row) * job.count + b.first;
  if (job.form == ohm_ops::kUniform)
    for (int l = 0; l < b.used; ++l) to[at + l] = unit_interval(z.word[k][l]);
  else if (job.form == ohm_ops::kNormal)
    for (int l = 0; l < b.used; ++l) to[at + l] = z.normal[k][l];
  else
    for (int l = 0; l < b.used; ++l) to[at + l] = formed(job.form, job.mean[own + l], job.spread[own + l], z.normal[k][l]);
}

inline void draw_devices(const DrawJob& job, float* to) {
  for_each_block(job.chips, job.count, job.threads, [&](i64 chip, const Block& b) {
    NoiseLanes z;
    for (i64 row = 0; row < job.rows; ++row) {
      if (row % 4 == 0 && job.form == ohm_ops::kUniform)
        draw_words_of(z, job.seeds[chip], job.stream, 0, b.element, (u32)(row / 4));
      else if (row % 4 == 0)
        draw_rows(z, job.seeds[chip], job.stream, b.element, row / 4, job.rows - row);
      write_row(job, z, (int)(row % 4), chip, row, b, to);
    }
  });
}

inline void read_lanes(const ReadJob& job, const ReadMoment& m, i64 at, int used, const float* xi, float* to) {
  const float *programmed = job.programmed + at, *nu = job.nu + at, *share = job.share + at;
  if (xi)
    for (int l = 0; l < used; ++l) to[l] = found_by_read(after_drift(programmed[l], nu[l], m), share[l], xi[l], m);
  else
    for (int l = 0; l < used; ++l) to[l] = after_drift(programmed[l], nu[l], m);
}

inline void add_lanes(float* to, const float* g, float factor, int used, bool first) {
  for (int l = 0; l < used; ++l) to[l] = (first ? 0.0f : to[l]) + factor * g[l];
}

inline void read_devices(const ReadJob& job, float* to) {
  const ReadMoment moment{job.drift_log, job.growth};
  for_each_block(job.chips, job.count, job.threads, [&](i64 chip, const Block& b) {
    NoiseLanes z;
    alignas(64) float g[kLanes];
    for (i64 slice = 0; slice < job.slices; ++slice) {
      const int k = (int)(slice % 4);
      if (job.seeds && k == 0) draw_rows(z, job.seeds[chip], job.stream, b.element, slice / 4, job.slices - slice);
      const i64 at = (chip * job.slices + slice) * job.count + b.first;
      read_lanes(job, moment, at, b.used, job.seeds ? z.normal[k] : nullptr, job.combine ? g : to + at);
      if (job.combine) add_lanes(to + chip * job.count + b.first, g, job.combine[slice], b.used, slice == 0);
    }
  });
}

inline void read_shares(const ShareJob& job, float* to) {
  for_each_block(1, job.count, job.threads, [&](i64, const Block& b) {
    const float* g = job.g + b.first;
    for (int l = 0; l < b.used; ++l) {
      const float power = power_of(magnitude(g[l] / job.g_max), job.exponent);
      to[b.first + l] = smaller(job.factor / larger(power, job.least), job.most);
    }
  });
}

// Sums of magnitudes over the rows, in double precision and in order.
inline void sum_sizes(const float* y, i64 chips, i64 rows, i64 count, int threads, double* sums) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 chip = 0; chip < chips; ++chip) {
    double* to = sums + chip * count;
    for (i64 i = 0; i < count; ++i) to[i] = 0.0;
    for (i64 row = 0; row < rows; ++row) {
      const float* from = y + (chip * rows + row) * count;
      for (i64 i = 0; i < count; ++i) to[i] += (double)magnitude(from[i]);
    }
  }
}

}  // namespace OHM_NS
