// Mixture of Gaussians: log p = log Σ_k π_k N(x; μ_k, Σ_k), with P_k = Σ_k⁻¹, δ_k = x − μ_k and r_k the probability of
// component k given x.
//
//   s_k = −P_k δ_k,    ψ = Σ r_k s_k,    d_k = s_k − ψ,    ∂_j ψ_j = Σ r_k (d_kj² − P_kjj)
//
// The way back from the cotangents u of ψ and c of the curvature, where ℓ_k is the logarithm of the k-th term of p:
//
//   ŝ_k = r_k (u + 2c∘d_k),    m_k = uᵀd_k + Σ_j c_j (d_kj² − P_kjj),    ℓ̂_k = r_k (m_k − Σ r m)
//   ∂J/∂μ_k = P_k Σ (ŝ_k + ℓ̂_k δ_k),    −∂J/∂P_k = Σ sym[(ŝ_k + ½ℓ̂_k δ_k) δ_kᵀ] + diag(r_k c) − ½ℓ̂_k Σ_k
//
// (With s_k² − ψ² in place of the d_k² the curvature of a far sample would be lost to rounding.)
//
// All samples first move to the centre of the means, so that nothing is lost for data far from the origin: P_k δ_k is
// made as P_k x − P_k μ_k from there, with the error that the last bit of x brings anyway. In the code `share` is
// λ_k = ½ℓ̂_k and `pull` turns m_k to λ_k and to a_k = ŝ_k + λ_k δ_k.
//
// A tile goes through the elementwise passes in strips that stay in the first-level cache, and through the sums of
// outer products, which want long rows, as a whole.
#include "scorematch/buffer.hpp"
#include "scorematch/cholesky_rows.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/product.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/vector_math.hpp"

#include "gaussian_mixture/parameters.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

// A tile's rows, or those of a strip of it.
template <class T>
struct MixtureRows {
    index lanes;
    Rows<T> x;               // (d + 1) x less the centre, and ones
    Rows<T> score;           // (d)     ψ, on the way through ℝᵈ that keeps it here
    Rows<T> responsibility;  // (K)     ℓ_k, then r_k
    Rows<T> solved;          // full: (K·d) P_k δ_k, then a_k; tied: (d) Px, then v; diagonal: none
    Rows<T> share;           // (K)     tr(d_k d_kᵀ − P_k), then m_k, then λ_k; follows on `solved`
    Rows<T> centred;         // tied: (d) δ̄
    Rows<T> weighted;        // tied: (K) c r_k

    MixtureRows strip(index lane, index count) const noexcept {
        return {count,
                lanes_from(x, lane),
                lanes_from(score, lane),
                lanes_from(responsibility, lane),
                lanes_from(solved, lane),
                lanes_from(share, lane),
                lanes_from(centred, lane),
                lanes_from(weighted, lane)};
    }
};

// Spherical covariances count as diagonal. The loops below keep P_k δ_k, which is −s_k.
//
// Sums, where x is the row of that name:
//   full       Σ a_k [x; 1]ᵀ (K, d, d+1), Σ λ_k [x; 1]ᵀ (K, d+1)
//   tied       Σ v δ̄ᵀ (d, d), Σ r_k uᵀ (K, d), Σ λ_k [δ̄; 1]ᵀ (K, d+1), Σ λ_k r_l (K, K), and Σ c r_k r_l (K, K) for
//              each coordinate and for the trace, with δ̄ = Σ r_k δ_k and v = u + 2Σ_k λ_k δ_k
//   diagonal   for each component Σ a (d), Σ a∘δ (d), Σ λδ (d), Σ λ
// and then, for all shapes, Σ r_k c for each coordinate (K, d) and for the trace (K).
//
// With one P for all components their outer products collapse, the more exactly the less is left to cancel: since
// Σ_k r_k = 1 and Σ_k λ_k = 0, with Δ_kl = μ_k − μ_l,
//
//   Σ_k r_k d_k (δ_k − δ̄)ᵀ = −P Σ_{k<l} r_k r_l Δ_kl Δ_klᵀ,    r_k d_k = P Σ_l r_k r_l Δ_kl,
//   sym Σ_k λ_k δ_k δ_kᵀ = sym[2 Σ_k λ_k δ_k δ̄ᵀ] + Σ_{k<l} (λ_k r_l + r_k λ_l) Δ_kl Δ_klᵀ,    δ_k = δ̄ − Σ_l r_l Δ_kl.
template <class T, CovarianceShape shape>
class GaussianMixture final : public Density<T> {
    static constexpr bool full = shape == CovarianceShape::full, tied = shape == CovarianceShape::tied,
                          diagonal = !full && !tied;
    static constexpr index width = pack_size<T>;
    static constexpr bool many_registers = n_registers >= 32;
    static constexpr T negligible = sizeof(T) == sizeof(double) ? -650 : -75;

