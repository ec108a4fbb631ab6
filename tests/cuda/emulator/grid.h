// SPDX-License-Identifier: Apache-2.0
// CUDA's words for a host compiler, so that the kernels of engine/csrc/cuda run here as they are: one block after another,
// each thread of a block on a stack of its own. A thread runs until it waits for others; who then goes on is fixed.
#pragma once
#if defined(__APPLE__) && !defined(_XOPEN_SOURCE)
#define _XOPEN_SOURCE 700  // without it there are no contexts
#endif
#include <ucontext.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(threads)
#define __forceinline__ inline __attribute__((always_inline))

struct Index {
  unsigned x;
};
inline Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr unsigned kWarp = 32;
constexpr std::size_t kStack = 256 * 1024;

[[noreturn]] inline void stop(const char* what) {
  std::fprintf(stderr, "emulated GPU: %s (block %u, thread %u)\n", what, blockIdx.x, threadIdx.x);
  std::abort();
}

// Where threads meet: the last to arrive lets all go on. What they exchange lies in one of two places in turn, so that
// nobody overwrites what a slower thread has still to read.
struct Meeting {
  explicit Meeting(unsigned threads = 0) : size(threads) {}
  unsigned size, arrived = 0;
  unsigned long round = 0;
  unsigned value[2][kWarp];
};

struct Thread {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  bool done = false;
};

// The threads of the block that runs.
struct Block {
  std::vector<Thread> threads;
  std::vector<Meeting> warps;
  Meeting all;
  ucontext_t scheduler;
  bool running = false, moved = false;
};
inline Block block;

inline void wait_at(Meeting& meeting) {
  if (!block.running) stop("a kernel that was started without stacks waits for other threads");
  const unsigned long round = meeting.round;
  block.moved = true;
  if (++meeting.arrived == meeting.size) meeting.arrived = 0, ++meeting.round;
  while (meeting.round == round) swapcontext(&block.threads[threadIdx.x].context, &block.scheduler);
}

// Everyone hands in a value; returns all values of the warp.
inline const unsigned* exchange(unsigned value) {
  Meeting& warp = block.warps[threadIdx.x / kWarp];
  unsigned* values = warp.value[warp.round & 1];
  values[threadIdx.x % kWarp] = value;
  wait_at(warp);
  return values;
}

template <class Call>
void enter() {
  Call::run();
  block.threads[threadIdx.x].done = true;
  block.moved = true;
  swapcontext(&block.threads[threadIdx.x].context, &block.scheduler);
}

// `backwards` lets the last thread of a block go first: a result that depends on it is a race.
template <class Call>
void run_block(bool backwards) {
  const unsigned size = blockDim.x;
  block.threads.resize(size);
  block.warps.assign((size + kWarp - 1) / kWarp, Meeting{kWarp});
  block.all = Meeting{size};
  block.running = true;
  for (Thread& thread : block.threads) {
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = kStack;
    thread.done = false;
    makecontext(&thread.context, enter<Call>, 0);
  }
  for (unsigned left = size; left;) {
    block.moved = false;
    for (unsigned k = 0; k < size; ++k) {
      threadIdx.x = backwards ? size - 1 - k : k;
      Thread& thread = block.threads[threadIdx.x];
      if (thread.done) continue;
      swapcontext(&block.scheduler, &thread.context);
      left -= thread.done;
    }
    if (!block.moved) stop("threads wait for others that do not come");
  }
  block.running = false;
}

template <class Kernel>
struct Launch;

// A launch as the driver takes it: an address for every argument.
template <class... Arguments>
struct Launch<void (*)(Arguments...)> {
  static inline void (*kernel)(Arguments...);
  static inline void** arguments;

  template <std::size_t... place>
  static void call(std::index_sequence<place...>) {
    kernel(*static_cast<std::remove_reference_t<Arguments>*>(arguments[place])...);
  }
  static void run() { call(std::index_sequence_for<Arguments...>{}); }

  static void start(void (*what)(Arguments...), unsigned grid, unsigned size, void** with, bool meets, bool backwards) {
    kernel = what, arguments = with;
    gridDim.x = grid, blockDim.x = size;
    for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x)
      if (meets)
        run_block<Launch>(backwards);
      else
        for (threadIdx.x = 0; threadIdx.x < size; ++threadIdx.x) run();
  }
};

template <class Kernel>
void start(Kernel kernel, unsigned grid, unsigned size, void** arguments, bool meets, bool backwards) {
  Launch<Kernel>::start(kernel, grid, size, arguments, meets, backwards);
}

}  // namespace emulator

inline void __syncthreads() { emulator::wait_at(emulator::block.all); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

inline unsigned __ballot_sync(unsigned, bool vote) {
  const unsigned* votes = emulator::exchange(vote);
  unsigned bits = 0;
  for (unsigned lane = 0; lane < emulator::kWarp; ++lane) bits |= votes[lane] << lane;
  return bits;
}

inline unsigned __shfl_sync(unsigned, unsigned value, unsigned lane) { return emulator::exchange(value)[lane]; }

inline unsigned __shfl_up_sync(unsigned, unsigned value, unsigned hop) {
  const unsigned lane = threadIdx.x % emulator::kWarp;
  const unsigned* values = emulator::exchange(value);
  return values[lane >= hop ? lane - hop : lane];
}
