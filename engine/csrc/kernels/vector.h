// SPDX-License-Identifier: Apache-2.0
// What the analog product does to a vector as a whole: draws for its lines, its sum, its largest entry.
#pragma once
#include "kernels/draws.h"

namespace OHM_NS {

constexpr i64 kVec = 16;  // partial results of every sum

// A register of the widest kind there is.
#if defined(__AVX512F__)
constexpr i64 kRegister = 16;
#elif defined(__AVX2__)
constexpr i64 kRegister = 8;
#else
constexpr i64 kRegister = 4;
#endif
typedef float Register __attribute__((vector_size(4 * kRegister)));
typedef i32 Bits __attribute__((vector_size(4 * kRegister)));

inline Register load_register(const float* from) {
  Register v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

// Draws for up to kLineDraws lines from `first` on, in order. Four consecutive lines share one call of the generator.
constexpr i64 kLineDraws = 4 * kBatch;

inline void line_words(Drawn<u32>& word, i64 first, i64 calls, u64 seed, u32 stream, u64 step, u32 block) {
  alignas(64) u32 group[kBatch];
  number_calls(group, (u32)(first / 4), calls);
  philox_rows(word.row[0], kBatch, (int)calls, seed, stream, step, group, block);
}

inline void in_order(float* to, const Drawn<float>& z, i64 calls) {
  for (i64 l = 0; l < calls; l += kCalls) interleave(to + 4 * l, z, l);
}

// How many calls are made together for what is left of the lines: a small layer needs few.
inline i64 calls_for(i64 lines) {
  const i64 calls = (lines + 4 * kCalls - 1) / (4 * kCalls) * kCalls;
  return calls < kBatch ? calls : kBatch;
}

inline void line_normals(float* to, i64 first, i64 calls, u64 seed, u32 stream, u64 step, u32 block) {
  Drawn<u32> word;
  Drawn<float> z;
  line_words(word, first, calls, seed, stream, step, block);
  turn_normal(z, word, calls);
  in_order(to, z, calls);
}

// Calls use(draws, first, width) for all lines.
template <class Use>
inline void with_normals(i64 n, u64 seed, u32 stream, u64 step, u32 block, Use use) {
  alignas(64) float xi[kLineDraws];
  for (i64 first = 0; first < n; first += kLineDraws) {
    line_normals(xi, first, calls_for(n - first), seed, stream, step, block);
    use(xi, first, n - first < kLineDraws ? n - first : kLineDraws);
  }
}

inline void add_normals(float* v, i64 n, float scale, u64 seed, u32 stream, u64 step, u32 block) {
  if (scale == 0.0f) return;
  with_normals(n, seed, stream, step, block, [&](const float* xi, i64 first, i64 width) {
    for (i64 k = 0; k < width; ++k) v[first + k] += scale * xi[k];
  });
}

// Calls of the generator for several vectors together: those of one after those of the other, `groups` each.
struct CallsOfVectors {
  alignas(64) u32 group[kBatch], vector[kBatch], step[kBatch], last[kBatch];
  i64 calls;

  CallsOfVectors(i64 vectors, i64 groups) : calls((vectors * groups + kCalls - 1) / kCalls * kCalls) {
    for (i64 l = 0; l < calls; ++l) {
      const i64 call = l / kCalls * kCalls + kCallOfLane[l % kCalls];
      const bool used = call < vectors * groups;
      group[l] = (u32)(used ? call % groups : groups - 1), vector[l] = (u32)(used ? call / groups : vectors - 1);
    }
  }

  // `step_of(k)` is the number of vector k of `vectors`; lanes beyond the last one repeat it.
  template <class StepOf>
  void number(i64 vectors, u32 stream, StepOf step_of) {
    u64 number[kBatch];
    for (i64 k = 0; k < vectors; ++k) number[k] = step_of(k);
    for (i64 l = 0; l < calls; ++l) {
      const u64 own = number[vector[l] < vectors ? vector[l] : vectors - 1];
      step[l] = (u32)own, last[l] = last_counter(stream, own);
    }
  }
};

// Calls use(draws, vector, first line, width) until all lines of all vectors had theirs; vectors of few lines go together.
template <class StepOf, class Use>
inline void with_normals_of(i64 vectors, i64 n, u64 seed, u32 stream, StepOf step_of, u32 block, Use use) {
  const i64 groups = (n + 3) / 4, together = kBatch / groups;
  if (together < 2) {
    for (i64 k = 0; k < vectors; ++k)
      with_normals(n, seed, stream, step_of(k), block,
                   [&](const float* xi, i64 first, i64 width) { use(xi, k, first, width); });
    return;
  }
  const RoundKeys keys(seed);
  CallsOfVectors lanes(together, groups);
  Drawn<u32> word;
  Drawn<float> z;
  alignas(64) float xi[kLineDraws];
  for (i64 first = 0; first < vectors; first += together) {
    const i64 count = vectors - first < together ? vectors - first : together;
    lanes.number(count, stream, [&](i64 k) { return step_of(first + k); });
    const i64 calls = (count * groups + kCalls - 1) / kCalls * kCalls;
    philox_calls(word.row[0], kBatch, (int)calls, keys, lanes.group, lanes.step, lanes.last, block);
    turn_normal(z, word, calls);
    in_order(xi, z, calls);
    for (i64 k = 0; k < count; ++k) use(xi + 4 * groups * k, first + k, (i64)0, n);
  }
}

// Uniform within +-1/2, for stochastic rounding.
inline void draw_dither(float* v, i64 n, u64 seed, u32 stream, u64 step, u32 block) {
  alignas(64) float uniform[kLineDraws];
  for (i64 first = 0; first < n; first += kLineDraws) {
    Drawn<u32> word;
    Drawn<float> z;
    const i64 calls = calls_for(n - first);
    line_words(word, first, calls, seed, stream, step, block);
    for (int row = 0; row < 4; ++row)
      for (i64 l = 0; l < calls; ++l) z.row[row][l] = unit_interval(word.row[row][l]) - 0.5f;
    in_order(uniform, z, calls);
    const i64 width = n - first < kLineDraws ? n - first : kLineDraws;
    for (i64 k = 0; k < width; ++k) v[first + k] = uniform[k];
  }
}

// Sixteen partial results, whatever the instruction set: the same bits everywhere.
template <class Term>
inline float total_of(i64 n, Term term) {
  float part[kVec] = {}, total = 0.0f;
  i64 j = 0;
  for (; j + kVec <= n; j += kVec)
    for (i64 l = 0; l < kVec; ++l) part[l] += term(j + l);
  for (; j < n; ++j) total += term(j);
  for (i64 l = 0; l < kVec; ++l) total += part[l];
  return total;
}

// The largest term, 0 if none is positive; many comparisons at a time, as each waits for the one before.
template <class Term>
inline float largest_of(i64 n, Term term) {
  constexpr i64 width = 4 * kVec;
  float part[width] = {}, most = 0.0f;
  i64 j = 0;
  for (; j + width <= n; j += width)
    for (i64 l = 0; l < width; ++l) part[l] = larger(part[l], term(j + l));
  for (; j + kVec <= n; j += kVec)
    for (i64 l = 0; l < kVec; ++l) part[l] = larger(part[l], term(j + l));
  for (; j < n; ++j) most = larger(most, term(j));
  for (i64 half = width / 2; half; half /= 2)
    for (i64 l = 0; l < half; ++l) part[l] = larger(part[l], part[l + half]);
  return larger(most, part[0]);
}

// The largest magnitude.
inline float largest_size(const float* x, i64 n) {
  constexpr i64 together = 4 * kRegister;
  Register most[4] = {};
  i64 j = 0;
  auto take = [&](Register& m, i64 at) {
    const Register size = (Register)((Bits)load_register(x + at) & 0x7fffffff);
    m = m > size ? m : size;
  };
  for (; j + together <= n; j += together)
    for (i64 k = 0; k < 4; ++k) take(most[k], j + k * kRegister);
  for (; j + kRegister <= n; j += kRegister) take(most[0], j);
  most[0] = most[0] > most[1] ? most[0] : most[1], most[2] = most[2] > most[3] ? most[2] : most[3];
  most[0] = most[0] > most[2] ? most[0] : most[2];
  float part[kRegister], found = 0.0f;
  __builtin_memcpy(part, most, sizeof part);
  for (i64 half = kRegister / 2; half; half /= 2)
    for (i64 l = 0; l < half; ++l) part[l] = larger(part[l], part[l + half]);
  for (; j < n; ++j) found = larger(found, magnitude(x[j]));
  return larger(found, part[0]);
}

inline void normal_sample(u64 seed, u32 stream, u64 step, i64 count, float* out) {
  for (i64 k = 0; k < count; ++k) out[k] = 0.0f;
  add_normals(out, count, 1.0f, seed, stream, step, 0);
}

}  // namespace OHM_NS
