// u(x, y), what the Stein operator makes of a kernel in both of its arguments.
//
// With T f = tr(A∇f) + sᵀf for each of the two points, x with (A, s) and y with (B, t), and T applied to each
// coordinate of a vector field on its own,
//
//     u = sᵀt k + sᵀB∇_y k + tᵀA∇_x k + tr(A ∇_x∇_yᵀ k B)
//
// A radial kernel is k = κ(r), r = ‖δ‖², δ = x − y, so that ∇_x k = 2κ′δ = −∇_y k and ∇_x∇_yᵀ k = −2κ′I − 4κ″δδᵀ:
//
//     A = I          u = sᵀt κ + 2κ′(δᵀ(t − s) − d) − 4κ″ r
//     A = diag(a)    u = sᵀt κ + 2κ′(Σ δ_j (a_j t_j − b_j s_j) − Σ a_j b_j) − 4κ″ Σ a_j b_j δ_j²
//     sphere         u = sᵀt κ + 2κ′(d − c² + c(sᵀy + tᵀx)) − 4κ″ c(1 − c²),     c = xᵀy
//
// In the last, A = I − xxᵀ and s = Aψ − (d−1)x, so that sᵀx = −(d−1); then Aδ = cx − y, Bδ = x − cy,
// tr(AB) = d − 2 + c² and δᵀBAδ = c(1 − c²). Normal parts of vector fields have no share: T takes them to 0.
//
// Points come in units of the bandwidth and scores in its inverse, so that κ knows no bandwidth, and u times the square
// of the bandwidth is without a unit. The differences δ are taken one by one: expanded, r would lose digits where
// points lie close together, or far from the origin.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/stein_problem.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/transpose.hpp"
#include "scorematch/unroll.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace stein {

// κ, −2κ′/κ and 4κ″/κ.
template <class T>
struct KernelValues {
    Pack<T> value, first, second;
};

// κ = 1/√(1 + r)
struct InverseMultiquadric {
    template <class T>
    [[gnu::always_inline]] static KernelValues<T> at(Pack<T> r) {
        const Pack<T> root = inverse_sqrt_of_normal<T>(1 + r), square = root * root;
        return {root, square, 3 * (square * square)};
    }
    // κ·scores + 2κ′·cross − 4κ″·r. With q = 1/(1 + r), qr is 1 − q.
    template <class T>
    [[gnu::always_inline]] static Pack<T> combined(Pack<T> r, Pack<T> scores, Pack<T> cross) {
        const Pack<T> root = inverse_sqrt_of_normal<T>(1 + r), q = root * root;
        return root * (scores - q * ((cross + 3) - 3 * q));
    }
};

// κ = e^(−r/2)
struct GaussianKernel {
    template <class T>
    [[gnu::always_inline]] static KernelValues<T> at(Pack<T> r) {
        return {exp_nonpositive<T>(r * T(-0.5)), broadcast(T(1)), broadcast(T(1))};
    }
    template <class T>
    [[gnu::always_inline]] static Pack<T> combined(Pack<T> r, Pack<T> scores, Pack<T> cross) {
        return exp_nonpositive<T>(r * T(-0.5)) * (scores - (cross + r));
    }
};

// What u depends on beside the pair of points.
template <class T>
struct Space {
    T n_features;
    T squared_bandwidth;
};

// A pair of packs of points: `add` is given what each has in one coordinate, `operands` numbers, and `u` tells the
// result after all coordinates. Some see nothing but differences of points, so that these may be moved.
template <class T>
struct EuclideanPair {
    static constexpr int operands = 2;  // x, s
    static constexpr bool sees_differences = true;
    Pack<T> r{}, scores{}, cross{};

    [[gnu::always_inline]] void add(const Pack<T>* x, const Pack<T>* y) {
        const Pack<T> delta = x[0] - y[0];
        r += delta * delta;
        scores += x[1] * y[1];
        cross += delta * (y[1] - x[1]);
    }
    template <class Kernel>
    [[gnu::always_inline]] Pack<T> u(const Space<T>& space) const {
        return Kernel::template combined<T>(r, scores, cross - space.n_features);
    }
};

