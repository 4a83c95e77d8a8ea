// Weights of the distance to the boundary, h(x) = f(x)^p, and their derivatives, on arrays.
//
// The functions f rise from f(0) = 0; most are min(g(x), c) with a cap c. One parameter of each may differ from column
// to column, the cap or what takes its place. A function is written once, on packs. An array is worked through in
// blocks that stay in the first-level cache: what is left is the time that memory takes, which NumPy spends several
// times.
//
// Arrays are of doubles: estimators cast the results to the type of their data.
#pragma once

#include <cstring>

#include "scorematch/backend.hpp"
#include "scorematch/field.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

using DistanceValue = WeightValue<double>;

struct Identity {
    DistanceValue operator()(Pack<double> x) const noexcept { return {x, broadcast(1.0)}; }
};

struct LogarithmOfOnePlus {
    DistanceValue operator()(Pack<double> x) const noexcept { return {log1p<double>(x), 1 / (1 + x)}; }
};

// tanh(ax). Where the tangent is nearly 1, 1 − tanh² loses all digits; 4s(1 − s) with s = 1/(1 + e^2y) loses none.
struct Tangent {
    double a;
    DistanceValue operator()(Pack<double> x) const noexcept {
        const Pack<double> y = a * x;
        const Pack<double> s = sigmoid<double>(-2 * y);
        return {tanh<double>(y), (4 * a) * (s * (1 - s))};
    }
};

// asinh(ax) = log(1 + y + (r − 1)) with r = √(1 + y²), and r − 1 = y·(y/(1 + r)) loses nothing near 0. Where 1 + y²
// rounds to y² it is log(2y), and y² might overflow.
struct AreaSine {
    double a;
    DistanceValue operator()(Pack<double> x) const noexcept {
        constexpr double far = 1e10, ln2 = 0x1.62e42fefa39efp-1;
        const Pack<double> y = a * x;
        const Integers<double> is_far = y > far;
        const Pack<double> near_y = is_far ? broadcast(1.0) : y;
        const Pack<double> root = sqrt<double>(1 + near_y * near_y);
        const Pack<double> r = is_far ? y : root;
        const Pack<double> argument = is_far ? y - 1 : y + near_y * (near_y / (1 + root));
        return {log1p<double>(argument) + (is_far ? broadcast(ln2) : Pack<double>{}), a / r};
    }
};

// log((1 + e^y)/2) = y/2 + log cosh(y/2): two positive terms, exact near 0, and no overflow.
struct SoftPlusFromZero {
    double a;
    DistanceValue operator()(Pack<double> x) const noexcept {
        const Pack<double> y = a * x;
        return {y / 2 + log_cosh<double>(y / 2), a * sigmoid<double>(y)};
    }
};

// The function f up to a column's cap, and flat from there on.
template <class Function>
struct Capped {
    Function function;
    DistanceValue operator()(Pack<double> x, Pack<double> cap) const noexcept {
        const DistanceValue f = function(x);
        // At infinity too, where an uncapped function still has a slope.
        const Integers<double> is_flat = (f.h >= cap) | (x == infinity<double>);
        return {f.h > cap ? cap : f.h, is_flat ? Pack<double>{} : f.derivative};
    }
};

// A column has its own λ.
struct MinimaxConcave {
    double gamma;
    DistanceValue operator()(Pack<double> x, Pack<double> lambda) const noexcept {
        return minimax_concave<double>(x, lambda, gamma);
    }
};

// λx up to x = λ; from there the slope falls, to 0 at x = γλ. A column has its own λ.
struct ClippedDeviation {
    double gamma;
    DistanceValue operator()(Pack<double> x, Pack<double> lambda) const noexcept {
        const Pack<double> end = gamma * lambda;
        const Integers<double> is_flat = x >= end;
        const Pack<double> capped = is_flat ? end : x;
        const Pack<double> beyond = capped < lambda ? Pack<double>{} : capped - lambda;
        const Pack<double> fall = beyond / (gamma - 1);
        return {lambda * capped - beyond * (fall / 2), is_flat ? Pack<double>{} : lambda - fall};
    }
};

