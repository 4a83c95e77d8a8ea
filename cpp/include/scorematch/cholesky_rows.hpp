// The chain rule to locations and Cholesky factors, for each lane apart: what cholesky.hpp does once a call.
//
// A density that depends on δ = x − μ and P = Σ⁻¹ by δᵀPδ and P has, for a sample, vectors a and e and a number λ with
//
//   ∂ρ/∂μ = P(a + λδ),    −∂ρ/∂P = sym(aδᵀ) + diag(e) − λΣ,
//
// the last term only if it is normalised, as the components of a mixture are. With Q = PC the gradient in C is the
// lower triangle of
//
//   Pa (Qᵀδ)ᵀ + Pδ (Qᵀa)ᵀ + 2P diag(e) Q − 2λQ,
//
// of which what belongs to e and λ is the product of a matrix that is made beforehand with their rows. Where vᵀ∇ψv is
// asked for, −∂ρ/∂P has a further term ε vvᵀ, and the gradient 2ε Pv (Qᵀv)ᵀ.
#pragma once

#include "scorematch/cholesky.hpp"
#include "scorematch/common.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/multiply.hpp"
#include "scorematch/owner.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class CholeskyRows {
    static constexpr index width = pack_size<T>;

  public:
    // `e` has one row where the trace is asked for, since all its entries are equal then, and none without a curvature.
    CholeskyRows(const CholeskyMatrices& matrices, Curvature asked, bool normalised)
        : d_(matrices.size()), n_e_(rows_of(asked, d_)), n_fixed_(n_e_ + (normalised ? 1 : 0)),
          diagonals_(matrices.count() * d_), vectors_(matrices.count()), fixed_(matrices.count()) {
        SquareMatrices work(1, d_);
        const Rows<double> q = work[0];
        Buffer<double> stacked(2 * d_ * d_), fixed(n_factor() * n_fixed_);
        for (index matrix = 0; matrix < matrices.count(); ++matrix) {
            const Rows<const double> p = matrices.precision(matrix), c = matrices.factor(matrix);
            multiply_square(p, c, d_, q);
            for (index i = 0; i < d_; ++i)
                for (index j = 0; j < d_; ++j) {
                    stacked[i * d_ + j] = p[i][j];
                    stacked[(d_ + i) * d_ + j] = q[j][i];
                }
            vectors_[matrix] = PackedMatrix<T>(stacked.data(), 2 * d_, d_, d_, 1);
            double* row = fixed.data();
            for (index i = 0; i < d_; ++i)
                for (index j = 0; j <= i; ++j, row += n_fixed_) {
                    const double scale = i == j ? 2 * c[i][i] : 2;  // θ has the logarithms of the diagonal
                    for (index l = 0; l < n_fixed_; ++l) row[l] = 0;
                    for (index l = 0; l < d_ && n_e_ > 0; ++l) row[n_e_ == 1 ? 0 : l] += scale * p[i][l] * q[l][j];
                    if (normalised) row[n_e_] = -scale * q[i][j];
                }
            fixed_[matrix] = PackedMatrix<T>(fixed.data(), n_factor(), n_fixed_, n_fixed_, 1);
            for (index i = 0; i < d_; ++i) diagonals_[matrix * d_ + i] = static_cast<T>(c[i][i]);
        }
    }

    // The rows of a, e and λ, which the caller fills in, and room for [P; Qᵀ]a and [P; Qᵀ]δ.
    struct Scratch {
        Rows<T> a, e, lambda, by_a, by_delta;
    };
    index scratch_rows() const noexcept { return 5 * d_ + n_e_ + 1; }
    index n_e() const noexcept { return n_e_; }
    Scratch scratch_of(Rows<T> rows) const noexcept {
        const Rows<T> e = rows.from(d_), lambda = e.from(n_e_), products = lambda.from(1);
        return {rows, e, lambda, products, products.from(2 * d_)};
    }

    // Writes the d rows of μ; adds to the d(d+1)/2 of the factor (Start::out), or writes them (Start::zero).
    void chain(index matrix, index lanes, Rows<const T> delta, const Scratch& at, Start start, Rows<T> location,
               Rows<T> factor) const noexcept {
        multiply<T>(vectors_[matrix], at.a, lanes, at.by_a);
        multiply<T>(vectors_[matrix], delta, lanes, at.by_delta);
        if (start == Start::out) multiply_onto<T>(fixed_[matrix], at.e, lanes, factor);
        else multiply<T>(fixed_[matrix], at.e, lanes, factor);
        for_each_packs<T>(
            lanes, [&]<int N>(index l) { add_products<N>(diagonals_.data() + matrix * d_, at, l, location, factor); });
    }

    // Adds to the rows of the factor what the direction does, ε and v given. It needs the rows of by_delta alone.
    void chain_direction(index matrix, index lanes, Rows<const T> v, const T* epsilon, const Scratch& at,
                         Rows<T> factor) const noexcept {
        multiply<T>(vectors_[matrix], v, lanes, at.by_delta);
        const Rows<const T> across = at.by_delta.from(d_);
        const T* const diagonal = diagonals_.data() + matrix * d_;
        index row = 0;
        for (index i = 0; i < d_; ++i)
            for (index j = 0; j <= i; ++j, ++row)
                for (index l = 0; l < lanes; l += width) {
                    const Pack<T> product = load(at.by_delta[i] + l) * load(across[j] + l);
                    const Pack<T> scale = (i == j ? 2 * diagonal[i] : T(2)) * load(epsilon + l);
                    store<T>(factor[row] + l, load(factor[row] + l) + scale * product);
                }
    }

  private:
    index n_factor() const noexcept { return d_ * (d_ + 1) / 2; }

    template <int N>
    void add_products(const T* diagonal, const Scratch& at, index l, Rows<T> location, Rows<T> factor) const noexcept {
        const Rows<const T> across_a = at.by_a.from(d_), across_delta = at.by_delta.from(d_);
        T* row = factor.data + l;
        for (index i = 0; i < d_; ++i) {
            Pack<T> a[N], delta[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * width;
                a[n] = load(at.by_a[i] + lane);
                delta[n] = load(at.by_delta[i] + lane);
                store<T>(location[i] + lane, a[n] + load(at.lambda[0] + lane) * delta[n]);
            }
            for (index j = 0; j <= i; ++j, row += factor.stride) {
                const T scale = i == j ? diagonal[i] : T(1);
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const index lane = l + n * width;
                    const Pack<T> product = a[n] * load(across_delta[j] + lane) + delta[n] * load(across_a[j] + lane);
                    store<T>(row + n * width, load(row + n * width) + scale * product);
                }
            }
        }
    }

    index d_, n_e_, n_fixed_;
    Buffer<T> diagonals_;                   // of C
    OwnerOfMany<PackedMatrix<T>> vectors_;  // P over Qᵀ
    OwnerOfMany<PackedMatrix<T>> fixed_;    // what e and λ are multiplied with
};

SCOREMATCH_END_LEVEL
