// SPDX-License-Identifier: Apache-2.0
// What the likelihood of measured readings needs: the trace of one device, and sets of parameters to judge by it.
#pragma once
#include "core/macros.h"

namespace ohm_ops {

using namespace ohm_types;

struct FilterJob {
  // The trace: row t holds the readings taken after the pulses of that row, all pulses of a row in one direction.
  i64 rows;
  const i32* pulses;      // (rows) signed: up positive, down negative, 0 none
  const i32* reads;       // (rows) readings after those pulses, 0 none
  const double* mean;     // (rows) their mean, weight units
  const double* squares;  // (rows) sum of their squared deviations from it
  const i8* start;        // (rows) a trace begins: nothing is known of the state before this row's readings
  const i8* counted;      // (rows) the row counts in the likelihood
  // The sets.
  i64 sets, params_each;
  const float* params;         // (sets, params_each) device parameters in schema order
  const double* write_var;     // (sets) variance of the error frozen at a write, weight units squared
  const double* read_var;      // (sets) variance of one reading about it
  // Results; all but the first may be null.
  double* log_likelihood;   // (sets)
  double* innovation;       // (sets, rows) reading less its prediction; NaN where there is none
  double* variance;         // (sets, rows) of that
  double* state;            // (sets, rows) mean of the hidden weight given all readings so far
  double* state_var;        // (sets, rows)
};

}  // namespace ohm_ops
