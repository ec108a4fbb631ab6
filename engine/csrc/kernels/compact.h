// SPDX-License-Identifier: Apache-2.0
// Moves the entries that matter next to one another.
#pragma once
#include "core/macros.h"
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace OHM_NS {

using namespace ohm_types;

constexpr i64 kSlack = 16;  // entries that `append_between` may overwrite behind the ones it counts

// Appends the positions l < size with low <= value[l] <= high to `position`, and the values themselves to `kept`.
// `value` is readable, the outputs writable, up to kSlack entries further.
inline i64 append_between(const i32* value, i64 size, i32 low, i32 high, i32* position, i32* kept) {
  i64 count = 0;
#if defined(__AVX512F__)
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i least = _mm512_set1_epi32(low), most = _mm512_set1_epi32(high);
  for (i64 l = 0; l < size; l += 16) {
    const __mmask16 inside = (__mmask16)(size - l >= 16 ? 0xffff : (1 << (size - l)) - 1);
    const __m512i v = _mm512_loadu_si512(value + l);
    __mmask16 mask = _mm512_mask_cmpge_epi32_mask(inside, v, least);
    mask = _mm512_mask_cmple_epi32_mask(mask, v, most);
    const __m512i at = _mm512_add_epi32(lane, _mm512_set1_epi32((i32)l));
    _mm512_storeu_si512(position + count, _mm512_maskz_compress_epi32(mask, at));
    _mm512_storeu_si512(kept + count, _mm512_maskz_compress_epi32(mask, v));
    count += __builtin_popcount(mask);
  }
#else
  for (i64 l = 0; l < size; ++l) {
    position[count] = (i32)l;
    kept[count] = value[l];
    count += value[l] >= low && value[l] <= high;
  }
#endif
  return count;
}

}  // namespace OHM_NS
