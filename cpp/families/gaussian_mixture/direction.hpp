// Along a direction v: vᵀ∇ψv, and what the ways back of all forms need of it.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/unroll.hpp"

#include "loops.hpp"
#include "pullback.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// vᵀP_k v = Σ_i v_i (P_ii v_i + 2 Σ_{j<i} P_ij v_j) for B components.
template <int B, int N, class T, CovarianceShape shape>
inline void add_form(const Components<T, shape>& mix, Rows<const T> direction, index k, index l,
                     Pack<T> (&form)[B][N]) noexcept {
    for (index i = 0; i < mix.d; ++i) {
        Pack<T> inner[B][N] = {};
        for (index j = 0; shape != CovarianceShape::diagonal && j < i; ++j) {
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                const T entry = static_cast<T>(mix.parameters.precision(k + b)[i][j]);
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) inner[b][n] += entry * load(direction[j] + l + n * pack_size<T>);
            }
        }
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const Pack<T> v = load(direction[i] + l + n * pack_size<T>);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b)
                form[b][n] += (mix.precision_diagonal[(k + b) * mix.d + i] * v + 2 * inner[b][n]) * v;
        }
    }
}

// vᵀ∇ψv, and vᵀd_k and q_k for the way back.
template <class T, CovarianceShape shape>
inline void bend(const Components<T, shape>& mix, const MixtureRows<T>& strip, Rows<const T> score,
                 Rows<const T> direction, T* out) noexcept {
    fill_row<T>(0, strip.lanes, out);
    for_each_block<2, long_side, T>(shape == CovarianceShape::tied ? 1 : mix.n_components, strip.lanes,
                                    [&]<int B, int N>(index k, index l) {
                                        Pack<T> form[B][N] = {};
                                        add_form<B, N>(mix, direction, k, l, form);
                                        SCOREMATCH_UNROLL
                                        for (int b = 0; b < B; ++b) {
                                            SCOREMATCH_UNROLL
                                            for (int n = 0; n < N; ++n)
                                                store<T>(strip.bent[k + b] + l + n * pack_size<T>, form[b][n]);
                                        }
                                    });
    for (index k = 1; shape == CovarianceShape::tied && k < mix.n_components; ++k)
        scale_row<T>(1, strip.bent[0], strip.lanes, strip.bent[k]);
    for_each_block<2, 2, T>(mix.n_components, strip.lanes, [&]<int B, int N>(index k, index l) {
        Pack<T> along[B][N] = {};
        for_each_difference<B, N>(mix, strip, score, k, l, [&](int b, int n, index j, Pack<T>, Pack<T> difference) {
            along[b][n] += load(direction[j] + l + n * pack_size<T>) * difference;
        });
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const index lane = l + n * pack_size<T>;
            Pack<T> total = load(out + lane);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                T* const bent = strip.bent[k + b] + lane;
                const Pack<T> q = along[b][n] * along[b][n] - load(bent);
                total += load(strip.responsibility[k + b] + lane) * q;
                store<T>(strip.along[k + b] + lane, along[b][n]);
                store<T>(bent, q);
            }
            store<T>(out + lane, total);
        }
    });
}

// 2g r_k vᵀd_k in place of vᵀd_k.
template <class T, CovarianceShape shape>
inline void weigh_along(const Components<T, shape>& mix, const MixtureRows<T>& strip,
                        const Pullback<T>& back) noexcept {
    for (index k = 0; back.g != nullptr && k < mix.n_components; ++k)
        for (index l = 0; l < strip.lanes; l += pack_size<T>) {
            T* const place = strip.along[k] + l;
            store<T>(place, 2 * load(back.g + l) * load(strip.responsibility[k] + l) * load(place));
        }
}

}  // namespace
SCOREMATCH_END_LEVEL
