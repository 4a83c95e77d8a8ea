// Threads. All of OpenMP is behind this header, in engine/parallel.cpp.
#pragma once

#include "scorematch/common.hpp"

namespace scorematch {

// Calls body(context, task, worker) for every task, each once, from at most `n_threads` threads; worker < n_threads
// tells them apart. The body must not throw. It survives fork: see parallel.cpp.
void parallel_for(index n_tasks, int n_threads, void (*body)(void* context, index task, int worker),
                  void* context) noexcept;

// Whether this build has threads, for show_config().
bool has_threads() noexcept;

}  // namespace scorematch