  public:
    GaussianMixture(const MixtureSpec& spec, const double* theta)
        : parameters_(spec, theta), d_(spec.n_features), n_components_(spec.n_components), centre_(d_),
          mean_(n_components_ * d_), factor_(n_components_ * d_), precision_diagonal_(n_components_ * d_),
          constant_(n_components_), trace_(n_components_) {
        for (index j = 0; j < d_; ++j) {
            double total = 0;
            for (index k = 0; k < n_components_; ++k) total += parameters_.mean(k)[j];
            centre_[j] = static_cast<T>(total / static_cast<double>(n_components_));
        }
        Buffer<double> mean(d_), solved(d_);
        for (index k = 0; k < n_components_; ++k) {
            centred_mean(k, mean.data());
            if (!diagonal) multiply_vector(parameters_.precision(k), mean.data(), d_, solved.data());
            double trace = 0;
            for (index j = 0; j < d_; ++j) {
                const double p = parameters_.precision(k, j, j);
                trace += p;
                mean_[k * d_ + j] = static_cast<T>(mean[j]);
                precision_diagonal_[k * d_ + j] = static_cast<T>(p);
                factor_[k * d_ + j] = static_cast<T>(diagonal ? p : -solved[j]);
            }
            constant_[k] = static_cast<T>(parameters_.constant(k));
            trace_[k] = static_cast<T>(trace);
        }
        if (!diagonal) {  // the matrices of a stack lie row after row
            const Rows<const double> p = parameters_.precision(0);
            precision_ = PackedMatrix<T>(p.data, spec.n_covariances() * d_, d_, p.stride, 1);
        }
    }

