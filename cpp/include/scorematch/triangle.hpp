// The upper triangle of a square matrix, row by row: as parameters keep it, and sums of which the rest follows.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

// Its length, and where a row begins, for d × d entries.
inline index triangle(index d) noexcept { return d * (d + 1) / 2; }
inline index triangle_row(index d, index i) noexcept { return i * d - i * (i - 1) / 2; }

// Copies the upper triangle of a whole matrix to the lower, a square of entries at a time, whose lines stay in the
// cache.
inline void mirror(double* matrix, index d) noexcept {
    constexpr index side = 16;
    for (index top = 0; top < d; top += side)
        for (index left = 0; left <= top; left += side)
            for (index i = top; i < top + side && i < d; ++i)
                for (index k = left; k < left + side && k < i; ++k) matrix[i * d + k] = matrix[k * d + i];
}

SCOREMATCH_END_LEVEL
