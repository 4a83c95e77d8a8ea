// The whole test framework of the C++ tests: CHECK reports a false condition, check_result() is what main returns.
#pragma once

#include <cstdio>

namespace check {

inline int failures = 0;

inline void fail(const char* file, int line, const char* what) {
    std::printf("%s:%d: failed: %s\n", file, line, what);
    ++failures;
}

}  // namespace check

// What main returns where the processor lacks the level that the test is compiled for: ctest counts it as skipped.
inline constexpr int skipped = 77;

inline bool processor_has_level() {
#if defined(__AVX512F__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#elif defined(__AVX2__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return true;
#endif
}

#define CHECK(...) ((__VA_ARGS__) ? void() : check::fail(__FILE__, __LINE__, #__VA_ARGS__))

inline int check_result() {
    if (check::failures > 0) std::printf("%d checks failed\n", check::failures);
    return check::failures > 0;
}
