// SPDX-License-Identifier: Apache-2.0
// Patches of images as rows of a matrix, some at a time, and outputs back in the order of images.
#pragma once
#include "core/patches.h"
#include "kernels/lanes.h"

namespace OHM_NS {

using ohm_ops::PatchAxis;
using ohm_ops::Patches;

// Kernel elements first .. last - 1 of one place lie on the image; the others are zeros in front of it or behind.
struct OnImage {
  i64 start, first, last;
  OnImage(const PatchAxis& axis, i64 place) : start(place * axis.stride - axis.before), first(0), last(axis.kernel) {
    while (first < last && start + first * axis.dilation < 0) ++first;
    while (last > first && start + (last - 1) * axis.dilation >= axis.pixels) --last;
  }
  bool whole(const PatchAxis& axis) const { return first == 0 && last == axis.kernel; }
};

// Three pixels at a time as four: the next three overwrite the fourth, and no more than what there is is read.
inline void copy_threes(float* to, const float* from, const Patches& p) {
  const i64 lines = p.channels * p.down.kernel, step = p.down.dilation * p.across.pixels;
  const i64 channel = p.down.pixels * p.across.pixels;
  float* last = to + 3 * (lines - 1);
  for (i64 c = 0; c < p.channels; ++c, from += channel) {
    const float* line = from;
    for (i64 y = 0; y < p.down.kernel; ++y, line += step, to += 3) __builtin_memcpy(to, line, to < last ? 16 : 12);
  }
}

// One pixel of each channel.
inline void copy_ones(float* to, const float* from, const Patches& p) {
  const i64 channel = p.down.pixels * p.across.pixels;
  for (i64 c = 0; c < p.channels; ++c) to[c] = from[c * channel];
}

// Any patch, at the border too.
inline void copy_patch(float* to, const float* image, const Patches& p, const OnImage& down, const OnImage& across) {
  const i64 width = p.across.kernel, channel = p.down.pixels * p.across.pixels;
  __builtin_memset(to, 0, 4 * (u64)p.inputs());
  for (i64 c = 0; c < p.channels; ++c, image += channel)
    for (i64 y = down.first; y < down.last; ++y) {
      const float* line = image + (down.start + y * p.down.dilation) * p.across.pixels + across.start;
      float* place = to + (c * p.down.kernel + y) * width;
      for (i64 x = across.first; x < across.last; ++x) place[x] = line[x * p.across.dilation];
    }
}

// Patches of `count` places side by side, from place `first` of row `down` on.
inline float* unfold_row(const Patches& p, const float* image, const OnImage& down, i64 first, i64 count, float* to) {
  const bool ones = p.across.kernel == 1 && p.down.kernel == 1, threes = p.across.kernel == 3 && p.across.dilation == 1;
  for (i64 place = first; place < first + count; ++place, to += p.inputs()) {
    const OnImage across(p.across, place);
    const float* from = image + down.start * p.across.pixels + across.start;
    const bool whole = down.whole(p.down) && across.whole(p.across);
    if (whole && threes)
      copy_threes(to, from, p);
    else if (whole && ones)
      copy_ones(to, from, p);
    else
      copy_patch(to, image, p, down, across);
  }
  return to;
}

// Patches first .. first + count - 1, a row each.
inline void unfold(const Patches& p, i64 first, i64 count, float* to) {
  const float* image = p.images + first / p.places() * p.image;
  i64 row = first % p.places() / p.across.places, place = first % p.across.places;
  while (count > 0) {
    const i64 here = p.across.places - place, some = here < count ? here : count;
    to = unfold_row(p, image, OnImage(p.down, row), place, some, to);
    count -= some, place = 0;
    if (++row == p.down.places) row = 0, image += p.image;
  }
}

// Rows (count, outputs) of places first .. to images (outputs, places), each output times its factor, plus its offset.
inline void fold(const float* rows, const float* factors, const float* offsets, i64 first, i64 count, i64 outputs,
                 i64 places, float* images) {
  for (i64 done = 0; done < count;) {
    const i64 image = (first + done) / places, place = (first + done) % places;
    const i64 here = count - done < places - place ? count - done : places - place;
    for (i64 i = 0; i < outputs; ++i) {
      const float factor = factors ? factors[i] : 1.0f, *from = rows + done * outputs + i;
      float* to = images + (image * outputs + i) * places + place;
      for (i64 k = 0; k < here; ++k) to[k] = from[k * outputs] * factor;
      if (offsets)
        for (i64 k = 0; k < here; ++k) to[k] += offsets[i];
    }
    done += here;
  }
}

}  // namespace OHM_NS
