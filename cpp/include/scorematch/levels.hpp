// Which instruction-set levels this binary holds, and which of them this processor has.
#pragma once

#include "scorematch/backend.hpp"

namespace scorematch {

struct Level {
    const Backend* backend;
    bool supported;
};

inline constexpr int max_levels = 4;

// All levels of this binary, lowest first; returns how many.
int all_levels(Level (&levels)[max_levels]) noexcept;

}  // namespace scorematch
