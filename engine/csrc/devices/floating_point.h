// SPDX-License-Identifier: Apache-2.0
// Floating point: the ideal device of a fully digital layer.
#pragma once
#include "devices/ideal.h"

namespace OHM_NS {

struct FloatingPoint : Ideal {};

}  // namespace OHM_NS
