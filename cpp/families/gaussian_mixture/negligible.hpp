// Below it e^x is as good as this, and would soon be subnormal, which slows many processors down.
#pragma once

#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
constexpr T negligible = sizeof(T) == sizeof(double) ? -650 : -75;

SCOREMATCH_END_LEVEL
