// SPDX-License-Identifier: Apache-2.0
// Draws and reads of the devices of many chips, in blocks of lanes: the CPU's loops.
#pragma once
#include "core/chip_ops.h"
#include "core/inference.h"
#include "kernels/lanes.h"

namespace OHM_NS {

using ohm_ops::DrawJob;
using ohm_ops::ReadJob;

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

inline void draw_devices(const DrawJob& job, float* to) {
  for_each_block(job.chips, job.count, job.threads, [&](i64 chip, const Block& b) {
    NoiseLanes z;
    for (i64 row = 0; row < job.rows; ++row) {
      const int k = (int)(row % 4);
      if (k == 0 && job.normal) draw_rows(z, job.seeds[chip], job.stream, b.element, row / 4, job.rows - row);
      if (k == 0 && !job.normal) draw_words_of(z, job.seeds[chip], job.stream, 0, b.element, (u32)(row / 4));
      float* own = to + (chip * job.rows + row) * job.count + b.first;
      for (int l = 0; l < b.used; ++l) own[l] = job.normal ? z.normal[k][l] : unit_interval(z.word[k][l]);
    }
  });
}

// All lanes of a whole block: a loop of fixed length vectorises.
inline void read_lanes(const ReadJob& job, const ReadMoment& m, i64 at, int used, const float* xi, float* to) {
  const float *programmed = job.programmed + at, *nu = job.nu + at, *share = job.share + at;
  if (xi)
    for (int l = 0; l < used; ++l) to[at + l] = found_by_read(after_drift(programmed[l], nu[l], m), share[l], xi[l], m);
  else
    for (int l = 0; l < used; ++l) to[at + l] = after_drift(programmed[l], nu[l], m);
}

inline void read_devices(const ReadJob& job, float* to) {
  const ReadMoment moment{job.drift_log, job.growth};
  for_each_block(job.chips, job.count, job.threads, [&](i64 chip, const Block& b) {
    NoiseLanes z;
    for (i64 slice = 0; slice < job.slices; ++slice) {
      const int k = (int)(slice % 4);
      if (job.seeds && k == 0) draw_rows(z, job.seeds[chip], job.stream, b.element, slice / 4, job.slices - slice);
      const i64 at = (chip * job.slices + slice) * job.count + b.first;
      read_lanes(job, moment, at, b.used, job.seeds ? z.normal[k] : nullptr, to);
    }
  });
}

}  // namespace OHM_NS
