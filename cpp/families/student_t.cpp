// Multivariate Student t: log p̃ = −½(ν + d) log(1 + q/ν) with q = δᵀPδ, δ = x − μ and P = Σ⁻¹.
//
// With s = Pδ, λ = ν + d and ω = λ/(ν + q), which is 1 for a Gaussian:
//
//   ψ = −ωs,    ∂_j ψ_j = (2/λ)ω²s_j² − ωP_jj
//
// The way back from the cotangents u of ψ and c of the curvature:
//
//   Q = ω² Σ_j c_j s_j²,    L = ω(uᵀs + Σ_j c_j P_jj)
//   a = (4/λ)ω²c∘s − ωu,    b = (ω/λ)(L − 4Q/λ)
//   ∂J/∂μ = −P Σ (a + 2bδ),    ∂J/∂P = Σ sym[(a + bδ)δᵀ] − diag(Σ ωc),    ∂J/∂ν = (1/λ) Σ (2/λ)(1 − 2ω)Q − (1 − ω)L
//
// where b is the derivative by q. Along a direction v, vᵀ∇ψv = (2/λ)ω²(vᵀs)² − ω vᵀPv; its cotangent g is what c is
// with v∘v in place of the square: Q gains ω²g(vᵀs)², L gains ωg vᵀPv, a gains (4/λ)ω²g(vᵀs)v, ∂J/∂P loses Σ ωg vvᵀ. (ν
// enters through λ and through ν + q, and for large ν the two ways cancel in all digits but a few: they are added on
// paper, and 1 − ω is taken as (ω/λ)(q − d).)
//
// On ℝᵈ, where u = cψ, a is a multiple of s, and all that a sample takes is the product Pδ and one outer product. Where
// there are few features δ and s stay in registers, so that next to nothing is added to these two.
//
// The engine hands out samples about μ: nothing is lost for data far from the origin. A sample so far out that q is
// beyond the largest number has ω = 0, as it should be, and products of that with infinity are given their limits.
#include "scorematch/buffer.hpp"
#include "scorematch/cholesky.hpp"
#include "scorematch/cholesky_rows.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/product.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// A tile's rows, or those of a strip of it.
template <class T>
struct StudentRows {
    index lanes;
    Rows<const T> delta;     // (d) δ
    Rows<T> solved;          // (d) s, then a + bδ
    Rows<T> slope;           // (1) b; follows on `solved`
    Rows<T> q, norm, omega;  // (1) each; `norm` is ‖s‖², then a sample's share of λ∂J/∂ν
    Ahead<T> ahead;
    Rows<T> along, form;  // (1) each: vᵀs, vᵀPv
    Rows<T> bent;         // (d) Pv, then −ωg v

    StudentRows strip(index lane, index count) const noexcept {
        return {count,
                lanes_from(delta, lane),
                lanes_from(solved, lane),
                lanes_from(slope, lane),
                lanes_from(q, lane),
                lanes_from(norm, lane),
                lanes_from(omega, lane),
                ahead.samples == nullptr ? ahead : Ahead<T>{ahead.samples + lane * ahead.per_lane, ahead.per_lane},
                lanes_from(along, lane),
                lanes_from(form, lane),
                lanes_from(bent, lane)};
    }
};

// Sums: Σ (a + bδ)δᵀ (d, d), Σ bδ (d), Σ (a + bδ) (d), Σ ωc for each coordinate (d) and for the trace, λ∂J/∂ν.
template <class T>
class StudentT final : public Density<T> {
    static constexpr index width = pack_size<T>;
    // So many features have room in 32 registers, δ and s of each. With 16 registers nothing would be gained.
    static constexpr int few_features = n_registers >= 32 ? 16 : 0;

