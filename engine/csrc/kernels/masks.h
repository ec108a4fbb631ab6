// SPDX-License-Identifier: Apache-2.0
// Which columns get a pulse, as bits: 64 columns a word, and a chunk of lanes at a time.
#pragma once
#include "kernels/line.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace OHM_NS {

using namespace ohm_types;

#if defined(__AVX512F__)
constexpr int kChunk = 16;  // columns that take a pulse together
#else
constexpr int kChunk = 8;
#endif
constexpr i64 kMaskWords = kSpan / 64;
constexpr i64 kMaskStep = 8;            // words are handled, and rows of masks padded, by so many

// Two of these fill a span's mask; the compiler cuts it into the registers there are.
typedef unsigned short u16 __attribute__((may_alias));
typedef u64 WideMask __attribute__((vector_size(8 * kMaskStep), aligned(8), may_alias));

constexpr i64 mask_words(i64 columns) { return (columns + 64 * kMaskStep - 1) / (64 * kMaskStep) * kMaskStep; }

// Words that the levels of one span need; one level is spare.
constexpr i64 level_words(i64 longest) { return (longest + 1) * kMaskWords; }

// The bits of columns `column` .. `column` + kChunk - 1; `column` is a multiple of kChunk.
inline u32 chunk_mask(const u64* mask, i64 column) {
#if defined(__AVX512F__)
  return ((const u16*)mask)[column / kChunk];  // these processors store the low bits first
#elif defined(__AVX2__)
  return ((const unsigned char*)mask)[column / kChunk];
#else
  return (u32)(mask[column >> 6] >> (column & 63)) & ((1u << kChunk) - 1u);
#endif
}

inline i64 ones(const u64* mask, i64 words) {
  i64 count = 0;
  for (i64 w = 0; w < words; ++w) count += __builtin_popcountll(mask[w]);
  return count;
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// For each mask of 8 lanes, how many ones come before each lane; with 8 added where the lane's own bit is not set.
struct TurnTable {
  alignas(64) unsigned char turn[256][8];
  constexpr TurnTable() : turn() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, before = 0; lane < 8; ++lane) {
        const int one = mask >> lane & 1;
        turn[mask][lane] = (unsigned char)((before & 7) + (one ? 0 : 8));
        before += one;
      }
  }
};
constexpr TurnTable kTurns;
#endif

// Hands consecutive values to the lanes whose bit is set; the others get any value and a `turn` of kChunk or more.
// `value` is readable for kChunk entries.
inline void expand(float* lane, i8* turn, const float* value, u32 mask) {
#if defined(__AVX512F__)
  (void)turn;  // see mark_turns
  _mm512_store_ps(lane, _mm512_maskz_expand_ps((__mmask16)mask, _mm512_loadu_ps(value)));
#elif defined(__AVX2__)
  const __m128i from = _mm_loadl_epi64((const __m128i*)kTurns.turn[mask]);
  _mm256_store_ps(lane, _mm256_permutevar8x32_ps(_mm256_loadu_ps(value), _mm256_cvtepu8_epi32(from)));
  _mm_storel_epi64((__m128i*)turn, from);
#else
  for (int l = 0, before = 0; l < kChunk; ++l) {
    const int one = (int)(mask >> l & 1u);
    lane[l] = value[before & (kChunk - 1)];
    turn[l] = (i8)(one ? 0 : kChunk);
    before += one;
  }
#endif
}

// AVX-512 makes the turns of 64 columns at a time.
inline void mark_turns(i8* turn, const u64* mask, i64 columns) {
#if defined(__AVX512F__)
  for (i64 column = 0; column < columns; column += 64)
    _mm512_storeu_si512(turn + column, _mm512_maskz_set1_epi8((__mmask64)~mask[column / 64], kChunk));
#else
  (void)turn, (void)mask, (void)columns;
#endif
}

// The same for all columns; returns what follows the values used. `lane` and `turn` hold whole chunks.
inline const float* expand_all(float* lane, i8* turn, const float* value, const u64* mask, i64 columns) {
  mark_turns(turn, mask, columns);
  for (i64 column = 0; column < columns; column += kChunk) {
    const u32 chunk = chunk_mask(mask, column);
    expand(lane + column, turn + column, value, chunk);
    value += __builtin_popcount(chunk);
  }
  return value;
}

// The columns whose bit is set, in order; returns how many.
inline i64 list_columns(i32* list, const u64* mask, i64 columns) {
  i64 count = 0;
  for (i64 w = 0; w < (columns + 63) >> 6; ++w)
    for (u64 bits = mask[w]; bits; bits &= bits - 1) list[count++] = (i32)(64 * w + __builtin_ctzll(bits));
  return count;
}

}  // namespace OHM_NS
