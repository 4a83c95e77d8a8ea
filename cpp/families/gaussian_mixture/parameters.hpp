// θ of a mixture of Gaussians, what follows from it once a call, and the chain rule back to it.
//
//   log_weight_ratio (K−1,)   log(π_k/π_K)
//   means            (K, d)
//   cholesky                  Σ_k = f·I + C_k C_kᵀ as in cholesky.hpp, with f the covariance floor:
//                             full (K, d, d), tied (d, d), diagonal (K, d), spherical (K,)
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/cholesky.hpp"
#include "scorematch/family.hpp"

SCOREMATCH_BEGIN_LEVEL

enum class CovarianceShape { full, tied, diagonal, spherical };

struct MixtureSpec {
    CovarianceShape shape;
    index n_components;
    index n_features;
    double floor;

    bool has_matrices() const noexcept { return shape == CovarianceShape::full || shape == CovarianceShape::tied; }
    index n_covariances() const noexcept { return shape == CovarianceShape::tied ? 1 : n_components; }
    index covariance_params() const noexcept {
        if (shape == CovarianceShape::spherical) return n_components;
        if (shape == CovarianceShape::diagonal) return n_components * n_features;
        return n_covariances() * n_features * (n_features + 1) / 2;
    }
    index n_params() const noexcept { return n_components - 1 + n_components * n_features + covariance_params(); }

    void describe(LayoutVisitor& visitor) const {
        const index ratios = n_components - 1, stack[] = {n_components, n_features, n_features};
        visitor.block("log_weight_ratio", Packing::dense, &ratios, 1);
        visitor.block("means", Packing::dense, stack, 2);
        switch (shape) {
            case CovarianceShape::full: visitor.block("cholesky", Packing::lower, stack, 3); break;
            case CovarianceShape::tied: visitor.block("cholesky", Packing::lower, stack + 1, 2); break;
            case CovarianceShape::diagonal: visitor.block("cholesky", Packing::dense, stack, 2); break;
            case CovarianceShape::spherical: visitor.block("cholesky", Packing::dense, stack, 1); break;
        }
    }
};

// The chain rule begins with −∂J/∂P = H − ½(Σ ℓ̂) Σ_k in its two parts.
class MixtureParameters {
  public:
    MixtureParameters(const MixtureSpec& spec, const double* theta)
        : spec_(spec), constant_(spec.n_components), means_(spec.n_components * spec.n_features) {
        const index n_means = means_.size();
        read_weights(theta);
        theta += spec.n_components - 1;
        for (index i = 0; i < n_means; ++i) means_[i] = theta[i];
        theta += n_means;
        if (spec.has_matrices()) read_matrices(theta);
        else read_variances(theta);
    }

    const MixtureSpec& spec() const noexcept { return spec_; }
    const double* mean(index k) const noexcept { return means_.data() + k * spec_.n_features; }
    // The logarithm of the component's share of the density at its mean.
    double constant(index k) const noexcept { return constant_[k]; }
    Rows<const double> precision(index k) const noexcept { return matrices_.precision(matrix_of(k)); }
    double precision(index k, index i, index j) const noexcept {
        if (spec_.has_matrices()) return precision(k)[i][j];
        return i == j ? variance_precision_[k * spec_.n_features + j] : 0;
    }

    // L⁻¹ of Σ_k = LLᵀ.
    double whitener(index k, index i, index j) const noexcept {
        if (spec_.has_matrices()) return matrices_.whitener(matrix_of(k))[i][j];
        return i == j ? __builtin_sqrt(variance_precision_[k * spec_.n_features + j]) : 0;
    }

    // ∂J/∂C from a symmetric H, which is overwritten as `work` is, and ½ Σ ℓ̂; `matrix` is one of n_covariances, `out`
    // the whole gradient.
    void cholesky_gradient(index matrix, Rows<double> h, Rows<double> work, double half_share, double* out) const {
        const index d = spec_.n_features;
        matrices_.gradient(matrix, h, work, half_share, out + first_covariance_param() + matrix * d * (d + 1) / 2);
    }

    // The same where Σ_k is diagonal: log C_jj, which θ holds, has the derivative by_h·h_jj + by_half_share·(½ Σ ℓ̂).
    // Where it is one for all coordinates their derivatives add up.
    struct VarianceSlope {
        double by_h, by_half_share;
    };
    VarianceSlope variance_slope(index k, index j) const noexcept {
        const index i = k * spec_.n_features + j;
        const double p = variance_precision_[i], scale = scale_[has_one_variance() ? k : i];
        return {2 * scale * p * p, -2 * scale * p};
    }
    bool has_one_variance() const noexcept { return spec_.shape == CovarianceShape::spherical; }
    index first_covariance_param() const noexcept { return spec_.n_params() - spec_.covariance_params(); }
    const CholeskyMatrices& matrices() const noexcept { return matrices_; }
    // Which of them is the component's.
    index matrix_of(index k) const noexcept { return spec_.shape == CovarianceShape::tied ? 0 : k; }

  private:
    // log π_k, relative to the largest.
    void read_weights(const double* ratio) noexcept {
        const index last = spec_.n_components - 1;
        double most = 0, total = 0;
        for (index k = 0; k < last; ++k) most = ratio[k] > most ? ratio[k] : most;
        for (index k = 0; k <= last; ++k) {
            constant_[k] = (k < last ? ratio[k] : 0) - most;
            total += __builtin_exp(constant_[k]);
        }
        const double log_two_pi = 1.8378770664093454836;
        const double normaliser = __builtin_log(total) + 0.5 * static_cast<double>(spec_.n_features) * log_two_pi;
        for (index k = 0; k <= last; ++k) constant_[k] -= normaliser;
    }

    void read_matrices(const double* packed) {
        matrices_ = CholeskyMatrices(spec_.n_covariances(), spec_.n_features, spec_.floor, packed);
        for (index k = 0; k < spec_.n_components; ++k) constant_[k] -= matrices_.log_root(matrix_of(k));
    }

    void read_variances(const double* half_log) {
        const index d = spec_.n_features;
        scale_ = Buffer<double>(spec_.covariance_params());
        variance_precision_ = Buffer<double>(means_.size());
        for (index i = 0; i < scale_.size(); ++i) scale_[i] = __builtin_exp(2 * half_log[i]);
        for (index k = 0; k < spec_.n_components; ++k)
            for (index j = 0; j < d; ++j) {
                const double variance = spec_.floor + scale_[has_one_variance() ? k : k * d + j];
                variance_precision_[k * d + j] = 1 / variance;
                constant_[k] -= 0.5 * __builtin_log(variance);
            }
    }

    MixtureSpec spec_;
    Buffer<double> constant_, means_;
    CholeskyMatrices matrices_;                  // full and tied: C and P
    Buffer<double> scale_, variance_precision_;  // diagonal and spherical: Σ − f, and 1/Σ for each coordinate
};

SCOREMATCH_END_LEVEL