  public:
    // θ without the degrees of freedom.
    StudentT(index n_features, const double* theta, double df, bool estimates_df)
        : d_(n_features), df_(df), lambda_(df + static_cast<double>(n_features)), estimates_df_(estimates_df),
          location_(n_features), scale_(1, n_features, 0, theta + n_features), precision_(n_features * n_features),
          precision_diagonal_(n_features) {
        const Rows<const double> p = scale_.precision(0);
        double trace = 0;
        for (index i = 0; i < d_; ++i) {
            location_[i] = theta[i];
            trace += p[i][i];
            precision_diagonal_[i] = static_cast<T>(p[i][i]);
            for (index j = 0; j < d_; ++j) precision_[i * d_ + j] = static_cast<T>(p[i][j]);
        }
        trace_ = static_cast<T>(trace);
        inverse_lambda_ = static_cast<T>(1 / lambda_);
        packed_precision_ = PackedMatrix<T>(p.data, d_, d_, p.stride, 1);
    }

    double cost() const noexcept override {
        const double d = static_cast<double>(d_);
        return 4 * d * d + 10 * d + 40;
    }
    const double* centre() const noexcept override { return location_.data(); }
    bool asks_ahead() const noexcept override { return true; }
    index workspace_rows() const noexcept override { return 2 * d_ + 6; }
    index euclidean_rows() const noexcept override { return d_ + 4; }
    index n_sums() const noexcept override { return end_of_products() + 2 * d_ + 2; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        for_each_strip(rows_of(tile, workspace), [&](const StudentRows<T>& strip, index first) {
            solve(strip);
            write_log_density(strip, out + first);
        });
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        for_each_strip(rows_of(tile, workspace), [&](const StudentRows<T>& strip, index first) {
            const Rows<T> score = lanes_from(out.score, first), curvature = lanes_from(out.curvature, first);
            solve(strip);
            switch (out.asked) {
                case Curvature::none: derive<Curvature::none>(strip, score, curvature); break;
                case Curvature::trace: derive<Curvature::trace>(strip, score, curvature); break;
                case Curvature::diagonal: derive<Curvature::diagonal>(strip, score, curvature); break;
            }
            if (out.direction) bend(strip, lanes_from(out.direction, first), out.directional + first);
        });
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        for_each_strip(rows_of(tile, workspace), [&](const StudentRows<T>& strip, index first) {
            solve(strip);
            write_log_density(strip, log_density_out + first);
            derive<Curvature::none>(strip, lanes_from(score, first), {});
        });
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const StudentRows<T> rows = rows_of(tile, workspace);
        double* const curvature_sums = sums + end_of_products() + d_ + (results.asked == Curvature::diagonal ? 0 : d_);
        for (index j = 0; j < scorematch::rows_of(results.asked, d_); ++j)
            curvature_sums[j] += dot_rows<T>(rows.omega[0], cotangents.curvature[j], rows.lanes);
        for_each_strip(rows,
                       [&](const StudentRows<T>& strip, index first) { pull_from(strip, first, results, cotangents); });
        sums[n_sums() - 1] += sum_row<T>(rows.norm[0], rows.lanes);
        add_up(rows, sums);
        if (results.direction) accumulate_outer<T>(rows.bent, d_, results.direction, d_, rows.lanes, sums, d_);
    }

