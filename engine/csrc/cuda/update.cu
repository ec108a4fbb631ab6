// SPDX-License-Identifier: Apache-2.0
// The update of one device class in one form. Given when it is compiled: what cuda/device.h takes, OHM_WRITE_NOISE and
// OHM_COUNTS (0 or 1), OHM_KIND (UpdateKind), OHM_WORDS (32-slot words of a train), OHM_THREADS (of a
// block), OHM_COLUMNS (of a thread).
#include "cuda/device.h"
#include "cuda/update.h"

using namespace ohm_ops;
using namespace OHM_NS;

using Form = UpdateForm<OHM_THREADS, OHM_COLUMNS, OHM_KIND, OHM_WORDS, OHM_WRITE_NOISE, OHM_COUNTS>;

OHM_KERNEL void __launch_bounds__(OHM_THREADS)
    ohm_update(const TileView tile, const UpdateJob job, const u32* x_train) {
  __shared__ SharedUpdate<Form> shared;
  update_block<Device, Form>(shared, tile, job, x_train);
}
