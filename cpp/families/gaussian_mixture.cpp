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
// Along a direction v, vᵀ∇ψv = Σ r_k q_k with q_k = (vᵀd_k)² − vᵀP_k v. Its cotangent g adds 2g r_k (vᵀd_k) v to ŝ_k,
// g q_k to m_k, and Σ g r_k vvᵀ to −∂J/∂P_k.
//
// (With s_k² − ψ² in place of the d_k² the curvature of a far sample would be lost to rounding.)
//
// All samples first move to the centre of the means, so that nothing is lost for data far from the origin: P_k δ_k is
// made as P_k x − P_k μ_k from there, with the error that the last bit of x brings anyway. In the code P_k δ_k, which
// is −s_k, is `solved`, `share` is λ_k = ½ℓ̂_k, and `pull` makes a_k = ŝ_k + λ_k δ_k.
//
// A tile goes through the elementwise passes in strips that stay in the first-level cache, and through the sums of
// outer products, which want long rows, as a whole. Here is the order of the passes; they themselves are, under
// gaussian_mixture/,
//
//   parameters.hpp        θ, and the chain rule of the covariances back to it
//   components.hpp        what all passes read, made of θ once a call
//   workspace.hpp         the rows of scratch, and strips of them
//   pullback.hpp          what a way back begins with
//   loops.hpp             the loops of the elementwise passes
//   responsibilities.hpp  ℓ_k, r_k, log p
//   score.hpp             ψ, diag ∇ψ, tr ∇ψ
//   direction.hpp         vᵀ∇ψv
//   shares.hpp            the way back to λ_k
//   full.hpp, tied.hpp, diagonal.hpp   what a form of the covariance has of its own: rows, sums, and their chain rule
//   sums.hpp              the sums that all forms have
//   gradient_rows.hpp     the way back of each sample apart
//   few_features.hpp      log p and ψ alone, in registers
#include "scorematch/cholesky_rows.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/owner.hpp"
#include "scorematch/registry.hpp"

#include "gaussian_mixture/components.hpp"
#include "gaussian_mixture/diagonal.hpp"
#include "gaussian_mixture/direction.hpp"
#include "gaussian_mixture/few_features.hpp"
#include "gaussian_mixture/full.hpp"
#include "gaussian_mixture/gradient_rows.hpp"
#include "gaussian_mixture/pullback.hpp"
#include "gaussian_mixture/responsibilities.hpp"
#include "gaussian_mixture/score.hpp"
#include "gaussian_mixture/shares.hpp"
#include "gaussian_mixture/sums.hpp"
#include "gaussian_mixture/tied.hpp"
#include "gaussian_mixture/workspace.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class T, CovarianceShape shape>
class GaussianMixture final : public Density<T> {
    static constexpr bool diagonal = shape == CovarianceShape::diagonal;
    // A multiple of the identity is a diagonal to them: kernels take long to compile.
    using Few = FewFeatures<T, shape == CovarianceShape::spherical ? CovarianceShape::diagonal : shape>;

  public:
    GaussianMixture(const MixtureSpec& spec, const double* theta) : mix_(spec, theta) {
        if (has_few_features()) few_features_ = Few(mix_.parameters, mix_.centre.data());
    }