    // b = −½ω and a = 0 for the logarithm itself.
    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        const StudentRows<T> rows = rows_of(tile, workspace);
        const T half_lambda = static_cast<T>(0.5 * lambda_), inverse = static_cast<T>(1 / df_);
        for_each_strip(rows, [&](const StudentRows<T>& strip, index first) {
            solve(strip);
            for (index l = 0; l < strip.lanes; l += width) {
                const Pack<T> weight = load(cotangent + first + l);
                const Pack<T> q = load(strip.q[0] + l), omega = load(strip.omega[0] + l);
                const Pack<T> by_omega = inverse * finite_or(omega * q, static_cast<T>(lambda_));
                const Pack<T> by_df = half_lambda * (by_omega - log1p<T>(inverse * q));
                const Pack<T> b = T(-0.5) * weight * omega;
                store<T>(strip.norm[0] + l, estimates_df_ ? weight * by_df : Pack<T>{});
                store<T>(strip.slope[0] + l, b);
                for (index j = 0; j < d_; ++j) store<T>(strip.solved[j] + l, b * load(strip.delta[j] + l));
            }
        });
        sums[n_sums() - 1] += sum_row<T>(rows.norm[0], rows.lanes);
        add_up(rows, sums);
    }

    // In the symbols of cholesky_rows.hpp a is −(a + bδ), λ is −b, e is ωc and ε is ωg.
    bool has_gradient_rows() const noexcept override { return true; }
    void prepare_gradient_rows(Curvature asked) override {
        chain_ = Owner<CholeskyRows<T>>(new CholeskyRows<T>(scale_, asked, /*normalised=*/false));
    }
    index gradient_workspace_rows() const noexcept override { return workspace_rows() + chain_->scratch_rows(); }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const Rows<T> scratch = workspace.from(workspace_rows());
        for_each_strip(rows_of(tile, workspace), [&](const StudentRows<T>& strip, index first) {
            pull_from(strip, first, results, cotangents);
            const auto chained = chain_->scratch_of(lanes_from(scratch, first));
            const Rows<const T> c = lanes_from(cotangents.curvature, first);
            const Rows<T> by = lanes_from(out, first), by_factor = by.from(d_);
            for (index j = 0; j < d_; ++j) scale_row<T>(-1, strip.solved[j], strip.lanes, chained.a[j]);
            for (index j = 0; j < chain_->n_e(); ++j) product_row<T>(strip.omega[0], c[j], strip.lanes, chained.e[j]);
            scale_row<T>(-1, strip.slope[0], strip.lanes, chained.lambda[0]);
            chain_->chain(0, strip.lanes, strip.delta, chained, Start::zero, by, by_factor);
            if (results.direction) {
                T* const epsilon = strip.along[0];
                product_row<T>(strip.omega[0], cotangents.directional + first, strip.lanes, epsilon);
                chain_->chain_direction(0, strip.lanes, lanes_from(results.direction, first), epsilon, chained,
                                        by_factor);
            }
            if (estimates_df_)
                scale_row<T>(static_cast<T>(df_ / lambda_), strip.norm[0], strip.lanes, by[end_of_scale()]);
        });
    }

    bool has_euclidean_shortcut() const noexcept override { return true; }
    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        const StudentRows<T> rows = rows_of(tile, workspace);
        EuclideanWay way{weight, norm_term, hessian_term, {}, {}};
        if (d_ <= few_features) {
            if (sums == nullptr) go_in_registers_of<1, false>(rows, way);
            else go_in_registers_of<1, true>(rows, way);
        } else {
            for_each_strip(rows, [&](const StudentRows<T>& strip, index first) {
                solve(strip);
                if (sums == nullptr) go<false>(strip, first, way);
                else go<true>(strip, first, way);
            });
        }
        if (sums == nullptr) return;
        sums[n_sums() - 2] += static_cast<double>(sum_lanes<T>(way.curvature));
        sums[n_sums() - 1] += static_cast<double>(sum_lanes<T>(way.by_df));
        add_up(rows, sums);
    }

    void gradient(const double* sums, double* out) const override {
        const index d = d_;
        const double* const slopes = sums + d * d;
        const double* const pulls = slopes + d;
        const double* const coordinates = pulls + d;
        Buffer<double> step(d);
        SquareMatrices matrices(2, d);
        const Rows<double> h = matrices[0];  // −∂J/∂P
        for (index i = 0; i < d; ++i) {
            for (index j = 0; j < d; ++j) h[i][j] = -sums[i * d + j];
            h[i][i] += coordinates[i] + coordinates[d];
            step[i] = -pulls[i] - slopes[i];
        }
        make_symmetric(h, d);
        multiply_vector(scale_.precision(0), step.data(), d, out);
        scale_.gradient(0, h, matrices[1], 0, out + d);
        if (estimates_df_) out[end_of_scale()] = df_ / lambda_ * sums[n_sums() - 1];
    }

  private:
    // What goes along the way there and back on ℝᵈ. Sums: Σ ωc, λ∂J/∂ν.
    struct EuclideanWay {
        const T* weight;
        T* norm_term;
        T* hessian_term;
        Pack<T> curvature, by_df;
    };

    index end_of_products() const noexcept { return d_ * (d_ + 1); }
    index end_of_scale() const noexcept { return d_ + d_ * (d_ + 1) / 2; }  // in θ

    StudentRows<T> rows_of(const Tile<T>& tile, Rows<T> workspace) const noexcept {
        const Rows<T> slope = workspace.from(d_), along = slope.from(4);
        return {tile.lanes,    tile.x,     workspace, slope,         slope.from(1), slope.from(2),
                slope.from(3), tile.ahead, along,     along.from(1), along.from(2)};
    }

    // Strips of four packs, and of more where the rows of more fit in the cache.
    template <class Body>
    void for_each_strip(const StudentRows<T>& rows, const Body& body) const noexcept {
        constexpr index bytes = 24 * 1024, step = 4 * width;
        index longest = bytes / ((2 * d_ + 3) * static_cast<index>(sizeof(T))) / step * step;
        if (longest < step) longest = step;
        for (index lane = 0; lane < rows.lanes; lane += longest)
            body(rows.strip(lane, rows.lanes - lane < longest ? rows.lanes - lane : longest), lane);
    }

    // s, q, ‖s‖², ω
    void solve(const StudentRows<T>& strip) const noexcept {
        multiply<T>(packed_precision_, strip.delta, strip.lanes, strip.solved);
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            strip.ahead.ask(l, N * width);
            Pack<T> q[N] = {}, norm[N] = {};
            for (index j = 0; j < d_; ++j) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> s = load(strip.solved[j] + l + n * width);
                    q[n] += load(strip.delta[j] + l + n * width) * s;
                    norm[n] += s * s;
                }
            }
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                q[n] = form_of(q[n], norm[n]);
                store<T>(strip.q[0] + l + n * width, q[n]);
                store<T>(strip.norm[0] + l + n * width, norm[n]);
                store<T>(strip.omega[0] + l + n * width, omega_of(q[n]));
            }
        });
    }

    // q from the sum that it is, whose terms may have overflowed with both signs. Were a sample not a number, then
    // neither would be its ‖s‖².
    static Pack<T> form_of(Pack<T> sum, Pack<T> norm) noexcept {
        const Pack<T> overflowed = norm == norm ? broadcast(static_cast<T>(__builtin_inf())) : sum;
        return sum == sum ? sum : overflowed;
    }
    // ω
    Pack<T> omega_of(Pack<T> q) const noexcept { return static_cast<T>(lambda_) / (static_cast<T>(df_) + q); }
    // x, or its limit where it is 0·∞ for what overflowed on the way.
    static Pack<T> finite_or(Pack<T> x, T limit) noexcept {
        return x < static_cast<T>(__builtin_inf()) ? x : broadcast(limit);
    }
    // One sample's share of λ∂J/∂ν.
    Pack<T> slope_in_df(Pack<T> q, Pack<T> omega, Pack<T> squares, Pack<T> linear) const noexcept {
        const Pack<T> rest = finite_or(inverse_lambda_ * omega * (q - static_cast<T>(d_)), 1);  // 1 − ω
        return 2 * inverse_lambda_ * (1 - 2 * omega) * squares - rest * linear;
    }

    void write_log_density(const StudentRows<T>& strip, T* out) const noexcept {
        const T factor = static_cast<T>(-0.5 * lambda_), inverse = static_cast<T>(1 / df_);
        for (index l = 0; l < strip.lanes; l += width)
            store<T>(out + l, factor * log1p<T>(inverse * load(strip.q[0] + l)));
    }

    // vᵀ∇ψv
    void bend(const StudentRows<T>& strip, Rows<const T> direction, T* out) const noexcept {
        multiply<T>(packed_precision_, direction, strip.lanes, strip.bent);
        for (index l = 0; l < strip.lanes; l += width) {
            Pack<T> along{}, form{};
            for (index j = 0; j < d_; ++j) {
                const Pack<T> v = load(direction[j] + l);
                along += v * load(strip.solved[j] + l);
                form += v * load(strip.bent[j] + l);
            }
            const Pack<T> omega = load(strip.omega[0] + l), psi = omega * along;
            store<T>(strip.along[0] + l, along);
            store<T>(strip.form[0] + l, form);
            store<T>(out + l, 2 * inverse_lambda_ * psi * psi - omega * form);
        }
    }

    // ψ and the curvature.
    template <Curvature asked>
    void derive(const StudentRows<T>& strip, Rows<T> score, Rows<T> curvature) const noexcept {
        const T twice = 2 * inverse_lambda_;
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            Pack<T> omega[N], total[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                omega[n] = load(strip.omega[0] + l + n * width);
                total[n] = -trace_ * omega[n];
            }
            for (index j = 0; j < d_; ++j) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const index lane = l + n * width;
                    const Pack<T> psi = -omega[n] * load(strip.solved[j] + lane);
                    store<T>(score[j] + lane, psi);
                    if (asked == Curvature::trace) total[n] += twice * psi * psi;
                    if (asked == Curvature::diagonal)
                        store<T>(curvature[j] + lane, twice * psi * psi - precision_diagonal_[j] * omega[n]);
                }
            }
            if (asked != Curvature::trace) return;
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) store<T>(curvature[0] + l + n * width, total[n]);
        });
    }

    // a + bδ in place of s, b, and λ∂J/∂ν in place of ‖s‖².
    void pull_from(const StudentRows<T>& strip, index first, const Derivatives<T>& results,
                   const Cotangents<T>& cotangents) const noexcept {
        const Pullback back{lanes_from(cotangents.score, first), lanes_from(cotangents.curvature, first),
                            lanes_from(results.direction, first),
                            results.direction ? cotangents.directional + first : nullptr};
        switch (results.asked) {
            case Curvature::none: pull<Curvature::none>(strip, back); break;
            case Curvature::trace: pull<Curvature::trace>(strip, back); break;
            case Curvature::diagonal: pull<Curvature::diagonal>(strip, back); break;
        }
    }
    struct Pullback {
        Rows<const T> u, c, v;
        const T* g;  // null without a direction
    };
    template <Curvature asked>
    void pull(const StudentRows<T>& strip, const Pullback& back) const noexcept {
        constexpr bool has_curvature = asked != Curvature::none, by_coordinate = asked == Curvature::diagonal;
        const Rows<const T> u = back.u, c = back.c;
        const T fourfold = 4 * inverse_lambda_;
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            Pack<T> us[N] = {}, cp[N] = {}, css[N] = {};
            for (index j = 0; j < d_; ++j) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const index lane = l + n * width;
                    const Pack<T> s = load(strip.solved[j] + lane);
                    us[n] += load(u[j] + lane) * s;
                    if (!has_curvature) continue;
                    const Pack<T> c_j = load(c[by_coordinate ? j : 0] + lane);
                    cp[n] += c_j * precision_diagonal_[j];
                    css[n] += c_j * s * s;
                }
            }
            Pack<T> omega[N], by_s[N], b[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * width;
                omega[n] = load(strip.omega[0] + lane);
                by_s[n] = fourfold * omega[n] * omega[n];
                if (back.g != nullptr) {
                    const Pack<T> g = load(back.g + lane), along = load(strip.along[0] + lane);
                    cp[n] += g * load(strip.form[0] + lane);
                    css[n] += g * along * along;
                    store<T>(strip.along[0] + lane, by_s[n] * g * along);
                }
                const Pack<T> squares = finite_or(omega[n] * (omega[n] * css[n]), 0);
                const Pack<T> linear = omega[n] * (us[n] + cp[n]);
                b[n] = inverse_lambda_ * omega[n] * (linear - fourfold * squares);
                store<T>(strip.norm[0] + lane, slope_in_df(load(strip.q[0] + lane), omega[n], squares, linear));
                store<T>(strip.slope[0] + lane, b[n]);
            }
            for (index j = 0; j < d_; ++j) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const index lane = l + n * width;
                    Pack<T> pulled = b[n] * load(strip.delta[j] + lane) - omega[n] * load(u[j] + lane);
                    if (has_curvature)
                        pulled += by_s[n] * (load(c[by_coordinate ? j : 0] + lane) * load(strip.solved[j] + lane));
                    store<T>(strip.solved[j] + lane, pulled);
                }
            }
        });
        if (back.g == nullptr) return;
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < strip.lanes; l += width) {
                const Pack<T> v = load(back.v[j] + l);
                store<T>(strip.solved[j] + l, load(strip.solved[j] + l) + load(strip.along[0] + l) * v);
                store<T>(strip.bent[j] + l, -load(strip.omega[0] + l) * load(back.g + l) * v);
            }
    }

    // One pack of lanes on ℝᵈ, but for the vectors: a is by_s·s.
    struct EuclideanPull {
        Pack<T> by_s, b;
    };
    template <bool back>
    EuclideanPull go_with(Pack<T> q, Pack<T> omega, Pack<T> norm, index lane, EuclideanWay& way) const noexcept {
        const Pack<T> squares = finite_or(omega * (omega * norm), 0), linear = trace_ * omega;
        store<T>(way.norm_term + lane, T(0.5) * squares);
        store<T>(way.hessian_term + lane, 2 * inverse_lambda_ * squares - linear);
        if (!back) return EuclideanPull{Pack<T>{}, Pack<T>{}};
        // uᵀs = −ω‖s‖²
        const T more = 1 + 4 * inverse_lambda_;
        const Pack<T> weight = load(way.weight + lane), weighted = weight * omega;
        way.curvature += weighted;
        if (estimates_df_) way.by_df += weight * slope_in_df(q, omega, squares, linear - squares);
        return {more * weighted * omega, inverse_lambda_ * weighted * (linear - more * squares)};
    }

    // There, and if asked for back: a + bδ in place of s, and b.
    template <bool back>
    void go(const StudentRows<T>& strip, index first, EuclideanWay& way) const noexcept {
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            EuclideanPull pulls[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * width;
                pulls[n] = go_with<back>(load(strip.q[0] + lane), load(strip.omega[0] + lane),
                                         load(strip.norm[0] + lane), first + lane, way);
                if (back) store<T>(strip.slope[0] + lane, pulls[n].b);
            }
            if (!back) return;
            for (index j = 0; j < d_; ++j) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    T* const place = strip.solved[j] + l + n * width;
                    store<T>(place, pulls[n].by_s * load(place) + pulls[n].b * load(strip.delta[j] + l + n * width));
                }
            }
        });
    }

    // From the number of features at run time to the kernel.
    template <int D, bool back>
    void go_in_registers_of(const StudentRows<T>& rows, EuclideanWay& way) const noexcept {
        if constexpr (D <= few_features) {
            if (d_ == D) go_in_registers<D, back>(rows, way);
            else go_in_registers_of<D + 1, back>(rows, way);
        }
    }

    // `solve` and `go` at once for D features. All s_i grow together, and sums are halved, so that no chain of
    // additions keeps the units waiting.
    template <int D, bool back>
    [[gnu::noinline]] void go_in_registers(const StudentRows<T>& rows, EuclideanWay& whole_way) const noexcept {
        EuclideanWay way = whole_way;
        const T* const __restrict precision = precision_.data();
        const T* const __restrict delta_rows = rows.delta.data;
        T* const __restrict solved_rows = rows.solved.data;
        const index delta_stride = rows.delta.stride, solved_stride = rows.solved.stride;
        const Ahead<T> ahead = rows.ahead;
        for (index l = 0; l < rows.lanes; l += width) {
            ahead.ask(l, width);
            Pack<T> delta[D], s[D], q[2] = {}, norm[2] = {};
            SCOREMATCH_UNROLL
            for (int j = 0; j < D; ++j) {
                delta[j] = load(delta_rows + j * delta_stride + l);
                SCOREMATCH_UNROLL
                for (int i = 0; i < D; ++i) {
                    const Pack<T> entry = broadcast(precision[j * D + i]);
                    s[i] = j == 0 ? entry * delta[j] : multiply_add<T>(entry, delta[j], s[i]);
                }
            }
            SCOREMATCH_UNROLL
            for (int i = 0; i < D; ++i) {
                q[i % 2] += s[i] * delta[i];
                norm[i % 2] += s[i] * s[i];
            }
            const Pack<T> form = form_of(q[0] + q[1], norm[0] + norm[1]);
            const EuclideanPull pull = go_with<back>(form, omega_of(form), norm[0] + norm[1], l, way);
            if constexpr (back) {
                SCOREMATCH_UNROLL
                for (int j = 0; j < D; ++j)
                    store<T>(solved_rows + j * solved_stride + l, pull.by_s * s[j] + pull.b * delta[j]);
                store<T>(solved_rows + D * solved_stride + l, pull.b);
            }
        }
        whole_way = way;
    }

    // The tile's share of the products, b following on a + bδ, and of Σ (a + bδ).
    void add_up(const StudentRows<T>& rows, double* sums) const noexcept {
        accumulate_outer<T>(rows.solved, d_ + 1, rows.delta, d_, rows.lanes, sums, d_);
        add_row_sums<T>(rows.solved, d_, rows.lanes, sums + end_of_products());
    }

    index d_;
    double df_, lambda_;  // ν, λ
    bool estimates_df_;
    Buffer<double> location_;
    CholeskyMatrices scale_;
    Buffer<T> precision_, precision_diagonal_;
    T trace_, inverse_lambda_;
    PackedMatrix<T> packed_precision_;
    Owner<CholeskyRows<T>> chain_;  // for gradient_rows
};

