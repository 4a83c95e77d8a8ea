// A mixture at one θ, as all passes over a tile read it: made once a call, and immutable then.
//
// The headers of this directory are one translation unit, that of gaussian_mixture.cpp, and so in an unnamed namespace.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/product.hpp"
#include "scorematch/small_matrix.hpp"

#include "parameters.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

constexpr bool many_registers = n_registers >= 32;
// Blocks of two by so many, rows by packs or packs by rows, are what fits in the registers.
constexpr int long_side = many_registers ? 4 : 2;

template <class T, CovarianceShape shape>
struct Components {
    static constexpr bool full = shape == CovarianceShape::full, tied = shape == CovarianceShape::tied,
                          diagonal = !full && !tied;

    Components(const MixtureSpec& spec, const double* theta)
        : parameters(spec, theta), d(spec.n_features), n_components(spec.n_components), centre(d),
          mean(n_components * d), factor(n_components * d), precision_diagonal(n_components * d),
          constant(n_components), trace(n_components) {
        for (index j = 0; j < d; ++j) {
            double total = 0;
            for (index k = 0; k < n_components; ++k) total += parameters.mean(k)[j];
            centre[j] = static_cast<T>(total / static_cast<double>(n_components));
        }
        Buffer<double> from_centre(d), solved(d);
        for (index k = 0; k < n_components; ++k) {
            centred_mean(k, from_centre.data());
            if (!diagonal) multiply_vector(parameters.precision(k), from_centre.data(), d, solved.data());
            double sum = 0;
            for (index j = 0; j < d; ++j) {
                const double p = parameters.precision(k, j, j);
                sum += p;
                mean[k * d + j] = static_cast<T>(from_centre[j]);
                precision_diagonal[k * d + j] = static_cast<T>(p);
                factor[k * d + j] = static_cast<T>(diagonal ? p : -solved[j]);
            }
            constant[k] = static_cast<T>(parameters.constant(k));
            trace[k] = static_cast<T>(sum);
        }
        if (!diagonal) {  // the matrices of a stack lie row after row
            const Rows<const double> p = parameters.precision(0);
            precision = PackedMatrix<T>(p.data, spec.n_covariances() * d, d, p.stride, 1);
        }
    }

    void centred_mean(index k, double* out) const noexcept {
        for (index j = 0; j < d; ++j) out[j] = parameters.mean(k)[j] - static_cast<double>(centre[j]);
    }

    // (P_k δ_k)_j from the row of P_k x (workspace.hpp), the component's factor and δ_kj.
    static Pack<T> solve(const T* row, T factor_kj, Pack<T> delta) noexcept {
        if constexpr (full) return load(row);
        if constexpr (tied) return load(row) + factor_kj;
        return factor_kj * delta;
    }

    MixtureParameters parameters;
    index d, n_components;
    Buffer<T> centre;
    // For each component and coordinate: the mean less the centre; −P·(that), or P where it is diagonal; P_jj.
    Buffer<T> mean, factor, precision_diagonal;
    Buffer<T> constant, trace;  // of each component: that of ℓ_k, and tr P_k
    PackedMatrix<T> precision;  // full and tied
};

// What the passes do for one form of the covariance is in full.hpp, tied.hpp and diagonal.hpp, as functions of these.
// Spherical covariances count as diagonal.
template <class T>
using Full = Components<T, CovarianceShape::full>;
template <class T>
using Tied = Components<T, CovarianceShape::tied>;
template <class T>
using Diagonal = Components<T, CovarianceShape::diagonal>;

}  // namespace
SCOREMATCH_END_LEVEL
