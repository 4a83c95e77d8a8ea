// Whether several threads pay for a short piece of work that is done again and again is found out by trying.
//
// No count of operations tells it. On a quiet machine two threads gain from a tenth of a millisecond on; where other
// processes use the processors too, a region that waits for a thread that is not running takes a hundred times as long.
// So threads are used as long as they win, and given up for a while as soon as they lose. What is computed does not
// depend on the number of threads, so that trying changes nothing but the time.
#pragma once

#include <time.h>

#include "scorematch/backend.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

inline int threads_to_try(const ThreadTrial& trial, int n_threads) noexcept {
    return trial.serial_steps > 0 ? 1 : n_threads;
}

// Takes down how long a step took on as many threads as threads_to_try() said.
inline void note_time(ThreadTrial& trial, double seconds) noexcept {
    const double allowed_debt = 8;
    const index longest_wait = 8192;
    if (trial.serial_steps > 0) {
        // The shortest: whatever disturbs a step makes it longer.
        if (trial.serial_seconds == 0 || seconds < trial.serial_seconds) trial.serial_seconds = seconds;
        if (--trial.serial_steps == 0) trial.debt = 0;
        return;
    }
    trial.debt += seconds / trial.serial_seconds - 1;
    if (trial.debt < 0) trial.debt = 0;
    if (trial.debt <= allowed_debt) return;
    trial.serial_steps = trial.wait;
    trial.serial_seconds = 0;
    if (trial.wait < longest_wait) trial.wait *= 2;
}

inline double wall_seconds() noexcept {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

SCOREMATCH_END_LEVEL
