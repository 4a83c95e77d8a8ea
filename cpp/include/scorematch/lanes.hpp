// Small operations on whole rows of lanes, for what is too cheap to fuse by hand; and the loops for what is not.
#pragma once

#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// Σ a.
template <class T>
inline double sum_row(const T* a, index lanes) noexcept {
    Pack<T> total{};
    for (index l = 0; l < lanes; l += pack_size<T>) total += load(a + l);
    return static_cast<double>(sum_lanes<T>(total));
}

// out[i] += Σ rows[i], for B rows at once: a sum on its own would wait for each of its additions.
template <int B, class T>
inline void add_row_sums_block(Rows<const T> rows, index lanes, double* out) noexcept {
    Pack<T> total[B] = {};
    for (index l = 0; l < lanes; l += pack_size<T>) {
        SCOREMATCH_UNROLL
        for (int i = 0; i < B; ++i) total[i] += load(rows[i] + l);
    }
    for (int i = 0; i < B; ++i) out[i] += static_cast<double>(sum_lanes<T>(total[i]));
}

// The same for `count` rows.
template <class T>
inline void add_row_sums(Rows<const T> rows, index count, index lanes, double* out) noexcept {
    index i = 0;
    for (; i + 5 <= count; i += 5) add_row_sums_block<5, T>(rows.from(i), lanes, out + i);
    for (; i < count; ++i) add_row_sums_block<1, T>(rows.from(i), lanes, out + i);
}

// Σ a·b.
template <class T>
inline double dot_rows(const T* a, const T* b, index lanes) noexcept {
    Pack<T> total{};
    for (index l = 0; l < lanes; l += pack_size<T>) total += load(a + l) * load(b + l);
    return static_cast<double>(sum_lanes<T>(total));
}

template <class T>
inline void product_row(const T* a, const T* b, index lanes, T* out) noexcept {
    for (index l = 0; l < lanes; l += pack_size<T>) store<T>(out + l, load(a + l) * load(b + l));
}

template <class T>
inline void scale_row(T factor, const T* a, index lanes, T* out) noexcept {
    for (index l = 0; l < lanes; l += pack_size<T>) store<T>(out + l, factor * load(a + l));
}

template <class T>
inline void fill_row(T value, index lanes, T* out) noexcept {
    for (index l = 0; l < lanes; l += pack_size<T>) store<T>(out + l, broadcast(value));
}

// The same rows from a lane on; rows that are not there stay so.
template <class T>
inline Rows<T> lanes_from(Rows<T> rows, index lane) noexcept {
    return {rows ? rows.data + lane : nullptr, rows.stride};
}

// One pack of every row, to be assigned to as the entries of an array are.
template <class T>
class PackColumn {
  public:
    PackColumn(Rows<T> rows, index lane) noexcept : rows_{rows.data + lane, rows.stride} {}
    struct Entry {
        T* place;
        void operator=(Pack<T> x) const noexcept { store<T>(place, x); }
    };
    Entry operator[](index i) const noexcept { return {rows_[i]}; }

  private:
    Rows<T> rows_;
};

// body<B, N>(i, l) for blocks of B of `count` rows and N packs of lanes; what is left is done one by one.
template <int B, int N, class T, class Body>
inline void for_each_block(index count, index lanes, const Body& body) noexcept {
    index l = 0;
    for (; l + N * pack_size<T> <= lanes; l += N * pack_size<T>) {
        index i = 0;
        for (; i + B <= count; i += B) body.template operator()<B, N>(i, l);
        if constexpr (B > 1)
            for (; i < count; ++i) body.template operator()<1, N>(i, l);
    }
    if constexpr (N > 1)
        if (l < lanes)
            for_each_block<B, N / 2, T>(count, lanes - l, [&]<int b, int n>(index i, index rest) {
                body.template operator()<b, n>(i, l + rest);
            });
}

// body<N>(l) for N packs of lanes at a time.
template <class T, class Body>
inline void for_each_packs(index lanes, const Body& body) noexcept {
    for_each_block<1, 4, T>(1, lanes, [&]<int B, int N>(index, index l) { body.template operator()<N>(l); });
}

SCOREMATCH_END_LEVEL
