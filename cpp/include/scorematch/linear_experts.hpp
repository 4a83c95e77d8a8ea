// Linear experts: log p̃ = Σ_k α_k G(u_k) with u = Wx, the shape that independent components, products of experts and
// restricted Boltzmann machines share. A model supplies G as a class:
//
//     struct Expert {
//         template <class T> static Pack<T> value(Pack<T> u);                       // G
//         template <class T> static ExpertDerivatives<T> derivatives(Pack<T> u);    // G′, G″, G‴
//     };
//
// With g′ = G′(u), g″ = G″(u), g‴ = G‴(u) a component in a row:
//
//     ψ = Wᵀ(α∘g′),    tr ∇ψ = Σ_k α_k ‖w_k‖² g″_k,    diag ∇ψ = (W∘W)ᵀ(α∘g″).
//
// The way back from the cotangents v of ψ and c of the curvature, with z = Wv and r = (W∘W)c (trace: r_k = ‖w_k‖² c):
//
//     ∂/∂w_k = α_k Σ [g′_k v + (z_k g″_k + r_k g‴_k) x + 2 g″_k c∘w_k],    ∂/∂α_k = Σ [z_k g′_k + r_k g″_k].
//
// On ℝᵈ, v = weight·ψ. Then z = weight·Kg′ with K = WWᵀ diag(α), so that ψ itself is not needed, and Σ g′vᵀ is
// S diag(α) W with S = Σ weight·g′g′ᵀ, of which half is enough. Products a tile, in units of m·d multiplications:
//
//     by ψ   Wx, ψ, z, Σ g′vᵀ, Σ (…)xᵀ              5
//     by K   Wx, Kg′ (m/d), S (m/2d), Σ (…)xᵀ       2 + 3m/2d
//
// so K pays as long as m < 2d. Its price: ½‖ψ‖² as the quadratic form ½(α∘g′)ᵀKg′ has an error of about
// ε‖W‖²‖α∘g′‖² instead of ε‖ψ‖²: nothing for data of about unit covariance, digits in the number of the condition of W
// at worst. Sums that an optimiser sees go by K, results for single samples by ψ.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/product.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
struct ExpertDerivatives {
    Pack<T> first, second, third;
};

// θ is W (m,d), row by row, and then α (m,) if it is estimated. Of α only what it multiplies is ever scaled, a row of a
// matrix or of a finished sum, never a row of lanes.
template <class T, class Expert>
class LinearExperts : public Density<T> {
  public:
    // `coefficients` α, m of them; `estimates_coefficients` tells whether the gradient has a part for them.
    LinearExperts(index n_features, index n_components, const double* components, const double* coefficients,
                  bool estimates_coefficients)
        : d_(n_features), m_(n_components), by_gram_(m_ < 2 * d_), estimates_coefficients_(estimates_coefficients),
          components_(m_ * d_), coefficients_(m_), squared_norms_(m_) {
        Buffer<double> scaled(m_ * d_), squares(m_ * d_), scaled_squares(m_ * d_);
        for (index k = 0; k < m_; ++k) {
            coefficients_[k] = coefficients[k];
            for (index i = k * d_; i < (k + 1) * d_; ++i) {
                components_[i] = components[i];
                squares[i] = components[i] * components[i];
                scaled[i] = coefficients[k] * components[i];
                scaled_squares[i] = coefficients[k] * squares[i];
                squared_norms_[k] += squares[i];
            }
        }
        forward_ = PackedMatrix<T>(components_.data(), m_, d_, d_, 1);
        scaled_transpose_ = PackedMatrix<T>(scaled.data(), d_, m_, 1, d_);
        squares_ = PackedMatrix<T>(squares.data(), m_, d_, d_, 1);
        scaled_squares_transpose_ = PackedMatrix<T>(scaled_squares.data(), d_, m_, 1, d_);
        if (!by_gram_) return;
        gram_ = Buffer<double>(m_ * m_);
        Buffer<double> transpose(d_ * m_);
        for (index k = 0; k < m_; ++k)
            for (index j = 0; j < d_; ++j) transpose[j * m_ + k] = scaled[k * d_ + j];
        for (index k = 0; k < m_; ++k)
            for (index j = 0; j < d_; ++j) {
                double* const __restrict row = gram_.data() + k * m_;
                const double* const __restrict other = transpose.data() + j * m_;
                for (index i = 0; i < m_; ++i) row[i] += components_[k * d_ + j] * other[i];
            }
        packed_gram_ = PackedMatrix<T>(gram_.data(), m_, m_, m_, 1);
    }

