// SPDX-License-Identifier: Apache-2.0
// Normals in one run: draws 0, 1, 2 ... of one element and step, for whoever needs many of them and none twice.
#pragma once
#include "kernels/lanes.h"

namespace OHM_NS {

constexpr int kCalls = 16;              // calls of the generator made together
constexpr int kRun = 4 * kCalls;        // draws they give

// The lane that makes a call is chosen so that unpacking four rows of words into the order of the draws needs no
// exchange between the 128-bit parts of a register.
#if defined(__AVX512F__)
constexpr u32 kCallOfLane[kCalls] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
#elif defined(__AVX2__)
constexpr u32 kCallOfLane[kCalls] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
#else
constexpr u32 kCallOfLane[kCalls] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#endif

// to[4 c + k] = rows[k][lane of call c].
inline void interleave(float* to, const float rows[4][kCalls]) {
#if defined(__AVX512F__)
  const __m512 a = _mm512_load_ps(rows[0]), b = _mm512_load_ps(rows[1]);
  const __m512 c = _mm512_load_ps(rows[2]), d = _mm512_load_ps(rows[3]);
  const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b)), AB = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
  const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d)), CD = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
  _mm512_storeu_ps(to, _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)));
  _mm512_storeu_ps(to + 16, _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)));
  _mm512_storeu_ps(to + 32, _mm512_castpd_ps(_mm512_unpacklo_pd(AB, CD)));
  _mm512_storeu_ps(to + 48, _mm512_castpd_ps(_mm512_unpackhi_pd(AB, CD)));
#elif defined(__AVX2__)
  for (int l = 0; l < kCalls; l += 8, to += 32) {
    const __m256 a = _mm256_load_ps(rows[0] + l), b = _mm256_load_ps(rows[1] + l);
    const __m256 c = _mm256_load_ps(rows[2] + l), d = _mm256_load_ps(rows[3] + l);
    const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b)), AB = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d)), CD = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    _mm256_storeu_ps(to, _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd)));
    _mm256_storeu_ps(to + 8, _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd)));
    _mm256_storeu_ps(to + 16, _mm256_castpd_ps(_mm256_unpacklo_pd(AB, CD)));
    _mm256_storeu_ps(to + 24, _mm256_castpd_ps(_mm256_unpackhi_pd(AB, CD)));
  }
#else
  for (int c = 0; c < kCalls; ++c)
    for (int k = 0; k < 4; ++k) to[4 * c + k] = rows[k][c];
#endif
}

// At least `count` normals from draw 4 * first_call on, in whole runs.
inline __attribute__((noinline)) void draw_runs(float* normal, i64 count, const RoundKeys& keys, u32 stream, u64 step,
                                                u32 element, u32 first_call) {
  alignas(64) u32 call[kCalls], word[4][kCalls];
  alignas(64) float z[4][kCalls];
  for (i64 done = 0; done < count; done += kRun, first_call += kCalls) {
    for (int l = 0; l < kCalls; ++l) call[l] = first_call + kCallOfLane[l];
    philox_calls(word[0], kCalls, keys, stream, step, element, call);
    for (int pair = 0; pair < 4; pair += 2)
      for (int l = 0; l < kCalls; ++l) {
        const Pair both = normal_pair(word[pair][l], word[pair + 1][l]);
        z[pair][l] = both.first;
        z[pair + 1][l] = both.second;
      }
    interleave(normal + done, z);
  }
}

// The same from draw `first` on; returns where it lies. Up to kRun + 3 more than `count` are written.
inline const float* draw_normals_from(float* buffer, i64 first, i64 count, const RoundKeys& keys, u32 stream, u64 step,
                                      u32 element) {
  const i64 lead = first & 3;
  draw_runs(buffer, lead + count, keys, stream, step, element, (u32)(first >> 2));
  return buffer + lead;
}

}  // namespace OHM_NS
