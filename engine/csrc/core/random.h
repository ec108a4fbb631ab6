// SPDX-License-Identifier: Apache-2.0
// Noise as a function: every random number is f(seed, stream, step, element, draw), by Philox4x32: ten rounds, or seven for
// the parallel update (docs/adr/0009-seven-rounds-in-the-update.md).
// Source: "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), Table 2 and section 3.3 for the constants.
#pragma once
#include "core/maths.h"

namespace OHM_NS {

// Who asks. The numbers are part of the result: they may be added to, never changed.
enum Stream : u32 {
  kConstruction = 1,  // device-to-device parameters
  kPulseCycle = 2,    // cycle-to-cycle noise of an explicit pulse sequence
  kPulseWrite = 3,    // write noise of an explicit pulse sequence
  kTrainX = 4,        // pulse trains of the columns
  kTrainD = 5,        // pulse trains of the rows
  kUpdateCycle = 6,   // cycle-to-cycle noise of a parallel update
  kUpdateWrite = 7,   // write noise of a parallel update
  kSetWrite = 8,      // write noise of set_weights
  kForwardInput = 9,
  kForwardWeight = 10,
  kForwardOutput = 11,
  kBackwardInput = 12,
  kBackwardWeight = 13,
  kBackwardOutput = 14,
  kDerive = 15,  // seeds made from seeds
  kTimeConstruction = 16,  // device-to-device draws of the processes in time
  kDiffusion = 17,
  kReset = 18,
  kResetPick = 19,  // which devices a partial reset takes
  kDriftExponent = 20,
  kDriftNoise = 21,
  kTimeWrite = 22,   // write noise after a process in time
  kTrainRound = 23,  // stochastic rounding of pulse probabilities
  kForwardInputRound = 24,  // stochastic rounding of converters
  kForwardOutputRound = 25,
  kBackwardInputRound = 26,
  kBackwardOutputRound = 27,
  kForwardLines = 28,  // what differs from output to output, drawn once
  kBackwardLines = 29,
  kReadAsymmetry = 30,  // factor of a device in negative read phases
};

struct Words {
  u32 v[4];
};

constexpr int kRounds = 10;
constexpr int kUpdateRounds = 7;  // the fewest that pass all tests of TestU01's BigCrush

template <int rounds = kRounds>
OHM_HD Words philox(u64 key, u32 c0, u32 c1, u32 c2, u32 c3) {
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
  OHM_UNROLL(10)
  for (int round = 0; round < rounds; ++round) {
    u64 a = (u64)c0 * 0xD2511F53u, b = (u64)c2 * 0xCD9E8D57u;
    u32 n0 = (u32)(b >> 32) ^ c1 ^ k0, n2 = (u32)(a >> 32) ^ c3 ^ k1;
    c0 = n0, c1 = (u32)b, c2 = n2, c3 = (u32)a;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Four words for draws 4*block .. 4*block+3 of one element at one step (56 bits of step count).
template <int rounds = kRounds>
OHM_HD Words draw_words(u64 seed, u32 stream, u64 step, u32 element, u32 block) {
  return philox<rounds>(seed, block, element, (u32)step, (stream << 24) | ((u32)(step >> 32) & 0xffffffu));
}

// The same by the number of rounds that the stream has.
OHM_HD Words stream_words(u64 seed, u32 stream, u64 step, u32 element, u32 block) {
  return stream >= kTrainX && stream <= kUpdateWrite ? draw_words<kUpdateRounds>(seed, stream, step, element, block)
                                                     : draw_words<kRounds>(seed, stream, step, element, block);
}

// Uniform in (0, 1]: the word as a binary fraction, half a unit added so that 0 cannot occur.
OHM_HD float unit_interval(u32 word) { return float_of(bits_of((float)(i32)(word >> 1) + 0.5f) - (31u << 23)); }

struct Pair {
  float first, second;
};

// The root of -2 log u of a word's lower 31 bits, u = (bits | 1) / 2^31: 30 bits of resolution, at most 6.56. With
// u = m 2^e, m in [sqrt(1/2), sqrt(2)) and t = m - 1, -2 log m is t times a minimax polynomial in t (its own error in the
// square is 8e-8).
OHM_HD float radius_of(u32 word) {
  const i32 shifted = (i32)bits_of((float)(i32)((word & 0x7fffffffu) | 1u)) - 0x4eb504f3;  // bits of 2^31 sqrt(1/2)
  const float t = float_of((u32)(shifted & 0x007fffff) + 0x3f3504f3u) - 1.0f;
  float p = fused(t, 0.202062815f, -0.32838884f);
  p = fused(t, p, 0.346658438f), p = fused(t, p, -0.397462428f), p = fused(t, p, 0.499188125f);
  p = fused(t, p, -0.666723549f), p = fused(t, p, 1.00001335f), p = fused(t, p, -1.99999964f);
  return square_root(fused((float)(shifted >> 23), -1.38629436f, t * p));
}

// Box-Muller: two exact normals from two words, up to the resolution of the radius. The second word, read with its sign, is
// an angle within an eighth of a turn; its last bit, far below the angle's own resolution, names the axis that the angle
// is counted from, and the first word's top bit the side.
OHM_HD Pair toward(float radius, u32 side, u32 direction) {
  const SinCos turn = sin_cos_eighth((float)(i32)direction * 4.65661287e-10f);  // 2^-31
  const float along = radius * float_of(bits_of(turn.cos) ^ (side & 0x80000000u)), across = radius * turn.sin;
  const bool swapped = (direction & 1u) != 0u;
  return {swapped ? across : along, swapped ? along : across};
}

OHM_HD Pair normal_pair(u32 first, u32 second) { return toward(radius_of(first), first, second); }

struct Normals {
  float v[4];
};

OHM_HD Normals normals_of(const Words& words) {
  Pair a = normal_pair(words.v[0], words.v[1]), b = normal_pair(words.v[2], words.v[3]);
  return {{a.first, a.second, b.first, b.second}};
}

// The draws of one crosspoint at construction, by number.
struct Draws {
  u64 seed;
  u32 element;
  u32 stream = kConstruction;
  OHM_HD float normal(u32 draw) const {
    Normals z = normals_of(draw_words(seed, stream, 0, element, draw >> 2));
    return z.v[draw & 3];
  }
  OHM_HD float uniform(u32 draw) const {
    return unit_interval(draw_words(seed, stream, 0, element, draw >> 2).v[draw & 3]);
  }
};

}  // namespace OHM_NS
