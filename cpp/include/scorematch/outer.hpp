// Sums over lanes of outer products: the contraction of two tiles to a small matrix.
#pragma once

#include <cstring>
#include <utility>

#include "scorematch/blocks.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/shuffle.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// The register block: a pack of sums for each of R·C entries, R packs of a and one of b. 3·8 + 3 + 1 = 28 of 32
// registers with 11 loads for 24 multiply-adds, or 3·4 + 3 + 1 = 16 of 16 with 7 loads for 12 (without multiply-add,
// 3·3 and two for the products). Wide rather than square, so that a row of the block is reduced as one pack of doubles.
#if defined(__FMA__)
inline constexpr bool has_multiply_add = true;
#else
inline constexpr bool has_multiply_add = n_registers >= 32;
#endif
inline constexpr int outer_rows = 3;
inline constexpr int outer_columns = n_registers >= 32 ? 8 : has_multiply_add ? 4 : 3;

// (What follows is always_inline since a pack array handed to a function that is not inlined would go through memory.)

// The sums of neighbouring chunks of two packs, in one pack: two shuffles and an addition.
template <int level, class T>
[[gnu::always_inline]] inline Pack<T> add_neighbours(Pack<T> a, Pack<T> b) {
    using B = Butterfly<T, level, static_cast<int>(pack_size<T>)>;
    return every_other<0, B::chunk, B::region, T>(a, b, AllLanes<T>{}) +
           every_other<1, B::chunk, B::region, T>(a, b, AllLanes<T>{});
}

template <class T, int... lane>
[[gnu::always_inline]] inline Pack<double> lower_half_to_double(Pack<T> x, std::integer_sequence<int, lane...>) {
    return __builtin_convertvector(__builtin_shufflevector(x, x, lane...), Pack<double>);
}

// The sums of the lanes of pack_size<double> packs at once: that of x[i] goes to lane i. Each level halves the number
// of packs: about three instructions for each pack in all, where sum_lanes takes two at each level for each pack.
template <class T>
[[gnu::always_inline]] inline Pack<double> sum_lanes_transposed(const Pack<T>* x) {
    constexpr int n = static_cast<int>(pack_size<double>);
    Pack<T> y[n];
    SCOREMATCH_UNROLL
    for (int i = 0; i < n / 2; ++i) y[i] = add_neighbours<0, T>(x[2 * i], x[2 * i + 1]);
    if constexpr (n >= 4) {
        SCOREMATCH_UNROLL
        for (int i = 0; i < n / 4; ++i) y[i] = add_neighbours<1, T>(y[2 * i], y[2 * i + 1]);
    }
    if constexpr (n >= 8) y[0] = add_neighbours<2, T>(y[0], y[1]);
    if constexpr (sizeof(T) == sizeof(double)) {
        return y[0];
    } else {  // twice as many lanes as packs: one level more, of y[0] with itself
        constexpr int last_level = n >= 8 ? 3 : n >= 4 ? 2 : 1;
        return lower_half_to_double<T>(add_neighbours<last_level, T>(y[0], y[0]), std::make_integer_sequence<int, n>{});
    }
}

// target[i] += x[i] for the first n lanes, in pieces of a half, a quarter, ... of a pack.
template <int n, class Vector>
[[gnu::always_inline]] inline void add_first(double* target, Vector x) {
    constexpr int width = sizeof(Vector) / sizeof(double);
    if constexpr (n == width) {
        Vector y;
        std::memcpy(&y, target, sizeof y);
        y += x;
        std::memcpy(target, &y, sizeof y);
    } else if constexpr (width == 2) {
        target[0] += x[0];
    } else {
        typedef double Half __attribute__((vector_size(sizeof(Vector) / 2)));
        Half lower, upper;
        std::memcpy(&lower, &x, sizeof lower);
        std::memcpy(&upper, reinterpret_cast<const char*>(&x) + sizeof lower, sizeof upper);
        if constexpr (n < width / 2) {
            add_first<n>(target, lower);
        } else {
            add_first<width / 2>(target, lower);
            if constexpr (n > width / 2) add_first<n - width / 2>(target + width / 2, upper);
        }
    }
}

// target[c] += the sum of the lanes of x[c] for c < C, as many at a time as a pack holds doubles.
template <int C, class T>
[[gnu::always_inline]] inline void add_lane_sums(double* target, const Pack<T>* x) {
    constexpr int n = static_cast<int>(pack_size<double>);
    Pack<T> group[n];
    SCOREMATCH_UNROLL
    for (int c = 0; c < n; ++c) group[c] = c < C ? x[c] : Pack<T>{};
    add_first<(C < n ? C : n)>(target, sum_lanes_transposed<T>(group));
    if constexpr (C > n) add_lane_sums<C - n, T>(target + n, x + n);
}

// One term of the sum: a of m rows, b of n rows.
template <class T>
struct OuterTerm {
    Rows<const T> a;
    Rows<const T> b;
};

