// Two hints to the compiler, for kernels that live in registers.
#pragma once

#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

// Before a loop of constant length: unrolls it fully, which is what keeps a small array of packs in registers.
#if defined(__clang__)
#define SCOREMATCH_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SCOREMATCH_UNROLL _Pragma("GCC unroll 64")
#endif

SCOREMATCH_BEGIN_LEVEL

// The same pack, in a register. Without it GCC may replace a pack that is loaded once and used three times by three
// memory operands, and the loads become the bottleneck.
template <class T>
[[gnu::always_inline]] inline Pack<T> in_register(Pack<T> x) {
#if defined(__x86_64__)
    asm("" : "+v"(x));
#elif defined(__aarch64__)
    asm("" : "+w"(x));
#endif
    return x;
}

SCOREMATCH_END_LEVEL
