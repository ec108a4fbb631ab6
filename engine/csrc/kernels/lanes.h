// SPDX-License-Identifier: Apache-2.0
// The CPU launch: crosspoints in blocks of lanes, every inner loop over lanes so that it vectorises, blocks
// over threads. A block's result depends on nothing but its own crosspoints, hence not on the threads.
#pragma once
#include "core/ops.h"
#include "core/random.h"

namespace OHM_NS {

using namespace ohm_types;

constexpr int kLanes = 64;

// The cells of one block, gathered into consecutive lanes.
template <class Cell>
struct CellLanes {
  alignas(64) float field[Cell::count][kLanes];
  const float* pointer[Cell::count];

  CellLanes() {
    for (int f = 0; f < Cell::count; ++f) pointer[f] = field[f];
  }
  Cell at(int lane) const { return from_arrays<Cell>(pointer, lane); }
};

// Unused lanes repeat the last crosspoint: harmless, and no arithmetic on garbage.
template <class Cell>
inline void gather_cells(CellLanes<Cell>& to, const float* const* cells, const i64* elements) {
  for (int f = 0; f < Cell::count; ++f)
    for (int l = 0; l < kLanes; ++l) to.field[f][l] = cells[f][elements[l]];
}

struct NormalLanes {
  alignas(64) float v[4][kLanes];
};

// Four normals per lane: draws 4*block .. 4*block+3 of each lane's element.
inline __attribute__((noinline)) void draw_lanes(NormalLanes& out, u64 seed, u32 stream, u64 step,
                                                 const u32* elements, u32 block) {
  alignas(64) u32 words[4][kLanes];
  for (int l = 0; l < kLanes; ++l) {
    Words w = draw_words(seed, stream, step, elements[l], block);
    words[0][l] = w.v[0], words[1][l] = w.v[1], words[2][l] = w.v[2], words[3][l] = w.v[3];
  }
  for (int pair = 0; pair < 4; pair += 2)
    for (int l = 0; l < kLanes; ++l) {
      float radius = square_root(-2.0f * natural_log(unit_interval(words[pair][l])));
      SinCos turn = sin_cos_turns(unit_interval(words[pair + 1][l]));
      out.v[pair][l] = radius * turn.cos;
      out.v[pair + 1][l] = radius * turn.sin;
    }
}

struct Block {
  i64 elements[kLanes];
  u32 counter[kLanes];  // the element number inside the counter of the generator
  int used;
};

inline Block block_of(i64 first, i64 total) {
  Block b;
  b.used = (int)(total - first < kLanes ? total - first : kLanes);
  for (int l = 0; l < kLanes; ++l) {
    b.elements[l] = first + (l < b.used ? l : b.used - 1);
    b.counter[l] = (u32)b.elements[l];
  }
  return b;
}

}  // namespace OHM_NS
