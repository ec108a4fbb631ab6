// SPDX-License-Identifier: Apache-2.0
// What a kernel does to one crosspoint, as functions for CPU and GPU: the loops over lanes (construct.h, pulse.h, time.h)
// and the GPU's threads (cuda/) call these and hold no formula of their own.
#pragma once
#include "core/ops.h"
#include "core/pulsed.h"
#include "core/time.h"

namespace OHM_NS {

using ohm_ops::TileView;
using ohm_ops::TimeJob;

template <class D>
OHM_HD typename D::Cell draw_device(const typename D::Params& p, const Draws& draws, bool last_column) {
  typename D::Cell cell;
  if constexpr (D::draws_common) draw_common(cell, p, draws, last_column);
  D::draw(cell, p, draws);
  return cell;
}

// The frozen error between what the device holds and what a read sees; zero for classes without write noise.
template <class D>
OHM_HD float write_noise_of(const typename D::Params& p) {
  if constexpr (D::has_write_noise)
    return p.write_noise_std * p.dw_min;
  else
    return 0.0f;
}

template <class D>
OHM_HD bool noise_on_set(const typename D::Params& p) {
  if constexpr (D::has_write_noise)
    return p.apply_write_noise_on_set > 0.0f;
  else
    return false;
}

OHM_HD float with_noise(float w, float noise, float eta) { return noise > 0.0f ? w + noise * eta : w; }

// One programming pulse, the only place where a step is applied.
template <class D>
OHM_HD float pulsed(float w, float direction, float xi, const typename D::Cell& c, const typename D::Params& p) {
  if constexpr (D::has_way) {
    return D::clip(D::after(D::way(direction, c, p), w, xi, p), c);
  } else {
    const Step s = D::step(w, direction, c, p);
    return D::clip(fused(direction, fused(s.spread, xi, s.mean), w), c);
  }
}

// What the device holds and what a read sees.
struct Weights {
  float hidden, apparent;
};

// A pulse of a sequence, which may be none (`way` 0).
template <class D>
OHM_HD Weights after_pulse(const Weights& s, float way, float xi, float eta, const typename D::Cell& c,
                           const typename D::Params& p, float noise) {
  float next = pulsed<D>(s.hidden, way, xi, c, p);
  next = way == 0.0f ? s.hidden : next;
  return {next, way == 0.0f ? s.apparent : with_noise(next, noise, eta)};
}

// --- processes in time ---

template <class D>
OHM_HD TimeCell draw_time_of(const TimeParams& time, const DriftParams& drift, const Draws& draws,
                             const typename D::Cell& cell, const typename D::Params& params) {
  TimeCell c = draw_time(time, drift, draws);
  c.reset_bias += D::reset_shift(cell, params);
  return c;
}

// What a process may draw for a crosspoint: two normals, and a word as it is.
struct TimeDraws {
  float first, second;
  u32 word;
};

constexpr u32 kNoStream = 0;  // of a process that draws nothing

// A process is made once a call and gives the new weight of crosspoint `e`, before the clip that ends every process.
namespace process {

struct Clip {
  static constexpr u32 stream = kNoStream;
  OHM_HD explicit Clip(const TimeJob&) {}
  template <class D>
  OHM_HD float changed(const TileView&, i64, float w, const TimeDraws&) const {
    return w;
  }
};

struct Decay {
  static constexpr u32 stream = kNoStream;
  const TimeJob& job;
  OHM_HD explicit Decay(const TimeJob& j) : job(j) {}
  template <class D>
  OHM_HD float changed(const TileView& tile, i64 e, float w, const TimeDraws&) const {
    const bool kept = job.skip_last_column && e % tile.in == tile.in - 1;
    return kept ? w : decayed(w, from_arrays<TimeCell>(job.cells, e), job.amount);
  }
};

struct Diffusion {
  static constexpr u32 stream = kDiffusion;
  const TimeJob& job;
  OHM_HD explicit Diffusion(const TimeJob& j) : job(j) {}
  template <class D>
  OHM_HD float changed(const TileView&, i64 e, float w, const TimeDraws& z) const {
    return w + job.cells[1][e] * z.first;
  }
};

// Columns first_column .. first_column + columns - 1, wrapping around; each device with probability `amount`.
struct Reset {
  static constexpr u32 stream = kReset;
  const TimeJob& job;
  float spread;
  OHM_HD explicit Reset(const TimeJob& j) : job(j), spread(from_block<TimeParams>(j.time_params).reset_std) {}
  template <class D>
  OHM_HD float changed(const TileView& tile, i64 e, float w, const TimeDraws& z) const {
    const i64 column = (e % tile.in - job.first_column + tile.in) % tile.in;
    const bool taken = column < job.columns && unit_interval(z.word) <= job.amount;
    return taken ? job.cells[2][e] + spread * z.first : w;
  }
};

struct Drift {
  static constexpr u32 stream = kDriftExponent;
  const TimeJob& job;
  DriftParams p;
  OHM_HD explicit Drift(const TimeJob& j) : job(j), p(from_block<DriftParams>(j.drift_params)) {}
  template <class D>
  OHM_HD float changed(const TileView& tile, i64 e, float w, const TimeDraws& z) const {
    if (magnitude(w - job.drift[2][e]) > p.drift_reset_tol) {  // written since: starts anew, no drift in this call
      job.drift[0][e] = w;
      job.drift[1][e] = job.clock;
    } else {
      const float nu = job.cells[3][e] * (1.0f + p.drift_nu_std * z.first);
      w = drifted(job.drift[0][e], w, job.clock - job.drift[1][e], nu, p);
    }
    w = D::clip(w + p.drift_w_noise_std * z.second, from_arrays<typename D::Cell>(tile.cells, e));
    job.drift[2][e] = w;
    return w;
  }
};

}  // namespace process
}  // namespace OHM_NS
