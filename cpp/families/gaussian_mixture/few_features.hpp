// log p and ψ of a mixture with few features, for samplers, which ask for them millions of times and for nothing else.
//
// A sample's share of everything fits in registers then. With Σ_k = L_k L_kᵀ and y_k = L_k⁻¹(x − μ_k)/√2,
//
//   ℓ_k = constant_k − ‖y_k‖²,    ψ = Σ r_k P_k μ_k − (Σ r_k P_k) x,
//
// so that the components are gone through twice, once for the ℓ_k and the largest of them, and once for the sums of
// e^(ℓ_k − most) times 1, P_k and P_k μ_k. With one P for all the sum is that of μ_k, and ψ = P(Σ r_k μ_k − x). The
// samples are about the centre of the means, as everywhere in this family: see gaussian_mixture.cpp for what that
// costs in digits.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/unroll.hpp"
#include "scorematch/vector_math.hpp"

#include "negligible.hpp"
#include "parameters.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T, CovarianceShape shape>
class FewFeatures {
    static constexpr bool full = shape == CovarianceShape::full, tied = shape == CovarianceShape::tied;
    static constexpr index width = pack_size<T>;

    // What stands for a matrix: its lower triangle, or a diagonal.
    static constexpr int entries(int d) { return full || tied ? d * (d + 1) / 2 : d; }
    // What whitens, or what is averaged: a matrix, where each component has one of its own, and a vector.
    static constexpr int pair(int d) { return (tied ? 0 : entries(d)) + d; }
    // A component: its constant; L⁻¹/√2 and −L⁻¹μ/√2; P and Pμ, or μ where there is one P for all.
    static constexpr int record(int d) { return 1 + 2 * pair(d); }
    // The sums of two packs, or of one, have room in the registers beside x and what an exponential takes.
    static constexpr int packs(int d) { return n_registers >= 32 && pair(d) <= 5 ? 2 : 1; }

  public:
    // Beyond, the sums leave the registers, or products of whole tiles do as well.
#ifdef __SANITIZE_ADDRESS__  // each takes long to compile then, and they are the same code
    static constexpr int most = 2;
#else
    static constexpr int most = n_registers >= 32 ? (full ? 6 : 8) : (full ? 3 : 4);
#endif

    FewFeatures() noexcept = default;
    FewFeatures(const MixtureParameters& parameters, const T* centre)
        : d_(parameters.spec().n_features), n_components_(parameters.spec().n_components),
          records_(n_components_ * record(static_cast<int>(d_))), centre_(centre) {
        double mean[most] = {};
        T* out = records_.data();
        for (index k = 0; k < n_components_; ++k) {
            for (index j = 0; j < d_; ++j) mean[j] = parameters.mean(k)[j] - static_cast<double>(centre_[j]);
            *out++ = static_cast<T>(parameters.constant(k));
            out = write_whitening(parameters, k, mean, out);
            out = write_averaged(parameters, k, mean, out);
        }
        for (index i = 0; tied && i < d_; ++i)
            for (index j = 0; j < d_; ++j) precision_[i * d_ + j] = static_cast<T>(parameters.precision(0, i, j));
    }

    // Where log_density is null, it is not wanted. `scratch` has a row for each component.
    void operator()(const Tile<T>& tile, Rows<T> scratch, T* log_density, Rows<T> score) const noexcept {
        dispatch<1>(tile, scratch.data, log_density, score);
    }

  private:
    T* write_whitening(const MixtureParameters& parameters, index k, const double* mean, T* out) {
        const double root_half = 0.70710678118654752440;
        T* triangle = tied ? whitener_ : out;
        T* const whitened = tied ? out : out + entries(static_cast<int>(d_));
        for (index i = 0; i < d_; ++i) {
            double sum = 0;
            for (index j = full || tied ? 0 : i; j <= i; ++j) {
                const double entry = root_half * parameters.whitener(k, i, j);
                *triangle++ = static_cast<T>(entry);
                sum += entry * mean[j];
            }
            whitened[i] = static_cast<T>(-sum);
        }
        return whitened + d_;
    }
    T* write_averaged(const MixtureParameters& parameters, index k, const double* mean, T* out) {
        for (index i = 0; !tied && i < d_; ++i)
            for (index j = full ? 0 : i; j <= i; ++j) *out++ = static_cast<T>(parameters.precision(k, i, j));
        for (index i = 0; i < d_; ++i) {
            double sum = tied ? mean[i] : 0;
            for (index j = 0; !tied && j < d_; ++j) sum += parameters.precision(k, i, j) * mean[j];
            *out++ = static_cast<T>(sum);
        }
        return out;
    }

