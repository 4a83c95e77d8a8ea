// Small operations on whole rows of lanes, for what is too cheap to fuse by hand.
#pragma once

#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

// Σ a.
template <class T>
inline double sum_row(const T* a, index lanes) noexcept {
    Pack<T> total{};
    for (index l = 0; l < lanes; l += pack_size<T>) total += load(a + l);
    return static_cast<double>(sum_lanes<T>(total));
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
inline void fill_row(T value, index lanes, T* out) noexcept {
    for (index l = 0; l < lanes; l += pack_size<T>) store<T>(out + l, broadcast(value));
}

SCOREMATCH_END_LEVEL
