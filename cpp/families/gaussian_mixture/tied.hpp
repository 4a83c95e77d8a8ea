// One covariance for all components.
//
// Their outer products collapse then, the more exactly the less is left to cancel: since Σ_k r_k = 1 and Σ_k λ_k = 0,
// with Δ_kl = μ_k − μ_l and δ̄ = Σ r_k δ_k,
//
//   Σ_k r_k d_k (δ_k − δ̄)ᵀ = −P Σ_{k<l} r_k r_l Δ_kl Δ_klᵀ,    r_k d_k = P Σ_l r_k r_l Δ_kl,
//   sym Σ_k λ_k δ_k δ_kᵀ = sym[2 Σ_k λ_k δ_k δ̄ᵀ] + Σ_{k<l} (λ_k r_l + r_k λ_l) Δ_kl Δ_klᵀ,    δ_k = δ̄ − Σ_l r_l Δ_kl.
//
// Sums: Σ v δ̄ᵀ (d, d), Σ r_k uᵀ (K, d), Σ λ_k [δ̄; 1]ᵀ (K, d+1), Σ λ_k r_l (K, K), and Σ c r_k r_l (K, K) for each
// coordinate and for the trace, with v = u + 2Σ_k λ_k δ_k.
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
inline index n_form_sums(const Tied<T>& mix) noexcept {
    return mix.d * mix.d + mix.n_components * (2 * mix.d + 1 + mix.n_components * (mix.d + 2));
}

// v and δ̄.
template <Way way, class T>
inline void pull(const Tied<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    for_each_block<long_side, 2, T>(mix.d, strip.lanes, [&]<int B, int N>(index j, index l) {
        Pack<T> centred[B][N] = {}, shared[B][N] = {};
        for_each_component<B, N>(mix, strip, j, l,
                                 [&](int b, int n, index k, Pack<T> r, Pack<T> delta, Pack<T> /*solved*/, T) {
                                     centred[b][n] += r * delta;
                                     shared[b][n] += load(strip.share[k] + l + n * pack_size<T>) * delta;
                                 });
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * pack_size<T>;
                Pack<T> u = load(back.u[j + b] + lane);
                if (way == Way::euclidean) u *= load(back.c[0] + lane);
                store<T>(strip.solved[j + b] + lane, u + 2 * shared[b][n]);
                store<T>(strip.centred[j + b] + lane, centred[b][n]);
            }
        }
    });
}
// The direction's share of all a_k: Σ_k w_k δ_k = −Σ_k w_k μ_k with w_k = 2g r_k vᵀd_k, since Σ_k w_k = 0.
template <class T>
inline void pull_along(const Tied<T>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    for (index j = 0; j < mix.d; ++j)
        for (index l = 0; l < strip.lanes; l += pack_size<T>) {
            Pack<T> turned = load(back.g + l) * load(back.direction[j] + l);
            for (index k = 0; k < mix.n_components; ++k) turned -= load(strip.along[k] + l) * mix.mean[k * mix.d + j];
            store<T>(strip.turned[j] + l, turned);
        }
}

template <Way way, class T>
inline void add_up(const Tied<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back, double* sums) noexcept {
    const index d = mix.d, lanes = rows.lanes, n_components = mix.n_components, square = n_components * n_components;
    const auto weigh = [&](const T* c) {
        for (index k = 0; k < n_components; ++k) product_row<T>(c, rows.responsibility[k], lanes, rows.weighted[k]);
    };
    const auto add_pairs = [&](Rows<T> weights, double* out) {
        accumulate_outer<T>(weights, n_components, rows.responsibility, n_components, lanes, out, n_components);
    };
    constexpr bool one_c = way == Way::euclidean || way == Way::general;
    accumulate_outer<T>(rows.solved, d, rows.centred, d, lanes, sums, d);
    sums += d * d;
    if (one_c) weigh(back.c[0]);
    accumulate_outer<T>(way == Way::euclidean ? rows.weighted : rows.responsibility, n_components, back.u, d, lanes,
                        sums, d);
    sums += n_components * d;
    accumulate_outer<T>(rows.share, n_components, rows.centred, d, lanes, sums, d + 1);
    for (index k = 0; k < n_components; ++k) sums[k * (d + 1) + d] += sum_row<T>(rows.share[k], lanes);
    sums += n_components * (d + 1);
    add_pairs(rows.share, sums);
    sums += square;
    for (index j = 0; way == Way::by_coordinate && j < d; ++j) {
        weigh(back.c[j]);
        add_pairs(rows.weighted, sums + j * square);
    }
    if (one_c) add_pairs(rows.weighted, sums + d * square);
}
template <class T>
inline void add_up_along(const Tied<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back,
                         double* sums) noexcept {
    const index d = mix.d;
    accumulate_outer<T>(rows.turned, d, back.direction, d, rows.lanes, sums, d);
    accumulate_outer<T>(rows.along, mix.n_components, back.direction, d, rows.lanes, sums + d * d, d);
}

