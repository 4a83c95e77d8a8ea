// Linear experts: log p̃ = −½ p ‖x − b‖² + Σ_k α_k G(u_k) with u = Vx + c, the shape that independent components,
// products of experts and restricted Boltzmann machines share: filters V (m,d) with rows v_k, offsets c, coefficients
// α, and an isotropic Gaussian base of precision p and centre b.
//
// The engine hands out samples about b where there is a base: δ = x − b and u = Vδ + (c + Vb), with the sum in brackets
// in double, so that nothing is lost for data far from the origin. Without a base b = 0 and δ = x.
//
// A model says what G is,
//
//     template <class T> static Pack<T> value(Pack<T> u);         // G
//     template <class T> static Slope<T> slope(Pack<T> u);        // G′ and a key
//     template <class T> static Pack<T> second(Slope<T> s);       // G″ and G‴, which follow from these two
//     template <class T> static Pack<T> third(Slope<T> s);
//
// and how its θ becomes V, c, α, b, p and back, in the manner of ComponentsModel (linear_experts/model.hpp). The key is
// whatever makes G″ and G‴ cheap (often G″ itself): what is dear, an exponential or a quotient, is worked out once for
// each u, and two rows a component are kept of it instead of three. LinearExpertFamily makes a family of a model.
//
// With g′ = G′(u), g″ = G″(u), g‴ = G‴(u) a component in a row:
//
//     ψ = −pδ + Vᵀ(α∘g′),    tr ∇ψ = −pd + Σ_k α_k ‖v_k‖² g″_k,    diag ∇ψ = −p + (V∘V)ᵀ(α∘g″).
//
// The way back from the cotangents y of ψ and κ of the curvature, with z = Vy and r = (V∘V)κ (trace: r_k = ‖v_k‖² κ):
//
//     ∂/∂v_k = α_k [Σ (g′_k y + h_k δ + 2 g″_k κ∘v_k) + b Σ h_k],    h_k = z_k g″_k + r_k g‴_k,
//     ∂/∂c_k = α_k Σ h_k,    ∂/∂α_k = Σ [z_k g′_k + r_k g″_k],    ∂/∂b = p Σ y,    ∂/∂p = −Σ [yᵀδ + Σ_j κ_j].
//
// Without the sums these are the gradients of single samples (linear_experts/gradient.hpp).
//
// On ℝᵈ, y = weight·ψ and κ = weight. Then z = weight·q with q = Vψ. With s = Vδ, which is u less what it is at b,
//
//     q = −ps + K g′,    K = VVᵀ diag(α),
//
// so that ψ itself is not needed, base or no base: with e = −ψᵀδ = p‖δ‖² − (α∘g′)ᵀs,
//
//     ½‖ψ‖² = ½ p e + ½ (α∘g′)ᵀq.
//
// And Σ g′yᵀ = S diag(α) V − p Σ weight·g′δᵀ with S = Σ weight·g′g′ᵀ, of which half is enough; the last term joins that
// of h:
//
//     Σ (g′yᵀ + hδᵀ) = S diag(α) V + Σ (h − p weight·g′)δᵀ.
//
// The sums for b and p are Σ y = −p Σ weight·δ + Vᵀ(α∘Σ weight·g′) and Σ weight·(e − d). Products a tile, in units of
// m·d multiplications:
//
//     by ψ   Vδ, ψ, z, Σ g′yᵀ, Σ hδᵀ               5
//     by K   Vδ, Kg′ (m/d), S (m/2d), Σ hδᵀ        2 + 3m/2d
//
// so K pays as long as m < 2d. Its price: (α∘g′)ᵀKg′ has an error of about ε‖V‖²‖α∘g′‖² instead of ε‖ψ‖²: nothing for
// data of about unit covariance, digits in the number of the condition of V at worst. Sums that an optimiser sees go by
// K, results for single samples by ψ.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/linear_experts/gradient.hpp"
#include "scorematch/linear_experts/model.hpp"
#include "scorematch/linear_experts/strips.hpp"
#include "scorematch/linear_experts/sums.hpp"
#include "scorematch/product.hpp"
#include "scorematch/small_matrix.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// Of α only what it multiplies is ever scaled, a row of a matrix or of a finished sum, never a row of lanes.
template <class T, class Model>
class LinearExperts final : public Density<T> {
  public:
    // `model` must outlive the density.
    LinearExperts(const Model& model, const double* theta)
        : model_(model), d_(model.n_features()), m_(model.n_components()), by_gram_(m_ < 2 * d_),
          at_(parameters_of(model, theta)), constants_(at_, squares_of_norms(at_.filters, d_, m_), d_, m_) {
        const Buffer<double>&v = at_.filters, &alpha = at_.coefficients;
        Buffer<double> scaled(m_ * d_), squares(m_ * d_), scaled_squares(m_ * d_);
        for (index k = 0; k < m_; ++k)
            for (index i = k * d_; i < (k + 1) * d_; ++i) {
                squares[i] = v[i] * v[i];
                scaled[i] = alpha[k] * v[i];
                scaled_squares[i] = alpha[k] * squares[i];
            }
        filters_ = PackedMatrix<T>(v.data(), m_, d_, d_, 1);
        scaled_transpose_ = PackedMatrix<T>(scaled.data(), d_, m_, 1, d_);
        squares_ = PackedMatrix<T>(squares.data(), m_, d_, d_, 1);
        scaled_squares_transpose_ = PackedMatrix<T>(scaled_squares.data(), d_, m_, 1, d_);
        if (!by_gram_) return;
        const PackedMatrix<double> filters(v.data(), m_, d_, d_, 1);
        TileMatrix transpose(scaled.data(), d_, m_, 1, d_), gram(m_, m_);
        multiply<double>(filters, transpose.rows(), gram.lanes(), gram.rows());
        gram_ = PackedMatrix<T>(gram[0], m_, m_, gram.lanes(), 1);
    }

