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
//     ψ = −pδ + Vᵀ(α∘g′),    tr ∇ψ = −pd + Σ_k α_k ‖v_k‖² g″_k,    diag ∇ψ = −p + (V∘V)ᵀ(α∘g″),
//     tᵀ∇ψt = −p‖t‖² + Σ_k α_k g″_k s_k²  along a direction t, with s = Vt.
//
// The way back from the cotangents y of ψ, κ of the curvature and e of tᵀ∇ψt, with z = Vy and r = (V∘V)κ + e s∘s
// (trace: r_k = ‖v_k‖² κ + e s_k²):
//
//     ∂/∂v_k = α_k [Σ (g′_k y + h_k δ + 2 g″_k (κ∘v_k + e s_k t)) + b Σ h_k],    h_k = z_k g″_k + r_k g‴_k,
//     ∂/∂c_k = α_k Σ h_k,    ∂/∂α_k = Σ [z_k g′_k + r_k g″_k],    ∂/∂b = p Σ y,
//     ∂/∂p = −Σ [yᵀδ + Σ_j κ_j + e ‖t‖²].
//
// Without the sums these are the gradients of single samples (linear_experts/gradient.hpp). That from the cotangent c
// of log p̃ has the same shape, with h = c g′:
//
//     ∂/∂v_k = α_k [Σ h_k δ + b Σ h_k],    ∂/∂c_k = α_k Σ h_k,    ∂/∂α_k = Σ c G(u_k),    ∂/∂b = p Σ c δ,
//     ∂/∂p = −½ Σ c ‖δ‖².
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

    // g′, the keys, g″ or r, and s or z.
    index workspace_rows() const noexcept override { return 4 * m_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        multiply_filters(tile.x, tile.lanes, workspace);
        add_up_log_density<false>(tile, workspace, out);
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        multiply_filters(tile.x, tile.lanes, workspace);
        add_up_log_density<true>(tile, workspace, log_density_out);
        find_score(tile.x, tile.lanes, workspace, score);
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        const auto in = ExpertSums<double>::at(sums, d_, m_);
        multiply_filters(tile.x, tile.lanes, workspace);
        for (index k = 0; k < m_; ++k) {
            Pack<T> coefficient{}, offset{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> u = load(workspace[k] + l), c = load(cotangent + l);
                const Pack<T> h = c * Model::template slope<T>(u).first;
                if constexpr (Model::estimates_coefficients) coefficient += c * Model::template value<T>(u);
                offset += h;
                store<T>(workspace[k] + l, h);
            }
            if constexpr (Model::estimates_coefficients)
                in.coefficients[k] += static_cast<double>(sum_lanes<T>(coefficient));
            if constexpr (Model::has_base) in.offsets[k] += static_cast<double>(sum_lanes<T>(offset));
        }
        accumulate_outer<T>(workspace, m_, tile.x, d_, tile.lanes, in.outer, d_);
        for (index j = 0; Model::has_base && j < d_; ++j) {
            Pack<T> score{}, precision{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> delta = load(tile.x[j] + l), weighted = load(cotangent + l) * delta;
                score += weighted;
                precision += T(0.5) * weighted * delta;
            }
            in.score[j] += static_cast<double>(sum_lanes<T>(score));
            *in.precision -= static_cast<double>(sum_lanes<T>(precision));
        }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const PassageRows rows(workspace, m_);
        find_slopes<true>(tile, rows.first, rows.key, out.asked == Curvature::trace ? out.curvature[0] : nullptr);
        find_score(tile.x, tile.lanes, rows.first, out.score);
        if (out.direction) find_directional(rows, tile.lanes, out);
        if (out.asked != Curvature::diagonal) return;
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) store<T>(rows.r[k] + l, rows.second(k, l));
        if constexpr (Model::has_base)
            multiply<T>(scaled_squares_transpose_, rows.r, tile.lanes, out.curvature,
                        constants_.minus_precision.data());
        else multiply<T>(scaled_squares_transpose_, rows.r, tile.lanes, out.curvature);
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const Rows<const T> y = cotangents.score, kappa = cotangents.curvature;
        const auto in = ExpertSums<double>::at(sums, d_, m_);
        const bool trace = results.asked == Curvature::trace;
        const PassageRows rows(workspace, m_);
        if (results.asked == Curvature::diagonal)
            accumulate_outer<T>(rows.r, m_, kappa, d_, tile.lanes, in.diagonal, d_);  // g″, from forward
        if (results.direction) {
            find_across(rows, cotangents.directional, tile.lanes, rows.r);
            accumulate_outer<T>(rows.r, m_, results.direction, d_, tile.lanes, in.outer, d_);
            for (index k = 0; Model::estimates_coefficients && k < m_; ++k)
                in.coefficients[k] += 0.5 * dot_rows<T>(rows.r[k], rows.z[k], tile.lanes);
        }
        const Bend bend = multiply_cotangents(rows, results, cotangents, tile.lanes);
        for (index k = 0; k < m_; ++k) {
            Pack<T> curvature{}, coefficient{}, offset{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pull pull = pull_of(rows, bend, kappa, k, l);
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
                const T* const curvature = trace && j > 0 ? nullptr : curvature_row(results, cotangents, j);
                Pack<T> score{}, precision{};
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    score += load(y[j] + l);
                    precision += load(y[j] + l) * load(tile.x[j] + l);
                    if (curvature != nullptr) precision += n_traces * load(curvature + l);
                    if (results.direction) {
                        const Pack<T> t = load(results.direction[j] + l);
                        precision += load(cotangents.directional + l) * t * t;
                    }
                }
                in.score[j] += static_cast<double>(sum_lanes<T>(score));
                *in.precision -= static_cast<double>(sum_lanes<T>(precision));
            }
        }
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void prepare_gradient_rows(Curvature /*asked*/) override { pack_at_ = at_.as<T>(); }
    // Those of forward, and what the filters get along the direction.
    index gradient_workspace_rows() const noexcept override { return workspace_rows() + m_; }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const PassageRows rows(workspace, m_);
        const Rows<T> across = workspace.from(workspace_rows());
        if (results.direction) find_across(rows, cotangents.directional, tile.lanes, across);
        const Bend bend = multiply_cotangents(rows, results, cotangents, tile.lanes);
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pull pull = pull_of(rows, bend, cotangents.curvature, k, l);
                store<T>(rows.key[k] + l, pull.second);
                store<T>(rows.r[k] + l, pull.along + pull.r * pull.second);
                store<T>(rows.z[k] + l, pull.h);
            }
        const typename PackSums<T>::Found found{rows.first, rows.key, rows.r, rows.z, across};
        for (index l = 0; l < tile.lanes; l += pack_size<T>) {
            const PackSums<T> sums(tile.x, results, cotangents, found, d_, l);
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

    // The rows that forward leaves: g′, the keys, and where they are asked for g″ and s; and those that the way back
    // makes of the last two: r, and z, which becomes h.
    struct PassageRows {
        PassageRows(Rows<T> workspace, index m) noexcept
            : first(workspace), key(workspace.from(m)), r(workspace.from(2 * m)), z(workspace.from(3 * m)) {}
        [[gnu::always_inline]] Slope<T> slope(index k, index l) const noexcept {
            return {load(first[k] + l), load(key[k] + l)};
        }
        [[gnu::always_inline]] Pack<T> second(index k, index l) const noexcept {
            return Model::template second<T>(slope(k, l));
        }
        Rows<T> first, key, r, z;
    };

    // s, and from it tᵀ∇ψt
    void find_directional(const PassageRows& rows, index lanes, const Derivatives<T>& out) const noexcept {
        multiply<T>(filters_, out.direction, lanes, rows.z);
        fill_row<T>(0, lanes, out.directional);
        for (index j = 0; Model::has_base && j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> t = load(out.direction[j] + l);
                store<T>(out.directional + l, load(out.directional + l) - constants_.precision * t * t);
            }
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> s = load(rows.z[k] + l), bend = constants_.coefficients[k] * rows.second(k, l);
                store<T>(out.directional + l, load(out.directional + l) + bend * s * s);
            }
    }

    // 2 e s∘g″, what the filters get along t
    void find_across(const PassageRows& rows, const T* directional, index lanes, Rows<T> out) const noexcept {
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < lanes; l += pack_size<T>)
                store<T>(out[k] + l, 2 * load(directional + l) * load(rows.z[k] + l) * rows.second(k, l));
    }

    // Where r is found: nowhere as it is 0, in κ as it is ‖v_k‖² κ, or in its rows.
    enum class Bend { none, shared, rows };

    // z and, where it needs rows, r.
    Bend multiply_cotangents(const PassageRows& rows, const Derivatives<T>& results, const Cotangents<T>& cotangents,
                             index lanes) const noexcept {
        const Rows<const T> kappa = cotangents.curvature;
        Bend bend = results.asked == Curvature::none    ? Bend::none
                    : results.asked == Curvature::trace ? Bend::shared
                                                        : Bend::rows;
        if (bend == Bend::rows) multiply<T>(squares_, kappa, lanes, rows.r);
        if (results.direction) {
            for (index k = 0; k < m_; ++k)
                for (index l = 0; l < lanes; l += pack_size<T>) {
                    const Pack<T> s = load(rows.z[k] + l);
                    store<T>(rows.r[k] + l, r_of(rows, bend, kappa, k, l) + load(cotangents.directional + l) * s * s);
                }
            bend = Bend::rows;
        }
        multiply<T>(filters_, cotangents.score, lanes, rows.z);
        return bend;
    }

    [[gnu::always_inline]] Pack<T> r_of(const PassageRows& rows, Bend bend, Rows<const T> kappa, index k,
                                        index l) const noexcept {
        if (bend == Bend::shared) return constants_.squared_norms[k] * load(kappa[0] + l);
        return bend == Bend::rows ? load(rows.r[k] + l) : Pack<T>{};
    }

    // g″_k, z_k g′_k, r_k and h_k of a pack.
    struct Pull {
        Pack<T> second, along, r, h;
    };
    [[gnu::always_inline]] Pull pull_of(const PassageRows& rows, Bend bend, Rows<const T> kappa, index k,
                                        index l) const noexcept {
        const Slope<T> slope = rows.slope(k, l);
        const Pack<T> second = Model::template second<T>(slope), z = load(rows.z[k] + l);
        const Pack<T> r = r_of(rows, bend, kappa, k, l);
        Pack<T> h = z * second;
        if (bend != Bend::none) h += r * Model::template third<T>(slope);
        return {second, z * slope.first, r, h};
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

    // log p̃ from u, in the place of which g′ comes where it is wanted, too.
    template <bool wants_slopes>
    void add_up_log_density(const Tile<T>& tile, Rows<T> u, T* out) const noexcept {
        fill_row<T>(0, tile.lanes, out);
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> at = load(u[k] + l);
                store<T>(out + l, load(out + l) + constants_.coefficients[k] * Model::template value<T>(at));
                if constexpr (wants_slopes) store<T>(u[k] + l, Model::template slope<T>(at).first);
            }
        for (index j = 0; Model::has_base && j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> delta = load(tile.x[j] + l);
                store<T>(out + l, load(out + l) - T(0.5) * constants_.precision * delta * delta);
            }
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
