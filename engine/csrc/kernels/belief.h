// SPDX-License-Identifier: Apache-2.0
// What is known of a hidden weight, as a normal distribution, and what bounds do to it. In double precision: a likelihood
// is differentiated. Uses the host's mathematics library; a likelihood is not part of the same-bits promise.
#pragma once
#include <cmath>

namespace ohm_filter {

// Standard deviations beyond which a bound is out of reach: its probability, 4e-11, is far below the single precision of
// the steps.
constexpr double kFar = 6.5;
constexpr double kLogTwoPi = 1.8378770664093454836;

struct Belief {
  double mean, var;
};

struct Bounds {
  double low, high;
};

inline double density(double z) { return std::exp(-0.5 * z * z) * 0.39894228040143267794; }
inline double below(double z) { return 0.5 * std::erfc(-z * 0.70710678118654752440); }
inline double log_normal(double y, double mean, double var) {
  const double v = y - mean;
  return -0.5 * (kLogTwoPi + std::log(var) + v * v / var);
}

// A normal between two bounds: the mass below, above and inside, and the first two moments inside (times that mass)
// about its mean.
struct Pieces {
  double low_mass, high_mass, inside, first, second;
};

inline Pieces pieces(const Belief& b, const Bounds& bounds) {
  const double s = std::sqrt(b.var);
  const double lo = (bounds.low - b.mean) / s, hi = (bounds.high - b.mean) / s;
  Pieces p{0.0, 0.0, 1.0, 0.0, b.var};
  if (lo > -kFar) {
    const double d = density(lo);
    p.low_mass = below(lo), p.first += s * d, p.second += b.var * lo * d;
  }
  if (hi < kFar) {
    const double d = density(hi);
    p.high_mass = below(-hi), p.first -= s * d, p.second -= b.var * hi * d;
  }
  // one small tail less the other, where the plain difference would lose it
  p.inside = lo > 0.0 ? below(-lo) - p.high_mass : (hi < 0.0 ? below(hi) - p.low_mass : 1.0 - p.low_mass - p.high_mass);
  p.inside = std::fmax(p.inside, 0.0);
  p.second += b.var * (p.inside - 1.0);
  return p;
}

inline bool reaches(const Belief& b, const Bounds& bounds) {
  const double reach = kFar * std::sqrt(b.var);
  return b.mean - reach < bounds.low || b.mean + reach > bounds.high;
}

inline double into(double w, const Bounds& bounds) { return std::fmin(std::fmax(w, bounds.low), bounds.high); }

// Mean and variance of min(max(w, low), high) for a normal w of known pieces: exact moments of the clipped weight.
inline Belief clipped(const Belief& b, const Bounds& bounds, const Pieces& p) {
  const double low = p.low_mass > 0.0 ? bounds.low - b.mean : 0.0;
  const double high = p.high_mass > 0.0 ? bounds.high - b.mean : 0.0;
  const double shift = p.low_mass * low + p.high_mass * high + p.first;
  const double second = p.low_mass * low * low + p.high_mass * high * high + p.second;
  return {into(b.mean + shift, bounds), std::fmax(second - shift * shift, 0.0)};
}

inline Belief clipped(const Belief& b, const Bounds& bounds) {
  if (!reaches(b, bounds)) return b;
  if (b.var <= 0.0) return {into(b.mean, bounds), 0.0};
  return clipped(b, bounds, pieces(b, bounds));
}

// The same normal given that it lies inside: what a first reading says of a weight that cannot be outside.
inline Belief truncated(const Belief& b, const Bounds& bounds) {
  if (!reaches(b, bounds)) return b;
  if (b.var <= 0.0) return {into(b.mean, bounds), 0.0};
  const Pieces p = pieces(b, bounds);
  if (p.inside < 1e-12) return {into(b.mean, bounds), 0.0};
  const double shift = p.first / p.inside;
  return {into(b.mean + shift, bounds), std::fmax(p.second / p.inside - shift * shift, 0.0)};
}

struct Seen {
  Belief after;                      // what is known with the reading
  double log_density, innovation, variance;  // of the reading before it was taken
};

// A reading of a weight known to be the clipped normal `b`: mass on either bound and a truncated normal between, each
// weighed by how well it explains the reading. Exact; only `after` is brought back to a normal, by its moments.
inline Seen seen_at_bound(const Belief& b, const Bounds& bounds, double y, double noise) {
  const Pieces before = pieces(b, bounds);
  const double total = b.var + noise, gain = b.var / total;
  const Belief inner{b.mean + gain * (y - b.mean), b.var * noise / total};
  const Pieces p = pieces(inner, bounds);
  const double none = -1e300;
  const double logs[3] = {
      before.low_mass > 0.0 ? std::log(before.low_mass) + log_normal(y, bounds.low, noise) : none,
      before.high_mass > 0.0 ? std::log(before.high_mass) + log_normal(y, bounds.high, noise) : none,
      p.inside > 0.0 ? std::log(p.inside) + log_normal(y, b.mean, total) : none};
  const double top = std::fmax(logs[0], std::fmax(logs[1], logs[2]));
  double weight[3], sum = 0.0;
  for (int k = 0; k < 3; ++k) sum += weight[k] = std::exp(logs[k] - top);
  const double low = weight[0] > 0.0 ? bounds.low - inner.mean : 0.0;
  const double high = weight[1] > 0.0 ? bounds.high - inner.mean : 0.0;
  const double first = p.inside > 0.0 ? p.first / p.inside : 0.0, second = p.inside > 0.0 ? p.second / p.inside : 0.0;
  const double shift = (weight[0] * low + weight[1] * high + weight[2] * first) / sum;
  const double spread = (weight[0] * low * low + weight[1] * high * high + weight[2] * second) / sum - shift * shift;
  const Belief expected = clipped(b, bounds, before);
  return {{into(inner.mean + shift, bounds), std::fmax(spread, 0.0)},
          top + std::log(sum), y - expected.mean, expected.var + noise};
}

inline Seen seen(const Belief& b, const Bounds& bounds, double y, double noise) {
  if (reaches(b, bounds) && b.var > 0.0) return seen_at_bound(b, bounds, y, noise);
  const Belief known = b.var > 0.0 ? b : Belief{into(b.mean, bounds), 0.0};
  const double total = known.var + noise, gain = known.var / total, v = y - known.mean;
  return {{known.mean + gain * v, known.var * noise / total}, log_normal(y, known.mean, total), v, total};
}

}  // namespace ohm_filter