// With a_k = λ_k δ_k, whatever Σ_k λ_k is.
template <class T>
inline void add_up_shares(const Tied<T>& mix, const MixtureRows<T>& rows, double* sums) noexcept {
    const index d = mix.d;
    double* const responses = sums + d * d;
    double* const shares = responses + mix.n_components * d;
    for (index k = 0; k < mix.n_components; ++k) {
        for (index j = 0; j < d; ++j) {
            weigh_differences(mix, rows, rows.x[d], k, j, rows.centred[j]);
            product_row<T>(rows.share[k], rows.centred[j], rows.lanes, rows.solved[j]);
            responses[k * d + j] += 2 * sum_row<T>(rows.solved[j], rows.lanes);
        }
        accumulate_outer<T>(rows.solved, d, rows.centred, d, rows.lanes, sums, d);
        shares[k * (d + 1) + d] += sum_row<T>(rows.share[k], rows.lanes);
    }
}

template <class T>
inline void chain_sums(const Tied<T>& mix, const double* sums, double* out) {
    const index d = mix.d, n_components = mix.n_components, square = n_components * n_components;
    double* const mean_gradient = out + n_components - 1;
    const auto [coordinates, traces] = curvature_sums(mix, sums);
    const double* const responses = sums + d * d;
    const double* const shares = responses + n_components * d;
    const double* const share_pairs = shares + n_components * (d + 1);
    const double* const coordinate_pairs = share_pairs + square;
    const double* const trace_pairs = coordinate_pairs + d * square;
    Buffer<double> means(n_components * d), solved(n_components * d), step(d), left(d);
    SquareMatrices matrices(2, d);
    const Rows<double> h = matrices[0];
    for (index i = 0; i < d; ++i)
        for (index j = 0; j < d; ++j) h[i][j] = sums[i * d + j];
    for (index k = 0; k < n_components; ++k) {
        mix.centred_mean(k, means.data() + k * d);
        multiply_vector(mix.parameters.precision(0), means.data() + k * d, d, solved.data() + k * d);
    }
    double all_shares = 0;
    for (index k = 0; k < n_components; ++k) {
        for (index j = 0; j < d; ++j) {
            step[j] = responses[k * d + j] + 2 * shares[k * (d + 1) + j];
            h[j][j] += coordinates[k * d + j] + traces[k];
        }
        for (index l = 0; l < n_components; ++l) {
            const index pair = k * n_components + l;
            const double both = share_pairs[pair] + share_pairs[l * n_components + k];
            const double* const from = means.data() + l * d;
            const double* const to = means.data() + k * d;
            for (index i = 0; i < d; ++i) {
                const double solved_difference = solved[k * d + i] - solved[l * d + i];
                const double weighted =
                    2 * (coordinate_pairs[i * square + pair] + trace_pairs[pair]) * solved_difference;
                step[i] += weighted - 2 * share_pairs[pair] * (to[i] - from[i]);
                left[i] = both * (to[i] - from[i]) - weighted;
            }
            if (l < k)
                for (index i = 0; i < d; ++i)
                    for (index j = 0; j < d; ++j) h[i][j] += left[i] * (to[j] - from[j]);
        }
        multiply_vector(mix.parameters.precision(0), step.data(), d, mean_gradient + k * d);
        all_shares += shares[k * (d + 1) + d];
        if (k < n_components - 1) out[k] = 2 * shares[k * (d + 1) + d];
    }
    make_symmetric(h, d);
    mix.parameters.cholesky_gradient(0, h, matrices[1], all_shares, out);
}

}  // namespace
SCOREMATCH_END_LEVEL
