// The way back of each sample apart: a_k, r_k c, λ_k and g r_k are a, e, λ and ε of cholesky_rows.hpp.
#pragma once

#include "scorematch/cholesky_rows.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/triangle.hpp"
#include "scorematch/unroll.hpp"

#include "loops.hpp"
#include "pullback.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class T>
struct Pull {
    Pack<T> a, delta, e, lambda;
};
// body(n, j, pull) for N packs from l on and all coordinates j.
template <int N, Way way, class T, CovarianceShape shape, class Body>
inline void for_each_pull(const Components<T, shape>& mix, const MixtureRows<T>& strip, const Pullback<T>& back,
                          index k, index l, const Body& body) noexcept {
    const T* const __restrict mean = mix.mean.data() + k * mix.d;
    Pack<T> responsibility[N], share[N];
    SCOREMATCH_UNROLL
    for (int n = 0; n < N; ++n) {
        responsibility[n] = load(strip.responsibility[k] + l + n * pack_size<T>);
        share[n] = load(strip.share[k] + l + n * pack_size<T>);
    }
    for_each_difference<1, N>(mix, strip, back.score, k, l, [&](int, int n, index j, Pack<T>, Pack<T> difference) {
        const index lane = l + n * pack_size<T>;
        const Pack<T> r = responsibility[n], delta = load(strip.x[j] + lane) - mean[j];
        Pack<T> e = way == Way::score_alone ? Pack<T>{} : r * load(back.c[j] + lane);
        Pack<T> a = r * load(back.u[j] + lane) + 2 * e * difference + share[n] * delta;
        if (back.g != nullptr) {
            const Pack<T> v = load(back.direction[j] + lane);
            a += load(strip.along[k] + lane) * v;
            if (shape == CovarianceShape::diagonal) e += load(back.g + lane) * r * v * v;
        }
        body(n, j, Pull<T>{a, delta, e, share[n]});
    });
}

template <Way way, class T>
inline void chain_variances(const Diagonal<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back, index k,
                            Rows<T> mean, Rows<T> covariances) noexcept {
    const bool one = mix.parameters.has_one_variance();
    for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
        for_each_pull<N, way>(mix, strip, back, k, l, [&](int n, index j, Pull<T> pull) {
            const index lane = l + n * pack_size<T>;
            const auto slope = mix.parameters.variance_slope(k, j);
            Pack<T> by_variance = static_cast<T>(slope.by_h) * (pull.a * pull.delta + pull.e) +
                                  static_cast<T>(slope.by_half_share) * pull.lambda;
            T* const place = covariances[one ? k : k * mix.d + j] + lane;
            if (one && j > 0) by_variance += load(place);
            store<T>(place, by_variance);
            store<T>(mean[j] + lane, mix.precision_diagonal[k * mix.d + j] * (pull.a + pull.lambda * pull.delta));
        });
    });
}

// What several components do to a matrix that they share is added up.
template <Way way, class T, CovarianceShape shape>
inline void chain_matrix(const Components<T, shape>& mix, const MixtureRows<T>& strip, const Pullback<T>& back,
                         const CholeskyRows<T>* cholesky, index k, Rows<T> scratch, Rows<T> mean,
                         Rows<T> covariances) noexcept {
    const Rows<T> deltas = scratch;
    const auto chained = cholesky->scratch_of(scratch.from(mix.d));
    for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
        for_each_pull<N, way>(mix, strip, back, k, l, [&](int n, index j, Pull<T> pull) {
            store<T>(chained.a[j] + l + n * pack_size<T>, pull.a);
            store<T>(deltas[j] + l + n * pack_size<T>, pull.delta);
        });
    });
    for (index j = 0; j < cholesky->n_e(); ++j)
        product_row<T>(strip.responsibility[k], back.c[j], strip.lanes, chained.e[j]);
    scale_row<T>(1, strip.share[k], strip.lanes, chained.lambda[0]);
    const index matrix = mix.parameters.matrix_of(k);
    const Rows<T> covariance = covariances.from(matrix * triangle(mix.d));
    cholesky->chain(matrix, strip.lanes, deltas, chained,
                    shape == CovarianceShape::tied && k > 0 ? Start::out : Start::zero, mean, covariance);
    if (back.g == nullptr) return;
    T* const epsilon = chained.lambda[0];
    product_row<T>(strip.responsibility[k], back.g, strip.lanes, epsilon);
    cholesky->chain_direction(matrix, strip.lanes, back.direction, epsilon, chained, covariance);
}

// One component's rows of θ; `cholesky` is null where covariances are diagonal.
template <Way way, class T, CovarianceShape shape>
inline void chain(const Components<T, shape>& mix, const MixtureRows<T>& strip, const Pullback<T>& back,
                  const CholeskyRows<T>* cholesky, index k, Rows<T> scratch, Rows<T> out) noexcept {
    if (k < mix.n_components - 1) scale_row<T>(2, strip.share[k], strip.lanes, out[k]);
    const Rows<T> mean = out.from(mix.n_components - 1 + k * mix.d);
    const Rows<T> covariances = out.from(mix.parameters.first_covariance_param());
    if constexpr (shape == CovarianceShape::diagonal) chain_variances<way>(mix, strip, back, k, mean, covariances);
    else chain_matrix<way>(mix, strip, back, cholesky, k, scratch, mean, covariances);
}

}  // namespace
SCOREMATCH_END_LEVEL
