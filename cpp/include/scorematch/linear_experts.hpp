// Linear experts: log p̃ = −½ p ‖x − b‖² + Σ_k α_k G(u_k) with u = Vx + c, the shape that independent components,
// products of experts and restricted Boltzmann machines share: filters V (m,d) with rows v_k, offsets c, coefficients
// α, and an isotropic Gaussian base of precision p and centre b.
//
// A model says what G is,
//
//     template <class T> static Pack<T> value(Pack<T> u);         // G
//     template <class T> static Slope<T> slope(Pack<T> u);        // G′ and a key
//     template <class T> static Pack<T> second(Slope<T> s);       // G″ and G‴, which follow from these two
//     template <class T> static Pack<T> third(Slope<T> s);
//
// and how its θ becomes V, c, α, b, p and back, in the manner of ComponentsModel below. The key is whatever makes G″
// and G‴ cheap (often G″ itself): what is dear, an exponential or a quotient, is worked out once for each u, and two
// rows a component are kept of it instead of three. LinearExpertFamily makes a family of a model.
//
// With g′ = G′(u), g″ = G″(u), g‴ = G‴(u) a component in a row:
//
//     ψ = −p(x − b) + Vᵀ(α∘g′),    tr ∇ψ = −pd + Σ_k α_k ‖v_k‖² g″_k,    diag ∇ψ = −p + (V∘V)ᵀ(α∘g″).
//
// The way back from the cotangents y of ψ and κ of the curvature, with z = Vy and r = (V∘V)κ (trace: r_k = ‖v_k‖² κ):
//
//     ∂/∂v_k = α_k Σ [g′_k y + h_k x + 2 g″_k κ∘v_k],    h_k = z_k g″_k + r_k g‴_k,
//     ∂/∂c_k = α_k Σ h_k,    ∂/∂α_k = Σ [z_k g′_k + r_k g″_k],    ∂/∂b = p Σ y,    ∂/∂p = −Σ [yᵀ(x − b) + Σ_j κ_j].
//
// On ℝᵈ, y = weight·ψ and κ = weight. Then z = weight·q with q = Vψ. Since V(x − b) = u − c − Vb,
//
//     q = −p(u − c − Vb) + K g′,    K = VVᵀ diag(α),
//
// so that ψ itself is not needed, base or no base: with e = −ψᵀ(x − b) = p‖x − b‖² − (α∘g′)ᵀ(u − c − Vb),
//
//     ½‖ψ‖² = ½ p e + ½ (α∘g′)ᵀq.
//
// And Σ g′yᵀ = S diag(α) V − p Σ weight·g′(x − b)ᵀ with S = Σ weight·g′g′ᵀ, of which half is enough; of the last term
// the part in x joins that of h, which becomes
//
//     h_k = weight·(q_k g″_k + ‖v_k‖² g‴_k − p g′_k),    ∂/∂v_k = α_k [S diag(α) V + Σ h xᵀ + p Σ weight·g′ bᵀ + …]_k,
//
// and the sums for c, b and p are Σ (h_k + p weight·g′_k), Σ y = −p Σ weight·(x − b) + Vᵀ(α∘Σ weight·g′), and
// Σ weight·(e − d). Products a tile, in units of m·d multiplications:
//
//     by ψ   Vx, ψ, z, Σ g′yᵀ, Σ h xᵀ               5
//     by K   Vx, Kg′ (m/d), S (m/2d), Σ h xᵀ        2 + 3m/2d
//
// so K pays as long as m < 2d, and at m = 2d by the memory that it needs. Its price: (α∘g′)ᵀKg′ has an error of about
// ε‖V‖²‖α∘g′‖² instead of ε‖ψ‖²: nothing for data of about unit covariance, digits in the number of the condition of V
// at worst. Sums that an optimiser sees go by K, results for single samples by ψ.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/product.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// G′ at some u, and the key to G″ and G‴.
template <class T>
struct Slope {
    Pack<T> first, key;
};

// What a density of linear experts is made of, or the gradient with respect to it.
struct ExpertParameters {
    ExpertParameters(index n_features, index n_components)
        : filters(n_components * n_features), offsets(n_components), coefficients(n_components), centre(n_features) {}
    Buffer<double> filters;       // V (m,d), row by row
    Buffer<double> offsets;       // c (m,)
    Buffer<double> coefficients;  // α (m,)
    Buffer<double> centre;        // b (d,)
    double precision = 0;         // p
};

