// SPDX-License-Identifier: Apache-2.0
// Many normals at a time: of many lines, in the order of the lines, or of one element and step, none twice.
#pragma once
#include "kernels/lanes.h"
#include "kernels/line.h"

namespace OHM_NS {

constexpr int kCalls = 16;  // calls of the generator made together, at least
constexpr int kBatch = 64;  // and at most

// The lane that makes a call is chosen so that unpacking four rows of words into the order of the draws needs no
// exchange between the 128-bit parts of a register.
#if defined(__AVX512F__)
constexpr u32 kCallOfLane[kCalls] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
#elif defined(__AVX2__)
constexpr u32 kCallOfLane[kCalls] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
#else
constexpr u32 kCallOfLane[kCalls] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#endif

// Four words or normals of each call, a row for each.
template <class T>
struct Drawn {
  alignas(64) T row[4][kBatch];
};

// to[4 c + k] = row k of the lane of call c, for kCalls lanes.
inline void interleave(float* to, const Drawn<float>& z, i64 lane) {
  const float *a0 = z.row[0] + lane, *b0 = z.row[1] + lane, *c0 = z.row[2] + lane, *d0 = z.row[3] + lane;
#if defined(__AVX512F__)
  const __m512 a = _mm512_load_ps(a0), b = _mm512_load_ps(b0), c = _mm512_load_ps(c0), d = _mm512_load_ps(d0);
  const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), AB = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
  const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)), CD = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
  _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)));
  _mm512_storeu_ps(to + 16, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
  _mm512_storeu_ps(to + 32, _mm512_castpd_ps(_mm512_unpacklo_pd(AB, CD)));
  _mm512_storeu_ps(to + 48, _mm512_castpd_ps(_mm512_unpackhi_pd(AB, CD)));
#elif defined(__AVX2__)
  for (int l = 0; l < kCalls; l += 8, to += 32) {
    const __m256 a = _mm256_load_ps(a0 + l), b = _mm256_load_ps(b0 + l);
    const __m256 c = _mm256_load_ps(c0 + l), d = _mm256_load_ps(d0 + l);
    const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), AB = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)), CD = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    _mm256_storeu_ps(to, _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)));
    _mm256_storeu_ps(to + 8, _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
    _mm256_storeu_ps(to + 16, _mm256_castpd_ps(_mm256_unpacklo_pd(AB, CD)));
    _mm256_storeu_ps(to + 24, _mm256_castpd_ps(_mm256_unpackhi_pd(AB, CD)));
  }
#else
  for (int l = 0; l < kCalls; ++l, to += 4) to[0] = a0[l], to[1] = b0[l], to[2] = c0[l], to[3] = d0[l];
#endif
}

// Words 0, 1 and 2, 3 of each call become normals.
inline void turn_normal(Drawn<float>& z, const Drawn<u32>& word, i64 calls) {
  for (int pair = 0; pair < 4; pair += 2)
    for (i64 l = 0; l < calls; ++l) {
      const Pair both = normal_pair(word.row[pair][l], word.row[pair + 1][l]);
      z.row[pair][l] = both.first, z.row[pair + 1][l] = both.second;
    }
}

// Numbers of `count` calls from `first` on, a multiple of kCalls, in the order of the lanes that make them.
inline void number_calls(u32* call, u32 first, i64 count) {
  for (i64 done = 0; done < count; done += kCalls)
    for (i64 l = 0; l < kCalls; ++l) call[done + l] = first + (u32)done + kCallOfLane[l];
}

// The run of draws that an update makes of one element and step: of 16 calls together, all first numbers come first, then
// all second ones, and so on (run_place of kernels/line.h says it for one number). Makes whole blocks of 64 draws, from
// draw 64 * first_block on, until there are `count`.
inline __attribute__((noinline)) void draw_run(float* normal, i64 count, const RoundKeys& keys, u32 stream, u64 step,
                                               u32 element, i64 first_block) {
  constexpr i64 together = 8;
  alignas(64) u32 word[together * kRunBlock];
  u32 call = (u32)first_block * kRunCalls;
  for (i64 left = (count + kRunBlock - 1) / kRunBlock; left > 0; left -= together) {
    const i64 blocks = left < together ? left : together;
    for (i64 b = 0; b < blocks; ++b, call += kRunCalls) philox_run(word + b * kRunBlock, keys, stream, step, element, call);
    const u32* from = word;
    for (i64 pair = 0; pair < 2 * blocks; ++pair, from += 2 * kRunCalls, normal += 2 * kRunCalls)
      for (i64 l = 0; l < (i64)kRunCalls; ++l) {
        const Pair both = normal_pair(from[l], from[kRunCalls + l]);
        normal[l] = both.first, normal[kRunCalls + l] = both.second;
      }
  }
}

// The same from draw `first` on; returns where that lies, up to 63 entries in.
inline const float* draw_run_from(float* buffer, i64 first, i64 count, const RoundKeys& keys, u32 stream, u64 step,
                                  u32 element) {
  const i64 lead = first % kRunBlock;
  draw_run(buffer, lead + count, keys, stream, step, element, first / kRunBlock);
  return buffer + lead;
}

// What a run may write beyond the draws asked for.
constexpr i64 kDrawSlack = 2 * kRunBlock;

}  // namespace OHM_NS
