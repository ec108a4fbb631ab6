// SPDX-License-Identifier: Apache-2.0
// Which crosspoints fire: bit counts, and moving the entries that matter next to one another.
#pragma once
#include "core/macros.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace OHM_NS {

using namespace ohm_types;

constexpr i64 kSlack = 16;  // entries that `append_between` may overwrite behind the ones it counts

// count[l] = number of ones in bits[l] & mask. Nibbles are looked up in a register and added bytewise, as compilers turn
// the usual formulas into one scalar instruction per entry.
inline void count_ones(i32* count, const u32* bits, u32 mask, i64 size) {
  i64 l = 0;
#if defined(__AVX512BW__)
  const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m512i low = _mm512_set1_epi8(15), one = _mm512_set1_epi8(1), pair = _mm512_set1_epi16(1);
  for (; l + 16 <= size; l += 16) {
    const __m512i v = _mm512_and_si512(_mm512_loadu_si512(bits + l), _mm512_set1_epi32((int)mask));
    const __m512i a = _mm512_shuffle_epi8(table, _mm512_and_si512(v, low));
    const __m512i b = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi32(v, 4), low));
    const __m512i sum = _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_add_epi8(a, b), one), pair);
    _mm512_storeu_si512(count + l, sum);
  }
#elif defined(__AVX2__)
  const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const __m256i low = _mm256_set1_epi8(15), one = _mm256_set1_epi8(1), pair = _mm256_set1_epi16(1);
  for (; l + 8 <= size; l += 8) {
    const __m256i v = _mm256_and_si256(_mm256_loadu_si256((const __m256i*)(bits + l)), _mm256_set1_epi32((int)mask));
    const __m256i a = _mm256_shuffle_epi8(table, _mm256_and_si256(v, low));
    const __m256i b = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(v, 4), low));
    const __m256i sum = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_add_epi8(a, b), one), pair);
    _mm256_storeu_si256((__m256i*)(count + l), sum);
  }
#endif
  for (; l < size; ++l) count[l] = __builtin_popcount(bits[l] & mask);
}

// Appends name and value of every entry with low <= value <= high; without `name`, entries are called by position.
// `value` and `name` are readable, the outputs writable, up to kSlack entries further.
inline i64 append_between(const i32* value, const i32* name, i64 size, i32 low, i32 high, i32* names, i32* values) {
  i64 count = 0;
#if defined(__AVX512F__)
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i least = _mm512_set1_epi32(low), most = _mm512_set1_epi32(high);
  for (i64 l = 0; l < size; l += 16) {
    const __mmask16 inside = (__mmask16)(size - l >= 16 ? 0xffff : (1 << (size - l)) - 1);
    const __m512i v = _mm512_loadu_si512(value + l);
    __mmask16 mask = _mm512_mask_cmpge_epi32_mask(inside, v, least);
    mask = _mm512_mask_cmple_epi32_mask(mask, v, most);
    const __m512i own = name ? _mm512_loadu_si512(name + l) : _mm512_add_epi32(lane, _mm512_set1_epi32((i32)l));
    _mm512_storeu_si512(names + count, _mm512_maskz_compress_epi32(mask, own));
    _mm512_storeu_si512(values + count, _mm512_maskz_compress_epi32(mask, v));
    count += __builtin_popcount(mask);
  }
#else
  for (i64 l = 0; l < size; ++l) {
    names[count] = name ? name[l] : (i32)l;
    values[count] = value[l];
    count += value[l] >= low && value[l] <= high;
  }
#endif
  return count;
}

}  // namespace OHM_NS
