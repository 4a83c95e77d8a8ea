// The powers of a coordinate that the pairwise interaction model is made of, for its family and for its moments:
//
//     log p = −(1/2a) (xᵃ)ᵀK xᵃ + (1/b) ηᵀxᵇ,    a, b ≥ 0, where 0 stands for the logarithm:
//             −½ (log x)ᵀK log x  at a = 0,  ηᵀlog x  at b = 0.
//
// With u = xᵃ (or log x), one formula holds for all a and b:
//
//     ∂_j log p   = −x_j^(a−1) (Ku)_j + η_j x_j^(b−1)
//     ∂_j² log p  = −(a−1) x_j^(a−2) (Ku)_j − a′ x_j^(2a−2) K_jj + (b−1) η_j x_j^(b−2),    a′ = a, or 1 at a = 0
//     ∂_i∂_j log p = −a′ x_i^(a−1) x_j^(a−1) K_ij
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// x^p, or log x, with what its derivatives are made of.
template <class T>
struct PowerSlopes {
    Pack<T> value;   // x^p, or log x at p = 0
    Pack<T> first;   // x^(p−1)
    Pack<T> second;  // (p−1) x^(p−2)
};

// x^p for p ≥ 0. Negative x, which only a whole p has room for, goes by its absolute value.
template <class T>
[[gnu::always_inline]] inline Pack<T> signed_power(Pack<T> x, T p) {
    const Pack<T> magnitude = power<T>(abs<T>(x), p);
    if (p != __builtin_trunc(p)) return x < 0 ? broadcast<T>(not_a_number<T>) : magnitude;
    const T half = p / 2;
    return half == __builtin_trunc(half) ? magnitude : x < 0 ? -magnitude : magnitude;
}

// One power, or logarithm, a pack; the others follow by multiplication, or, where an exponent is negative, by division.
// So nothing is infinite at 0 that need not be.
template <class T>
[[gnu::always_inline]] inline PowerSlopes<T> power_slopes(Pack<T> x, T p) {
    if (p == T(1)) return {x, broadcast<T>(1), Pack<T>{}};
    if (p == T(2)) return {x * x, x, broadcast<T>(1)};
    if (p >= T(2)) {
        const Pack<T> lowest = signed_power<T>(x, p - 2), first = lowest * x;
        return {first * x, first, (p - 1) * lowest};
    }
    if (p > T(1)) {
        const Pack<T> first = signed_power<T>(x, p - 1);
        return {first * x, first, (p - 1) * first / x};
    }
    const Pack<T> inverse = 1 / x;
    if (p == T(0)) return {log<T>(x), inverse, -inverse * inverse};
    const Pack<T> value = signed_power<T>(x, p), first = value * inverse;
    return {value, first, (p - 1) * first * inverse};
}

// What rows of them are called in the formulas above.
template <class T>
struct PowerRows {
    Rows<T> value, first, second;
    static index count(index n_features) noexcept { return 3 * n_features; }
    static PowerRows in(Rows<T> workspace, index n_features) noexcept {
        return {workspace, workspace.from(n_features), workspace.from(2 * n_features)};
    }
};

// Without rows for them, no second derivatives are written.
template <class T>
inline void fill_powers(Rows<const T> x, index n_features, index lanes, T p, const PowerRows<T>& out) noexcept {
    for (index j = 0; j < n_features; ++j)
        for (index l = 0; l < lanes; l += pack_size<T>) {
            const PowerSlopes<T> slopes = power_slopes<T>(load(x[j] + l), p);
            store<T>(out.value[j] + l, slopes.value);
            store<T>(out.first[j] + l, slopes.first);
            if (out.second) store<T>(out.second[j] + l, slopes.second);
        }
}

// The coordinate that the others leave on the simplex, 1 − Σ x.
template <class T>
inline void fill_remainder(Rows<const T> x, index n_features, index lanes, T* out) noexcept {
    for (index l = 0; l < lanes; l += pack_size<T>) {
        Pack<T> rest = broadcast<T>(1);
        for (index j = 0; j < n_features; ++j) rest -= load(x[j] + l);
        store<T>(out + l, rest);
    }
}

SCOREMATCH_END_LEVEL
