// Between rows of lanes, as a tile has them, and one row a chain, as they lie in memory outside.
#pragma once

#include "scorematch/transpose.hpp"

SCOREMATCH_BEGIN_LEVEL

// out[lane·stride + i] = lanes[i][lane] for `count` lanes.
inline void lanes_to_rows(Rows<const double> lanes, index n_rows, index count, double* out, index stride) noexcept {
    constexpr index width = pack_size<double>;
    index done = 0;  // rows, of which squares are turned as a whole
    for (; done + width <= n_rows; done += width)
        for (index l = 0; l < count; l += width) {
            Pack<double> x[width];
            SCOREMATCH_UNROLL
            for (index i = 0; i < width; ++i) x[i] = load(lanes[done + i] + l);
            transpose_squares<0, static_cast<int>(width), double>(x);
            double* const place = out + l * stride + done;
            if (l + width <= count) {
                SCOREMATCH_UNROLL
                for (index i = 0; i < width; ++i) store<double>(place + i * stride, x[i]);
            } else {
                for (index i = 0; l + i < count; ++i) store<double>(place + i * stride, x[i]);
            }
        }
    for (index l = 0; l < count; ++l)
        for (index i = done; i < n_rows; ++i) out[l * stride + i] = lanes[i][l];
}

// The way back; lanes behind the last one repeat it.
inline void rows_to_lanes(const double* rows, index n_rows, index count, index lanes, Rows<double> out) noexcept {
    transpose_samples(Samples<double>{rows, count, n_rows, n_rows, 1, nullptr}, 0, count, out);
    for (index i = 0; i < n_rows; ++i)
        for (index l = count; l < lanes; ++l) out[i][l] = out[i][count - 1];
}

SCOREMATCH_END_LEVEL