    double cost() const noexcept override { return static_cast<double>(m_) * (10.0 * static_cast<double>(d_) + 60.0); }

    // g′, g″, g‴ and z; or g′ and ψ where only the terms of ρ are asked for.
    index workspace_rows() const noexcept override { return 4 * m_ > m_ + d_ ? 4 * m_ : m_ + d_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        multiply<T>(forward_, tile.x, tile.lanes, workspace);
        fill_row<T>(0, tile.lanes, out);
        for (index k = 0; k < m_; ++k) {
            const T coefficient = static_cast<T>(coefficients_[k]);
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(out + l, load(out + l) + coefficient * Expert::template value<T>(load(workspace[k] + l)));
        }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const bool trace = out.asked == Curvature::trace;
        activate<true>(tile, nullptr, workspace, trace ? out.curvature[0] : nullptr, nullptr);
        multiply<T>(scaled_transpose_, workspace, tile.lanes, out.score);
        if (!trace) multiply<T>(scaled_squares_transpose_, workspace.from(m_), tile.lanes, out.curvature);
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const Rows<T> first = workspace, second = workspace.from(m_), third = workspace.from(2 * m_);
        const Rows<T> z = workspace.from(3 * m_);
        const Sums<double> in = sums_at(sums);
        // r∘g‴ in the place of g‴
        if (results.asked == Curvature::trace) {
            const T* const c = cotangents.curvature[0];
            for (index k = 0; k < m_; ++k) {
                in.curvature[k] += dot_rows<T>(c, second[k], tile.lanes);
                const T squared_norm = static_cast<T>(squared_norms_[k]);
                for (index l = 0; l < tile.lanes; l += pack_size<T>)
                    store<T>(third[k] + l, squared_norm * load(c + l) * load(third[k] + l));
            }
        } else {
            accumulate_outer<T>(second, m_, cotangents.curvature, d_, tile.lanes, in.diagonal, d_);
            multiply<T>(squares_, cotangents.curvature, tile.lanes, z);
            for (index k = 0; k < m_; ++k) product_row<T>(z[k], third[k], tile.lanes, third[k]);
        }
        multiply<T>(forward_, cotangents.score, tile.lanes, z);
        for (index k = 0; k < m_; ++k) {
            if (estimates_coefficients_) in.coefficients[k] += dot_rows<T>(z[k], first[k], tile.lanes);
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(z[k] + l, load(z[k] + l) * load(second[k] + l) + load(third[k] + l));
        }
        accumulate_outer<T>(first, z, m_, cotangents.score, tile.x, d_, tile.lanes, in.outer, d_);
    }

