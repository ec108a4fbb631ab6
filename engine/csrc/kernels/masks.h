// SPDX-License-Identifier: Apache-2.0
// Which columns get a pulse, as bits: 64 columns a word, and a chunk of lanes at a time.
#pragma once
#include "kernels/line.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace OHM_NS {

using namespace ohm_types;

constexpr int kChunk = 16;               // columns that take a pulse together
constexpr i64 kMaskWords = kSpan / 64;
constexpr i64 kMaskStep = 8;            // words are handled, and rows of masks padded, by so many

typedef unsigned short u16 __attribute__((may_alias));
// Two of these fill a span's mask; the compiler cuts it into the registers there are.
typedef u64 WideMask __attribute__((vector_size(8 * kMaskStep), aligned(8), may_alias));

constexpr i64 mask_words(i64 columns) { return (columns + 64 * kMaskStep - 1) / (64 * kMaskStep) * kMaskStep; }

// Slots that wait for their turn with those of other samples (kernels/update.h).
constexpr i64 kWaiting = 64;

// The columns that fire in a slot, and for each chunk of them how many fire before it, counted anew from every span on: as
// many 64-bit words again.
struct SlotMask {
  const u64* mask;
  const u16* before;
};

// Scratch words for the slots that wait, and for those of one more sample.
constexpr i64 level_words(i64 longest) { return (kWaiting + longest) * 2 * kMaskWords; }

// The bits of the columns of chunk `chunk`.
inline u32 chunk_mask(const u64* mask, i64 chunk) {
#if defined(__AVX2__)
  u32 bits = ((const u16*)mask)[chunk];  // these processors store the low bits first
  asm("" : "+r"(bits));                  // in a general register: the way there from a mask register is long
  return bits;
#else
  return (u32)(mask[chunk >> 2] >> (chunk & 3) * kChunk) & 0xffffu;
#endif
}

inline void count_before(u16* before, const u64* mask, i64 words) {
  i64 count = 0;
  for (i64 w = 0; w < words; ++w) {
    if (w % kMaskWords == 0) count = 0;
    for (int shift = 0; shift < 64; shift += kChunk) {
      *before++ = (u16)count;
      count += __builtin_popcountll(mask[w] >> shift & 0xffffu);
    }
  }
}

// Of a span of so many words.
inline i64 ones(const SlotMask& slot, i64 words) {
  const i64 last = 64 / kChunk * words - 1;
  return slot.before[last] + __builtin_popcount(chunk_mask(slot.mask, last));
}

#if defined(__AVX2__) && !defined(__AVX512F__)
// For each mask of 8 lanes, how many ones come before each lane.
struct TurnTable {
  alignas(64) unsigned char turn[256][8];
  constexpr TurnTable() : turn() {
    for (int mask = 0; mask < 256; ++mask)
      for (int lane = 0, before = 0; lane < 8; ++lane) {
        turn[mask][lane] = (unsigned char)(before & 7);
        before += mask >> lane & 1;
      }
  }
};
constexpr TurnTable kTurns;

inline __m256 expanded(const float* value, u32 mask) {
  const __m128i from = _mm_loadl_epi64((const __m128i*)kTurns.turn[mask]);
  return _mm256_permutevar8x32_ps(_mm256_loadu_ps(value), _mm256_cvtepu8_epi32(from));
}

// All bits of a lane as its bit of the mask.
inline __m256 spread(u32 mask) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)mask), bit), bit));
}
#endif

// Hands consecutive values to the lanes of a chunk whose bit is set; the others get any of them. Readable are kChunk values.
inline void expand(float* lane, const float* value, u32 mask) {
#if defined(__AVX512F__)
  __m512 all = _mm512_loadu_ps(value);
  asm("" : "+v"(all));  // apart: a load that expands takes twice as long on AMD's Zen 4
  __m512 zero = _mm512_setzero_ps();
  asm("" : "+v"(zero));  // AMD's processors wait for what the register held before, also where the rest becomes zero
  _mm512_store_ps(lane, _mm512_mask_expand_ps(zero, (__mmask16)mask, all));
#elif defined(__AVX2__)
  _mm256_store_ps(lane, expanded(value, mask & 255));
  _mm256_store_ps(lane + 8, expanded(value + __builtin_popcount(mask & 255), mask >> 8));
#else
  for (int l = 0, before = 0; l < kChunk; ++l) {
    lane[l] = value[before];
    before += (int)(mask >> l & 1u);
  }
#endif
}

// The values of a chunk, kept in registers: where memory takes only some lanes of a register, the next load has to wait.
struct Held {
#if defined(__AVX512F__)
  __m512 v;
#elif defined(__AVX2__)
  __m256 v[2];
#else
  float v[kChunk];
#endif
};