// The plainest model to derive from: θ is V, no base, α = 1.
class ComponentsModel {
  public:
    // Whether there are c, b and p; if not, nothing is spent on them.
    static constexpr bool has_base = false;
    // Whether the way back needs ∂/∂α.
    static constexpr bool estimates_coefficients = false;

    explicit ComponentsModel(const FamilySpec& spec) : d_(spec.n_features), m_(spec.n_components) {}
    index n_features() const { return d_; }
    index n_components() const { return m_; }
    index n_params() const { return m_ * d_; }
    void describe(LayoutVisitor& visitor) const {
        const index shape[] = {m_, d_};
        visitor.block("components", Packing::dense, shape, 2);
    }
    void read(const double* theta, ExpertParameters& out) const {
        for (index i = 0; i < m_ * d_; ++i) out.filters[i] = theta[i];
        for (index k = 0; k < m_; ++k) out.coefficients[k] = 1;
    }
    // From the gradient with respect to V, c, α, b, p to that with respect to θ.
    void pull_back(const ExpertParameters& /*at*/, const ExpertParameters& by, double* gradient) const {
        for (index i = 0; i < m_ * d_; ++i) gradient[i] = by.filters[i];
    }

  protected:
    index d_, m_;
};

// Of α only what it multiplies is ever scaled, a row of a matrix or of a finished sum, never a row of lanes.
template <class T, class Model>
class LinearExperts final : public Density<T> {
  public:
    // `model` must outlive the density.
    LinearExperts(const Model& model, const double* theta)
        : model_(model), d_(model.n_features()), m_(model.n_components()), by_gram_(m_ <= 2 * d_), at_(d_, m_),
          squared_norms_(m_) {
        model.read(theta, at_);
        const Buffer<double>&v = at_.filters, &alpha = at_.coefficients;
        Buffer<double> scaled(m_ * d_), squares(m_ * d_), scaled_squares(m_ * d_);
        for (index k = 0; k < m_; ++k)
            for (index i = k * d_; i < (k + 1) * d_; ++i) {
                squares[i] = v[i] * v[i];
                scaled[i] = alpha[k] * v[i];
                scaled_squares[i] = alpha[k] * squares[i];
                squared_norms_[k] += squares[i];
            }
        filters_ = PackedMatrix<T>(v.data(), m_, d_, d_, 1);
        scaled_transpose_ = PackedMatrix<T>(scaled.data(), d_, m_, 1, d_);
        squares_ = PackedMatrix<T>(squares.data(), m_, d_, d_, 1);
        scaled_squares_transpose_ = PackedMatrix<T>(scaled_squares.data(), d_, m_, 1, d_);
        if (by_gram_) pack_gram(scaled);
        if constexpr (Model::has_base) {
            offsets_ = Buffer<T>(m_);
            centre_ = Buffer<T>(d_);
            at_centre_ = Buffer<T>(m_);
            minus_precision_ = Buffer<T>(d_);
            for (index k = 0; k < m_; ++k) {
                double u = at_.offsets[k];
                for (index j = 0; j < d_; ++j) u += v[k * d_ + j] * at_.centre[j];
                offsets_[k] = static_cast<T>(at_.offsets[k]);
                at_centre_[k] = static_cast<T>(u);
            }
            for (index j = 0; j < d_; ++j) {
                centre_[j] = static_cast<T>(at_.centre[j]);
                minus_precision_[j] = static_cast<T>(-at_.precision);
            }
        }
    }

    double cost() const noexcept override { return static_cast<double>(m_) * (10.0 * static_cast<double>(d_) + 60.0); }