    double cost() const noexcept override {
        const double d = static_cast<double>(mix_.d), k = static_cast<double>(mix_.n_components), product = 4 * d * d;
        if (shape == CovarianceShape::full) return k * (product + 20 * d + 60);
        return diagonal ? k * (30 * d + 60) : product + k * (20 * d + 60);
    }
    index workspace_rows() const noexcept override { return workspace_rows_of(mix_); }
    index euclidean_rows() const noexcept override { return euclidean_rows_of(mix_); }
    index n_sums() const noexcept override { return n_form_sums(mix_) + mix_.n_components * (mix_.d + 1); }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        for_each_strip(mix_, rows_of(mix_, tile, workspace), [&](const MixtureRows<T>& strip, index first) {
            log_densities(mix_, tile, first, strip, out + first);
        });
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        if (has_few_features()) return few_features_(tile, workspace, log_density_out, score);
        for_each_strip(mix_, rows_of(mix_, tile, workspace), [&](const MixtureRows<T>& strip, index first) {
            responsibilities(mix_, tile, first, strip, log_density_out + first);
            average<Curvature::none>(mix_, strip, lanes_from(score, first), {});
        });
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        if (leaves_nothing(out)) return few_features_(tile, workspace, nullptr, out.score);
        for_each_strip(mix_, rows_of(mix_, tile, workspace), [&](const MixtureRows<T>& strip, index first) {
            const Rows<T> score = lanes_from(out.score, first), curvature = lanes_from(out.curvature, first);
            responsibilities(mix_, tile, first, strip);
            if (out.asked == Curvature::diagonal) average<Curvature::diagonal>(mix_, strip, score, curvature);
            else average<Curvature::none>(mix_, strip, score, {});
            const Rows<const T> psi = score;
            if (out.asked == Curvature::trace) spread<Way::general>(mix_, strip, psi, curvature[0]);
            if (out.direction) bend(mix_, strip, psi, lanes_from(out.direction, first), out.directional + first);
        });
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const MixtureRows<T> rows = rows_of(mix_, tile, workspace);
        with_way(results, cotangents, [&]<Way way>(const Pullback<T>& back) {
            for_each_strip(mix_, rows, [&](const MixtureRows<T>& strip, index first) {
                if (leaves_nothing(results)) responsibilities(mix_, tile, first, strip);
                make_shares<way>(strip, back.from(first));
                pull<way>(mix_, strip, back.from(first));
                if (back.g != nullptr) pull_along(mix_, strip, back.from(first));
            });
            add_up_curvature<way>(mix_, rows, back, sums);
            if (back.g != nullptr) add_up_along(mix_, rows, back, sums);
            add_up<way>(mix_, rows, back, sums);
        });
    }

    // The logarithm itself has λ_k = ½ r_k times its cotangent, whose sum over k is not 0, and a_k = λ_k δ_k.
    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        const MixtureRows<T> rows = rows_of(mix_, tile, workspace);
        for_each_strip(mix_, rows, [&](const MixtureRows<T>& strip, index first) {
            responsibilities(mix_, tile, first, strip);
            for (index k = 0; k < mix_.n_components; ++k)
                for (index l = 0; l < strip.lanes; l += pack_size<T>)
                    store<T>(strip.share[k] + l,
                             T(0.5) * load(cotangent + first + l) * load(strip.responsibility[k] + l));
        });
        add_up_shares(mix_, rows, sums);
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void prepare_gradient_rows(Curvature asked) override {
        if (!diagonal)
            cholesky_ =
                Owner<CholeskyRows<T>>(new CholeskyRows<T>(mix_.parameters.matrices(), asked, /*normalised=*/true));
    }
    index gradient_workspace_rows() const noexcept override {
        return workspace_rows() + (diagonal ? 0 : mix_.d + cholesky_->scratch_rows());
    }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const Rows<T> scratch = workspace.from(workspace_rows());
        with_way(results, cotangents, [&]<Way way>(const Pullback<T>& back) {
            for_each_strip(mix_, rows_of(mix_, tile, workspace), [&](const MixtureRows<T>& strip, index first) {
                if (leaves_nothing(results)) responsibilities(mix_, tile, first, strip);
                make_shares<way>(strip, back.from(first));
                for (index k = 0; k < mix_.n_components; ++k)
                    chain<way>(mix_, strip, back.from(first), cholesky_.get(), k, lanes_from(scratch, first),
                               lanes_from(out, first));
            });
        });
    }

    // u = wψ and c = w: no rows but the family's own are needed, and a strip goes there and back.
    bool has_euclidean_shortcut() const noexcept override { return true; }
    void euclidean(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
                   double* sums) const noexcept override {
        const MixtureRows<T> rows = rows_of(mix_, tile, workspace);
        const Pullback<T> back{rows.score, rows.score, {weight, 0}, {}, nullptr};
        for_each_strip(mix_, rows, [&](const MixtureRows<T>& strip, index first) {
            responsibilities(mix_, tile, first, strip);
            average<Curvature::none>(mix_, strip, strip.score, {});
            for (index l = 0; l < strip.lanes; l += pack_size<T>) {
                Pack<T> norm{};
                const T* __restrict row = strip.score.data + l;
                for (index j = 0; j < mix_.d; ++j, row += strip.score.stride) norm += load(row) * load(row);
                store<T>(norm_term + first + l, T(0.5) * norm);
            }
            spread<Way::euclidean>(mix_, strip, Rows<const T>(strip.score), hessian_term + first);
            if (sums == nullptr) return;
            share_out<Way::euclidean>(mix_, strip, back.from(first));
            pull<Way::euclidean>(mix_, strip, back.from(first));
        });
        if (sums == nullptr) return;
        add_up_curvature<Way::euclidean>(mix_, rows, back, sums);
        add_up<Way::euclidean>(mix_, rows, back, sums);
    }

    void gradient(const double* sums, double* out) const override { chain_sums(mix_, sums, out); }

  private:
    // Where ψ alone is asked for and features are few, a forward keeps nothing for the way back, which works it out
    // again: samplers never go back, and what goes back takes no longer by this than by a forward that keeps all.
    bool has_few_features() const noexcept { return mix_.d <= Few::most; }
    bool leaves_nothing(const Derivatives<T>& results) const noexcept {
        return has_few_features() && results.asked == Curvature::none && !results.direction;
    }

    // λ_k, and where there is a direction what it weighs.
    template <Way way>
    void make_shares(const MixtureRows<T>& strip, const Pullback<T>& back) const noexcept {
        project<way>(mix_, strip, back);
        share_out<way>(mix_, strip, back);
        weigh_along(mix_, strip, back);
    }

    Components<T, shape> mix_;
    Few few_features_;
    Owner<CholeskyRows<T>> cholesky_;  // full and tied, for gradient_rows
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
