// Samples turned to lanes: from rows of features, as they lie in memory, to the rows of a tile.
#pragma once

#include <cstring>
#include <utility>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/shuffle.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// `size` numbers; as many as a pack holds are a Pack.
template <class T, int size>
struct ShortVector {
    typedef T Type __attribute__((vector_size(size * sizeof(T))));
};

template <class Half, int... lane>
[[gnu::always_inline]] inline auto join(Half lower, Half upper, std::integer_sequence<int, lane...>) {
    return __builtin_shufflevector(lower, upper, lane...);
}

// A pack of `count` pieces of `size` numbers, `stride` apart.
template <int count, int size, class T>
[[gnu::always_inline]] inline typename ShortVector<T, count * size>::Type load_pieces(const T* p, index stride) {
    if constexpr (count == 1) {
        typename ShortVector<T, size>::Type x;
        std::memcpy(&x, p, sizeof x);
        return x;
    } else {
        return join(load_pieces<count / 2, size>(p, stride),
                    load_pieces<count / 2, size>(p + count / 2 * stride, stride),
                    std::make_integer_sequence<int, count * size>{});
    }
}

// Transposes the squares of `size` × `size` numbers which `size` packs are made of.
template <int stage, int size, class T>
[[gnu::always_inline]] inline void transpose_squares(Pack<T>* x) {
    constexpr int distance = 1 << stage;
    if constexpr (distance < size) {
        using B = Butterfly<T, stage, size>;
        SCOREMATCH_UNROLL
        for (int i = 0; i < size; ++i) {
            if (i & distance) continue;
            const Pack<T> a = x[i], b = x[i + distance];
            x[i] = every_other<0, B::chunk, B::region, T>(a, b, AllLanes<T>{});
            x[i + distance] = every_other<1, B::chunk, B::region, T>(a, b, AllLanes<T>{});
        }
        transpose_squares<stage + 1, size, T>(x);
    }
}

// x − origin. What of the origin a float does not hold is taken off on its own: where the difference is small, it
// counts.
template <class T, class Value>
[[gnu::always_inline]] inline Value about(Value x, double origin) {
    const T most = static_cast<T>(origin);
    const Value difference = x - most;
    return sizeof(T) == sizeof(double) ? difference : difference - static_cast<T>(origin - static_cast<double>(most));
}

// `size` features of a pack of samples, from `feature` on.
template <int size, class T>
[[gnu::always_inline]] inline void transpose_block(const T* data, index row_stride, index feature, const double* origin,
                                                   Rows<T> rows) {
    constexpr int width = static_cast<int>(pack_size<T>);
    Pack<T> x[size];
    SCOREMATCH_UNROLL
    for (int i = 0; i < size; ++i)
        x[i] = load_pieces<width / size, size>(data + feature + i * row_stride, size * row_stride);
    transpose_squares<0, size, T>(x);
    SCOREMATCH_UNROLL
    for (int i = 0; i < size; ++i)
        store<T>(rows[feature + i], origin == nullptr ? x[i] : about<T>(x[i], origin[feature + i]));
}

// The features from `feature` on, at least two of them in all: `size` at a time, and what is left size/2, ..., 2 at a
// time. A last one goes with its neighbour, which is done twice: gathered number by number, it would cost as much as
// eight.
template <int size, class T>
[[gnu::always_inline]] inline void transpose_pack(const T* data, index row_stride, index feature, index n_features,
                                                  const double* origin, Rows<T> rows) {
    for (; feature + size <= n_features; feature += size)
        transpose_block<size, T>(data, row_stride, feature, origin, rows);
    if constexpr (size > 2) transpose_pack<size / 2, T>(data, row_stride, feature, n_features, origin, rows);
    else if (feature < n_features) transpose_block<2, T>(data, row_stride, n_features - 2, origin, rows);
}

// What lies behind `count` samples from `first` on, unless all of them are few enough to be near anyway.
template <class T>
inline Ahead<T> ahead_of(const Samples<T>& samples, index first, index count) noexcept {
    constexpr index near = 2 * 1024 * 1024 / static_cast<index>(sizeof(T));
    const bool in_order = samples.column_stride == 1 && samples.row_stride == samples.n_features;
    if (!in_order || samples.n_samples * samples.n_features < near) return {};
    return {samples.data + (first + count) * samples.row_stride, samples.row_stride};
}

// Writes `count` samples from `first` on, less their origin, to the lanes of as many rows as there are features. What
// is `ahead` is asked for on the way.
template <class T>
inline void transpose_samples(const Samples<T>& samples, index first, index count, Rows<T> rows,
                              Ahead<T> ahead = {}) noexcept {
    constexpr index width = pack_size<T>;
    const T* data = samples.data + first * samples.row_stride;
    const index d = samples.n_features;
    const double* origin = samples.origin;
    index lane = 0;
    if (samples.column_stride == 1 && d > 1)
        for (; lane + width <= count; lane += width) {
            const T* const pack = data + lane * samples.row_stride;
            ahead.ask(lane, width);
            transpose_pack<static_cast<int>(width), T>(pack, samples.row_stride, 0, d, origin,
                                                       {rows.data + lane, rows.stride});
        }
    for (index j = 0; j < d; ++j) {
        const T* const __restrict column = data + j * samples.column_stride;
        T* const __restrict row = rows[j];
        const double o = origin == nullptr ? 0 : origin[j];
        if (samples.row_stride == 1)  // apart, so that the compiler uses packs
            for (index l = lane; l < count; ++l) row[l] = about<T>(column[l], o);
        else
            for (index l = lane; l < count; ++l) row[l] = about<T>(column[l * samples.row_stride], o);
    }
}

// The way back: the first `count` lanes of `n_features` rows become samples, `row_stride` apart.
template <class T>
inline void store_samples(Rows<const T> rows, index n_features, index count, T* samples, index row_stride) noexcept {
    constexpr int width = static_cast<int>(pack_size<T>);
    const index whole_lanes = count - count % width, whole_features = n_features - n_features % width;
    for (index lane = 0; lane < whole_lanes; lane += width)
        for (index feature = 0; feature < whole_features; feature += width) {
            Pack<T> x[width];
            SCOREMATCH_UNROLL
            for (int i = 0; i < width; ++i) x[i] = load(rows[feature + i] + lane);
            transpose_squares<0, width, T>(x);
            SCOREMATCH_UNROLL
            for (int i = 0; i < width; ++i) store<T>(samples + (lane + i) * row_stride + feature, x[i]);
        }
    for (index lane = 0; lane < count; ++lane)
        for (index j = lane < whole_lanes ? whole_features : 0; j < n_features; ++j)
            samples[lane * row_stride + j] = rows[j][lane];
}

SCOREMATCH_END_LEVEL