    double cost() const noexcept override {
        const double d = static_cast<double>(d_), k = static_cast<double>(n_components_), product = 4 * d * d;
        return full ? k * (product + 20 * d + 60) : tied ? product + k * (20 * d + 60) : k * (30 * d + 60);
    }
    index workspace_rows() const noexcept override {
        return 2 * d_ + 1 + 2 * n_components_ + (full ? n_components_ * d_ : tied ? 2 * d_ + n_components_ : 0);
    }
    index n_sums() const noexcept override { return curvature_sums() + n_components_ * (d_ + 1); }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        for_each_strip(rows_of(tile, workspace), [&](const MixtureRows<T>& strip, index first) {
            load_centred(tile, first, strip);
            log_terms(strip);
            for (index l = 0; l < strip.lanes; l += width) {
                const Exponentials e = exponentials(strip, l);
                store<T>(out + first + l, e.most + log<T>(e.total));
            }
        });
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        for_each_strip(rows_of(tile, workspace), [&](const MixtureRows<T>& strip, index first) {
            const Rows<T> score = lanes_from(out.score, first), curvature = lanes_from(out.curvature, first);
            responsibilities(tile, first, strip);
            if (out.asked == Curvature::diagonal) {
                average<Curvature::diagonal>(strip, score, curvature);
            } else {
                average<Curvature::trace>(strip, score, {});
                spread<Way::general>(strip, score, curvature[0]);
            }
        });
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const MixtureRows<T> rows = rows_of(tile, workspace);
        with_way(results, cotangents, [&]<Way way>(const Pullback& back) {
            for_each_strip(rows, [&](const MixtureRows<T>& strip, index first) {
                project<way>(strip, back.from(first));
                share_out<way>(strip, back.from(first));
                pull<way>(strip, back.from(first));
            });
            add_up<way>(rows, back, sums);
        });
    }

    // a_k, r_k c and λ_k are a, e and λ of cholesky_rows.hpp.
    bool has_gradient_rows() const noexcept override { return true; }
    void prepare_gradient_rows(Curvature asked) override {
        if (!diagonal)
            chain_ = Owner<CholeskyRows<T>>(new CholeskyRows<T>(parameters_.matrices(), asked, /*normalised=*/true));
    }
    index gradient_workspace_rows() const noexcept override {
        return workspace_rows() + (diagonal ? 0 : d_ + chain_->scratch_rows());
    }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const Rows<T> scratch = workspace.from(workspace_rows());
        with_way(results, cotangents, [&]<Way way>(const Pullback& back) {
            for_each_strip(rows_of(tile, workspace), [&](const MixtureRows<T>& strip, index first) {
                project<way>(strip, back.from(first));
                share_out<way>(strip, back.from(first));
                for (index k = 0; k < n_components_; ++k)
                    chain(strip, back.from(first), k, lanes_from(scratch, first), lanes_from(out, first));
            });
        });
    }

    // u = wψ and c = w: no rows but the family's own are needed, and a strip goes there and back.
    bool has_euclidean_shortcut() const noexcept override { return true; }
    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        const MixtureRows<T> rows = rows_of(tile, workspace);
        const Pullback back{rows.score, rows.score, {weight, 0}};
        for_each_strip(rows, [&](const MixtureRows<T>& strip, index first) {
            responsibilities(tile, first, strip);
            average<Curvature::trace>(strip, strip.score, {});
            for (index l = 0; l < strip.lanes; l += width) {
                Pack<T> norm{};
                const T* __restrict row = strip.score.data + l;
                for (index j = 0; j < d_; ++j, row += strip.score.stride) norm += load(row) * load(row);
                store<T>(norm_term + first + l, T(0.5) * norm);
            }
            spread<Way::euclidean>(strip, strip.score, hessian_term + first);
            if (sums == nullptr) return;
            share_out<Way::euclidean>(strip, back.from(first));
            pull<Way::euclidean>(strip, back.from(first));
        });
        if (sums != nullptr) add_up<Way::euclidean>(rows, back, sums);
    }

    void gradient(const double* sums, double* out) const override {
        if constexpr (full) gradient_full(sums, out);
        if constexpr (tied) gradient_tied(sums, out);
        if constexpr (diagonal) gradient_diagonal(sums, out);
    }

  private:
    // The ways back: with u = cψ, with any u, and with one c a coordinate besides.
    enum class Way { euclidean, general, by_coordinate };
    struct Pullback {
        Rows<const T> score, u, c;
        Pullback from(index lane) const noexcept {
            return {lanes_from(score, lane), lanes_from(u, lane), lanes_from(c, lane)};
        }
    };

    // body<way>(back) with what a family is given to go back from.
    template <class Body>
    static void with_way(const Derivatives<T>& results, const Cotangents<T>& cotangents, const Body& body) noexcept {
        Pullback back{results.score, cotangents.score, cotangents.curvature};
        if (results.asked == Curvature::trace) {
            back.c.stride = 0;  // one row, the same for all coordinates
            body.template operator()<Way::general>(back);
        } else {
            body.template operator()<Way::by_coordinate>(back);
        }
    }

    void gradient_full(const double* sums, double* out) const {
        const index d = d_, n_components = n_components_;
        double* const mean_gradient = out + n_components - 1;
        const double* const coordinates = sums + curvature_sums();
        const double* const traces = coordinates + n_components * d;
        Buffer<double> mean(d), step(d);  // Σ (ŝ + ℓ̂δ)
        SquareMatrices matrices(2, d);
        const Rows<double> h = matrices[0];
        for (index k = 0; k < n_components; ++k) {
            const double* const products = sums + k * d * (d + 1);
            const double* const shares = sums + n_components * d * (d + 1) + k * (d + 1);
            const double share = shares[d];
            centred_mean(k, mean.data());
            for (index i = 0; i < d; ++i) {
                const double pull = products[i * (d + 1) + d];
                for (index j = 0; j < d; ++j) h[i][j] = products[i * (d + 1) + j] - pull * mean[j];
                h[i][i] += coordinates[k * d + i] + traces[k];
                step[i] = pull + shares[i] - share * mean[i];
            }
            make_symmetric(h, d);
            multiply_vector(parameters_.precision(k), step.data(), d, mean_gradient + k * d);
            parameters_.cholesky_gradient(k, h, matrices[1], share, out);
            if (k < n_components - 1) out[k] = 2 * share;
        }
    }

    void gradient_tied(const double* sums, double* out) const {
        const index d = d_, n_components = n_components_, square = n_components * n_components;
        double* const mean_gradient = out + n_components - 1;
        const double* const coordinates = sums + curvature_sums();
        const double* const traces = coordinates + n_components * d;
        const double* const responses = sums + d * d;
        const double* const shares = responses + n_components * d;
        const double* const share_pairs = shares + n_components * (d + 1);
        const double* const coordinate_pairs = share_pairs + square;
        const double* const trace_pairs = coordinate_pairs + d * square;
        Buffer<double> means(n_components * d), solved(n_components * d), step(d), left(d);
        SquareMatrices matrices(2, d);
        const Rows<double> h = matrices[0];
        for (index i = 0; i < d; ++i)
            for (index j = 0; j < d; ++j) h[i][j] = sums[i * d + j];
        for (index k = 0; k < n_components; ++k) {
            centred_mean(k, means.data() + k * d);
            multiply_vector(parameters_.precision(0), means.data() + k * d, d, solved.data() + k * d);
        }
        double all_shares = 0;
        for (index k = 0; k < n_components; ++k) {
            for (index j = 0; j < d; ++j) {
                step[j] = responses[k * d + j] + 2 * shares[k * (d + 1) + j];
                h[j][j] += coordinates[k * d + j] + traces[k];
            }
            for (index l = 0; l < n_components; ++l) {
                const index pair = k * n_components + l;
                const double both = share_pairs[pair] + share_pairs[l * n_components + k];
                const double* const from = means.data() + l * d;
                const double* const to = means.data() + k * d;
                for (index i = 0; i < d; ++i) {
                    const double solved_difference = solved[k * d + i] - solved[l * d + i];
                    const double weighted =
                        2 * (coordinate_pairs[i * square + pair] + trace_pairs[pair]) * solved_difference;
                    step[i] += weighted - 2 * share_pairs[pair] * (to[i] - from[i]);
                    left[i] = both * (to[i] - from[i]) - weighted;
                }
                if (l < k)
                    for (index i = 0; i < d; ++i)
                        for (index j = 0; j < d; ++j) h[i][j] += left[i] * (to[j] - from[j]);
            }
            multiply_vector(parameters_.precision(0), step.data(), d, mean_gradient + k * d);
            all_shares += shares[k * (d + 1) + d];
            if (k < n_components - 1) out[k] = 2 * shares[k * (d + 1) + d];
        }
        make_symmetric(h, d);
        parameters_.cholesky_gradient(0, h, matrices[1], all_shares, out);
    }

    void gradient_diagonal(const double* sums, double* out) const {
        const index d = d_, n_components = n_components_;
        double* const mean_gradient = out + n_components - 1;
        const double* const coordinates = sums + curvature_sums();
        const double* const traces = coordinates + n_components * d;
        double* const variance_gradient = out + parameters_.first_covariance_param();
        for (index k = 0; k < n_components; ++k) {
            const double* const block = sums + k * (3 * d + 1);
            if (parameters_.has_one_variance()) variance_gradient[k] = 0;
            for (index j = 0; j < d; ++j) {
                const auto slope = parameters_.variance_slope(k, j);
                const double h = block[d + j] + coordinates[k * d + j] + traces[k];
                const double by_variance = slope.by_h * h + slope.by_half_share * block[3 * d];
                mean_gradient[k * d + j] = parameters_.precision(k, j, j) * (block[j] + block[2 * d + j]);
                if (parameters_.has_one_variance()) variance_gradient[k] += by_variance;
                else variance_gradient[k * d + j] = by_variance;
            }
            if (k < n_components - 1) out[k] = 2 * block[3 * d];
        }
    }

    // Where the sums that all shapes have begin.
    index curvature_sums() const noexcept {
        if (full) return n_components_ * (d_ + 1) * (d_ + 1);
        if (tied) return d_ * d_ + n_components_ * (2 * d_ + 1 + n_components_ * (d_ + 2));
        return n_components_ * (3 * d_ + 1);
    }

    void centred_mean(index k, double* out) const noexcept {
        for (index j = 0; j < d_; ++j) out[j] = parameters_.mean(k)[j] - static_cast<double>(centre_[j]);
    }

    MixtureRows<T> rows_of(const Tile<T>& tile, Rows<T> workspace) const noexcept {
        MixtureRows<T> rows;
        rows.lanes = tile.lanes;
        rows.x = workspace;
        rows.score = rows.x.from(d_ + 1);
        rows.responsibility = rows.score.from(d_);
        rows.solved = rows.responsibility.from(n_components_);
        rows.share = rows.solved.from(full ? n_components_ * d_ : tied ? d_ : 0);
        rows.centred = rows.share.from(n_components_);
        rows.weighted = rows.centred.from(d_);
        return rows;
    }

    // Strips of four packs, and of more where the rows of more fit in the cache.
    template <class Body>
    void for_each_strip(const MixtureRows<T>& rows, const Body& body) const noexcept {
        constexpr index bytes = 24 * 1024, step = 4 * width;
        index longest = bytes / (workspace_rows() * static_cast<index>(sizeof(T))) / step * step;
        if (longest < step) longest = step;
        for (index lane = 0; lane < rows.lanes; lane += longest)
            body(rows.strip(lane, rows.lanes - lane < longest ? rows.lanes - lane : longest), lane);
    }

    void load_centred(const Tile<T>& tile, index first, const MixtureRows<T>& strip) const noexcept {
        for (index j = 0; j < d_; ++j) {
            const T* const __restrict x = tile.x[j] + first;
            T* const __restrict row = strip.x[j];
            const T shift = centre_[j];
            for (index l = 0; l < strip.lanes; l += width) store<T>(row + l, load(x + l) - shift);
        }
        fill_row<T>(1, strip.lanes, strip.x[d_]);
    }

    // (P_k δ_k)_j from the row of `solved`, the component's factor and δ_kj.
    static Pack<T> solve(const T* row, T factor, Pack<T> delta) noexcept {
        if constexpr (full) return load(row);
        if constexpr (tied) return load(row) + factor;
        return factor * delta;
    }
    // From the rows of `solved` of one component to the next one's.
    index solved_step(const MixtureRows<T>& rows) const noexcept { return full ? d_ * rows.solved.stride : 0; }

    // ℓ_k
    void log_terms(const MixtureRows<T>& strip) const noexcept {
        if constexpr (full) multiply<T>(precision_, strip.x, strip.lanes, strip.solved, factor_.data());
        if constexpr (tied) multiply<T>(precision_, strip.x, strip.lanes, strip.solved);
        for_each_block<2, many_registers ? 4 : 2, T>(
            n_components_, strip.lanes, [&]<int B, int N>(index k, index l) { log_terms_block<B, N>(strip, k, l); });
    }
    template <int B, int N>
    void log_terms_block(const MixtureRows<T>& strip, index k, index l) const noexcept {
        const T* const __restrict mean = mean_.data() + k * d_;
        const T* const __restrict factor = factor_.data() + k * d_;
        const index d = d_, x_stride = strip.x.stride, solved_stride = strip.solved.stride, next = solved_step(strip);
        const T* __restrict x_row = strip.x.data + l;
        const T* __restrict solved_row = strip.solved.data + k * next + l;
        Pack<T> form[B][N] = {};
        for (index j = 0; j < d; ++j, x_row += x_stride, solved_row += solved_stride) {
            Pack<T> x[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) x[n] = load(x_row + n * width);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> delta = x[n] - mean[b * d + j];
                    form[b][n] += delta * solve(solved_row + b * next + n * width, factor[b * d + j], delta);
                }
            }
        }
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n)
                store<T>(strip.responsibility[k + b] + l + n * width, constant_[k + b] - T(0.5) * form[b][n]);
        }
    }

    // ℓ_k becomes e^(ℓ_k − most); returns their sum. What is next to nothing is made nothing: subnormal numbers, and
    // products that become such, slow many processors down by a factor of ten and more.
    struct Exponentials {
        Pack<T> most, total;
    };
    Exponentials exponentials(const MixtureRows<T>& strip, index l) const noexcept {
        T* const rows = strip.responsibility.data + l;
        const index end = n_components_ * strip.responsibility.stride, step = strip.responsibility.stride;
        Pack<T> most = load(rows), total{};
        for (index i = step; i < end; i += step) most = maximum<T>(most, load(rows + i));
        for (index i = 0; i < end; i += step) {
            const Pack<T> exponent = load(rows + i) - most;
            const Pack<T> e = exponent < negligible ? Pack<T>{} : exp_nonpositive<T>(exponent);
            store<T>(rows + i, e);
            total += e;
        }
        return {most, total};
    }

    // r_k
    void responsibilities(const Tile<T>& tile, index first, const MixtureRows<T>& strip) const noexcept {
        load_centred(tile, first, strip);
        log_terms(strip);
        for (index l = 0; l < strip.lanes; l += width) {
            const Pack<T> scale = 1 / exponentials(strip, l).total;
            for (index k = 0; k < n_components_; ++k) {
                T* const row = strip.responsibility[k] + l;
                store<T>(row, scale * load(row));
            }
        }
    }

    // ψ, and the diagonal of ∇ψ if that is asked for.
    template <Curvature asked>
    void average(const MixtureRows<T>& strip, Rows<T> score, Rows<T> curvature) const noexcept {
        for_each_block<many_registers ? 4 : 2, 2, T>(d_, strip.lanes, [&]<int B, int N>(index j, index l) {
            average_block<B, N, asked>(strip, score, curvature, j, l);
        });
    }
    template <int B, int N, Curvature asked>
    void average_block(const MixtureRows<T>& strip, Rows<T> score, Rows<T> curvature, index j, index l) const noexcept {
        const index x_stride = strip.x.stride, solved_stride = strip.solved.stride;
        const T* const __restrict x_rows = strip.x[j] + l;
        const auto for_each_component = [&](const auto& body) {
            const index n_components = n_components_, step = strip.responsibility.stride, next = solved_step(strip);
            const T* __restrict solved_rows = strip.solved[j] + l;
            const T* __restrict responsibility = strip.responsibility.data + l;
            const T* __restrict mean = mean_.data() + j;
            const T* __restrict factor = factor_.data() + j;
            const T* __restrict precision = precision_diagonal_.data() + j;
            const index d = d_;
            for (index k = 0; k < n_components;
                 ++k, responsibility += step, solved_rows += next, mean += d, factor += d, precision += d) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> r = load(responsibility + n * width);
                    SCOREMATCH_UNROLL
                    for (int b = 0; b < B; ++b) {
                        const Pack<T> delta = load(x_rows + b * x_stride + n * width) - mean[b];
                        body(b, n, r, solve(solved_rows + b * solved_stride + n * width, factor[b], delta),
                             precision[b]);
                    }
                }
            }
        };
        Pack<T> mean_score[B][N] = {}, second[B][N] = {};
        for_each_component(
            [&](int b, int n, Pack<T> r, Pack<T> solved, T /*precision*/) { mean_score[b][n] -= r * solved; });
        if constexpr (asked == Curvature::diagonal)
            for_each_component([&](int b, int n, Pack<T> r, Pack<T> solved, T precision) {
                const Pack<T> difference = solved + mean_score[b][n];
                second[b][n] += r * (difference * difference - precision);
            });
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                store<T>(score[j + b] + l + n * width, mean_score[b][n]);
                if (asked == Curvature::diagonal) store<T>(curvature[j + b] + l + n * width, second[b][n]);
            }
        }
    }

    // tr ∇ψ, and tr(d_k d_kᵀ − P_k) as the beginning of m_k, to which on the way through ℝᵈ comes ψᵀd_k.
    template <Way way>
    void spread(const MixtureRows<T>& strip, Rows<const T> score, T* trace) const noexcept {
        fill_row<T>(0, strip.lanes, trace);
        for_each_block<many_registers ? 4 : 2, 2, T>(n_components_, strip.lanes, [&]<int B, int N>(index k, index l) {
            Pack<T> square[B][N] = {}, product[B][N] = {};
            for_each_difference<B, N>(strip, score, k, l, [&](int b, int n, index, Pack<T> psi, Pack<T> difference) {
                square[b][n] += difference * difference;
                if (way == Way::euclidean) product[b][n] += psi * difference;
            });
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * width;
                Pack<T> total = load(trace + lane);
                SCOREMATCH_UNROLL
                for (int b = 0; b < B; ++b) {
                    square[b][n] -= trace_[k + b];
                    total += load(strip.responsibility[k + b] + lane) * square[b][n];
                    store<T>(strip.share[k + b] + lane, square[b][n] + product[b][n]);
                }
                store<T>(trace + lane, total);
            }
        });
    }

    // body(b, n, j, ψ_j, d_kj) for B components from k on, N packs from l on, and all coordinates j.
    template <int B, int N, class Body>
    void for_each_difference(const MixtureRows<T>& strip, Rows<const T> score, index k, index l,
                             const Body& body) const noexcept {
        const T* const __restrict mean = mean_.data() + k * d_;
        const T* const __restrict factor = factor_.data() + k * d_;
        const index d = d_, x_stride = strip.x.stride, solved_stride = strip.solved.stride, next = solved_step(strip);
        const T* __restrict x_row = strip.x.data + l;
        const T* __restrict solved_row = strip.solved.data + k * next + l;
        const T* __restrict score_row = score.data + l;
        for (index j = 0; j < d; ++j, x_row += x_stride, solved_row += solved_stride, score_row += score.stride) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const Pack<T> psi = load(score_row + n * width), x = load(x_row + n * width);
                SCOREMATCH_UNROLL
                for (int b = 0; b < B; ++b) {
                    const Pack<T> delta = x - mean[b * d + j];
                    body(b, n, j, psi, -solve(solved_row + b * next + n * width, factor[b * d + j], delta) - psi);
                }
            }
        }
    }

    // m_k
    template <Way way>
    void project(const MixtureRows<T>& strip, const Pullback& back) const noexcept {
        constexpr bool by_coordinate = way == Way::by_coordinate;
        for_each_block<many_registers ? 4 : 2, 2, T>(n_components_, strip.lanes, [&]<int B, int N>(index k, index l) {
            const T* const __restrict precision = precision_diagonal_.data() + k * d_;
            const index d = d_;
            Pack<T> m[B][N] = {};
            for_each_difference<B, N>(strip, back.score, k, l, [&](int b, int n, index j, Pack<T>, Pack<T> difference) {
                m[b][n] += load(back.u[j] + l + n * width) * difference;
                if (by_coordinate)
                    m[b][n] += load(back.c[j] + l + n * width) * (difference * difference - precision[b * d + j]);
            });
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    T* const share = strip.share[k + b] + l + n * width;
                    if (!by_coordinate) m[b][n] += load(back.c[0] + l + n * width) * load(share);
                    store<T>(share, m[b][n]);
                }
            }
        });
    }

    // From m_k to λ_k.
    template <Way way>
    void share_out(const MixtureRows<T>& strip, const Pullback& back) const noexcept {
        for (index l = 0; l < strip.lanes; l += width) {
            Pack<T> mean{}, half = broadcast(T(0.5));
            if (way == Way::euclidean) half *= load(back.c[0] + l);
            for (index k = 0; k < n_components_; ++k)
                mean += load(strip.responsibility[k] + l) * load(strip.share[k] + l);
            for (index k = 0; k < n_components_; ++k) {
                T* const share = strip.share[k] + l;
                store<T>(share, half * load(strip.responsibility[k] + l) * (load(share) - mean));
            }
        }
    }

    // Where sums of products of whole rows follow, what they are taken of.
    template <Way way>
    void pull(const MixtureRows<T>& strip, const Pullback& back) const noexcept {
        if constexpr (full)
            for_each_block<2, 2, T>(n_components_, strip.lanes,
                                    [&]<int B, int N>(index k, index l) { pull_block<B, N, way>(strip, back, k, l); });
        if constexpr (tied)
            for_each_block<many_registers ? 4 : 2, 2, T>(d_, strip.lanes, [&]<int B, int N>(index j, index l) {
                pull_together_block<B, N, way>(strip, back, j, l);
            });
    }

    // a_k in place of P_k δ_k.
    template <int B, int N, Way way>
    void pull_block(const MixtureRows<T>& strip, const Pullback& back, index k, index l) const noexcept {
        const T* const __restrict mean = mean_.data() + k * d_;
        const index d = d_, x_stride = strip.x.stride, solved_stride = strip.solved.stride, next = solved_step(strip);
        const T* __restrict x_row = strip.x.data + l;
        T* __restrict solved_row = strip.solved.data + k * next + l;
        const T* __restrict score_row = back.score.data + l;
        const T* __restrict u_row = back.u.data + l;
        const T* __restrict c_row = back.c.data + l;
        Pack<T> responsibility[B][N], share[B][N];
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                responsibility[b][n] = load(strip.responsibility[k + b] + l + n * width);
                if (way == Way::euclidean) responsibility[b][n] *= load(c_row + n * width);
                share[b][n] = load(strip.share[k + b] + l + n * width);
            }
        }
        for (index j = 0; j < d; ++j, x_row += x_stride, solved_row += solved_stride, score_row += back.score.stride,
                   u_row += back.u.stride, c_row += back.c.stride) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const Pack<T> x = load(x_row + n * width), psi = load(score_row + n * width);
                const Pack<T> twice = 2 * load(c_row + n * width), u = load(u_row + n * width);
                SCOREMATCH_UNROLL
                for (int b = 0; b < B; ++b) {
                    T* const place = solved_row + b * next + n * width;
                    const Pack<T> solved = load(place);  // −s
                    const Pack<T> inner = way == Way::euclidean ? -2 * solved - psi : u - twice * (solved + psi);
                    store<T>(place, responsibility[b][n] * inner + share[b][n] * (x - mean[b * d + j]));
                }
            }
        }
    }

    // v and δ̄.
    template <int B, int N, Way way>
    void pull_together_block(const MixtureRows<T>& strip, const Pullback& back, index j, index l) const noexcept {
        const index d = d_, n_components = n_components_, step = strip.share.stride, x_stride = strip.x.stride;
        const T* const __restrict x_rows = strip.x[j] + l;
        const T* __restrict responsibility = strip.responsibility.data + l;
        const T* __restrict share = strip.share.data + l;
        const T* __restrict mean = mean_.data() + j;
        Pack<T> centred[B][N] = {}, shared[B][N] = {};
        for (index k = 0; k < n_components; ++k, responsibility += step, share += step, mean += d) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const Pack<T> r = load(responsibility + n * width), lambda = load(share + n * width);
                SCOREMATCH_UNROLL
                for (int b = 0; b < B; ++b) {
                    const Pack<T> delta = load(x_rows + b * x_stride + n * width) - mean[b];
                    centred[b][n] += r * delta;
                    shared[b][n] += lambda * delta;
                }
            }
        }
        SCOREMATCH_UNROLL
        for (int b = 0; b < B; ++b) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const index lane = l + n * width;
                Pack<T> u = load(back.u[j + b] + lane);
                if (way == Way::euclidean) u *= load(back.c[0] + lane);
                store<T>(strip.solved[j + b] + lane, u + 2 * shared[b][n]);
                store<T>(strip.centred[j + b] + lane, centred[b][n]);
            }
        }
    }

    // body(n, j, pull) for N packs from l on and all coordinates j.
    struct Pull {
        Pack<T> a, delta, e, lambda;
    };
    template <int N, class Body>
    void for_each_pull(const MixtureRows<T>& strip, const Pullback& back, index k, index l,
                       const Body& body) const noexcept {
        const T* const __restrict mean = mean_.data() + k * d_;
        Pack<T> responsibility[N], share[N];
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            responsibility[n] = load(strip.responsibility[k] + l + n * width);
            share[n] = load(strip.share[k] + l + n * width);
        }
        for_each_difference<1, N>(strip, back.score, k, l, [&](int, int n, index j, Pack<T>, Pack<T> difference) {
            const index lane = l + n * width;
            const Pack<T> r = responsibility[n], e = r * load(back.c[j] + lane);
            const Pack<T> delta = load(strip.x[j] + lane) - mean[j];
            const Pack<T> a = r * load(back.u[j] + lane) + 2 * e * difference + share[n] * delta;
            body(n, j, Pull{a, delta, e, share[n]});
        });
    }

    // One component's rows of θ.
    void chain(const MixtureRows<T>& strip, const Pullback& back, index k, Rows<T> scratch,
               Rows<T> out) const noexcept {
        if (k < n_components_ - 1) scale_row<T>(2, strip.share[k], strip.lanes, out[k]);
        const Rows<T> mean = out.from(n_components_ - 1 + k * d_);
        const Rows<T> covariances = out.from(parameters_.first_covariance_param());
        if constexpr (diagonal) chain_variances(strip, back, k, mean, covariances);
        else chain_matrix(strip, back, k, scratch, mean, covariances);
    }

    void chain_variances(const MixtureRows<T>& strip, const Pullback& back, index k, Rows<T> mean,
                         Rows<T> covariances) const noexcept {
        const bool one = parameters_.has_one_variance();
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            for_each_pull<N>(strip, back, k, l, [&](int n, index j, Pull pull) {
                const index lane = l + n * width;
                const auto slope = parameters_.variance_slope(k, j);
                Pack<T> by_variance = static_cast<T>(slope.by_h) * (pull.a * pull.delta + pull.e) +
                                      static_cast<T>(slope.by_half_share) * pull.lambda;
                T* const place = covariances[one ? k : k * d_ + j] + lane;
                if (one && j > 0) by_variance += load(place);
                store<T>(place, by_variance);
                store<T>(mean[j] + lane, precision_diagonal_[k * d_ + j] * (pull.a + pull.lambda * pull.delta));
            });
        });
    }

    // What several components do to a matrix that they share is added up.
    void chain_matrix(const MixtureRows<T>& strip, const Pullback& back, index k, Rows<T> scratch, Rows<T> mean,
                      Rows<T> covariances) const noexcept {
        const Rows<T> deltas = scratch;
        const auto chained = chain_->scratch_of(scratch.from(d_));
        for_each_packs<T>(strip.lanes, [&]<int N>(index l) {
            for_each_pull<N>(strip, back, k, l, [&](int n, index j, Pull pull) {
                store<T>(chained.a[j] + l + n * width, pull.a);
                store<T>(deltas[j] + l + n * width, pull.delta);
            });
        });
        for (index j = 0; j < chain_->n_e(); ++j)
            product_row<T>(strip.responsibility[k], back.c[j], strip.lanes, chained.e[j]);
        scale_row<T>(1, strip.share[k], strip.lanes, chained.lambda[0]);
        const index matrix = parameters_.matrix_of(k);
        chain_->chain(matrix, strip.lanes, deltas, chained, tied && k > 0 ? Start::out : Start::zero, mean,
                      covariances.from(matrix * d_ * (d_ + 1) / 2));
    }

    // The tile's share of all sums.
    template <Way way>
    void add_up(const MixtureRows<T>& rows, const Pullback& back, double* sums) const noexcept {
        const index d = d_, lanes = rows.lanes;
        double* const coordinates = sums + curvature_sums();
        double* const traces = coordinates + n_components_ * d;
        if (way == Way::by_coordinate)
            accumulate_outer<T>(rows.responsibility, n_components_, back.c, d, lanes, coordinates, d);
        else accumulate_outer<T>(rows.responsibility, n_components_, back.c, 1, lanes, traces, 1);
        if constexpr (full) {
            // a_k and λ_k lie row after row.
            accumulate_outer<T>(rows.solved, n_components_ * (d + 1), rows.x, d + 1, lanes, sums, d + 1);
        } else if constexpr (tied) {
            const index n_components = n_components_, square = n_components * n_components;
            const auto weigh = [&](const T* c) {
                for (index k = 0; k < n_components; ++k)
                    product_row<T>(c, rows.responsibility[k], lanes, rows.weighted[k]);
            };
            accumulate_outer<T>(rows.solved, d, rows.centred, d, lanes, sums, d);
            sums += d * d;
            if (way != Way::by_coordinate) weigh(back.c[0]);
            accumulate_outer<T>(way == Way::euclidean ? rows.weighted : rows.responsibility, n_components, back.u, d,
                                lanes, sums, d);
            sums += n_components * d;
            accumulate_outer<T>(rows.share, n_components, rows.centred, d, lanes, sums, d + 1);
            for (index k = 0; k < n_components; ++k) sums[k * (d + 1) + d] += sum_row<T>(rows.share[k], lanes);
            sums += n_components * (d + 1);
            accumulate_outer<T>(rows.share, n_components, rows.responsibility, n_components, lanes, sums, n_components);
            sums += square;
            for (index j = 0; way == Way::by_coordinate && j < d; ++j, sums += square) {
                weigh(back.c[j]);
                accumulate_outer<T>(rows.weighted, n_components, rows.responsibility, n_components, lanes, sums,
                                    n_components);
            }
            if (way != Way::by_coordinate)
                accumulate_outer<T>(rows.weighted, n_components, rows.responsibility, n_components, lanes,
                                    sums + d * square, n_components);
        } else {
            constexpr int largest = many_registers ? 8 : 4;
            const Blocks blocks(d, largest);
            for (index block = 0; block < blocks.count(); ++block)
                for (index k = 0; k < n_components_; ++k) {
                    const index j = blocks.begin(block);
                    add_up_block_of<largest, way>(blocks.size(block), rows, back, k, j, sums + k * (3 * d + 1) + j);
                }
            for (index k = 0; k < n_components_; ++k) sums[k * (3 * d + 1) + 3 * d] += sum_row<T>(rows.share[k], lanes);
        }
    }

    // From the number of coordinates at run time to the kernel.
    template <int B, Way way>
    void add_up_block_of(index size, const MixtureRows<T>& rows, const Pullback& back, index k, index j,
                         double* sums) const noexcept {
        if (size == B) {
            add_up_block<B, way>(rows, back, k, j, sums);
        } else if constexpr (B > 1) {
            add_up_block_of<B - 1, way>(size, rows, back, k, j, sums);
        }
    }

    // Σ a, Σ a∘δ and Σ λδ of B coordinates from j on.
    template <int B, Way way>
    void add_up_block(const MixtureRows<T>& rows, const Pullback& back, index k, index j, double* sums) const noexcept {
        constexpr int n = static_cast<int>(pack_size<double>);
        constexpr int n_groups = (3 * B + n - 1) / n;
        Pack<T> sum[n_groups * n];
        SCOREMATCH_UNROLL
        for (int i = 0; i < n_groups * n; ++i) sum[i] = Pack<T>{};
        const T* const __restrict mean = mean_.data() + k * d_ + j;
        const T* const __restrict factor = factor_.data() + k * d_ + j;
        const T* const __restrict responsibility = rows.responsibility[k];
        const T* const __restrict shares = rows.share[k];
        const T* const __restrict x = rows.x[j];
        const T* const __restrict score = back.score[j];
        const T* const __restrict u = back.u[j];
        const T* const __restrict c = back.c[way == Way::by_coordinate ? j : 0];
        const index x_stride = rows.x.stride, score_stride = back.score.stride, u_stride = back.u.stride;
        for (index l = 0; l < rows.lanes; l += width) {
            const Pack<T> r = load(responsibility + l), share = load(shares + l);
            const Pack<T> common = r * load(c + l);
            SCOREMATCH_UNROLL
            for (int b = 0; b < B; ++b) {
                const Pack<T> delta = load(x + b * x_stride + l) - mean[b], psi = load(score + b * score_stride + l);
                const Pack<T> weight = way == Way::by_coordinate ? r * load(c + b * back.c.stride + l) : common;
                // r u + 2rc(s − ψ) + λδ, where s = −pδ
                Pack<T> pull = (share - 2 * weight * factor[b]) * delta;
                if (way == Way::euclidean) pull -= weight * psi;
                else pull += r * load(u + b * u_stride + l) - 2 * weight * psi;
                sum[b] += pull;
                sum[B + b] += pull * delta;
                sum[2 * B + b] += share * delta;
            }
        }
        double reduced[n_groups * n];
        SCOREMATCH_UNROLL
        for (int group = 0; group < n_groups; ++group)
            store<double>(reduced + group * n, sum_lanes_transposed<T>(sum + group * n));
        for (int i = 0; i < 3; ++i)
            for (int b = 0; b < B; ++b) sums[i * d_ + b] += reduced[i * B + b];
    }

    MixtureParameters parameters_;
    index d_, n_components_;
    Buffer<T> centre_;
    // For each component and coordinate: the mean less the centre; −P·(that), or P where it is diagonal; P_jj.
    Buffer<T> mean_, factor_, precision_diagonal_;
    Buffer<T> constant_, trace_;
    PackedMatrix<T> precision_;
    Owner<CholeskyRows<T>> chain_;  // full and tied, for gradient_rows
};

