// SPDX-License-Identifier: Apache-2.0
// The CPU launch: crosspoints in blocks of lanes, every inner loop over lanes so that it vectorises, blocks
// over threads. A block's result depends on nothing but its own crosspoints, hence not on the threads.
#pragma once
#include "core/ops.h"
#include "kernels/philox_lanes.h"

namespace OHM_NS {

using namespace ohm_types;

constexpr int kLanes = 64;

// Reads the members of a record from lane `lane` of consecutive blocks.
template <int lanes>
struct FromLanes {
  const float (*block)[lanes];
  int lane, at;
  OHM_HD void operator()(float& member) { member = block[at++][lane]; }
};

// Writes them there.
template <int lanes>
struct ToLanes {
  float (*block)[lanes];
  int lane, at;
  OHM_HD void operator()(const float& member) { block[at++][lane] = member; }
};

// The cells of one block, gathered into consecutive lanes.
template <class Cell, int lanes = kLanes>
struct CellLanes {
  alignas(64) float field[Cell::count ? Cell::count : 1][lanes];

  OHM_HD Cell at(int lane) const {
    Cell cell;
    FromLanes<lanes> reader{field, lane, 0};
    cell.visit(reader);
    return cell;
  }
  void put(int lane, Cell cell) {
    ToLanes<lanes> writer{field, lane, 0};
    cell.visit(writer);
  }
};

// Indexed loads and stores. Written out for AVX-512, where the compiler builds vectors element by element.
inline void gather(float* to, const float* from, const i32* column) {
#if defined(__AVX512F__)
  for (int l = 0; l < kLanes; l += 16)
    _mm512_storeu_ps(to + l, _mm512_i32gather_ps(_mm512_loadu_si512(column + l), from, 4));
#else
  for (int l = 0; l < kLanes; ++l) to[l] = from[column[l]];
#endif
}

// The first `used` lanes only; a column occurs once among them.
inline void scatter(float* to, const float* from, const i32* column, int used) {
#if defined(__AVX512F__)
  for (int l = 0; l < used; l += 16) {
    const __mmask16 mask = (__mmask16)(used - l >= 16 ? 0xffff : (1 << (used - l)) - 1);
    _mm512_mask_i32scatter_ps(to, mask, _mm512_loadu_si512(column + l), _mm512_loadu_ps(from + l), 4);
  }
#else
  for (int l = 0; l < used; ++l) to[column[l]] = from[l];
#endif
}

// `column` counts from `start`, an offset into the arrays; 32-bit columns make fast gathers.
template <class Cell>
inline void gather_cells(CellLanes<Cell>& to, const float* const* cells, i64 start, const i32* column) {
  for (int f = 0; f < Cell::count; ++f) gather(to.field[f], cells[f] + start, column);
}

// Random words and normals of one block: draws 4b .. 4b+3 of each lane's element, made when asked for.
struct NoiseLanes {
  alignas(64) u32 word[4][kLanes];
  alignas(64) float normal[4][kLanes];
};

inline void draw_words_of(NoiseLanes& z, u64 seed, u32 stream, u64 step, const u32* element, u32 block) {
  philox_lanes(z.word[0], kLanes, seed, stream, step, element, block);
}

// Words 2p, 2p+1 become normals 2p, 2p+1.
inline __attribute__((noinline)) void draw_pair(NoiseLanes& z, int pair) {
  const u32 *first = z.word[2 * pair], *second = z.word[2 * pair + 1];
  float *a = z.normal[2 * pair], *b = z.normal[2 * pair + 1];
  for (int l = 0; l < kLanes; ++l) {
    const Pair both = normal_pair(first[l], second[l]);
    a[l] = both.first;
    b[l] = both.second;
  }
}

inline void draw_normals(NoiseLanes& z, u64 seed, u32 stream, u64 step, const u32* element, u32 block) {
  draw_words_of(z, seed, stream, step, element, block);
  draw_pair(z, 0);
  draw_pair(z, 1);
}

// Consecutive crosspoints from `first` on. Unused lanes repeat the last one: no arithmetic on garbage.
struct Block {
  i64 first;
  int used;
  alignas(64) i32 column[kLanes];
  alignas(64) u32 element[kLanes];  // the number inside the generator's counter
};

inline Block block_of(i64 first, i64 total) {
  Block b;
  b.first = first;
  b.used = (int)(total - first < kLanes ? total - first : kLanes);
  for (int l = 0; l < kLanes; ++l) {
    b.column[l] = l < b.used ? l : b.used - 1;
    b.element[l] = (u32)first + (u32)b.column[l];
  }
  return b;
}

}  // namespace OHM_NS