    bool has_euclidean_shortcut() const noexcept override { return by_gram_; }

    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        if (sums == nullptr) {
            activate<false>(tile, nullptr, workspace, hessian_term, nullptr);
            const Rows<T> score = workspace.from(m_);
            multiply<T>(scaled_transpose_, workspace, tile.lanes, score);
            fill_row<T>(0, tile.lanes, norm_term);
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    const Pack<T> psi = load(score[j] + l);
                    store<T>(norm_term + l, load(norm_term + l) + T(0.5) * psi * psi);
                }
            return;
        }
        const Rows<T> first = workspace, second = workspace.from(m_), third = workspace.from(2 * m_);
        const Rows<T> z = workspace.from(3 * m_);
        const Sums<double> in = sums_at(sums);
        activate<true>(tile, weight, workspace, hessian_term, in.curvature);
        multiply<T>(packed_gram_, first, tile.lanes, z);
        fill_row<T>(0, tile.lanes, norm_term);
        for (index k = 0; k < m_; ++k) {
            const T half_coefficient = static_cast<T>(0.5 * coefficients_[k]);
            const T squared_norm = static_cast<T>(squared_norms_[k]);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> g = load(first[k] + l), product = load(z[k] + l), w = load(weight + l);
                store<T>(norm_term + l, load(norm_term + l) + half_coefficient * g * product);
                store<T>(z[k] + l, w * (product * load(second[k] + l) + squared_norm * load(third[k] + l)));
                store<T>(second[k] + l, w * g);  // g″ is done with
            }
        }
        accumulate_symmetric<T>(second, first, m_, tile.lanes, in.gram, m_);
        accumulate_outer<T>(z, m_, tile.x, d_, tile.lanes, in.outer, d_);
    }

    index n_sums() const noexcept override { return 2 * m_ * d_ + 2 * m_ + (by_gram_ ? m_ * m_ : 0); }

    void gradient(const double* sums, double* out) const override {
        const Sums<const double> in = sums_at(sums);
        double* const coefficients_out = out + m_ * d_;
        for (index k = 0; k < m_; ++k) {
            double* const __restrict row = out + k * d_;
            const double* const __restrict component = components_.data() + k * d_;
            double along_coefficient = in.coefficients[k] + squared_norms_[k] * in.curvature[k];
            for (index j = 0; j < d_; ++j) {
                const double diagonal = in.diagonal[k * d_ + j];
                row[j] = in.outer[k * d_ + j] + 2 * component[j] * (in.curvature[k] + diagonal);
                along_coefficient += component[j] * component[j] * diagonal;
            }
            if (by_gram_)
                for (index i = 0; i < m_; ++i) {
                    const double sum = in.gram[i < k ? i * m_ + k : k * m_ + i];
                    const double factor = sum * coefficients_[i];
                    const double* const __restrict other = components_.data() + i * d_;
                    for (index j = 0; j < d_; ++j) row[j] += factor * other[j];
                    along_coefficient += sum * gram_[k * m_ + i];
                }
            for (index j = 0; j < d_; ++j) row[j] *= coefficients_[k];
            if (estimates_coefficients_) coefficients_out[k] = along_coefficient;
        }
    }

  private:
    // The parts of the sums. A way back leaves those that it has no use for at zero.
    template <class Number>
    struct Sums {
        Number* outer;         // (m,d) Σ g′vᵀ + (z∘g″ + r∘g‴)xᵀ, by K without the first term
        Number* diagonal;      // (m,d) Σ g″cᵀ where c has a row for each feature
        Number* curvature;     // (m,)  Σ c·g″ where it has one
        Number* coefficients;  // (m,)  Σ z∘g′, by ψ
        Number* gram;          // (m,m) the upper triangle of S, by K
    };
    template <class Number>
    Sums<Number> sums_at(Number* sums) const noexcept {
        Number* const curvature = sums + 2 * m_ * d_;
        return {sums, sums + m_ * d_, curvature, curvature + m_, curvature + 2 * m_};
    }

    // u and, in its place, g′; behind it g″ and g‴ if they are to be `kept`. Where they are asked for: tr ∇ψ, and the
    // sums Σ weight·g″.
    template <bool kept>
    void activate(const Tile<T>& tile, const T* weight, Rows<T> rows, T* trace, double* second_sums) const noexcept {
        multiply<T>(forward_, tile.x, tile.lanes, rows);
        if (trace) fill_row<T>(0, tile.lanes, trace);
        for (index k = 0; k < m_; ++k) {
            const T scale = static_cast<T>(coefficients_[k] * squared_norms_[k]);
            T* const first = rows[k];
            T* const second = rows[m_ + k];
            T* const third = rows[2 * m_ + k];
            Pack<T> sum{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const ExpertDerivatives<T> g = Expert::template derivatives<T>(load(first + l));
                store<T>(first + l, g.first);
                if constexpr (kept) {
                    store<T>(second + l, g.second);
                    store<T>(third + l, g.third);
                }
                if (trace) store<T>(trace + l, load(trace + l) + scale * g.second);
                if (second_sums) sum += load(weight + l) * g.second;
            }
            if (second_sums) second_sums[k] += static_cast<double>(sum_lanes<T>(sum));
        }
    }

    index d_, m_;
    bool by_gram_, estimates_coefficients_;
    Buffer<double> components_, coefficients_, squared_norms_;
    Buffer<double> gram_;                       // K = WWᵀ diag(α)
    PackedMatrix<T> forward_;                   // W
    PackedMatrix<T> scaled_transpose_;          // Wᵀ diag(α)
    PackedMatrix<T> squares_;                   // W∘W
    PackedMatrix<T> scaled_squares_transpose_;  // (W∘W)ᵀ diag(α)
    PackedMatrix<T> packed_gram_;
};

SCOREMATCH_END_LEVEL
