// SPDX-License-Identifier: Apache-2.0
// Philox4x32 for many elements at once. The definition is core/random.h; this is the same arithmetic in wide
// registers, because compilers turn its 32 x 32 -> 64 bit products into much slower ones.
// tests/engine/test_rng.py compares every instruction set with the definition.
#pragma once
#include "core/random.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace OHM_NS {

#if defined(__AVX512F__)
struct Wide {
  static constexpr int lanes = 16;
  __m512i v;
  static Wide load(const u32* p) { return {_mm512_loadu_si512(p)}; }
  static Wide all(u32 x) { return {_mm512_set1_epi32((int)x)}; }
  void store(u32* p) const { _mm512_storeu_si512(p, v); }
};
inline Wide xor3(Wide a, Wide b, Wide c) { return {_mm512_ternarylogic_epi32(a.v, b.v, c.v, 0x96)}; }
inline Wide multiply_even(Wide a, Wide m) { return {_mm512_mul_epu32(a.v, m.v)}; }
inline Wide plus(Wide a, Wide b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline Wide upper(Wide a) { return {_mm512_srli_epi64(a.v, 32)}; }
inline Wide join(Wide even, Wide odd) {
  return {_mm512_mask_shuffle_epi32(even.v, 0xAAAA, odd.v, (_MM_PERM_ENUM)0xA0)};
}
#elif defined(__AVX2__)
struct Wide {
  static constexpr int lanes = 8;
  __m256i v;
  static Wide load(const u32* p) { return {_mm256_loadu_si256((const __m256i*)p)}; }
  static Wide all(u32 x) { return {_mm256_set1_epi32((int)x)}; }
  void store(u32* p) const { _mm256_storeu_si256((__m256i*)p, v); }
};
inline Wide xor3(Wide a, Wide b, Wide c) { return {_mm256_xor_si256(a.v, _mm256_xor_si256(b.v, c.v))}; }
inline Wide multiply_even(Wide a, Wide m) { return {_mm256_mul_epu32(a.v, m.v)}; }
inline Wide plus(Wide a, Wide b) { return {_mm256_add_epi32(a.v, b.v)}; }
inline Wide upper(Wide a) { return {_mm256_srli_epi64(a.v, 32)}; }
inline Wide join(Wide even, Wide odd) {
  return {_mm256_blend_epi32(even.v, _mm256_shuffle_epi32(odd.v, 0xA0), 0xAA)};
}
#endif

// The keys of all rounds. They depend on the seed alone: made once, not in every call.
struct RoundKeys {
#if defined(__AVX2__)
  Wide k0[10], k1[10];
#endif
  u64 seed;
  explicit RoundKeys(u64 seed) : seed(seed) {
#if defined(__AVX2__)
    for (u32 round = 0; round < 10; ++round) {
      k0[round] = Wide::all((u32)seed + round * 0x9E3779B9u);
      k1[round] = Wide::all((u32)(seed >> 32) + round * 0xBB67AE85u);
    }
#endif
  }
};

#if defined(__AVX2__)
struct WideCounter {
  Wide c0, c1, c2, c3;
};

// One round of the generator on the even 32-bit lanes; the odd ones carry left-overs that no product reads.
inline __attribute__((always_inline)) void even_round(WideCounter& c, const RoundKeys& keys, int round) {
  const Wide a = multiply_even(c.c0, Wide::all(0xD2511F53u)), b = multiply_even(c.c2, Wide::all(0xCD9E8D57u));
  c.c0 = xor3(upper(b), c.c1, keys.k0[round]), c.c2 = xor3(upper(a), c.c3, keys.k1[round]);
  c.c1 = b, c.c3 = a;
}

inline WideCounter upper(const WideCounter& c) { return {upper(c.c0), upper(c.c1), upper(c.c2), upper(c.c3)}; }

inline __attribute__((always_inline)) void store_joined(u32* words, i64 stride, const WideCounter& even,
                                                        const WideCounter& odd) {
  join(even.c0, odd.c0).store(words), join(even.c1, odd.c1).store(words + stride);
  join(even.c2, odd.c2).store(words + 2 * stride), join(even.c3, odd.c3).store(words + 3 * stride);
}

// Even and odd lanes go side by side: each round waits for the one before, two chains hide half of that.
template <int rounds = kRounds>
inline __attribute__((always_inline)) void store_words(u32* words, i64 stride, const WideCounter& counter,
                                                       const RoundKeys& keys) {
  WideCounter even = counter, odd = upper(counter);
#pragma GCC unroll 10
  for (int round = 0; round < rounds; ++round) {
    even_round(even, keys, round);
    even_round(odd, keys, round);
  }
  store_joined(words, stride, even, odd);
}
#endif

inline u32 last_counter(u32 stream, u64 step) { return (stream << 24) | ((u32)(step >> 32) & 0xffffffu); }

// Words of draws 4*block .. 4*block+3 for `count` elements (a multiple of 16), one row of `words` per draw; rows are
// `stride` apart.
template <int rounds = kRounds>
inline __attribute__((noinline)) void philox_rows(u32* words, int stride, int count, u64 seed, u32 stream, u64 step,
                                                  const u32* element, u32 block) {
#if defined(__AVX2__)
  const RoundKeys keys(seed);
  const Wide c0 = Wide::all(block), c2 = Wide::all((u32)step), c3 = Wide::all(last_counter(stream, step));
  for (int l = 0; l < count; l += Wide::lanes)
    store_words<rounds>(words + l, stride, {c0, Wide::load(element + l), c2, c3}, keys);
#else
  for (int l = 0; l < count; ++l) {
    Words w = draw_words<rounds>(seed, stream, step, element[l], block);
    for (int k = 0; k < 4; ++k) words[k * stride + l] = w.v[k];
  }
#endif
}

// Words of calls that differ in element and step; `last` is each one's last_counter.
inline __attribute__((noinline)) void philox_calls(u32* words, int stride, int count, const RoundKeys& keys,
                                                   const u32* element, const u32* step, const u32* last, u32 block) {
#if defined(__AVX2__)
  const Wide c0 = Wide::all(block);
  for (int l = 0; l < count; l += Wide::lanes)
    store_words<kRounds>(words + l, stride, {c0, Wide::load(element + l), Wide::load(step + l), Wide::load(last + l)},
                         keys);
#else
  for (int l = 0; l < count; ++l) {
    Words w = philox<kRounds>(keys.seed, block, element[l], step[l], last[l]);
    for (int k = 0; k < 4; ++k) words[k * stride + l] = w.v[k];
  }
#endif
}

// The same with rows one after another.
template <int rounds = kRounds>
inline void philox_lanes(u32* words, int count, u64 seed, u32 stream, u64 step, const u32* element, u32 block) {
  philox_rows<rounds>(words, count, count, seed, stream, step, element, block);
}

// 0, 1, 2 ...
constexpr u32 kCounting[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

// Words of sixteen calls for one element of an update, from number `call` on; rows of 16.
inline __attribute__((always_inline)) void philox_run(u32* words, const RoundKeys& keys, u32 stream, u64 step,
                                                      u32 element, u32 call) {
#if defined(__AVX2__)
  const Wide c1 = Wide::all(element), c2 = Wide::all((u32)step), c3 = Wide::all(last_counter(stream, step));
  for (int l = 0; l < 16; l += Wide::lanes)
    store_words<kUpdateRounds>(words + l, 16, {plus(Wide::load(kCounting + l), Wide::all(call)), c1, c2, c3}, keys);
#else
  for (u32 l = 0; l < 16; ++l) {
    Words w = draw_words<kUpdateRounds>(keys.seed, stream, step, element, call + l);
    for (int k = 0; k < 4; ++k) words[k * 16 + l] = w.v[k];
  }
#endif
}

// The same for call number `call` of sixteen elements from `element` on.
inline __attribute__((always_inline)) void philox_lines(u32* words, const RoundKeys& keys, u32 stream, u64 step,
                                                        u32 element, u32 call) {
#if defined(__AVX2__)
  const Wide c0 = Wide::all(call), c2 = Wide::all((u32)step), c3 = Wide::all(last_counter(stream, step));
  for (int l = 0; l < 16; l += Wide::lanes)
    store_words<kUpdateRounds>(words + l, 16, {c0, plus(Wide::load(kCounting + l), Wide::all(element)), c2, c3}, keys);
#else
  for (u32 l = 0; l < 16; ++l) {
    Words w = draw_words<kUpdateRounds>(keys.seed, stream, step, element + l, call);
    for (int k = 0; k < 4; ++k) words[k * 16 + l] = w.v[k];
  }
#endif
}

}  // namespace OHM_NS