// sin(min(ax, π/2)). Beyond π/4 the sine is the cosine of what is left to π/2, and the other way round. A column has
// its own a.
struct SineUpToOne {
    DistanceValue operator()(Pack<double> x, Pack<double> a) const noexcept {
        // π/2 in two parts. Polynomials in z², z <= π/4: (sin z − z)/z³ and (cos z − 1 + z²/2)/z⁴ (Remez exchange in 60
        // digits), which leave 2^-57.9 of the sine and 2^-63.9 of the cosine.
        constexpr double half_pi = 0x1.921fb54442d18p+0, half_pi_low = 0x1.1a62633145c07p-54;
        constexpr double sine_tail[] = {-0.1666666666666663,    0.008333333333322113,   -0.00019841269829584869,
                                        2.7557313619706645e-06, -2.505074749124093e-08, 1.5896213933564605e-10};
        constexpr double cosine_tail[] = {0.041666666666666595,    -0.001388888888887305,  2.4801587288846537e-05,
                                          -2.7557314177764976e-07, 2.0875700628676573e-09, -1.1358525222177355e-11};
        const Pack<double> y = a * x;
        const Integers<double> is_flat = y >= half_pi;
        const Pack<double> angle = is_flat ? broadcast(half_pi) : y;
        const Integers<double> is_late = angle > half_pi / 2;
        const Pack<double> z = is_late ? (half_pi - angle) + half_pi_low : angle;
        const Pack<double> z2 = z * z;
        const Pack<double> sine = z + z * (z2 * polynomial<double>(sine_tail, z2));
        const Pack<double> cosine = 1 - (z2 / 2 - (z2 * z2) * polynomial<double>(cosine_tail, z2));
        return {is_late ? cosine : sine, is_flat ? Pack<double>{} : a * (is_late ? sine : cosine)};
    }
};

// f^p in place, where h and slope hold f and its derivative.
inline void raise_to_power(double* h, double* slope, index size, double p) noexcept {
    for (index i = 0; i < size; i += pack_size<double>) {
        const Pack<double> f = load(h + i), inner = load(slope + i);
        // One power is enough, f^p = f·f^(p−1), except where it is a product of 0 and infinity.
        const Pack<double> lower = power<double>(f, p - 1);
        store<double>(h + i, ((f == 0) | (f == infinity<double>)) ? f : f * lower);
        // Where the outer derivative is infinite, at infinity, the inner one is 0, and so is the product.
        store<double>(slope + i, inner == 0 ? inner : p * lower * inner);
    }
}

template <class Function>
void weight_of_array(const WeightArrays& arrays, double p, Function function) noexcept {
    constexpr index pack = pack_size<double>, block = 1024;
    const index column_step = pack % arrays.n_columns;
    index column = 0;
    double h[block], slope[block];
    for (index first = 0; first < arrays.size; first += block) {
        const index size = arrays.size - first < block ? arrays.size - first : block;
        const index n_full = size - size % pack;
        const double* x = arrays.x + first;
        for (index i = 0; i < size; i += pack) {
            Pack<double> distances;
            if (i < n_full) {
                distances = load(x + i);
            } else {
                double rest[pack] = {};
                std::memcpy(rest, x + i, static_cast<std::size_t>(size - i) * sizeof(double));
                distances = load(rest);
            }
            const DistanceValue value = function(distances, load(arrays.column_values + column));
            store<double>(h + i, value.h);
            store<double>(slope + i, value.derivative);
            column += column_step;
            if (column >= arrays.n_columns) column -= arrays.n_columns;
        }
        if (p != 1) raise_to_power(h, slope, size, p);
        std::memcpy(arrays.h + first, h, static_cast<std::size_t>(size) * sizeof(double));
        std::memcpy(arrays.slope + first, slope, static_cast<std::size_t>(size) * sizeof(double));
    }
}

// False if there is no function of that name. `parameter` is a for those of ax, γ for MCP and SCAD.
inline bool weight_by_name(const char* name, double parameter, double p, const WeightArrays& arrays) noexcept {
    const auto apply_if = [&](const char* candidate, auto function) noexcept {
        if (std::strcmp(name, candidate) != 0) return false;
        weight_of_array(arrays, p, function);
        return true;
    };
    return apply_if("identity", Capped<Identity>{}) || apply_if("log1p", Capped<LogarithmOfOnePlus>{}) ||
           apply_if("tanh", Capped<Tangent>{{parameter}}) || apply_if("asinh", Capped<AreaSine>{{parameter}}) ||
           apply_if("softplus", Capped<SoftPlusFromZero>{{parameter}}) || apply_if("mcp", MinimaxConcave{parameter}) ||
           apply_if("scad", ClippedDeviation{parameter}) || apply_if("sine", SineUpToOne{});
}

SCOREMATCH_END_LEVEL