inline Held held(const float* lane) {
#if defined(__AVX512F__)
  return {_mm512_loadu_ps(lane)};
#elif defined(__AVX2__)
  return {{_mm256_loadu_ps(lane), _mm256_loadu_ps(lane + 8)}};
#else
  Held h;
  for (int l = 0; l < kChunk; ++l) h.v[l] = lane[l];
  return h;
#endif
}

inline void show(float* lane, const Held& h) {
#if defined(__AVX512F__)
  _mm512_storeu_ps(lane, h.v);
#elif defined(__AVX2__)
  _mm256_storeu_ps(lane, h.v[0]), _mm256_storeu_ps(lane + 8, h.v[1]);
#else
  for (int l = 0; l < kChunk; ++l) lane[l] = h.v[l];
#endif
}

// Lanes whose bit is set become `yes`.
inline void choose(Held& h, const float* yes, u32 mask) {
#if defined(__AVX512F__)
  h.v = _mm512_mask_mov_ps(h.v, (__mmask16)mask, _mm512_loadu_ps(yes));
#elif defined(__AVX2__)
  for (int half = 0; half < 2; ++half)
    h.v[half] = _mm256_blendv_ps(h.v[half], _mm256_loadu_ps(yes + 8 * half), spread(mask >> 8 * half & 255));
#else
  for (int l = 0; l < kChunk; ++l) h.v[l] = mask >> l & 1u ? yes[l] : h.v[l];
#endif
}

// `yes` where the bit is set, `no` elsewhere.
inline void choose_lanes(float* lane, const float* yes, const float* no, u32 mask) {
#if defined(__AVX512F__)
  _mm512_store_ps(lane, _mm512_mask_blend_ps((__mmask16)mask, _mm512_load_ps(no), _mm512_load_ps(yes)));
#elif defined(__AVX2__)
  for (int l = 0; l < kChunk; l += 8)
    _mm256_store_ps(lane + l, _mm256_blendv_ps(_mm256_load_ps(no + l), _mm256_load_ps(yes + l), spread(mask >> l & 255)));
#else
  for (int l = 0; l < kChunk; ++l) lane[l] = mask >> l & 1u ? yes[l] : no[l];
#endif
}

// 1 where the bit is set, -1 elsewhere.
inline void signs(float* lane, u32 mask) {
#if defined(__AVX512F__)
  _mm512_store_ps(lane, _mm512_mask_blend_ps((__mmask16)mask, _mm512_set1_ps(-1.0f), _mm512_set1_ps(1.0f)));
#elif defined(__AVX2__)
  for (int l = 0; l < kChunk; l += 8)
    _mm256_store_ps(lane + l, _mm256_blendv_ps(_mm256_set1_ps(-1.0f), _mm256_set1_ps(1.0f), spread(mask >> l & 255)));
#else
  for (int l = 0; l < kChunk; ++l) lane[l] = mask >> l & 1u ? 1.0f : -1.0f;
#endif
}

// Which of 64 words are below their thresholds.
inline u64 below(const u32* word, const u32* threshold) {
  u64 mask = 0;
#if defined(__AVX512F__)
  for (int l = 0; l < 64; l += 16)
    mask |= (u64)_mm512_cmplt_epu32_mask(_mm512_load_si512(word + l), _mm512_load_si512(threshold + l)) << l;
#elif defined(__AVX2__)
  const __m256i top = _mm256_set1_epi32((int)0x80000000u);  // there are comparisons with a sign only
  for (int l = 0; l < 64; l += 8) {
    const __m256i a = _mm256_xor_si256(_mm256_load_si256((const __m256i*)(word + l)), top);
    const __m256i b = _mm256_xor_si256(_mm256_load_si256((const __m256i*)(threshold + l)), top);
    mask |= (u64)(u32)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a))) << l;
  }
#else
  for (int l = 0; l < 64; ++l) mask |= (u64)(word[l] < threshold[l]) << l;
#endif
  return mask;
}

// Sets a bit of those of 64 lanes that the mask names.
inline void add_bit(u32* lane, u64 mask, u32 bit) {
#if defined(__AVX512F__)
  for (int l = 0; l < 64; l += 16) {
    const __m512i all = _mm512_load_si512(lane + l);
    _mm512_store_si512(lane + l, _mm512_mask_or_epi32(all, (__mmask16)(mask >> l), all, _mm512_set1_epi32((int)bit)));
  }
#else
  for (int l = 0; l < 64; ++l) lane[l] |= (u32)(mask >> l & 1u) * bit;
#endif
}

// The columns whose bit is set, in order; returns how many.
inline i64 list_columns(i32* list, const u64* mask, i64 columns) {
  i64 count = 0;
  for (i64 w = 0; w < (columns + 63) >> 6; ++w)
    for (u64 bits = mask[w]; bits; bits &= bits - 1) list[count++] = (i32)(64 * w + __builtin_ctzll(bits));
  return count;
}

}  // namespace OHM_NS