template <class T>
class GaussianMixtureFamily final : public Family<T> {
  public:
    explicit GaussianMixtureFamily(const MixtureSpec& spec) : spec_(spec) {}
    index n_params() const noexcept override { return spec_.n_params(); }
    void describe(LayoutVisitor& visitor) const override { spec_.describe(visitor); }
    Density<T>* at(const double* theta) const override {
        switch (spec_.shape) {
            case CovarianceShape::full: return new GaussianMixture<T, CovarianceShape::full>(spec_, theta);
            case CovarianceShape::tied: return new GaussianMixture<T, CovarianceShape::tied>(spec_, theta);
            default: return new GaussianMixture<T, CovarianceShape::diagonal>(spec_, theta);
        }
    }

  private:
    MixtureSpec spec_;
};

}  // namespace

template <class T>
Family<T>* make_gaussian_mixture(const FamilySpec& spec) {
    if (spec.n_components < 1) return nullptr;
    MixtureSpec mixture{CovarianceShape::full, spec.n_components, spec.n_features,
                        spec.n_constants > 0 ? spec.constants[0] : 0};
    if (std::strcmp(spec.variant, "full") == 0) mixture.shape = CovarianceShape::full;
    else if (std::strcmp(spec.variant, "tied") == 0) mixture.shape = CovarianceShape::tied;
    else if (std::strcmp(spec.variant, "diag") == 0) mixture.shape = CovarianceShape::diagonal;
    else if (std::strcmp(spec.variant, "spherical") == 0) mixture.shape = CovarianceShape::spherical;
    else return nullptr;
    return new GaussianMixtureFamily<T>(mixture);
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(gaussian_mixture)
