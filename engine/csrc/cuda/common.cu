// SPDX-License-Identifier: Apache-2.0
// The kernels that no device class has a part in.
#include "core/inference.h"
#include "cuda/trains.h"

using namespace ohm_ops;
using namespace OHM_NS;

OHM_KERNEL void ohm_encode(const UpdateJob job, u32* x_train, u64 seed, i64 out, i64 in) {
  encode_lines(job, x_train, seed, out, in);
}

OHM_KERNEL void ohm_coincidences(const UpdateJob job, const u32* x_train, i64 out, i64 in, i32* counts) {
  count_coincidences(job, x_train, out, in, counts);
}

// W -= lr d x^T in floating point, samples in order.
OHM_KERNEL void ohm_outer(float* weights, const float* x, const float* d, float lr, i64 out, i64 in, i64 samples) {
  for (i64 e = first_item(); e < out * in; e += item_stride()) {
    float w = weights[e];
    for (i64 t = 0; t < samples; ++t) w = outer_step(w, lr * d[t * out + e / in], x[t * in + e % in]);
    weights[e] = w;
  }
}

// Draws 4 block .. 4 block + 3 of elements 0 .. count - 1, four rows of `count`: normals, or uniform in (0, 1].
OHM_KERNEL void ohm_draws(u64 seed, u32 stream, u64 step, i64 count, u32 block, i32 normal, float* to) {
  for (i64 e = first_item(); e < count; e += item_stride()) {
    const Words words = stream_words(seed, stream, step, (u32)e, block);
    const Normals z = normals_of(words);
    OHM_UNROLL(4)
    for (int k = 0; k < 4; ++k) to[k * count + e] = normal ? z.v[k] : unit_interval(words.v[k]);
  }
}

// Devices (slices, count) of one chip after drift as a read finds them; `noisy` off: a read without noise.
OHM_KERNEL void ohm_read(const float* programmed, const float* nu, const float* share, float drift_log, float growth,
                         u64 seed, u32 stream, i64 slices, i64 count, i32 noisy, float* to) {
  const ReadMoment moment{drift_log, growth};
  for (i64 at = first_item(); at < slices * count; at += item_stride()) {
    const float g = after_drift(programmed[at], nu[at], moment);
    if (!noisy) {
      to[at] = g;
      continue;
    }
    const u32 slice = (u32)(at / count), element = (u32)(at % count);
    const Normals z = normals_of(draw_words(seed, stream, 0, element, slice / 4));
    to[at] = found_by_read(g, share[at], z.v[slice % 4], moment);
  }
}
