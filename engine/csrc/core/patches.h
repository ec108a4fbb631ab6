// SPDX-License-Identifier: Apache-2.0
// The patches that a convolution multiplies: where they lie in its images.
#pragma once
#include "core/macros.h"

namespace ohm_ops {

using namespace ohm_types;

// Along one axis of an image: pixels, how many the kernel takes and in what distance, zeros in front, and the places
// that it visits.
struct PatchAxis {
  i64 pixels, kernel, stride, dilation, before, places;
};

// Vector v of a batch is the patch at place v % places() of image v / places(): channel by channel, row by row.
struct Patches {
  const float* images;
  i64 channels, image;  // channels of a patch; numbers from one image to the next
  PatchAxis down, across;

  i64 places() const { return down.places * across.places; }
  i64 inputs() const { return channels * down.kernel * across.kernel; }
};

}  // namespace ohm_ops
