// The two loops in which all elementwise passes go: components by packs for all coordinates, and coordinates by packs
// for all components. What a body does not use of its arguments is not loaded.
#pragma once

#include "scorematch/unroll.hpp"

#include "workspace.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// body(b, n, j, δ_kj, (P_k δ_k)_j) for B components from k on, N packs from l on, and all coordinates j.
template <int B, int N, class T, CovarianceShape shape, class Body>
inline void for_each_coordinate(const Components<T, shape>& mix, const MixtureRows<T>& strip, index k, index l,
                                const Body& body) noexcept {
    const T* const __restrict mean = mix.mean.data() + k * mix.d;
    const T* const __restrict factor = mix.factor.data() + k * mix.d;
    const index d = mix.d, x_stride = strip.x.stride, solved_stride = strip.solved.stride;
    const index next = solved_step(mix, strip);
    const T* __restrict x_row = strip.x.data + l;
    const T* __restrict solved_row = strip.solved.data + k * next + l;
    for (index j = 0; j < d; ++j, x_row += x_stride, solved_row += solved_stride) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const Pack<T> x = load(x_row + n * pack_size<T>);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                const Pack<T> delta = x - mean[b * d + j];
                body(b, n, j, delta, mix.solve(solved_row + b * next + n * pack_size<T>, factor[b * d + j], delta));
            }
        }
    }
}

// body(b, n, j, ψ_j, d_kj), likewise.
template <int B, int N, class T, CovarianceShape shape, class Body>
inline void for_each_difference(const Components<T, shape>& mix, const MixtureRows<T>& strip, Rows<const T> score,
                                index k, index l, const Body& body) noexcept {
    for_each_coordinate<B, N>(mix, strip, k, l, [&](int b, int n, index j, Pack<T>, Pack<T> solved) {
        const Pack<T> psi = load(score[j] + l + n * pack_size<T>);
        body(b, n, j, psi, -solved - psi);
    });
}

// body(b, n, k, r_k, δ_kj, (P_k δ_k)_j, P_kjj) for B coordinates from j on, N packs from l on, and all components k.
template <int B, int N, class T, CovarianceShape shape, class Body>
inline void for_each_component(const Components<T, shape>& mix, const MixtureRows<T>& strip, index j, index l,
                               const Body& body) noexcept {
    const index d = mix.d, n_components = mix.n_components, step = strip.responsibility.stride;
    const index x_stride = strip.x.stride, solved_stride = strip.solved.stride, next = solved_step(mix, strip);
    const T* const __restrict x_rows = strip.x[j] + l;
    const T* __restrict solved_rows = strip.solved[j] + l;
    const T* __restrict responsibility = strip.responsibility.data + l;
    const T* __restrict mean = mix.mean.data() + j;
    const T* __restrict factor = mix.factor.data() + j;
    const T* __restrict precision = mix.precision_diagonal.data() + j;
    for (index k = 0; k < n_components;
         ++k, responsibility += step, solved_rows += next, mean += d, factor += d, precision += d) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const Pack<T> r = load(responsibility + n * pack_size<T>);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                const Pack<T> delta = load(x_rows + b * x_stride + n * pack_size<T>) - mean[b];
                const T* const solved = solved_rows + b * solved_stride + n * pack_size<T>;
                body(b, n, k, r, delta, mix.solve(solved, factor[b], delta), precision[b]);
            }
        }
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
