// SPDX-License-Identifier: Apache-2.0
// What lets one header compile under a host C++ compiler and under a GPU run-time compiler.
// Plain types only: the latter has no host standard library.
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define OHM_GPU 1
#define OHM_HD __host__ __device__ __forceinline__
#define OHM_PRAGMA(text) _Pragma(#text)
#define OHM_UNROLL(count) OHM_PRAGMA(unroll count)
#else
#define OHM_HD inline __attribute__((always_inline))
#define OHM_PRAGMA(text) _Pragma(#text)
#define OHM_UNROLL(count) OHM_PRAGMA(GCC unroll count)
#endif

// Every instruction-set variant lives in a namespace of its own: otherwise the linker would keep one
// copy of an inline function for all of them, and a CPU without AVX-512 could meet the AVX-512 one.
#ifndef OHM_ISA
#define OHM_ISA portable
#endif
#define OHM_JOIN_(a, b) a##b
#define OHM_JOIN(a, b) OHM_JOIN_(a, b)
#define OHM_NS OHM_JOIN(ohm_, OHM_ISA)

namespace ohm_types {
using i8 = signed char;
using u8 = unsigned char;
using u32 = unsigned int;
using i32 = int;
using u64 = unsigned long long;
using i64 = long long;
static_assert(sizeof(u32) == 4 && sizeof(u64) == 8, "this platform's integers have other sizes");
}  // namespace ohm_types