    double cost() const noexcept override { return static_cast<double>(m_) * (10.0 * static_cast<double>(d_) + 60.0); }

    const double* centre() const noexcept override { return Model::has_base ? at_.centre.data() : nullptr; }

    // g′, the keys, g″ or r, and z.
    index workspace_rows() const noexcept override { return 4 * m_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        multiply_filters(tile.x, tile.lanes, workspace);
        fill_row<T>(0, tile.lanes, out);
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> value = Model::template value<T>(load(workspace[k] + l));
                store<T>(out + l, load(out + l) + constants_.coefficients[k] * value);
            }
        for (index j = 0; Model::has_base && j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> delta = load(tile.x[j] + l);
                store<T>(out + l, load(out + l) - T(0.5) * constants_.precision * delta * delta);
            }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const Rows<T> first = workspace, key = workspace.from(m_), second = workspace.from(2 * m_);
        const bool trace = out.asked == Curvature::trace;
        find_slopes<true>(tile, first, key, trace ? out.curvature[0] : nullptr);
        find_score(tile.x, tile.lanes, first, out.score);
        if (trace) return;
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(second[k] + l, Model::template second<T>({load(first[k] + l), load(key[k] + l)}));
        if constexpr (Model::has_base)
            multiply<T>(scaled_squares_transpose_, second, tile.lanes, out.curvature,
                        constants_.minus_precision.data());
        else multiply<T>(scaled_squares_transpose_, second, tile.lanes, out.curvature);
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const Rows<const T> y = cotangents.score, kappa = cotangents.curvature;
        const auto in = ExpertSums<double>::at(sums, d_, m_);
        const bool trace = results.asked == Curvature::trace;
        const BackRows rows(workspace, m_);
        if (!trace) accumulate_outer<T>(rows.r, m_, kappa, d_, tile.lanes, in.diagonal, d_);  // g″, from forward
        multiply_cotangents(rows, cotangents, trace, tile.lanes);
        for (index k = 0; k < m_; ++k) {
            Pack<T> curvature{}, coefficient{}, offset{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pull pull = pull_of(rows, kappa, trace, k, l);
                if (trace) curvature += load(kappa[0] + l) * pull.second;
                coefficient += pull.along;
                offset += pull.h;
                store<T>(rows.z[k] + l, pull.h);
            }
            in.curvature[k] += static_cast<double>(sum_lanes<T>(curvature));
            in.coefficients[k] += static_cast<double>(sum_lanes<T>(coefficient));
            if constexpr (Model::has_base) in.offsets[k] += static_cast<double>(sum_lanes<T>(offset));
        }
        accumulate_outer<T>(rows.first, rows.z, m_, y, tile.x, d_, tile.lanes, in.outer, d_);
        if constexpr (Model::has_base) {
            const T n_traces = static_cast<T>(trace ? d_ : 1);
            for (index j = 0; j < d_; ++j) {
                Pack<T> score{}, precision{};
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    score += load(y[j] + l);
                    precision += load(y[j] + l) * load(tile.x[j] + l);
                    if (!trace || j == 0) precision += n_traces * load(kappa[j] + l);
                }
                in.score[j] += static_cast<double>(sum_lanes<T>(score));
                *in.precision -= static_cast<double>(sum_lanes<T>(precision));
            }
        }
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void prepare_gradient_rows(Curvature /*asked*/) override { pack_at_ = at_.as<T>(); }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const bool trace = results.asked == Curvature::trace;
        const Rows<const T> kappa{cotangents.curvature.data, trace ? 0 : cotangents.curvature.stride};
        const BackRows rows(workspace, m_);
        multiply_cotangents(rows, cotangents, trace, tile.lanes);
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pull pull = pull_of(rows, kappa, trace, k, l);
                store<T>(rows.key[k] + l, pull.second);
                store<T>(rows.r[k] + l, pull.along);
                store<T>(rows.z[k] + l, pull.h);
            }
        for (index l = 0; l < tile.lanes; l += pack_size<T>) {
            const PackSums<T> sums{cotangents.score, tile.x, kappa, rows.first, rows.key, rows.r, rows.z, d_, l};
            model_.pull_back(pack_at_, ExpertGradient(pack_at_, sums), PackColumn<T>(out, l));
        }
    }

    bool has_euclidean_shortcut() const noexcept override { return true; }

    // g′, the keys, √weight or y, and a strip of q or z in rows of half the length; or g′ and ψ where only the terms of
    // ρ are asked for.
    index euclidean_rows() const noexcept override {
        const index with_sums = 2 * m_ + (by_gram_ ? 1 : d_) + (m_ + 1) / 2;
        return with_sums > m_ + d_ ? with_sums : m_ + d_;
    }

    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        if (sums == nullptr) {
            terms(tile, workspace, norm_term, hessian_term);
        } else if (by_gram_) {
            by_strips<Way::by_gram>(tile, weight, workspace, norm_term, hessian_term, sums);
        } else {
            by_strips<Way::by_score>(tile, weight, workspace, norm_term, hessian_term, sums);
        }
    }

    index n_sums() const noexcept override { return ExpertSums<double>::size(d_, m_, by_gram_); }

    void gradient(const double* sums, double* out) const override {
        const auto in = ExpertSums<const double>::at(sums, d_, m_);
        TileMatrix by_gram(by_gram_ ? m_ : 0, d_);
        if (by_gram_) multiply_sums(in.gram, by_gram);
        const FinishedSums finished(at_, in, by_gram_ ? by_gram.rows() : Rows<double>{});
        model_.pull_back(at_, ExpertGradient(at_, finished), out);
    }

  private:
    static ExpertParameters parameters_of(const Model& model, const double* theta) {
        ExpertParameters at(model.n_features(), model.n_components());
        model.read(theta, at);
        return at;
    }

    static Buffer<double> squares_of_norms(const Buffer<double>& filters, index d, index m) {
        Buffer<double> squares(m);
        for (index k = 0; k < m; ++k)
            for (index j = 0; j < d; ++j) squares[k] += filters[k * d + j] * filters[k * d + j];
        return squares;
    }

    // The rows that forward leaves and those that the way back makes of them: z, r and what becomes of them.
    struct BackRows {
        BackRows(Rows<T> workspace, index m) noexcept
            : first(workspace), key(workspace.from(m)), r(workspace.from(2 * m)), z(workspace.from(3 * m)) {}
        Rows<T> first, key, r, z;
    };

    // z and, but for the trace, r
    void multiply_cotangents(const BackRows& rows, const Cotangents<T>& cotangents, bool trace,
                             index lanes) const noexcept {
        multiply<T>(filters_, cotangents.score, lanes, rows.z);
        if (!trace) multiply<T>(squares_, cotangents.curvature, lanes, rows.r);
    }

    // g″_k, z_k g′_k and h_k of a pack.
    struct Pull {
        Pack<T> second, along, h;
    };
    [[gnu::always_inline]] Pull pull_of(const BackRows& rows, Rows<const T> kappa, bool trace, index k,
                                        index l) const noexcept {
        const Slope<T> slope{load(rows.first[k] + l), load(rows.key[k] + l)};
        const Pack<T> second = Model::template second<T>(slope), z = load(rows.z[k] + l);
        const Pack<T> r = trace ? constants_.squared_norms[k] * load(kappa[0] + l) : load(rows.r[k] + l);
        return {second, z * slope.first, z * second + r * Model::template third<T>(slope)};
    }

    // S diag(α) V
    void multiply_sums(const double* upper, TileMatrix& out) const {
        Buffer<double> sums(m_ * m_);
        for (index k = 0; k < m_; ++k)
            for (index i = 0; i < m_; ++i)
                sums[k * m_ + i] = upper[i < k ? i * m_ + k : k * m_ + i] * at_.coefficients[i];
        TileMatrix filters(at_.filters.data(), m_, d_, d_, 1);
        multiply<double>(PackedMatrix<double>(sums.data(), m_, m_, m_, 1), filters.rows(), out.lanes(), out.rows());
    }

    // u
    void multiply_filters(Rows<const T> x, index lanes, Rows<T> out) const noexcept {
        if constexpr (Model::has_base) multiply<T>(filters_, x, lanes, out, constants_.offsets.data());
        else multiply<T>(filters_, x, lanes, out);
    }

    // g′ and, if they are to be kept, the keys; and tr ∇ψ unless that is null.
    template <bool keeps_keys>
    void find_slopes(const Tile<T>& tile, Rows<T> first, Rows<T> key, T* trace) const noexcept {
        multiply_filters(tile.x, tile.lanes, first);
        if (trace) fill_row<T>(static_cast<T>(-at_.precision * static_cast<double>(d_)), tile.lanes, trace);
        for (index k = 0; k < m_; ++k) {
            const T scale = constants_.scales[k];
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Slope<T> slope = Model::template slope<T>(load(first[k] + l));
                store<T>(first[k] + l, slope.first);
                if constexpr (keeps_keys) store<T>(key[k] + l, slope.key);
                if (trace) store<T>(trace + l, load(trace + l) + scale * Model::template second<T>(slope));
            }
        }
    }

    // ψ from g′
    void find_score(Rows<const T> x, index lanes, Rows<T> first, Rows<T> score) const noexcept {
        if constexpr (Model::has_base) {
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < lanes; l += pack_size<T>)
                    store<T>(score[j] + l, -constants_.precision * load(x[j] + l));
            multiply_onto<T>(scaled_transpose_, first, lanes, score);
        } else {
            multiply<T>(scaled_transpose_, first, lanes, score);
        }
    }

    void terms(const Tile<T>& tile, Rows<T> workspace, T* norm_term, T* hessian_term) const noexcept {
        const Rows<T> score = workspace.from(m_);
        find_slopes<false>(tile, workspace, {}, hessian_term);
        find_score(tile.x, tile.lanes, workspace, score);
        fill_row<T>(0, tile.lanes, norm_term);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> psi = load(score[j] + l);
                store<T>(norm_term + l, load(norm_term + l) + T(0.5) * psi * psi);
            }
    }

    // S is that of √weight·g′ with itself: two rows a component are all that has to be kept.
    template <Way way>
    void by_strips(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept {
        const Rows<T> first = workspace, key = workspace.from(m_), middle = workspace.from(2 * m_);
        const Rows<T> z{middle[way == Way::by_gram ? 1 : d_], workspace.stride / 2};
        const auto in = ExpertSums<double>::at(sums, d_, m_);
        const StripSteps<T, Model, way> steps(constants_, in);
        if constexpr (way == Way::by_gram)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) store<T>(middle[0] + l, sqrt<T>(load(weight + l)));
        const index longest = z.stride / pack_size<T> * pack_size<T>;
        const index width = filters_.strip_lanes() < longest ? filters_.strip_lanes() : longest;
        for (index l = 0; l < tile.lanes; l += width) {
            const auto at = [l](auto rows) { return decltype(rows){rows.data + l, rows.stride}; };
            const Strip<T> strip{tile.lanes - l < width ? tile.lanes - l : width,
                                 at(tile.x),
                                 weight + l,
                                 middle[0] + l,
                                 at(first),
                                 at(key),
                                 at(middle),
                                 z,
                                 norm_term + l,
                                 hessian_term + l};
            multiply_filters(strip.x, strip.lanes, strip.first);
            steps.open(strip);
            if constexpr (way == Way::by_score) {
                find_score(strip.x, strip.lanes, strip.first, strip.score);
                steps.weigh(strip);
                multiply<T>(filters_, strip.score, strip.lanes, z);
            } else if constexpr (Model::has_base) {
                multiply_onto<T>(gram_, strip.first, strip.lanes, z);
            } else {
                multiply<T>(gram_, strip.first, strip.lanes, z);
            }
            steps.close(strip);
        }
        if constexpr (way == Way::by_gram) {
            accumulate_symmetric<T>(first, first, m_, tile.lanes, in.gram, m_);
            accumulate_outer<T>(key, m_, tile.x, d_, tile.lanes, in.outer, d_);
        } else {
            accumulate_outer<T>(first, key, m_, middle, tile.x, d_, tile.lanes, in.outer, d_);
        }
    }

    const Model& model_;
    index d_, m_;
    bool by_gram_;
    ExpertParameters at_;
    ExpertConstants<T> constants_;
    ExpertParametersOf<T> pack_at_;             // at_, for gradient_rows
    PackedMatrix<T> filters_;                   // V
    PackedMatrix<T> scaled_transpose_;          // Vᵀ diag(α)
    PackedMatrix<T> squares_;                   // V∘V
    PackedMatrix<T> scaled_squares_transpose_;  // (V∘V)ᵀ diag(α)
    PackedMatrix<T> gram_;                      // K
};

// The family of a model.
template <class T, class Model>
class LinearExpertFamily final : public Family<T> {
  public:
    explicit LinearExpertFamily(const FamilySpec& spec) : model_(spec) {}
    index n_params() const noexcept override { return model_.n_params(); }
    void describe(LayoutVisitor& visitor) const override { model_.describe(visitor); }
    Density<T>* at(const double* theta) const override { return new LinearExperts<T, Model>(model_, theta); }

  private:
    Model model_;
};

SCOREMATCH_END_LEVEL
