#include "scorematch/parallel.hpp"

#ifdef _OPENMP
#include <omp.h>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define SCOREMATCH_CAN_FORK 1
#endif
#endif

#include <atomic>
#include <system_error>
#include <thread>

namespace scorematch {
namespace {

struct Region {
    index n_tasks;
    int n_threads;
    void (*body)(void*, index, int);
    void* context;
};

void run_serially(const Region& region) noexcept {
    for (index task = 0; task < region.n_tasks; ++task) region.body(region.context, task, 0);
}

#ifdef _OPENMP
// Tasks are handed out one by one. Which worker gets which does not matter: tasks write to places of their own.
void run_parallel(const Region& region) noexcept {
#pragma omp parallel for num_threads(region.n_threads) schedule(dynamic, 1)
    for (index task = 0; task < region.n_tasks; ++task) region.body(region.context, task, omp_get_thread_num());
}

std::atomic<bool> is_forked_child{false};

// libgomp keeps its workers in a pool that belongs to the thread which opened the first region. After a fork those
// workers are gone, yet the child's main thread still believes in them and would wait for ever. A thread started in
// the child has no pool and makes a new one.
void run_after_fork(const Region& region) noexcept {
    try {
        std::thread fresh([&region]() noexcept { run_parallel(region); });
        fresh.join();
    } catch (const std::system_error&) {
        run_serially(region);  // no thread to be had; the result is the same
    }
}

#ifdef SCOREMATCH_CAN_FORK
struct WatchForks {
    WatchForks() noexcept {
        pthread_atfork(nullptr, nullptr, [] { is_forked_child = true; });
    }
};
const WatchForks watch_forks;
#endif
#endif

}  // namespace

void parallel_for(index n_tasks, int n_threads, void (*body)(void*, index, int), void* context) noexcept {
    const int useful = n_tasks < n_threads ? static_cast<int>(n_tasks) : n_threads;
    const Region region{n_tasks, useful, body, context};
#ifdef _OPENMP
    if (useful > 1) {
        if (is_forked_child) run_after_fork(region);
        else run_parallel(region);
        return;
    }
#endif
    run_serially(region);
}

bool has_threads() noexcept {
#ifdef _OPENMP
    return true;
#else
    return false;
#endif
}

}  // namespace scorematch
