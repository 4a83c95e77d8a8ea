// Restricted Boltzmann machines with Gaussian visible and binary hidden units, these summed out:
//
//     log p̃ = −‖x − b‖²/2σ² + Σ_k softplus(c_k + w_kᵀx/σ²).
//
// Linear experts with filters V = W/σ² and precision p = 1/σ². θ: W, c, b, and log σ² unless σ² is given.
#include "scorematch/linear_experts.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

class GaussianBernoulliRBM : public ComponentsModel {
  public:
    static constexpr bool has_base = true;
    explicit GaussianBernoulliRBM(const FamilySpec& spec)
        : ComponentsModel(spec), given_(spec.n_constants == 0 ? 0 : spec.constants[0]) {}
    index n_params() const { return m_ * d_ + m_ + d_ + (is_given() ? 0 : 1); }
    void describe(LayoutVisitor& visitor) const {
        ComponentsModel::describe(visitor);
        visitor.block("intercept_hidden", Packing::dense, &m_, 1);
        visitor.block("intercept_visible", Packing::dense, &d_, 1);
        if (!is_given()) visitor.block("log_noise_variance", Packing::dense, nullptr, 0);
    }
    void read(const double* theta, ExpertParameters& out) const {
        ComponentsModel::read(theta, out);
        const double* const offsets = theta + m_ * d_;
        const double* const centre = offsets + m_;
        out.precision = is_given() ? 1 / given_ : __builtin_exp(-centre[d_]);
        for (index i = 0; i < m_ * d_; ++i) out.filters[i] *= out.precision;
        for (index k = 0; k < m_; ++k) out.offsets[k] = offsets[k];
        for (index j = 0; j < d_; ++j) out.centre[j] = centre[j];
    }
    template <class Number, class By, class Out>
    void pull_back(const ExpertParametersOf<Number>& at, const By& by, Out gradient) const {
        auto by_log_precision = at.precision * by.precision();
        for (index k = 0; k < m_; ++k) {
            const auto by_filter = by.filter(k);
            for (index j = 0; j < d_; ++j) {
                const auto by_entry = by_filter[j];
                gradient[k * d_ + j] = at.precision * by_entry;
                by_log_precision += at.filters[k * d_ + j] * by_entry;
            }
        }
        const index offsets = m_ * d_, centre = offsets + m_;
        for (index k = 0; k < m_; ++k) gradient[offsets + k] = by.offset(k);
        for (index j = 0; j < d_; ++j) gradient[centre + j] = by.centre(j);
        if (!is_given()) gradient[centre + d_] = -by_log_precision;
    }

    template <class T>
    static Pack<T> value(Pack<T> u) {
        return softplus<T>(u);
    }
    // With e = e^−|u| and s = 1/(1 + e): G′ is s or 1 − s = es, and G″ = s(1 − s) without a difference.
    template <class T>
    static Slope<T> slope(Pack<T> u) {
        const Pack<T> e = exp_nonpositive<T>(-abs<T>(u)), s = 1 / (1 + e), rest = e * s;
        return {u < 0 ? rest : s, s * rest};
    }
    template <class T>
    static Pack<T> second(Slope<T> s) {
        return s.key;
    }
    template <class T>
    static Pack<T> third(Slope<T> s) {
        return s.key * (1 - 2 * s.first);
    }

  private:
    bool is_given() const { return given_ > 0; }
    double given_;  // σ², or 0
};

}  // namespace

template <class T>
Family<T>* make_gaussian_bernoulli_rbm(const FamilySpec& spec) {
    if (spec.n_components < 1 || spec.variant[0] != '\0' || spec.n_constants > 1) return nullptr;
    if (spec.n_constants == 1 && !(spec.constants[0] > 0)) return nullptr;
    return new LinearExpertFamily<T, GaussianBernoulliRBM>(spec);
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(gaussian_bernoulli_rbm)
