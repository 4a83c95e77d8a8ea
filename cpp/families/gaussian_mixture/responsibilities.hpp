// ℓ_k, then r_k and log p.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/product.hpp"
#include "scorematch/unroll.hpp"
#include "scorematch/vector_math.hpp"

#include "loops.hpp"
#include "negligible.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class T, CovarianceShape shape>
inline void load_centred(const Components<T, shape>& mix, const Tile<T>& tile, index first,
                         const MixtureRows<T>& strip) noexcept {
    for (index j = 0; j < mix.d; ++j) {
        const T* const __restrict x = tile.x[j] + first;
        T* const __restrict row = strip.x[j];
        const T shift = mix.centre[j];
        for (index l = 0; l < strip.lanes; l += pack_size<T>) store<T>(row + l, load(x + l) - shift);
    }
    fill_row<T>(1, strip.lanes, strip.x[mix.d]);
}

// ℓ_k
template <int B, int N, class T, CovarianceShape shape>
inline void log_terms_block(const Components<T, shape>& mix, const MixtureRows<T>& strip, index k, index l) noexcept {
    Pack<T> form[B][N] = {};
    for_each_coordinate<B, N>(
        mix, strip, k, l, [&](int b, int n, index, Pack<T> delta, Pack<T> solved) { form[b][n] += delta * solved; });
    SCOREMATCH_UNROLL
    for (int b = 0; b < B; ++b) {
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n)
            store<T>(strip.responsibility[k + b] + l + n * pack_size<T>, mix.constant[k + b] - T(0.5) * form[b][n]);
    }
}
template <class T, CovarianceShape shape>
inline void log_terms(const Components<T, shape>& mix, const MixtureRows<T>& strip) noexcept {
    if constexpr (shape == CovarianceShape::full)
        multiply<T>(mix.precision, strip.x, strip.lanes, strip.solved, mix.factor.data());
    if constexpr (shape == CovarianceShape::tied) multiply<T>(mix.precision, strip.x, strip.lanes, strip.solved);
    for_each_block<2, long_side, T>(mix.n_components, strip.lanes,
                                    [&]<int B, int N>(index k, index l) { log_terms_block<B, N>(mix, strip, k, l); });
}

// ℓ_k becomes e^(ℓ_k − most); returns their sum. What is next to nothing is made nothing: subnormal numbers, and
// products that become such, slow many processors down by a factor of ten and more.
template <class T>
struct Exponentials {
    Pack<T> most, total;
};
template <class T>
inline Exponentials<T> exponentials(Rows<T> terms, index n_components, index l) noexcept {
    T* const rows = terms.data + l;
    const index end = n_components * terms.stride, step = terms.stride;
    Pack<T> most = load(rows), total{};
    for (index i = step; i < end; i += step) most = maximum<T>(most, load(rows + i));
    for (index i = 0; i < end; i += step) {
        const Pack<T> exponent = load(rows + i) - most;
        const Pack<T> e = exponent < negligible<T> ? Pack<T>{} : exp_nonpositive<T>(exponent);
        store<T>(rows + i, e);
        total += e;
    }
    return {most, total};
}

// log p, where the r_k are not wanted.
template <class T, CovarianceShape shape>
inline void log_densities(const Components<T, shape>& mix, const Tile<T>& tile, index first,
                          const MixtureRows<T>& strip, T* out) noexcept {
    load_centred(mix, tile, first, strip);
    log_terms(mix, strip);
    for (index l = 0; l < strip.lanes; l += pack_size<T>) {
        const Exponentials<T> e = exponentials<T>(strip.responsibility, mix.n_components, l);
        store<T>(out + l, e.most + log<T>(e.total));
    }
}

// r_k, and log p if it is wanted.
template <class T, CovarianceShape shape>
inline void responsibilities(const Components<T, shape>& mix, const Tile<T>& tile, index first,
                             const MixtureRows<T>& strip, T* log_density_out = nullptr) noexcept {
    load_centred(mix, tile, first, strip);
    log_terms(mix, strip);
    for (index l = 0; l < strip.lanes; l += pack_size<T>) {
        const Exponentials<T> e = exponentials<T>(strip.responsibility, mix.n_components, l);
        if (log_density_out != nullptr) store<T>(log_density_out + l, e.most + log<T>(e.total));
        const Pack<T> scale = 1 / e.total;
        for (index k = 0; k < mix.n_components; ++k) {
            T* const row = strip.responsibility[k] + l;
            store<T>(row, scale * load(row));
        }
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
