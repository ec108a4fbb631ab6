// SPDX-License-Identifier: Apache-2.0
// Work shared out over threads.
#pragma once
#include "kernels/lanes.h"

namespace OHM_NS {

// Calls body(k) for k = 0 .. count - 1, on several threads where there are any; a single one starts no parallel region.
template <class Body>
inline void share(i64 count, int threads, Body body) {
  if (threads == 1 || count == 1) {
    for (i64 k = 0; k < count; ++k) body(k);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(static)
  for (i64 k = 0; k < count; ++k) body(k);
}

}  // namespace OHM_NS
