// SPDX-License-Identifier: Apache-2.0
// Likelihood of measured readings by a Kalman filter on the hidden weight, with the device's own step.
//
// A pulse moves the weight by a step whose mean and spread depend on it: both are averaged over what is known of the
// weight by three-point Gauss-Hermite quadrature. That is exact where the mean step is linear in the weight (constant,
// linear, soft bounds: the plain Kalman filter, multiplicative noise included) and of third order in the others.
// Source: "New extension of the Kalman filter to nonlinear systems" (SPIE 3068, 1997) for the sigma points; the moments of
// a clipped normal are in kernels/belief.h.
#pragma once
#include "kernels/belief.h"
#include "core/filter_job.h"
#include "kernels/crosspoint.h"

namespace OHM_NS {

using ohm_filter::Belief;
using ohm_filter::Bounds;
using ohm_filter::Seen;
using ohm_ops::FilterJob;

template <class D>
struct FilterSet {
  typename D::Params params;
  typename D::Cell cell;
  Bounds bounds;
  double write_var, read_var;
};

template <class D>
inline FilterSet<D> filter_set(const FilterJob& job, i64 set) {
  FilterSet<D> s;
  s.params = from_block<typename D::Params>(job.params + set * job.params_each);
  s.cell = draw_device<D>(s.params, Draws{0, 0}, false);
  s.bounds = {D::clip(-1e30f, s.cell), D::clip(1e30f, s.cell)};
  s.write_var = job.write_var[set];
  s.read_var = job.read_var[set];
  return s;
}

// The weight after one pulse, before the clip.
template <class D>
inline Belief pushed(const Belief& b, float direction, const FilterSet<D>& s) {
  const double reach = std::sqrt(3.0 * b.var);
  const double at[3] = {b.mean, b.mean - reach, b.mean + reach};
  const double share[3] = {2.0 / 3.0, 1.0 / 6.0, 1.0 / 6.0};
  double shift[3], mean = 0.0, var = 0.0;
  for (int k = 0; k < 3; ++k) {
    const Step step = D::step((float)at[k], direction, s.cell, s.params);
    shift[k] = (at[k] - b.mean) + (double)direction * (double)step.mean;
    mean += share[k] * shift[k];
    var += share[k] * (double)step.spread * (double)step.spread;
  }
  for (int k = 0; k < 3; ++k) var += share[k] * (shift[k] - mean) * (shift[k] - mean);
  return {b.mean + mean, var};
}

// Variance of the mean of a row's readings about the weight.
template <class D>
inline double reading_var(const FilterSet<D>& s, i32 reads) {
  return s.write_var + s.read_var / (double)reads;
}

// Log density of readings about their own mean; with one reading there is nothing to say.
template <class D>
inline double about_mean(const FilterSet<D>& s, i32 reads, double squares) {
  if (reads < 2) return 0.0;
  const double free = (double)(reads - 1);
  return -0.5 * (free * (ohm_filter::kLogTwoPi + std::log(s.read_var)) + std::log((double)reads) +
                 squares / s.read_var);
}

inline void note(const FilterJob& job, i64 at, double innovation, double variance, const Belief& b) {
  if (job.innovation) job.innovation[at] = innovation, job.variance[at] = variance;
  if (job.state) job.state[at] = b.mean, job.state_var[at] = b.var;
}

template <class D>
double filter_one(const FilterJob& job, i64 set) {
  const FilterSet<D> s = filter_set<D>(job, set);
  Belief b{0.0, 0.0};
  double total = 0.0;
  for (i64 t = 0; t < job.rows; ++t) {
    const i64 at = set * job.rows + t;
    const i32 reads = job.reads[t];
    if (job.start[t]) {
      b = ohm_filter::truncated({job.mean[t], reading_var(s, reads)}, s.bounds);
      note(job, at, NAN, NAN, b);
      continue;
    }
    const i32 n = job.pulses[t] < 0 ? -job.pulses[t] : job.pulses[t];
    const float direction = job.pulses[t] < 0 ? -1.0f : 1.0f;
    for (i32 k = 1; k < n; ++k) b = ohm_filter::clipped(pushed<D>(b, direction, s), s.bounds);
    if (n) b = pushed<D>(b, direction, s);
    if (!reads) {
      b = ohm_filter::clipped(b, s.bounds);
      note(job, at, NAN, NAN, b);
      continue;
    }
    const Seen found = ohm_filter::seen(b, s.bounds, job.mean[t], reading_var(s, reads));
    b = found.after;
    if (job.counted[t]) total += found.log_density + about_mean(s, reads, job.squares[t]);
    note(job, at, found.innovation, found.variance, b);
  }
  return total;
}

template <class D>
void filter_sets(const FilterJob& job) {
  for (i64 set = 0; set < job.sets; ++set) job.log_likelihood[set] = filter_one<D>(job, set);
}

}  // namespace OHM_NS
