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
  const i64 rows = p.channels * p.down.kernel;
  i64 row = 0;
  for (i64 c = 0; c < p.channels; ++c)
    for (i64 y = 0; y < p.down.kernel; ++y, ++row, to += 3) {
      const float* line = from + (c * p.down.pixels + y * p.down.dilation) * p.across.pixels;
      __builtin_memcpy(to, line, row + 1 < rows ? 16 : 12);
    }
}

inline void copy_patch(float* to, const float* image, const Patches& p, const OnImage& down, const OnImage& across) {
  for (i64 c = 0; c < p.channels; ++c)
    for (i64 y = 0; y < p.down.kernel; ++y, to += p.across.kernel) {
      const float* line = image + (c * p.down.pixels + down.start + y * p.down.dilation) * p.across.pixels + across.start;
      const bool there = y >= down.first && y < down.last;
      for (i64 x = 0; x < p.across.kernel; ++x)
        to[x] = there && x >= across.first && x < across.last ? line[x * p.across.dilation] : 0.0f;
    }
}

// Patches first .. first + count - 1, a row each.
inline void unfold(const Patches& p, i64 first, i64 count, float* to) {
  const i64 places = p.places(), size = p.inputs();
  const bool threes = p.across.kernel == 3 && p.across.dilation == 1;
  for (i64 v = first; v < first + count; ++v, to += size) {
    const float* image = p.images + v / places * p.image;
    const OnImage down(p.down, v % places / p.across.places), across(p.across, v % p.across.places);
    if (threes && down.whole(p.down) && across.whole(p.across))
      copy_threes(to, image + down.start * p.across.pixels + across.start, p);
    else
      copy_patch(to, image, p, down, across);
  }
}

// Rows (count, outputs) of places first .. to images (outputs, places), each output times its factor, if there are any.
inline void fold(const float* rows, const float* factors, i64 first, i64 count, i64 outputs, i64 places, float* images) {
  for (i64 done = 0; done < count;) {
    const i64 image = (first + done) / places, place = (first + done) % places;
    const i64 here = count - done < places - place ? count - done : places - place;
    for (i64 i = 0; i < outputs; ++i) {
      float* to = images + (image * outputs + i) * places + place;
      const float factor = factors ? factors[i] : 1.0f, *from = rows + done * outputs + i;
      for (i64 k = 0; k < here; ++k) to[k] = from[k * outputs] * factor;
    }
    done += here;
  }
}

}  // namespace OHM_NS
