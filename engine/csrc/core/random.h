// SPDX-License-Identifier: Apache-2.0
// Noise as a function: every random number is f(seed, stream, step, element, draw), by Philox4x32-10.
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

OHM_HD Words philox(u64 key, u32 c0, u32 c1, u32 c2, u32 c3) {
  u32 k0 = (u32)key, k1 = (u32)(key >> 32);
  OHM_UNROLL(10)
  for (int round = 0; round < 10; ++round) {
    u64 a = (u64)c0 * 0xD2511F53u, b = (u64)c2 * 0xCD9E8D57u;
    u32 n0 = (u32)(b >> 32) ^ c1 ^ k0, n2 = (u32)(a >> 32) ^ c3 ^ k1;
    c0 = n0, c1 = (u32)b, c2 = n2, c3 = (u32)a;
    k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// Four words for draws 4*block .. 4*block+3 of one element at one step (56 bits of step count).
OHM_HD Words draw_words(u64 seed, u32 stream, u64 step, u32 element, u32 block) {
  return philox(seed, block, element, (u32)step, (stream << 24) | ((u32)(step >> 32) & 0xffffffu));
}

// Uniform in (0, 1]: the word as a binary fraction, half a unit added so that 0 cannot occur.
OHM_HD float unit_interval(u32 word) { return float_of(bits_of((float)(i32)(word >> 1) + 0.5f) - (31u << 23)); }

struct Pair {
  float first, second;
};

// Box-Muller: two exact normals from two words, up to the 31-bit resolution of the radius (|z| < 6.7). The second word
// names a direction: 30 bits an angle within +-pi/4, one bit the axis it is counted from, one the sign along that axis.
OHM_HD Pair toward(float radius, u32 direction) {
  SinCos turn = sin_cos((float)(i32)(direction << 2) * 3.6572952e-10f);  // 2^-31 pi/4
  float along = radius * float_of(bits_of(turn.cos) ^ ((direction << 1) & 0x80000000u)), across = radius * turn.sin;
  bool swapped = (i32)direction < 0;
  return {swapped ? across : along, swapped ? along : across};
}

OHM_HD float radius_from(const LogParts& uniform) { return square_root(-2.0f * log_of(uniform)); }

OHM_HD Pair normal_pair(u32 first, u32 second) {
  return toward(radius_from(log_parts(unit_interval(first))), second);
}

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
