// What the tests of the engine share: the functions of the level that a test is compiled for, and numbers for them.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "scorematch/level.hpp"
#include "scorematch/levels.hpp"

namespace scorematch {

inline const Backend* this_level() {
    Level levels[max_levels];
    const int n = all_levels(levels);
    for (int i = 0; i < n; ++i)
        if (std::strcmp(levels[i].backend->level, SCOREMATCH_NAME(SCOREMATCH_LEVEL)) == 0)
            return levels[i].supported ? levels[i].backend : nullptr;
    return nullptr;
}

template <class T>
const Functions<T>& functions();
template <>
inline const Functions<float>& functions<float>() {
    return this_level()->single_precision;
}
template <>
inline const Functions<double>& functions<double>() {
    return this_level()->double_precision;
}

// Numbers between -1 and 1 without a pattern, the same on every platform.
template <class T>
std::vector<T> numbers(index n, unsigned seed) {
    std::vector<T> list(static_cast<std::size_t>(n));
    std::uint64_t state = 0x9e3779b97f4a7c15u * (seed + 1);
    for (T& x : list) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x = static_cast<T>(static_cast<double>(state >> 11) / static_cast<double>(std::uint64_t{1} << 52) - 1.0);
    }
    return list;
}

}  // namespace scorematch
