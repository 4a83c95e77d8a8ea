// A data race on purpose, in the engine's own parallel loop: ThreadSanitizer must find it, or its silence about the
// tests means nothing.
#include <cstdio>

#include "scorematch/parallel.hpp"

int main() {
    long total = 0;
    scorematch::parallel_for(
        10000, 2, [](void* context, scorematch::index task, int) { *static_cast<long*>(context) += task; }, &total);
    std::printf("%ld\n", total);
}
