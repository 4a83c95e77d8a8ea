// A covariance for each component.
//
// Sums, where x is the row of that name: Σ a_k [x; 1]ᵀ (K, d, d+1), Σ λ_k [x; 1]ᵀ (K, d+1).
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/outer.hpp"
#include "scorematch/small_matrix.hpp"
#include "scorematch/unroll.hpp"

#include "direction.hpp"
#include "sums.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class T>
inline index n_form_sums(const Full<T>& mix) noexcept {
    return mix.n_components * (mix.d + 1) * (mix.d + 1);
}

// a_k in place of P_k δ_k.
template <int B, int N, Way way, class T>
inline void pull_block(const Full<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back, index k,
                       index l) noexcept {
    const T* const __restrict mean = mix.mean.data() + k * mix.d;
    const index d = mix.d, x_stride = strip.x.stride, solved_stride = strip.solved.stride,
                next = solved_step(mix, strip);
    const T* __restrict x_row = strip.x.data + l;
    T* __restrict solved_row = strip.solved.data + k * next + l;
    const T* __restrict score_row = back.score.data + l;
    const T* __restrict u_row = back.u.data + l;
    const T* __restrict c_row = way == Way::score_alone ? nullptr : back.c.data + l;
    Pack<T> responsibility[B][N], share[B][N];
    SCOREMATCH_UNROLL
    for (int b = 0; b < B; ++b) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            responsibility[b][n] = load(strip.responsibility[k + b] + l + n * pack_size<T>);
            if (way == Way::euclidean) responsibility[b][n] *= load(c_row + n * pack_size<T>);
            share[b][n] = load(strip.share[k + b] + l + n * pack_size<T>);
        }
    }
    for (index j = 0; j < d; ++j, x_row += x_stride, solved_row += solved_stride, score_row += back.score.stride,
               u_row += back.u.stride, c_row += way == Way::score_alone ? 0 : back.c.stride) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const Pack<T> x = load(x_row + n * pack_size<T>), psi = load(score_row + n * pack_size<T>);
            const Pack<T> twice = way == Way::score_alone ? Pack<T>{} : 2 * load(c_row + n * pack_size<T>);
            const Pack<T> u = load(u_row + n * pack_size<T>);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                T* const place = solved_row + b * next + n * pack_size<T>;
                const Pack<T> solved = load(place);  // −s
                const Pack<T> inner = way == Way::euclidean     ? -2 * solved - psi
                                      : way == Way::score_alone ? u
                                                                : u - twice * (solved + psi);
                store<T>(place, responsibility[b][n] * inner + share[b][n] * (x - mean[b * d + j]));
            }
        }
    }
}

template <Way way, class T>
inline void pull(const Full<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    for_each_block<2, 2, T>(mix.n_components, strip.lanes,
                            [&]<int B, int N>(index k, index l) { pull_block<B, N, way>(mix, strip, back, k, l); });
}
// What the direction adds to a_k.
template <class T>
inline void pull_along(const Full<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    for (index k = 0; k < mix.n_components; ++k)
        for (index j = 0; j < mix.d; ++j) {
            T* const row = strip.solved[k * mix.d + j];
            for (index l = 0; l < strip.lanes; l += pack_size<T>)
                store<T>(row + l, load(row + l) + load(strip.along[k] + l) * load(back.direction[j] + l));
        }
}

// a_k and λ_k lie row after row.
template <class T>
inline void add_up_products(const Full<T>& mix, const MixtureRows<T>& rows, double* sums) noexcept {
    accumulate_outer<T>(rows.solved, mix.n_components * (mix.d + 1), rows.x, mix.d + 1, rows.lanes, sums, mix.d + 1);
}
template <Way way, class T>
inline void add_up(const Full<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& /*back*/, double* sums) noexcept {
    add_up_products(mix, rows, sums);
}
template <class T>
inline void add_up_along(const Full<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back,
                         double* sums) noexcept {
    const index d = mix.d, lanes = rows.lanes;
    for (index k = 0; k < mix.n_components; ++k) {
        T* const weight = rows.bent[k];  // g r_k: what was there has been used
        product_row<T>(back.g, rows.responsibility[k], lanes, weight);
        for (index j = 0; j < d; ++j) product_row<T>(weight, back.direction[j], lanes, rows.turned[j]);
        accumulate_outer<T>(rows.turned, d, back.direction, d, lanes, sums + k * d * (d + 1), d + 1);
    }
}
// With a_k = λ_k δ_k, whatever Σ_k λ_k is.
template <class T>
inline void add_up_shares(const Full<T>& mix, const MixtureRows<T>& rows, double* sums) noexcept {
    for (index k = 0; k < mix.n_components; ++k)
        for (index j = 0; j < mix.d; ++j) weigh_differences(mix, rows, rows.share[k], k, j, rows.solved[k * mix.d + j]);
    add_up_products(mix, rows, sums);
}

template <class T>
inline void chain_sums(const Full<T>& mix, const double* sums, double* out) {
    const index d = mix.d, n_components = mix.n_components;
    double* const mean_gradient = out + n_components - 1;
    const auto [coordinates, traces] = curvature_sums(mix, sums);
    Buffer<double> mean(d), step(d);  // Σ (ŝ + ℓ̂δ)
    SquareMatrices matrices(2, d);
    const Rows<double> h = matrices[0];
    for (index k = 0; k < n_components; ++k) {
        const double* const products = sums + k * d * (d + 1);
        const double* const shares = sums + n_components * d * (d + 1) + k * (d + 1);
        const double share = shares[d];
        mix.centred_mean(k, mean.data());
        for (index i = 0; i < d; ++i) {
            const double pull = products[i * (d + 1) + d];
            for (index j = 0; j < d; ++j) h[i][j] = products[i * (d + 1) + j] - pull * mean[j];
            h[i][i] += coordinates[k * d + i] + traces[k];
            step[i] = pull + shares[i] - share * mean[i];
        }
        make_symmetric(h, d);
        multiply_vector(mix.parameters.precision(k), step.data(), d, mean_gradient + k * d);
        mix.parameters.cholesky_gradient(k, h, matrices[1], share, out);
        if (k < n_components - 1) out[k] = 2 * share;
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
