// SPDX-License-Identifier: Apache-2.0
// Normals in one run: draws 0, 1, 2 ... of one element and step, for whoever needs many of them and none twice.
#pragma once
#include "kernels/lanes.h"

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

// Words 0, 1 and 2, 3 of each call become normals. What normal_pair does, in loops with short chains of operations: a
// processor looks only so far ahead for work that does not wait.
inline void turn_normal(Drawn<float>& z, const Drawn<u32>& word, i64 calls) {
  for (int pair = 0; pair < 4; pair += 2) {
    alignas(64) float exponent[kBatch], s[kBatch];
    for (i64 l = 0; l < calls; ++l) {
      const LogParts parts = log_parts(unit_interval(word.row[pair][l]));
      exponent[l] = parts.exponent, s[l] = parts.s;
    }
    for (i64 l = 0; l < calls; ++l) s[l] = radius_from({exponent[l], s[l]});
    for (i64 l = 0; l < calls; ++l) {
      const Pair both = toward(s[l], word.row[pair + 1][l]);
      z.row[pair][l] = both.first, z.row[pair + 1][l] = both.second;
    }
  }
}

// Numbers of `count` calls from `first` on, a multiple of kCalls, in the order of the lanes that make them.
inline void number_calls(u32* call, u32 first, i64 count) {
  for (i64 done = 0; done < count; done += kCalls)
    for (i64 l = 0; l < kCalls; ++l) call[done + l] = first + (u32)done + kCallOfLane[l];
}

// At least `count` normals from draw 4 * first_call on; 4 * kCalls - 1 more may be written.
inline __attribute__((noinline)) void draw_normals(float* normal, i64 count, const RoundKeys& keys, u32 stream,
                                                   u64 step, u32 element, u32 first_call) {
  Drawn<u32> word;
  Drawn<float> z;
  alignas(64) u32 call[kBatch];
  const i64 all = (count + 4 * kCalls - 1) / (4 * kCalls) * kCalls;
  for (i64 done = 0; done < all; done += kBatch) {
    const i64 calls = all - done < kBatch ? all - done : kBatch;
    number_calls(call, first_call + (u32)done, calls);
    philox_calls(word.row[0], kBatch, calls, keys, stream, step, element, call);
    turn_normal(z, word, calls);
    for (i64 l = 0; l < calls; l += kCalls) interleave(normal + 4 * (done + l), z, l);
  }
}

// The same from draw `first` on; returns where that lies, up to 3 entries in.
inline const float* draw_normals_from(float* buffer, i64 first, i64 count, const RoundKeys& keys, u32 stream, u64 step,
                                      u32 element) {
  const i64 lead = first & 3;
  draw_normals(buffer, lead + count, keys, stream, step, element, (u32)(first >> 2));
  return buffer + lead;
}

constexpr i64 kDrawSlack = 4 * kCalls + 3;

}  // namespace OHM_NS