// df constant and given, or its logarithm the last entry of θ.
template <class T>
class StudentTFamily final : public Family<T> {
  public:
    explicit StudentTFamily(const FamilySpec& spec)
        : d_(spec.n_features), estimates_df_(spec.n_constants == 0), df_(estimates_df_ ? 0 : spec.constants[0]) {}

    index n_params() const noexcept override { return end_of_scale() + (estimates_df_ ? 1 : 0); }
    void describe(LayoutVisitor& visitor) const override {
        const index square[] = {d_, d_};
        visitor.block("location", Packing::dense, &d_, 1);
        visitor.block("cholesky", Packing::lower, square, 2);
        if (estimates_df_) visitor.block("log_df", Packing::dense, nullptr, 0);
    }
    Density<T>* at(const double* theta) const override {
        const double df = estimates_df_ ? __builtin_exp(theta[end_of_scale()]) : df_;
        return new StudentT<T>(d_, theta, df, estimates_df_);
    }

  private:
    index end_of_scale() const noexcept { return d_ + d_ * (d_ + 1) / 2; }

    index d_;
    bool estimates_df_;
    double df_;
};

}  // namespace

template <class T>
Family<T>* make_student_t(const FamilySpec& spec) {
    if (spec.n_constants > 1 || (spec.n_constants == 1 && !(spec.constants[0] > 0))) return nullptr;
    return new StudentTFamily<T>(spec);
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(student_t)
