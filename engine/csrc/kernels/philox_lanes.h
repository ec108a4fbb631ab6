// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 for many elements at once. The definition is core/random.h; this is the same arithmetic in wide
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
inline void multiply_wide(Wide a, Wide m, Wide& high, Wide& low) {
  __m512i even = _mm512_mul_epu32(a.v, m.v), odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), m.v);
  low.v = _mm512_mask_shuffle_epi32(even, 0xAAAA, odd, (_MM_PERM_ENUM)0xA0);
  high.v = _mm512_mask_shuffle_epi32(odd, 0x5555, even, (_MM_PERM_ENUM)0xF5);
}
#elif defined(__AVX2__)
struct Wide {
  static constexpr int lanes = 8;
  __m256i v;
  static Wide load(const u32* p) { return {_mm256_loadu_si256((const __m256i*)p)}; }
  static Wide all(u32 x) { return {_mm256_set1_epi32((int)x)}; }
  void store(u32* p) const { _mm256_storeu_si256((__m256i*)p, v); }
};
inline Wide xor3(Wide a, Wide b, Wide c) { return {_mm256_xor_si256(_mm256_xor_si256(a.v, b.v), c.v)}; }
inline void multiply_wide(Wide a, Wide m, Wide& high, Wide& low) {
  __m256i even = _mm256_mul_epu32(a.v, m.v), odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), m.v);
  low.v = _mm256_blend_epi32(even, _mm256_shuffle_epi32(odd, 0xA0), 0xAA);
  high.v = _mm256_blend_epi32(_mm256_shuffle_epi32(even, 0xF5), odd, 0xAA);
}
#endif

// Words of draws 4*block .. 4*block+3 for `count` elements (a multiple of 16), one row of `words` per draw.
inline __attribute__((noinline)) void philox_lanes(u32* words, int count, u64 seed, u32 stream, u64 step,
                                                   const u32* element, u32 block) {
#if defined(__AVX2__)
  const Wide m0 = Wide::all(0xD2511F53u), m1 = Wide::all(0xCD9E8D57u);
  for (int l = 0; l < count; l += Wide::lanes) {
    u32 k0 = (u32)seed, k1 = (u32)(seed >> 32);
    Wide c0 = Wide::all(block), c1 = Wide::load(element + l), c2 = Wide::all((u32)step);
    Wide c3 = Wide::all((stream << 24) | ((u32)(step >> 32) & 0xffffffu));
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      Wide high0, low0, high1, low1;
      multiply_wide(c0, m0, high0, low0);
      multiply_wide(c2, m1, high1, low1);
      c0 = xor3(high1, c1, Wide::all(k0)), c2 = xor3(high0, c3, Wide::all(k1));
      c1 = low1, c3 = low0;
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    c0.store(words + l), c1.store(words + count + l), c2.store(words + 2 * count + l), c3.store(words + 3 * count + l);
  }
#else
  for (int l = 0; l < count; ++l) {
    Words w = draw_words(seed, stream, step, element[l], block);
    for (int k = 0; k < 4; ++k) words[k * count + l] = w.v[k];
  }
#endif
}

}  // namespace OHM_NS