    // From the number of features at run time to the kernel.
    template <int D>
    void dispatch(const Tile<T>& tile, T* scratch, T* log_density, Rows<T> score) const noexcept {
        if (d_ == D) {
            for_each_block<1, packs(D), T>(1, tile.lanes, [&]<int, int N>(index, index l) {
                evaluate<D, N>(tile.x, scratch, log_density, score, l);
            });
        } else if constexpr (D < most) {
            dispatch<D + 1>(tile, scratch, log_density, score);
        }
    }

    template <int D, int N>
    [[gnu::always_inline]] void evaluate(Rows<const T> x_rows, T* __restrict terms, T* log_density, Rows<T> score,
                                         index l) const noexcept {
        constexpr int n_averaged = pair(D);
        const T* const __restrict records = records_.data();
        const index n_components = n_components_;
        Pack<T> x[N][D], whitened[N][D], most_likely[N];
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            most_likely[n] = broadcast(-infinity<T>);
            SCOREMATCH_UNROLL
            for (int j = 0; j < D; ++j) x[n][j] = load(x_rows[j] + l + n * width) - centre_[j];
            if (tied) whiten<D>(x[n], whitener_, nullptr, whitened[n]);
        }
        for (index k = 0; k < n_components; ++k) {
            const T* const __restrict at = records + k * record(D);
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                if (!tied) whiten<D>(x[n], at + 1, at + 1 + entries(D), whitened[n]);
                Pack<T> term = broadcast(at[0]);
                SCOREMATCH_UNROLL
                for (int j = 0; j < D; ++j) {
                    const Pack<T> y = tied ? whitened[n][j] + at[1 + j] : whitened[n][j];
                    term -= y * y;
                }
                most_likely[n] = maximum<T>(most_likely[n], term);
                store<T>(terms + (k * N + n) * width, term);
            }
        }
        Pack<T> total[N] = {}, sum[N][n_averaged] = {};
        for (index k = 0; k < n_components; ++k) {
            const T* const __restrict at = records + k * record(D) + 1 + pair(D);
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const Pack<T> e = exp_of(load(terms + (k * N + n) * width) - most_likely[n]);
                total[n] += e;
                SCOREMATCH_UNROLL
                for (int i = 0; i < n_averaged; ++i) sum[n][i] += e * at[i];
            }
        }
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const index lane = l + n * width;
            const Pack<T> scale = 1 / total[n];
            if (log_density != nullptr) store<T>(log_density + lane, most_likely[n] + log<T>(total[n]));
            SCOREMATCH_UNROLL
            for (int i = 0; i < D; ++i) store<T>(score[i] + lane, average<D>(x[n], sum[n], scale, i));
        }
    }

    [[gnu::always_inline]] static Pack<T> exp_of(Pack<T> x) noexcept {
        const ExponentAndRest<T> e = reduce_by_ln2<T>(at_least<T>(x, negligible<T>));
        return scale_down<T>(exp_of_rest<T>(e.rest), e.rounded);
    }

    // L⁻¹x/√2, from `start` on.
    template <int D>
    [[gnu::always_inline]] static void whiten(const Pack<T>* x, const T* triangle, const T* start,
                                              Pack<T>* out) noexcept {
        int entry = 0;
        SCOREMATCH_UNROLL
        for (int i = 0; i < D; ++i) {
            Pack<T> sum = start == nullptr ? Pack<T>{} : broadcast(start[i]);
            SCOREMATCH_UNROLL
            for (int j = full || tied ? 0 : i; j <= i; ++j) sum += triangle[entry++] * x[j];
            out[i] = sum;
        }
    }

    // ψ_i
    template <int D>
    [[gnu::always_inline]] Pack<T> average(const Pack<T>* x, const Pack<T>* sum, Pack<T> scale, int i) const noexcept {
        Pack<T> psi{};
        if constexpr (tied) {
            SCOREMATCH_UNROLL
            for (int j = 0; j < D; ++j) psi += precision_[i * D + j] * (scale * sum[j] - x[j]);
        } else if constexpr (full) {
            SCOREMATCH_UNROLL
            for (int j = 0; j < D; ++j) {
                const int low = i < j ? i : j, high = i < j ? j : i;
                psi -= sum[high * (high + 1) / 2 + low] * x[j];
            }
            psi = scale * (psi + sum[entries(D) + i]);
        } else {
            psi = scale * (sum[D + i] - sum[i] * x[i]);
        }
        return psi;
    }

    index d_ = 0, n_components_ = 0;
    Buffer<T> records_;                       // one for each component
    T precision_[most * most] = {};           // one P for all
    T whitener_[most * (most + 1) / 2] = {};  // and its L⁻¹/√2
    const T* centre_ = nullptr;               // the family's
};

SCOREMATCH_END_LEVEL
