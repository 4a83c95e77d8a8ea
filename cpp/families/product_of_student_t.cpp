// Products of Student-t experts (Welling, Hinton and Osindero 2003): log p̃ = −Σ_k α_k log(1 + ½(w_kᵀx)²).
//
// θ: the filters w_k, the rows of W; log α_k, so that every exponent is positive.
#include "scorematch/linear_experts.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

class ProductOfStudentT : public ComponentsModel {
  public:
    static constexpr bool estimates_coefficients = true;
    using ComponentsModel::ComponentsModel;
    index n_params() const { return m_ * d_ + m_; }
    void describe(LayoutVisitor& visitor) const {
        ComponentsModel::describe(visitor);
        visitor.block("log_exponents", Packing::dense, &m_, 1);
    }
    void read(const double* theta, ExpertParameters& out) const {
        ComponentsModel::read(theta, out);
        for (index k = 0; k < m_; ++k) out.coefficients[k] = __builtin_exp(theta[m_ * d_ + k]);
    }
    template <class Number, class By, class Out>
    void pull_back(const ExpertParametersOf<Number>& at, const By& by, Out gradient) const {
        ComponentsModel::pull_back(at, by, gradient);
        for (index k = 0; k < m_; ++k) gradient[m_ * d_ + k] = at.coefficients[k] * by.coefficient(k);
    }

    template <class T>
    static Pack<T> value(Pack<T> u) {
        return -log1p<T>(T(0.5) * u * u);
    }
    // With r = 1/(1 + ½u²), so that ½u²r = 1 − r: G′ = −ur, G″ = r − 2r², G‴ = −ur²(1 − 4r).
    template <class T>
    static Slope<T> slope(Pack<T> u) {
        const Pack<T> r = 1 / (1 + T(0.5) * u * u);
        return {-u * r, r};
    }
    template <class T>
    static Pack<T> second(Slope<T> s) {
        return s.key * (1 - 2 * s.key);
    }
    template <class T>
    static Pack<T> third(Slope<T> s) {
        return s.first * s.key * (1 - 4 * s.key);
    }
};

}  // namespace

template <class T>
Family<T>* make_product_of_student_t(const FamilySpec& spec) {
    if (spec.n_components < 1 || spec.variant[0] != '\0' || spec.n_constants != 0) return nullptr;
    return new LinearExpertFamily<T, ProductOfStudentT>(spec);
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(product_of_student_t)
