// SPDX-License-Identifier: Apache-2.0
// Matrix products with sixteen outputs in the lanes of a register: the bits of kernels/product.h, whose partial sums lie
// in lanes and have to be added across them. Weights are laid out anew, once for many vectors.
#pragma once
#include "core/mvm_plan.h"
#include "kernels/share.h"
#include "kernels/vector.h"

namespace OHM_NS {

#if defined(__AVX2__)
constexpr bool kHasPanels = true;

// A panel holds the weights of sixteen outputs, sixteen numbers for each input: those of partial sum 0, of the one that is
// added to it first, and so on; then those that belong to no partial sum. `place` counts from the root of the tree of additions.
constexpr i64 part_at(i64 place) {
  return (place & 1) * 8 + (place >> 1 & 1) * 4 + (place >> 2 & 1) * 2 + (place >> 3 & 1);
}

#if defined(__AVX512F__)
// Sixteen outputs. Sums are always inlined (OHM_HD): compilers would hand them over in memory.
struct Outputs {
  Register all;
  OHM_HD static Outputs load(const float* from) { return {load_register(from)}; }
  OHM_HD Outputs operator*(float x) const { return {all * x}; }
  OHM_HD Outputs operator+(const Outputs& v) const { return {all + v.all}; }
  OHM_HD Outputs operator+(float x) const { return {all + x}; }
  void store(float* y, i64 used) const {
    if (used == kVec)
      __builtin_memcpy(y, &all, sizeof all);
    else
      store_part(y, all, used);
  }
};

// Sixteen rows of sixteen numbers, `stride` apart, become columns.
inline void turn_square(const float* from, i64 stride, i64 rows, __m512 (&to)[kVec]) {
  __m512 a[kVec], b[kVec];
  for (i64 k = 0; k < kVec; ++k) a[k] = k < rows ? _mm512_loadu_ps(from + k * stride) : _mm512_setzero_ps();
  for (i64 k = 0; k < kVec; k += 2)
    b[k] = _mm512_unpacklo_ps(a[k], a[k + 1]), b[k + 1] = _mm512_unpackhi_ps(a[k], a[k + 1]);
  for (i64 k = 0; k < kVec; k += 4)
    for (i64 l = 0; l < 2; ++l) {
      const __m512d low = _mm512_castps_pd(b[k + l]), high = _mm512_castps_pd(b[k + l + 2]);
      a[k + 2 * l] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      a[k + 2 * l + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  for (i64 k = 0; k < 4; ++k) {
    b[k] = _mm512_shuffle_f32x4(a[k], a[k + 4], 0x88), b[k + 4] = _mm512_shuffle_f32x4(a[k], a[k + 4], 0xdd);
    b[k + 8] = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0x88);
    b[k + 12] = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0xdd);
  }
  for (i64 k = 0; k < 8; ++k) {
    to[k] = _mm512_shuffle_f32x4(b[k], b[k + 8], 0x88), to[k + 8] = _mm512_shuffle_f32x4(b[k], b[k + 8], 0xdd);
  }
}

inline void fill_square(const float* w, i64 in, i64 rows, float* to, i64 stride) {
  __m512 column[kVec];
  turn_square(w, in, rows, column);
  for (i64 place = 0; place < kVec; ++place) _mm512_storeu_ps(to + place * stride, column[part_at(place)]);
}
#else
// The same in two registers.
struct Outputs {
  Register low, high;
  OHM_HD static Outputs load(const float* from) { return {load_register(from), load_register(from + kRegister)}; }
  OHM_HD Outputs operator*(float x) const { return {low * x, high * x}; }
  OHM_HD Outputs operator+(const Outputs& v) const { return {low + v.low, high + v.high}; }
  OHM_HD Outputs operator+(float x) const { return {low + x, high + x}; }
  void store(float* y, i64 used) const {
    if (used == kVec)  // of known size, so that no function is called
      __builtin_memcpy(y, this, sizeof *this);
    else
      __builtin_memcpy(y, this, 4 * (u64)used);
  }
};

// Eight rows of eight numbers, `stride` apart, become columns.
inline void turn_eight(const float* from, i64 stride, i64 rows, __m256 (&to)[kRegister]) {
  __m256 a[kRegister], b[kRegister];
  for (i64 k = 0; k < kRegister; ++k) a[k] = k < rows ? _mm256_loadu_ps(from + k * stride) : _mm256_setzero_ps();
  for (i64 k = 0; k < kRegister; k += 2)
    b[k] = _mm256_unpacklo_ps(a[k], a[k + 1]), b[k + 1] = _mm256_unpackhi_ps(a[k], a[k + 1]);
  for (i64 k = 0; k < kRegister; k += 4)
    for (i64 l = 0; l < 2; ++l) {
      a[k + 2 * l] = _mm256_shuffle_ps(b[k + l], b[k + l + 2], 0x44);
      a[k + 2 * l + 1] = _mm256_shuffle_ps(b[k + l], b[k + l + 2], 0xee);
    }
  for (i64 k = 0; k < 4; ++k) {
    to[k] = _mm256_permute2f128_ps(a[k], a[k + 4], 0x20), to[k + 4] = _mm256_permute2f128_ps(a[k], a[k + 4], 0x31);
  }
}

// The weights of up to sixteen outputs for sixteen inputs, those of one partial sum `stride` from the next.
inline void fill_square(const float* w, i64 in, i64 rows, float* to, i64 stride) {
  for (i64 row = 0; row < kVec; row += kRegister)
    for (i64 first = 0; first < kVec; first += kRegister) {
      __m256 column[kRegister];
      turn_eight(w + row * in + first, in, rows - row, column);
      for (i64 k = 0; k < kRegister; ++k) _mm256_storeu_ps(to + part_at(first + k) * stride + row, column[k]);
    }
}
#endif

// The panel of `rows` outputs, whose weights start at `w`.
inline void fill_panel(const float* w, i64 in, i64 rows, float* to) {
  const i64 whole = in / kVec;
  for (i64 k = 0; k < whole; ++k) fill_square(w + k * kVec, in, rows, to + k * kVec, whole * kVec);
  for (i64 j = whole * kVec; j < in; ++j)
    for (i64 i = 0; i < kVec; ++i) to[j * kVec + i] = i < rows ? w[i * in + j] : 0.0f;
}

inline void fill_panels(const float* w, i64 out, i64 in, int threads, float* to) {
  share(parts_of(out, kVec), threads, [&](i64 panel) {
    const i64 first = panel * kVec, left = out - first;
    fill_panel(w + first * in, in, left < kVec ? left : kVec, to + first * in);
  });
}

// Sixteen outputs each of four vectors, `in` numbers apart, or of one. Named one by one: arrays would be kept in memory.
struct FourRows {
  static constexpr i64 rows = 4;
  Outputs a, b, c, d;
  OHM_HD static FourRows of(const Outputs& w, const float* x, i64 in) {
    return {w * x[0], w * x[in], w * x[2 * in], w * x[3 * in]};
  }
  OHM_HD FourRows operator+(const FourRows& v) const { return {a + v.a, b + v.b, c + v.c, d + v.d}; }
  OHM_HD FourRows finished() const { return {a + 0.0f, b + 0.0f, c + 0.0f, d + 0.0f}; }
  void store(float* y, i64 out, i64 used) const {
    a.store(y, used), b.store(y + out, used), c.store(y + 2 * out, used), d.store(y + 3 * out, used);
  }
};

struct OneRow {
  static constexpr i64 rows = 1;
  Outputs a;
  OHM_HD static OneRow of(const Outputs& w, const float* x, i64) { return {w * x[0]}; }
  OHM_HD OneRow operator+(const OneRow& v) const { return {a + v.a}; }
  OHM_HD OneRow finished() const { return {a + 0.0f}; }
  void store(float* y, i64, i64 used) const { a.store(y, used); }
};

// The partial sum at a place, or the sum of those from there on that are added to each other first.
template <class Rows, int level>
OHM_HD Rows sums_from(const float* panel, const float* x, i64 in, i64 whole, i64 place) {
  if constexpr (level == 0) {
    const float *w = panel + place * whole * kVec, *at = x + part_at(place);
    Rows sum = Rows::of(Outputs::load(w), at, in);
    for (i64 k = 1; k < whole; ++k) sum = sum + Rows::of(Outputs::load(w + k * kVec), at + k * kVec, in);
    return sum;
  } else {
    const Rows first = sums_from<Rows, level - 1>(panel, x, in, whole, place);
    return first + sums_from<Rows, level - 1>(panel, x, in, whole, place + (1 << (level - 1)));
  }
}

// Some vectors times one panel. A zero added in the end makes up for sums that begin with a product instead of zero.
template <class Rows>
inline void multiply_panel(const float* panel, const float* x, float* y, i64 in, i64 out, i64 used) {
  const i64 whole = in / kVec;
  Rows sum = whole ? sums_from<Rows, 4>(panel, x, in, whole, 0) : Rows{};
  for (i64 j = whole * kVec; j < in; ++j) sum = sum + Rows::of(Outputs::load(panel + j * kVec), x + j, in);
  sum.finished().store(y, out, used);
}

// y[s, i] = sum_j x[s, j] W[i, j] by the panels of W.
inline void panel_product(const float* panels, const float* x, float* y, i64 samples, i64 in, i64 out, int threads) {
  constexpr i64 block = 16;
  const i64 across = parts_of(out, kVec);
  share(parts_of(samples, block) * across, threads, [&](i64 part) {
    const i64 end = part / across * block + block, last = end < samples ? end : samples;
    const i64 first = part % across * kVec, left = out - first, used = left < kVec ? left : kVec;
    const float* panel = panels + first * in;
    i64 s = part / across * block;
    for (; s + FourRows::rows <= last; s += FourRows::rows)
      multiply_panel<FourRows>(panel, x + s * in, y + s * out + first, in, out, used);
    for (; s < last; ++s) multiply_panel<OneRow>(panel, x + s * in, y + s * out + first, in, out, used);
  });
}
#else
constexpr bool kHasPanels = false;
inline void fill_panels(const float*, i64, i64, int, float*) {}
inline void panel_product(const float*, const float*, float*, i64, i64, i64, int) {}
#endif

}  // namespace OHM_NS
