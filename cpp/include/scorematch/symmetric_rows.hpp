// Outer products lane by lane, symmetrised: the gradients of single samples with respect to a symmetric matrix.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/triangle.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// The upper triangle, row by row: out_ij = −(a_i b_j + a_j b_i) for i < j < n, out_ii = −a_i b_i; or, with `onto`, that
// added to what is there.
template <bool onto, class T>
inline void subtract_symmetric(Rows<const T> a, Rows<const T> b, index n, index lanes, Rows<T> out) noexcept {
    for_each_block<1, 4, T>(n, lanes, [=]<int, int N>(index i, index l) {
        Pack<T> a_i[N], b_i[N];
        T* __restrict row = out[triangle_row(n, i)] + l;
        SCOREMATCH_UNROLL
        for (int k = 0; k < N; ++k) {
            a_i[k] = load(a[i] + l + k * pack_size<T>);
            b_i[k] = load(b[i] + l + k * pack_size<T>);
            const Pack<T> before = onto ? load(row + k * pack_size<T>) : Pack<T>{};
            store<T>(row + k * pack_size<T>, before - a_i[k] * b_i[k]);
        }
        for (index j = i + 1; j < n; ++j) {
            row += out.stride;
            SCOREMATCH_UNROLL
            for (int k = 0; k < N; ++k) {
                const Pack<T> a_j = load(a[j] + l + k * pack_size<T>), b_j = load(b[j] + l + k * pack_size<T>);
                const Pack<T> before = onto ? load(row + k * pack_size<T>) : Pack<T>{};
                store<T>(row + k * pack_size<T>, before - a_i[k] * b_j - a_j * b_i[k]);
            }
        }
    });
}

SCOREMATCH_END_LEVEL
