#include "scorematch/levels.hpp"

namespace scorematch {

#define SCOREMATCH_BACKEND(name)  \
    namespace name {              \
    extern const Backend backend; \
    }
#include "levels.inc"
#undef SCOREMATCH_BACKEND

namespace {

bool same(const char* a, const char* b) noexcept {
    while (*a != '\0' && *a == *b) ++a, ++b;
    return *a == *b;
}

// What the x86-64 psABI asks of a level (v3: AVX2 and its company; v4: AVX-512). The built-in also asks the operating
// system whether it saves the registers.
bool processor_has([[maybe_unused]] const char* level) noexcept {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2");
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                    __builtin_cpu_supports("avx512vl");
    if (same(level, "v3")) return v3;
    if (same(level, "v4")) return v4;
#endif
    return true;
}

}  // namespace

int all_levels(Level (&levels)[max_levels]) noexcept {
    int n = 0;
#define SCOREMATCH_BACKEND(name) levels[n++] = {&name::backend, processor_has(name::backend.level)};
#include "levels.inc"
#undef SCOREMATCH_BACKEND
    return n;
}

}  // namespace scorematch
