// A diagonal covariance for each component, or one that is a multiple of I.
//
// Sums: for each component Σ a (d), Σ a∘δ (d), Σ λδ (d), Σ λ, of which no row of a_k is kept.
#pragma once

#include "scorematch/blocks.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/unroll.hpp"

#include "direction.hpp"
#include "sums.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class T>
inline index n_form_sums(const Diagonal<T>& mix) noexcept {
    return mix.n_components * (3 * mix.d + 1);
}

// The sums need no rows but those that are there.
template <Way way, class T>
inline void pull(const Diagonal<T>&, const MixtureRows<T>&, const Pullback<T>&) noexcept {}
template <class T>
inline void pull_along(const Diagonal<T>&, const MixtureRows<T>&, const Pullback<T>&) noexcept {}

// Σ a, Σ a∘δ and Σ λδ of B coordinates from j on. (Inlined, it would take a twentieth longer: it wants all registers.)
template <int B, Way way, class T>
[[gnu::noinline]] void add_up_block(const Diagonal<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back,
                                    index k, index j, double* sums) noexcept {
    constexpr int n = static_cast<int>(pack_size<double>);
    constexpr int n_groups = (3 * B + n - 1) / n;
    Pack<T> sum[n_groups * n];
    SCOREMATCH_UNROLL
    for (int i = 0; i < n_groups * n; ++i) sum[i] = Pack<T>{};
    const T* const __restrict mean = mix.mean.data() + k * mix.d + j;
    const T* const __restrict factor = mix.factor.data() + k * mix.d + j;
    const T* const __restrict responsibility = rows.responsibility[k];
    const T* const __restrict shares = rows.share[k];
    const T* const __restrict x = rows.x[j];
    const T* const __restrict score = back.score[j];
    const T* const __restrict u = back.u[j];
    const T* const __restrict c = way == Way::score_alone ? nullptr : back.c[way == Way::by_coordinate ? j : 0];
    const index x_stride = rows.x.stride, score_stride = back.score.stride, u_stride = back.u.stride;
    for (index l = 0; l < rows.lanes; l += pack_size<T>) {
        const Pack<T> r = load(responsibility + l), share = load(shares + l);
        const Pack<T> common = way == Way::score_alone ? Pack<T>{} : r * load(c + l);
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            const Pack<T> delta = load(x + b * x_stride + l) - mean[b], psi = load(score + b * score_stride + l);
            const Pack<T> weight = way == Way::by_coordinate ? r * load(c + b * back.c.stride + l) : common;
            // r u + 2rc(s − ψ) + λδ, where s = −pδ
            Pack<T> pull = way == Way::score_alone ? share * delta : (share - 2 * weight * factor[b]) * delta;
            if (way == Way::euclidean) pull -= weight * psi;
            else if (way == Way::score_alone) pull += r * load(u + b * u_stride + l);
            else pull += r * load(u + b * u_stride + l) - 2 * weight * psi;
            sum[b] += pull;
            sum[B + b] += pull * delta;
            sum[2 * B + b] += share * delta;
        }
    }
    double reduced[n_groups * n];
    SCOREMATCH_UNROLL
    for (int group = 0; group < n_groups; ++group)
        store<double>(reduced + group * n, sum_lanes_transposed<T>(sum + group * n));
    for (int i = 0; i < 3; ++i)
        for (int b = 0; b < B; ++b) sums[i * mix.d + b] += reduced[i * B + b];
}

// From the number of coordinates at run time to the kernel.
template <int B, Way way, class T>
inline void add_up_block_of(const Diagonal<T>& mix, index size, const MixtureRows<T>& rows, const Pullback<T>& back,
                            index k, index j, double* sums) noexcept {
    if (size == B) {
        add_up_block<B, way>(mix, rows, back, k, j, sums);
    } else if constexpr (B > 1) {
        add_up_block_of<B - 1, way>(mix, size, rows, back, k, j, sums);
    }
}

