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

// What `smaller`, `larger` and `fused` of core/maths.h do, to every lane by one instruction: of a loop with the same,
// compilers make three.
#if defined(__AVX512F__)
inline Register least(Register a, Register b) { return (Register)_mm512_min_ps((__m512)a, (__m512)b); }
inline Register most(Register a, Register b) { return (Register)_mm512_max_ps((__m512)a, (__m512)b); }
inline Register fused(Register a, Register b, Register c) {
  return (Register)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#elif defined(__AVX2__)
inline Register least(Register a, Register b) { return (Register)_mm256_min_ps((__m256)a, (__m256)b); }
inline Register most(Register a, Register b) { return (Register)_mm256_max_ps((__m256)a, (__m256)b); }
inline Register fused(Register a, Register b, Register c) {
  return (Register)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#else
inline Register least(Register a, Register b) { return a < b ? a : b; }
inline Register most(Register a, Register b) { return a > b ? a : b; }
#endif

inline Register all_lanes(float v) { return Register{} + v; }
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

// to[l] = table[index[l]] for a multiple of 16 lanes and a table of at most 64.
inline void look_up(u32* to, const u32* table, const u32* index, i64 lanes, i64 entries) {
#if defined(__AVX512F__)
  if (entries <= 32) {
    const __m512i low = _mm512_load_si512(table), high = _mm512_load_si512(table + 16);
    for (i64 l = 0; l < lanes; l += 16)
      _mm512_store_si512(to + l, _mm512_permutex2var_epi32(low, _mm512_load_si512(index + l), high));
    return;
  }
#endif
  (void)entries;
  for (i64 l = 0; l < lanes; ++l) to[l] = table[index[l]];
}

// Calls of the generator for several vectors together: those of one after those of the other, `groups` each. Lanes beyond the
// last call repeat it.
struct CallsOfVectors {
  alignas(64) u32 group[kBatch], vector[kBatch], step[kBatch], last[kBatch];
  i64 vectors, calls;

  CallsOfVectors(i64 vectors, i64 groups)
      : vectors(vectors), calls((vectors * groups + kCalls - 1) / kCalls * kCalls) {
    u32 group_of[kBatch], vector_of[kBatch], next = 0, own = 0;
    for (i64 call = 0; call < calls; ++call) {
      group_of[call] = next, vector_of[call] = own;
      if (call + 1 >= vectors * groups) continue;
      if (++next == (u32)groups) next = 0, ++own;
    }
    for (i64 l = 0; l < calls; ++l) {
      const i64 call = l / kCalls * kCalls + kCallOfLane[l % kCalls];
      group[l] = group_of[call], vector[l] = vector_of[call];
    }
  }

  // `step_of(k)` is the number of vector k of the first `count`; the others repeat the last one.
  template <class StepOf>
  void number(i64 count, u32 stream, StepOf step_of) {
    alignas(64) u32 low[kBatch] = {}, high[kBatch] = {};
    for (i64 k = 0; k < vectors; ++k) {
      const u64 own = step_of(k < count ? k : count - 1);
      low[k] = (u32)own, high[k] = last_counter(stream, own);
    }
    look_up(step, low, vector, calls, vectors);
    look_up(last, high, vector, calls, vectors);
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

// The largest of a register's lanes, none below zero.
inline float largest_lane(const Register& v) {
#if defined(__AVX512F__)
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256((__m512)v), _mm512_extractf32x8_ps((__m512)v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
#else
  float part[kRegister];
  __builtin_memcpy(part, &v, sizeof part);
  for (i64 half = kRegister / 2; half; half /= 2)
    for (i64 l = 0; l < half; ++l) part[l] = larger(part[l], part[l + half]);
  return part[0];
#endif
}

inline Register sizes_of(const Register& v) { return (Register)((Bits)v & 0x7fffffff); }

// The first n numbers of a register's worth, n below kRegister; zeros behind them.
inline Register load_part(const float* from, i64 n) {
#if defined(__AVX512F__)
  return (Register)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), from);
#else
  float part[kRegister] = {};
  for (i64 k = 0; k < n; ++k) part[k] = from[k];
  return load_register(part);
#endif
}

inline void store_part(float* to, const Register& v, i64 n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(to, (__mmask16)((1u << n) - 1), (__m512)v);
#else
  float part[kRegister];
  __builtin_memcpy(part, &v, sizeof part);
  for (i64 k = 0; k < n; ++k) to[k] = part[k];
#endif
}

// The largest magnitude.
inline float largest_size(const float* x, i64 n) {
  constexpr i64 together = 4 * kRegister;
  Register high[4] = {};
  i64 j = 0;
  for (; j + together <= n; j += together)
    for (i64 k = 0; k < 4; ++k) high[k] = most(high[k], sizes_of(load_register(x + j + k * kRegister)));
  for (; j + kRegister <= n; j += kRegister) high[0] = most(high[0], sizes_of(load_register(x + j)));
  if (j < n) high[1] = most(high[1], sizes_of(load_part(x + j, n - j)));
  return largest_lane(most(most(high[0], high[1]), most(high[2], high[3])));
}

inline void normal_sample(u64 seed, u32 stream, u64 step, i64 count, float* out) {
  for (i64 k = 0; k < count; ++k) out[k] = 0.0f;
  add_normals(out, count, 1.0f, seed, stream, step, 0);
}

}  // namespace OHM_NS