    // g′, the keys, g″ or r, and z.
    index workspace_rows() const noexcept override { return 4 * m_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        multiply_filters(tile.x, tile.lanes, workspace);
        fill_row<T>(0, tile.lanes, out);
        for (index k = 0; k < m_; ++k) {
            const T coefficient = static_cast<T>(at_.coefficients[k]);
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(out + l, load(out + l) + coefficient * Model::template value<T>(load(workspace[k] + l)));
        }
        if constexpr (Model::has_base) {
            const T factor = static_cast<T>(-0.5 * at_.precision);
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    const Pack<T> off = load(tile.x[j] + l) - centre_[j];
                    store<T>(out + l, load(out + l) + factor * off * off);
                }
        }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const Rows<T> first = workspace, key = workspace.from(m_), second = workspace.from(2 * m_);
        const bool trace = out.asked == Curvature::trace;
        find_slopes<true>(tile, first, key, trace ? out.curvature[0] : nullptr);
        find_score(tile, first, out.score);
        if (trace) return;
        for (index k = 0; k < m_; ++k)
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(second[k] + l, Model::template second<T>({load(first[k] + l), load(key[k] + l)}));
        if constexpr (Model::has_base)
            multiply<T>(scaled_squares_transpose_, second, tile.lanes, out.curvature, minus_precision_.data());
        else multiply<T>(scaled_squares_transpose_, second, tile.lanes, out.curvature);
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const Rows<T> first = workspace, key = workspace.from(m_), r = workspace.from(2 * m_);
        const Rows<T> z = workspace.from(3 * m_);
        const Rows<const T> y = cotangents.score, kappa = cotangents.curvature;
        const Sums<double> in = sums_at(sums);
        const bool trace = results.asked == Curvature::trace;
        if (!trace) {
            accumulate_outer<T>(r, m_, kappa, d_, tile.lanes, in.diagonal, d_);  // g″, which forward left there
            multiply<T>(squares_, kappa, tile.lanes, r);
        }
        multiply<T>(filters_, y, tile.lanes, z);
        for (index k = 0; k < m_; ++k) {
            const T squared_norm = static_cast<T>(squared_norms_[k]);
            Pack<T> curvature{}, coefficient{}, offset{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Slope<T> slope{load(first[k] + l), load(key[k] + l)};
                const Pack<T> second = Model::template second<T>(slope), along = load(z[k] + l);
                const Pack<T> across = trace ? squared_norm * load(kappa[0] + l) : load(r[k] + l);
                const Pack<T> h = along * second + across * Model::template third<T>(slope);
                if (trace) curvature += load(kappa[0] + l) * second;
                coefficient += along * slope.first;
                offset += h;
                store<T>(z[k] + l, h);
            }
            in.curvature[k] += static_cast<double>(sum_lanes<T>(curvature));
            in.coefficients[k] += static_cast<double>(sum_lanes<T>(coefficient));
            if constexpr (Model::has_base) in.offsets[k] += static_cast<double>(sum_lanes<T>(offset));
        }
        accumulate_outer<T>(first, z, m_, y, tile.x, d_, tile.lanes, in.outer, d_);
        if constexpr (Model::has_base) {
            const T n_traces = static_cast<T>(trace ? d_ : 1);
            for (index j = 0; j < d_; ++j) {
                Pack<T> score{}, precision{};
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    score += load(y[j] + l);
                    precision += load(y[j] + l) * (load(tile.x[j] + l) - centre_[j]);
                    if (!trace || j == 0) precision += n_traces * load(kappa[j] + l);
                }
                in.score[j] += static_cast<double>(sum_lanes<T>(score));
                *in.precision -= static_cast<double>(sum_lanes<T>(precision));
            }
        }
    }

    bool has_euclidean_shortcut() const noexcept override { return by_gram_; }

    // g′, the keys, √weight, and a strip of q in rows of half the length; or g′ and ψ where only the terms of ρ are
    // asked for.
    index euclidean_rows() const noexcept override {
        const index with_sums = 2 * m_ + 1 + (m_ + 1) / 2;
        return with_sums > m_ + d_ ? with_sums : m_ + d_;
    }

    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        if (sums == nullptr) {
            const Rows<T> score = workspace.from(m_);
            find_slopes<false>(tile, workspace, {}, hessian_term);
            find_score(tile, workspace, score);
            fill_row<T>(0, tile.lanes, norm_term);
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                    const Pack<T> psi = load(score[j] + l);
                    store<T>(norm_term + l, load(norm_term + l) + T(0.5) * psi * psi);
                }
            return;
        }
        const Rows<T> first = workspace, key = workspace.from(m_);
        T* const root_weight = workspace[2 * m_];
        const Rows<T> q{workspace[2 * m_ + 1], workspace.stride / 2};
        const Sums<double> in = sums_at(sums);
        for (index l = 0; l < tile.lanes; l += pack_size<T>) store<T>(root_weight + l, sqrt<T>(load(weight + l)));
        const index longest = q.stride / pack_size<T> * pack_size<T>;
        const index width = filters_.strip_lanes() < longest ? filters_.strip_lanes() : longest;
        for (index l = 0; l < tile.lanes; l += width) {
            const Strip strip{tile.lanes - l < width ? tile.lanes - l : width,
                              {tile.x.data + l, tile.x.stride},
                              weight + l,
                              root_weight + l,
                              {first.data + l, first.stride},
                              {key.data + l, key.stride},
                              q,
                              norm_term + l,
                              hessian_term + l};
            multiply_filters(strip.x, strip.lanes, strip.first);
            begin_strip<strip_packs>(strip, 0, in);
            if constexpr (Model::has_base) multiply_onto<T>(gram_, strip.first, strip.lanes, q);
            else multiply<T>(gram_, strip.first, strip.lanes, q);
            finish_strip<strip_packs>(strip, 0, in);
        }
        accumulate_symmetric<T>(first, first, m_, tile.lanes, in.gram, m_);
        accumulate_outer<T>(key, m_, tile.x, d_, tile.lanes, in.outer, d_);
    }

    index n_sums() const noexcept override {
        return 2 * m_ * d_ + 4 * padded(m_) + padded(d_) + 1 + (by_gram_ ? m_ * m_ : 0);
    }

    void gradient(const double* sums, double* out) const override {
        const Sums<const double> in = sums_at(sums);
        const Buffer<double>&v = at_.filters, &alpha = at_.coefficients;
        const double p = at_.precision;
        ExpertParameters by(d_, m_);
        for (index j = 0; j < d_; ++j) by.centre[j] = in.score[j];
        for (index k = 0; k < m_; ++k) {
            double* const __restrict row = by.filters.data() + k * d_;
            const double* const __restrict filter = v.data() + k * d_;
            double along_coefficient = in.coefficients[k] + squared_norms_[k] * in.curvature[k];
            for (index j = 0; j < d_; ++j) {
                const double diagonal = in.diagonal[k * d_ + j];
                row[j] = in.outer[k * d_ + j] + p * in.first[k] * at_.centre[j] +
                         2 * filter[j] * (in.curvature[k] + diagonal);
                along_coefficient += filter[j] * filter[j] * diagonal;
                by.centre[j] += alpha[k] * in.first[k] * filter[j];
            }
            if (by_gram_)
                for (index i = 0; i < m_; ++i) {
                    const double factor = in.gram[i < k ? i * m_ + k : k * m_ + i] * alpha[i];
                    const double* const __restrict other = v.data() + i * d_;
                    for (index j = 0; j < d_; ++j) row[j] += factor * other[j];
                }
            for (index j = 0; j < d_; ++j) row[j] *= alpha[k];
            by.coefficients[k] = along_coefficient;
            by.offsets[k] = alpha[k] * in.offsets[k];
        }
        for (index j = 0; j < d_; ++j) by.centre[j] *= p;
        by.precision = *in.precision;
        model_.pull_back(at_, by, out);
    }

  private:
    // The parts of the sums. A way back leaves those that it has no use for at zero. Vectors are padded to whole groups
    // of `sum_group`, which are added to at once.
    template <class Number>
    struct Sums {
        Number* outer;         // (m,d) Σ g′yᵀ + hxᵀ, by K without the first term
        Number* diagonal;      // (m,d) Σ g″κᵀ where κ has a row for each feature
        Number* curvature;     // (m,)  Σ κ·g″ where it has one
        Number* coefficients;  // (m,)  Σ z∘g′
        Number* offsets;       // (m,)  Σ h, by K Σ h + p weight·g′
        Number* first;         // (m,)  Σ weight·g′, by K
        Number* score;         // (d,)  Σ y, by K −p Σ weight·(x − b)
        Number* precision;     // −Σ [yᵀ(x − b) + Σ_j κ_j]
        Number* gram;          // (m,m) the upper triangle of S, by K
    };
    static constexpr int sum_group = 8;
    static constexpr index padded(index n) noexcept { return (n + sum_group - 1) / sum_group * sum_group; }
    template <class Number>
    Sums<Number> sums_at(Number* sums) const noexcept {
        const index m = padded(m_);
        Number* const vectors = sums + 2 * m_ * d_;
        Number* const score = vectors + 4 * m;
        Number* const precision = score + padded(d_);
        return {sums,  sums + m_ * d_, vectors,      vectors + m, vectors + 2 * m, vectors + 3 * m,
                score, precision,      precision + 1};
    }

    void pack_gram(const Buffer<double>& scaled) {
        Buffer<double> gram(m_ * m_), transpose(d_ * m_);
        for (index k = 0; k < m_; ++k)
            for (index j = 0; j < d_; ++j) transpose[j * m_ + k] = scaled[k * d_ + j];
        for (index k = 0; k < m_; ++k)
            for (index j = 0; j < d_; ++j) {
                double* const __restrict row = gram.data() + k * m_;
                const double* const __restrict other = transpose.data() + j * m_;
                const double factor = at_.filters[k * d_ + j];
                for (index i = 0; i < m_; ++i) row[i] += factor * other[i];
            }
        gram_ = PackedMatrix<T>(gram.data(), m_, m_, m_, 1);
    }

    // u = Vx + c
    void multiply_filters(Rows<const T> x, index lanes, Rows<T> out) const noexcept {
        if constexpr (Model::has_base) multiply<T>(filters_, x, lanes, out, offsets_.data());
        else multiply<T>(filters_, x, lanes, out);
    }

    // g′ and, if they are to be kept, the keys; and tr ∇ψ unless that is null.
    template <bool keeps_keys>
    void find_slopes(const Tile<T>& tile, Rows<T> first, Rows<T> key, T* trace) const noexcept {
        multiply_filters(tile.x, tile.lanes, first);
        if (trace) fill_row<T>(static_cast<T>(-at_.precision * static_cast<double>(d_)), tile.lanes, trace);
        for (index k = 0; k < m_; ++k) {
            const T scale = static_cast<T>(at_.coefficients[k] * squared_norms_[k]);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Slope<T> slope = Model::template slope<T>(load(first[k] + l));
                store<T>(first[k] + l, slope.first);
                if constexpr (keeps_keys) store<T>(key[k] + l, slope.key);
                if (trace) store<T>(trace + l, load(trace + l) + scale * Model::template second<T>(slope));
            }
        }
    }

    // ψ from g′
    void find_score(const Tile<T>& tile, Rows<T> first, Rows<T> score) const noexcept {
        if constexpr (Model::has_base) {
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < tile.lanes; l += pack_size<T>)
                    store<T>(score[j] + l, minus_precision_[j] * (load(tile.x[j] + l) - centre_[j]));
            multiply_onto<T>(scaled_transpose_, first, tile.lanes, score);
        } else {
            multiply<T>(scaled_transpose_, first, tile.lanes, score);
        }
    }

    // By K, all is done to a strip of lanes while its rows are in the first-level cache, and to a few packs of it at a
    // time, whose sums over the components stay in registers.
    struct Strip {
        index lanes;
        Rows<const T> x;
        const T* weight;
        const T* root_weight;
        Rows<T> first, key, q;
        T* norm_term;
        T* hessian_term;
    };
    static constexpr int strip_packs = n_registers >= 32 ? 4 : 2;

    // From u to g′ and the keys; with a base also e, in the place of the norm term, and what q starts from.
    template <int N>
    void begin_strip(const Strip& strip, index l, const Sums<double>& in) const noexcept {
        constexpr index width = pack_size<T>;
        for (; l + N * width <= strip.lanes; l += N * width) {
            Pack<T> energy[N]{};
            if constexpr (Model::has_base) sum_base<N>(strip, l, energy, in);
            for (index k = 0; k < m_; ++k) {
                T* const __restrict first = strip.first[k] + l;
                T* const __restrict key = strip.key[k] + l;
                T* const __restrict q = strip.q[k] + l;
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> u = load(first + n * width);
                    const Slope<T> slope = Model::template slope<T>(u);
                    store<T>(first + n * width, slope.first);
                    store<T>(key + n * width, slope.key);
                    if constexpr (Model::has_base) {
                        const Pack<T> off = u - at_centre_[k];
                        energy[n] -= static_cast<T>(at_.coefficients[k]) * slope.first * off;
                        store<T>(q + n * width, minus_precision_[0] * off);
                    }
                }
            }
            if constexpr (Model::has_base) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) store<T>(strip.norm_term + l + n * width, energy[n]);
            }
        }
        if constexpr (N > 1) {
            if (l < strip.lanes) begin_strip<N / 2>(strip, l, in);
        }
    }

    // p ‖x − b‖² onto `energy`, and −p Σ weight·(x − b).
    template <int N>
    void sum_base(const Strip& strip, index l, Pack<T>* energy, const Sums<double>& in) const noexcept {
        constexpr index width = pack_size<T>;
        for (index begin = 0; begin < d_; begin += sum_group) {
            Pack<T> score[sum_group]{};
            for (index j = begin; j < begin + sum_group && j < d_; ++j) {
                const T* const __restrict x = strip.x[j] + l;
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> off = load(x + n * width) - centre_[j], pull = minus_precision_[j] * off;
                    energy[n] -= off * pull;
                    score[j - begin] += load(strip.weight + l + n * width) * pull;
                }
            }
            add_lane_sums<sum_group, T>(in.score + begin, score);
        }
    }

    // From q to the two terms, and √weight·g′ in the place of g′ and h in that of the keys.
    template <int N>
    void finish_strip(const Strip& strip, index l, const Sums<double>& in) const noexcept {
        constexpr index width = pack_size<T>;
        const T p = static_cast<T>(at_.precision);
        for (; l + N * width <= strip.lanes; l += N * width) {
            Pack<T> norm[N]{}, hessian[N]{}, weight[N], root[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                weight[n] = load(strip.weight + l + n * width);
                root[n] = load(strip.root_weight + l + n * width);
            }
            if constexpr (Model::has_base) {
                const T d = static_cast<T>(d_);
                Pack<T> precision{};
                for (int n = 0; n < N; ++n) {
                    const Pack<T> energy = load(strip.norm_term + l + n * width);
                    norm[n] = p * energy;
                    hessian[n] = broadcast(-p * d);
                    precision += weight[n] * (energy - d);
                }
                *in.precision += static_cast<double>(sum_lanes<T>(precision));
            }
            for (index begin = 0; begin < m_; begin += sum_group) {
                Pack<T> curvature[sum_group]{}, coefficients[sum_group]{}, offsets[sum_group]{}, firsts[sum_group]{};
                for (index k = begin; k < begin + sum_group && k < m_; ++k) {
                    const T coefficient = static_cast<T>(at_.coefficients[k]);
                    const T squared_norm = static_cast<T>(squared_norms_[k]);
                    const T scale = static_cast<T>(at_.coefficients[k] * squared_norms_[k]);
                    T* const __restrict first = strip.first[k] + l;
                    T* const __restrict key = strip.key[k] + l;
                    const T* const __restrict q = strip.q[k] + l;
                    Pack<T> sum{}, along{}, offset{}, total{};
                    SCOREMATCH_UNROLL
                    for (int n = 0; n < N; ++n) {
                        const Slope<T> slope{load(first + n * width), load(key + n * width)};
                        const Pack<T> second = Model::template second<T>(slope), psi = load(q + n * width);
                        norm[n] += (coefficient * slope.first) * psi;
                        hessian[n] += scale * second;
                        sum += weight[n] * second;
                        const Pack<T> h = weight[n] * (psi * second + squared_norm * Model::template third<T>(slope));
                        if constexpr (Model::estimates_coefficients) along += (weight[n] * slope.first) * psi;
                        if constexpr (Model::has_base) {
                            const Pack<T> weighted = weight[n] * slope.first;
                            offset += h;
                            total += weighted;
                            store<T>(key + n * width, h - p * weighted);
                        } else {
                            store<T>(key + n * width, h);
                        }
                        store<T>(first + n * width, root[n] * slope.first);
                    }
                    curvature[k - begin] = sum;
                    if constexpr (Model::estimates_coefficients) coefficients[k - begin] = along;
                    if constexpr (Model::has_base) {
                        offsets[k - begin] = offset;
                        firsts[k - begin] = total;
                    }
                }
                add_lane_sums<sum_group, T>(in.curvature + begin, curvature);
                if constexpr (Model::estimates_coefficients)
                    add_lane_sums<sum_group, T>(in.coefficients + begin, coefficients);
                if constexpr (Model::has_base) {
                    add_lane_sums<sum_group, T>(in.offsets + begin, offsets);
                    add_lane_sums<sum_group, T>(in.first + begin, firsts);
                }
            }
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                store<T>(strip.norm_term + l + n * width, T(0.5) * norm[n]);
                store<T>(strip.hessian_term + l + n * width, hessian[n]);
            }
        }
        if constexpr (N > 1) {
            if (l < strip.lanes) finish_strip<N / 2>(strip, l, in);
        }
    }

    const Model& model_;
    index d_, m_;
    bool by_gram_;
    ExpertParameters at_;
    Buffer<double> squared_norms_;              // ‖v_k‖²
    PackedMatrix<T> filters_;                   // V
    PackedMatrix<T> scaled_transpose_;          // Vᵀ diag(α)
    PackedMatrix<T> squares_;                   // V∘V
    PackedMatrix<T> scaled_squares_transpose_;  // (V∘V)ᵀ diag(α)
    PackedMatrix<T> gram_;                      // K
    // With a base: c, b, c + Vb, and −p once for each feature.
    Buffer<T> offsets_, centre_, at_centre_, minus_precision_;
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
