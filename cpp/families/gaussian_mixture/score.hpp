// Forward, once the r_k are there: ψ and the diagonal of ∇ψ, or its trace.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/unroll.hpp"

#include "loops.hpp"
#include "pullback.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// ψ, and the diagonal of ∇ψ if that is asked for.
template <int B, int N, Curvature asked, class T, CovarianceShape shape>
inline void average_block(const Components<T, shape>& mix, const MixtureRows<T>& strip, Rows<T> score,
                          Rows<T> curvature, index j, index l) noexcept {
    Pack<T> mean_score[B][N] = {}, second[B][N] = {};
    for_each_component<B, N>(mix, strip, j, l,
                             [&](int b, int n, index, Pack<T> r, Pack<T>, Pack<T> solved, T /*precision*/) {
                                 mean_score[b][n] -= r * solved;
                             });
    if constexpr (asked == Curvature::diagonal)
        for_each_component<B, N>(mix, strip, j, l,
                                 [&](int b, int n, index, Pack<T> r, Pack<T>, Pack<T> solved, T precision) {
                                     const Pack<T> difference = solved + mean_score[b][n];
                                     second[b][n] += r * (difference * difference - precision);
                                 });
    SCOREMATCH_UNROLL
    for (int b = 0; b < B; ++b) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            store<T>(score[j + b] + l + n * pack_size<T>, mean_score[b][n]);
            if (asked == Curvature::diagonal) store<T>(curvature[j + b] + l + n * pack_size<T>, second[b][n]);
        }
    }
}
template <Curvature asked, class T, CovarianceShape shape>
inline void average(const Components<T, shape>& mix, const MixtureRows<T>& strip, Rows<T> score,
                    Rows<T> curvature) noexcept {
    for_each_block<long_side, 2, T>(mix.d, strip.lanes, [&]<int B, int N>(index j, index l) {
        average_block<B, N, asked>(mix, strip, score, curvature, j, l);
    });
}

// tr ∇ψ, and tr(d_k d_kᵀ − P_k) as the beginning of m_k, to which on the way through ℝᵈ comes ψᵀd_k.
template <Way way, class T, CovarianceShape shape>
inline void spread(const Components<T, shape>& mix, const MixtureRows<T>& strip, Rows<const T> score,
                   T* trace) noexcept {
    fill_row<T>(0, strip.lanes, trace);
    for_each_block<long_side, 2, T>(mix.n_components, strip.lanes, [&]<int B, int N>(index k, index l) {
        Pack<T> square[B][N] = {}, product[B][N] = {};
        for_each_difference<B, N>(mix, strip, score, k, l, [&](int b, int n, index, Pack<T> psi, Pack<T> difference) {
            square[b][n] += difference * difference;
            if (way == Way::euclidean) product[b][n] += psi * difference;
        });
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const index lane = l + n * pack_size<T>;
            Pack<T> total = load(trace + lane);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                square[b][n] -= mix.trace[k + b];
                total += load(strip.responsibility[k + b] + lane) * square[b][n];
                store<T>(strip.share[k + b] + lane, square[b][n] + product[b][n]);
            }
            store<T>(trace + lane, total);
        }
    });
}

}  // namespace
SCOREMATCH_END_LEVEL