// sums[i·ld + j] += Σ over terms and lanes of a_i·b_j for R rows i and C columns j from (row, column) on; `sums` is
// that of the whole matrix.
template <int R, int C, class T>
[[gnu::noinline]] inline void outer_block(const OuterTerm<T>* terms, int n_terms, index row, index column, index lanes,
                                          double* sums, index ld) noexcept {
    Pack<T> sum[R][C];
    SCOREMATCH_UNROLL
    for (int r = 0; r < R; ++r) {
        SCOREMATCH_UNROLL
        for (int c = 0; c < C; ++c) sum[r][c] = Pack<T>{};
    }
    for (int term = 0; term < n_terms; ++term) {
        const Rows<const T> a_rows = terms[term].a.from(row), b_rows = terms[term].b.from(column);
        for (index lane = 0; lane < lanes; lane += pack_size<T>) {
            Pack<T> a[R];
            SCOREMATCH_UNROLL
            for (int r = 0; r < R; ++r) a[r] = load(a_rows[r] + lane);
            SCOREMATCH_UNROLL
            for (int c = 0; c < C; ++c) {
                const Pack<T> b = R > 1 ? in_register<T>(load(b_rows[c] + lane)) : load(b_rows[c] + lane);
                SCOREMATCH_UNROLL
                for (int r = 0; r < R; ++r) sum[r][c] = multiply_add<T>(a[r], b, sum[r][c]);
            }
        }
    }
    SCOREMATCH_UNROLL
    for (int r = 0; r < R; ++r) add_lane_sums<C, T>(sums + (row + r) * ld + column, sum[r]);
}

// From the sizes at run time to the kernel.
template <int R, int C, class T>
inline void outer_block_of(index rows, index columns, const OuterTerm<T>* terms, int n_terms, index row, index column,
                           index lanes, double* sums, index ld) noexcept {
    if (rows == R && columns == C) {
        outer_block<R, C, T>(terms, n_terms, row, column, lanes, sums, ld);
    } else if (rows == R) {
        if constexpr (C > 1) outer_block_of<R, C - 1, T>(rows, columns, terms, n_terms, row, column, lanes, sums, ld);
    } else {
        if constexpr (R > 1) outer_block_of<R - 1, C, T>(rows, columns, terms, n_terms, row, column, lanes, sums, ld);
    }
}

// All blocks, or with `upper` those that touch the upper triangle. The columns of b go by groups which, beside a block
// of rows, stay in a first-level cache of 32 KB while all rows of a stream by: three rows for a block, where it would
// be eight if b streamed.
inline constexpr index outer_group_bytes = 24576;

template <class T>
inline void outer_blocks(const OuterTerm<T>* terms, int n_terms, index m, index n, index lanes, bool upper,
                         double* sums, index ld) noexcept {
    const index cached = outer_group_bytes / (lanes * static_cast<index>(sizeof(T)) + 1);
    const index group_columns = cached < outer_columns ? outer_columns
                                : n <= cached          ? cached
                                                       : cached / outer_columns * outer_columns;
    const Blocks groups(n, group_columns);
    const Blocks rows(m, outer_rows);
    for (index group = 0; group < groups.count(); ++group) {
        const index end = groups.begin(group + 1);
        for (index i = 0; i < rows.count(); ++i) {
            const index row = rows.begin(i);
            const index first = upper && row > groups.begin(group) ? row : groups.begin(group);
            if (first >= end) break;
            const Blocks columns(end - first, outer_columns);
            for (index j = 0; j < columns.count(); ++j)
                outer_block_of<outer_rows, outer_columns, T>(rows.size(i), columns.size(j), terms, n_terms, row,
                                                             first + columns.begin(j), lanes, sums, ld);
        }
    }
}

// sums[i·ld + j] += Σ_lanes a_i·b_j for i < m and j < n. Within the tile the sums are of type T.
template <class T>
inline void accumulate_outer(Rows<const T> a, index m, Rows<const T> b, index n, index lanes, double* sums,
                             index ld) noexcept {
    const OuterTerm<T> terms[] = {{a, b}};
    outer_blocks<T>(terms, 1, m, n, lanes, false, sums, ld);
}

// sums[i·ld + j] += Σ_lanes a_i·b_j + a2_i·b2_j
template <class T>
inline void accumulate_outer(Rows<const T> a, Rows<const T> a2, index m, Rows<const T> b, Rows<const T> b2, index n,
                             index lanes, double* sums, index ld) noexcept {
    const OuterTerm<T> terms[] = {{a, b}, {a2, b2}};
    outer_blocks<T>(terms, 2, m, n, lanes, false, sums, ld);
}

// The same for m = n where the sum is known to be symmetric, as it is if b is a with weights: only the entries with
// j ≥ i are meant. Of those below the diagonal a few, next to it, are added to as well, the others not touched: they
// hold nothing of use.
template <class T>
inline void accumulate_symmetric(Rows<const T> a, Rows<const T> b, index m, index lanes, double* sums,
                                 index ld) noexcept {
    const OuterTerm<T> terms[] = {{a, b}};
    outer_blocks<T>(terms, 1, m, m, lanes, true, sums, ld);
}

template <class T>
inline void accumulate_symmetric(Rows<const T> a, Rows<const T> b, Rows<const T> a2, Rows<const T> b2, index m,
                                 index lanes, double* sums, index ld) noexcept {
    const OuterTerm<T> terms[] = {{a, b}, {a2, b2}};
    outer_blocks<T>(terms, 2, m, m, lanes, true, sums, ld);
}

SCOREMATCH_END_LEVEL
