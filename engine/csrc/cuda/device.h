// SPDX-License-Identifier: Apache-2.0
// The device class that a program is compiled for: OHM_HEADER "devices/<stem>.h", OHM_CLASS, and OHM_CELLS, the number of
// its per-device arrays, where the caller knows it.
#pragma once
#if defined(OHM_HEADER)
#include OHM_HEADER

using Device = OHM_NS::OHM_CLASS;

#if defined(OHM_CELLS)
static_assert(Device::Cell::count == OHM_CELLS, "the extension was built from other sources: build it again");
#endif
#endif
