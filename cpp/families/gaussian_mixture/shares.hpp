// The way back as far as all forms of the covariance share it: m_k, and λ_k of it.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/unroll.hpp"

#include "loops.hpp"
#include "pullback.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// m_k
template <Way way, class T, CovarianceShape shape>
inline void project(const Components<T, shape>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    constexpr bool by_coordinate = way == Way::by_coordinate;
    for_each_block<long_side, 2, T>(mix.n_components, strip.lanes, [&]<int B, int N>(index k, index l) {
        const T* const __restrict precision = mix.precision_diagonal.data() + k * mix.d;
        const index d = mix.d;
        Pack<T> m[B][N] = {};
        for_each_difference<B, N>(
            mix, strip, back.score, k, l, [&](int b, int n, index j, Pack<T>, Pack<T> difference) {
                m[b][n] += load(back.u[j] + l + n * pack_size<T>) * difference;
                if (by_coordinate)
                    m[b][n] +=
                        load(back.c[j] + l + n * pack_size<T>) * (difference * difference - precision[b * d + j]);
            });
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                T* const share = strip.share[k + b] + l + n * pack_size<T>;
                if (way == Way::general) m[b][n] += load(back.c[0] + l + n * pack_size<T>) * load(share);
                store<T>(share, m[b][n]);
            }
        }
    });
    for (index k = 0; back.g != nullptr && k < mix.n_components; ++k)
        for (index l = 0; l < strip.lanes; l += pack_size<T>) {
            T* const share = strip.share[k] + l;
            store<T>(share, load(share) + load(back.g + l) * load(strip.bent[k] + l));
        }
}

// From m_k to λ_k.
template <Way way, class T, CovarianceShape shape>
inline void share_out(const Components<T, shape>& mix, const MixtureRows<T>& strip, const Pullback<T>& back) noexcept {
    for (index l = 0; l < strip.lanes; l += pack_size<T>) {
        Pack<T> mean{}, half = broadcast(T(0.5));
        if (way == Way::euclidean) half *= load(back.c[0] + l);
        for (index k = 0; k < mix.n_components; ++k)
            mean += load(strip.responsibility[k] + l) * load(strip.share[k] + l);
        for (index k = 0; k < mix.n_components; ++k) {
            T* const share = strip.share[k] + l;
            store<T>(share, half * load(strip.responsibility[k] + l) * (load(share) - mean));
        }
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
