// What this processor can do at most, measured: the yardstick of the benchmarks.
#pragma once

#include <time.h>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// `rounds` rounds of twelve independent multiply-adds in registers: more than the product of latency and units (4 × 2),
// few enough for sixteen registers. Returns the number of floating-point operations.
template <class T>
[[gnu::noinline]] inline double fma_work(index rounds) noexcept {
    constexpr int n_chains = 12;
    Pack<T> chain[n_chains];
    SCOREMATCH_UNROLL
    for (int i = 0; i < n_chains; ++i) chain[i] = broadcast(static_cast<T>(i));
    Pack<T> factor = broadcast(static_cast<T>(0.5)), term = broadcast(static_cast<T>(1));
    asm volatile("" : "+m"(factor), "+m"(term));  // so that the compiler knows nothing of them
    const Pack<T> a = factor, b = term;
    for (index round = 0; round < rounds; ++round) {
        SCOREMATCH_UNROLL
        for (int i = 0; i < n_chains; ++i) chain[i] = multiply_add<T>(chain[i], a, b);
    }
    Pack<T> total = chain[0];
    SCOREMATCH_UNROLL
    for (int i = 1; i < n_chains; ++i) total += chain[i];
    asm volatile("" : : "m"(total));  // so that the work counts as used
    return 2.0 * static_cast<double>(n_chains * pack_size<T> * rounds);
}

// The time that this thread was running: what others take of the processor does not count.
inline double thread_seconds() noexcept {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Billions of multiplications and additions a second that one thread of this level reaches, the best of `repeats`
// measurements of `seconds` each: the best, since whatever disturbs a measurement makes it slower.
template <class T>
inline double fma_peak_gflops(int repeats = 20, double seconds = 0.005) noexcept {
    double best = 0;
    index rounds = 10000;
    for (int repeat = 0; repeat < repeats;) {
        const double begin = thread_seconds();
        const double operations = fma_work<T>(rounds);
        const double elapsed = thread_seconds() - begin;
        if (elapsed < seconds / 2) {
            rounds *= 2;
            continue;
        }
        const double gflops = 1e-9 * operations / elapsed;
        if (gflops > best) best = gflops;
        ++repeat;
    }
    return best;
}

SCOREMATCH_END_LEVEL
