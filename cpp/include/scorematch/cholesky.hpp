// Positive definite matrices that θ holds by their Cholesky factors: what follows from them once a call, and the chain
// rule back.
//
// Σ = f·I + CCᵀ with C lower triangular, of which θ holds the lower triangle row by row with the logarithms of its
// diagonal: so θ is unconstrained, and f ≥ 0, a floor under the eigenvalues, is part of the model.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/small_matrix.hpp"

SCOREMATCH_BEGIN_LEVEL

// A stack of them, all of one size.
class CholeskyMatrices {
  public:
    CholeskyMatrices() noexcept = default;
    CholeskyMatrices(index count, index size, double floor, const double* packed)
        : count_(count), size_(size), factors_(count, size), precisions_(count, size), whiteners_(count, size),
          log_roots_(count) {
        SquareMatrices work(2, size);
        const Rows<double> transposed = work[0], lifted = work[1];
        for (index matrix = 0; matrix < count; ++matrix) {
            const Rows<double> c = factors_[matrix];
            for (index i = 0; i < size; ++i)
                for (index j = 0; j <= i; ++j)
                    transposed[j][i] = c[i][j] = i == j ? __builtin_exp(*packed++) : *packed++;
            if (floor > 0) {
                gram_of_upper(transposed, floor, size, lifted);
                cholesky_upper(lifted, size);
            }
            const Rows<const double> upper = floor > 0 ? lifted : transposed;
            for (index i = 0; i < size; ++i) log_roots_[matrix] += __builtin_log(upper[i][i]);
            invert_from_upper(upper, size, whiteners_[matrix], precisions_[matrix]);
        }
    }

    index count() const noexcept { return count_; }
    index size() const noexcept { return size_; }
    Rows<const double> factor(index matrix) const noexcept { return factors_[matrix]; }
    Rows<const double> precision(index matrix) const noexcept { return precisions_[matrix]; }
    // L⁻¹, lower triangular, of Σ = LLᵀ: P is its transpose times it.
    Rows<const double> whitener(index matrix) const noexcept { return whiteners_[matrix]; }
    // ½ log det Σ
    double log_root(index matrix) const noexcept { return log_roots_[matrix]; }

    // θ's part of the gradient, from −∂J/∂P = H − ½share·Σ in its two parts, so that ∂J/∂Σ = PHP − ½share·P needs no Σ.
    // H is symmetric; it is overwritten, as `work` is.
    void gradient(index matrix, Rows<double> h, Rows<double> work, double half_share, double* out) const {
        const Rows<const double> p = precisions_[matrix], c = factors_[matrix];
        multiply_square(h, p, size_, work);
        multiply_square(p, work, size_, h);
        for (index i = 0; i < size_; ++i)
            for (index j = 0; j < size_; ++j) h[i][j] -= half_share * p[i][j];
        multiply_square(h, c, size_, work);
        for (index i = 0; i < size_; ++i) {
            for (index j = 0; j < i; ++j) *out++ = 2 * work[i][j];
            *out++ = 2 * work[i][i] * c[i][i];
        }
    }

  private:
    index count_ = 0, size_ = 0;
    SquareMatrices factors_, precisions_, whiteners_;
    Buffer<double> log_roots_;
};

// In place, the symmetric part of a matrix.
inline void make_symmetric(Rows<double> matrix, index size) noexcept {
    for (index i = 0; i < size; ++i)
        for (index j = 0; j < i; ++j) matrix[i][j] = matrix[j][i] = 0.5 * (matrix[i][j] + matrix[j][i]);
}

SCOREMATCH_END_LEVEL