template <class T>
struct DiagonalPair {
    static constexpr int operands = 3;  // x, s, a
    static constexpr bool sees_differences = true;
    Pack<T> r{}, scores{}, cross{}, second{};

    [[gnu::always_inline]] void add(const Pack<T>* x, const Pack<T>* y) {
        const Pack<T> delta = x[0] - y[0], square = delta * delta, product = x[2] * y[2];
        r += square;
        scores += x[1] * y[1];
        cross += delta * (x[2] * y[1] - y[2] * x[1]) - product;
        second += product * square;
    }
    template <class Kernel>
    [[gnu::always_inline]] Pack<T> u(const Space<T>&) const {
        const KernelValues<T> k = Kernel::template at<T>(r);
        return k.value * (scores - k.first * cross - k.second * second);
    }
};

template <class T>
struct SpherePair {
    static constexpr int operands = 2;  // x, s
    static constexpr bool sees_differences = false;
    Pack<T> r{}, scores{}, cross{};

    [[gnu::always_inline]] void add(const Pack<T>* x, const Pack<T>* y) {
        const Pack<T> delta = x[0] - y[0];
        r += delta * delta;
        scores += x[1] * y[1];
        cross += x[1] * y[0] + x[0] * y[1];
    }
    // 1 − c = r/2 keeps the digits that 1 − xᵀy would lose.
    template <class Kernel>
    [[gnu::always_inline]] Pack<T> u(const Space<T>& space) const {
        const KernelValues<T> k = Kernel::template at<T>(r);
        const Pack<T> away = r * (space.squared_bandwidth / 2), c = 1 - away;
        const Pack<T> first = space.n_features - c * c + c * cross, second = r * (c * (1 + c) / 2);
        return k.value * (scores - k.first * first - k.second * second);
    }
};

// Lanes that count: those behind `after`, up to `before`.
struct Counted {
    index after, before;
};

// u of R points, from lane i of `left` on, with N packs of points of `right` from `lane` on. Adds them up in `sum`, and
// where wanted writes them times `factor` to `out`, a row for each of the R points. `counted` has an entry for each of
// them; what does not count is 0.
template <class Pair, class Kernel, int R, int N, class T>
[[gnu::always_inline]] inline void pair_block(const Space<T>& space, Rows<const T> left, index i, Rows<const T> right,
                                              index lane, index n_features, bool all_count, const Counted* counted,
                                              Pack<T>& sum, T factor, float* out, index out_stride) {
    constexpr index width = pack_size<T>;
    Pair pair[R][N];
    for (index j = 0; j < n_features; ++j) {
        Pack<T> y[N][Pair::operands];
        SCOREMATCH_UNROLL
        for (int o = 0; o < Pair::operands; ++o) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) y[n][o] = in_register<T>(load(right[o * n_features + j] + lane + n * width));
        }
        SCOREMATCH_UNROLL
        for (int k = 0; k < R; ++k) {
            Pack<T> x[Pair::operands];
            SCOREMATCH_UNROLL
            for (int o = 0; o < Pair::operands; ++o) x[o] = broadcast(left[o * n_features + j][i + k]);
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) pair[k][n].add(x, y[n]);
        }
    }
    SCOREMATCH_UNROLL
    for (int k = 0; k < R; ++k) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            Pack<T> u = pair[k][n].template u<Kernel>(space);
            if (!all_count) {
                T kept[width];
                store<T>(kept, u);
                for (index l = 0; l < width; ++l) {
                    const index at = lane + n * width + l;
                    kept[l] = at > counted[k].after && at < counted[k].before ? kept[l] : T(0);
                }
                u = load<T>(kept);
            }
            sum += u;
            if (out != nullptr) {
                const auto narrow = __builtin_convertvector(u * factor, typename ShortVector<float, width>::Type);
                std::memcpy(out + k * out_stride + n * width, &narrow, sizeof narrow);
            }
        }
    }
}

}  // namespace stein

SCOREMATCH_END_LEVEL