template <Way way, class T>
inline void add_up(const Diagonal<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back, double* sums) noexcept {
    constexpr int largest = many_registers ? 8 : 4;
    const index d = mix.d;
    const Blocks blocks(d, largest);
    for (index block = 0; block < blocks.count(); ++block)
        for (index k = 0; k < mix.n_components; ++k) {
            const index j = blocks.begin(block);
            add_up_block_of<largest, way>(mix, blocks.size(block), rows, back, k, j, sums + k * (3 * d + 1) + j);
        }
    for (index k = 0; k < mix.n_components; ++k) sums[k * (3 * d + 1) + 3 * d] += sum_row<T>(rows.share[k], rows.lanes);
}

// Σ wv and Σ wvδ_kj
template <class T>
inline void add_about_mean(const Diagonal<T>& mix, const MixtureRows<T>& rows, const T* w, const T* v, index k, index j,
                           double& sum, double& product) noexcept {
    const T mean = mix.mean[k * mix.d + j];
    Pack<T> sums{}, products{};
    for (index l = 0; l < rows.lanes; l += pack_size<T>) {
        const Pack<T> term = load(w + l) * load(v + l);
        sums += term;
        products += term * (load(rows.x[j] + l) - mean);
    }
    sum += static_cast<double>(sum_lanes<T>(sums));
    product += static_cast<double>(sum_lanes<T>(products));
}
// Σ wv²
template <class T>
inline double weighted_square(const T* w, const T* v, index lanes) noexcept {
    Pack<T> total{};
    for (index l = 0; l < lanes; l += pack_size<T>) total += load(w + l) * load(v + l) * load(v + l);
    return static_cast<double>(sum_lanes<T>(total));
}

template <class T>
inline void add_up_along(const Diagonal<T>& mix, const MixtureRows<T>& rows, const Pullback<T>& back,
                         double* sums) noexcept {
    const index d = mix.d, lanes = rows.lanes;
    const Rows<const T> v = back.direction;
    double* const coordinates = curvature_sums(mix, sums).coordinates;
    for (index k = 0; k < mix.n_components; ++k) {
        T* const weight = rows.bent[k];  // g r_k: what was there has been used
        product_row<T>(back.g, rows.responsibility[k], lanes, weight);
        for (index j = 0; j < d; ++j) {
            double* const block = sums + k * (3 * d + 1) + j;
            add_about_mean(mix, rows, rows.along[k], v[j], k, j, block[0], block[d]);
            coordinates[k * d + j] += weighted_square(weight, v[j], lanes);
        }
    }
}

// With a_k = λ_k δ_k, whatever Σ_k λ_k is.
template <class T>
inline void add_up_shares(const Diagonal<T>& mix, const MixtureRows<T>& rows, double* sums) noexcept {
    const index d = mix.d;
    for (index k = 0; k < mix.n_components; ++k, sums += 3 * d + 1) {
        for (index j = 0; j < d; ++j) {
            T* const weighted = rows.score[j];
            weigh_differences(mix, rows, rows.share[k], k, j, weighted);
            double sum = 0;
            add_about_mean(mix, rows, weighted, rows.x[d], k, j, sum, sums[d + j]);
            sums[j] += sum;
            sums[2 * d + j] += sum;
        }
        sums[3 * d] += sum_row<T>(rows.share[k], rows.lanes);
    }
}

template <class T>
inline void chain_sums(const Diagonal<T>& mix, const double* sums, double* out) {
    const index d = mix.d, n_components = mix.n_components;
    double* const mean_gradient = out + n_components - 1;
    const auto [coordinates, traces] = curvature_sums(mix, sums);
    double* const variance_gradient = out + mix.parameters.first_covariance_param();
    for (index k = 0; k < n_components; ++k) {
        const double* const block = sums + k * (3 * d + 1);
        if (mix.parameters.has_one_variance()) variance_gradient[k] = 0;
        for (index j = 0; j < d; ++j) {
            const auto slope = mix.parameters.variance_slope(k, j);
            const double h = block[d + j] + coordinates[k * d + j] + traces[k];
            const double by_variance = slope.by_h * h + slope.by_half_share * block[3 * d];
            mean_gradient[k * d + j] = mix.parameters.precision(k, j, j) * (block[j] + block[2 * d + j]);
            if (mix.parameters.has_one_variance()) variance_gradient[k] += by_variance;
            else variance_gradient[k * d + j] = by_variance;
        }
        if (k < n_components - 1) out[k] = 2 * block[3 * d];
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
