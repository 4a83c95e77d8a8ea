// Independent component analysis: log p̃ = Σ_k α_k G(w_kᵀx), the filters w_k the rows of W.
//
//   logcosh    G(s) = −log cosh s
//   logistic   G(s) = −2 log cosh(πs / 2√3): the logistic density of unit variance
//
// With as many filters as features (Hyvärinen 2005) α is 1. With more, the model is no longer one of independent
// sources, and α is estimated with W: the variants "…+coefficients".
#include "scorematch/linear_experts.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/vector_math.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

// −tanh x and tanh²x − 1 = −1/cosh²x. The latter from e^y, y = −2|x|, as −4e^y/(1 + e^y)²: the difference would have
// lost all digits where |x| is large. e^y − 1 = q and so on as in tanh of vector_math.hpp, whose reciprocal serves
// both.
template <class T>
inline Slope<T> minus_tanh(Pack<T> x) {
    // Beyond, e^y would be subnormal.
    constexpr T most = sizeof(T) == sizeof(double) ? T(350) : T(43);
    const ExponentAndRest<T> e = reduce_by_ln2<T>(-2 * at_most<T>(abs<T>(x), most));
    const Pack<T> two_n = power_of_two<T>(to_bits<T>(e.rounded));
    const Pack<T> small = two_n * expm1_of_rest<T>(e.rest);
    const Pack<T> inverse = 1 / ((1 + two_n) + small);
    const Pack<T> tanh = ((1 - two_n) - small) * inverse;
    return {from_bits<T>(to_bits<T>(tanh) | (~to_bits<T>(x) & sign_bit<T>)),
            -4 * (two_n + small) * (inverse * inverse)};
}

struct LogCosh {
    template <class T>
    static Pack<T> value(Pack<T> s) {
        return -log_cosh<T>(s);
    }
    template <class T>
    static Slope<T> slope(Pack<T> s) {
        return minus_tanh<T>(s);
    }
    template <class T>
    static Pack<T> third(Slope<T> s) {
        return 2 * s.first * s.key;
    }
};

struct Logistic {
    static constexpr double rate = 0.90689968211710892530;  // π / 2√3
    template <class T>
    static Pack<T> value(Pack<T> s) {
        return -2 * log_cosh<T>(static_cast<T>(rate) * s);
    }
    template <class T>
    static Slope<T> slope(Pack<T> s) {
        const Slope<T> t = minus_tanh<T>(static_cast<T>(rate) * s);
        return {static_cast<T>(2 * rate) * t.first, static_cast<T>(2 * rate * rate) * t.key};
    }
    template <class T>
    static Pack<T> third(Slope<T> s) {
        return s.first * s.key;
    }
};

// α constant and given (all ones if it is not), or the second block of θ.
template <class G, bool estimated>
class IcaModel : public ComponentsModel, public G {
  public:
    static constexpr bool estimates_coefficients = estimated;
    explicit IcaModel(const FamilySpec& spec) : ComponentsModel(spec), given_(m_) {
        for (index k = 0; k < m_; ++k) given_[k] = spec.n_constants == 0 ? 1 : spec.constants[k];
    }
    index n_params() const { return m_ * d_ + (estimated ? m_ : 0); }
    void describe(LayoutVisitor& visitor) const {
        ComponentsModel::describe(visitor);
        if (estimated) visitor.block("coefficients", Packing::dense, &m_, 1);
    }
    void read(const double* theta, ExpertParameters& out) const {
        ComponentsModel::read(theta, out);
        for (index k = 0; k < m_; ++k) out.coefficients[k] = estimated ? theta[m_ * d_ + k] : given_[k];
    }
    template <class Number, class By, class Out>
    void pull_back(const ExpertParametersOf<Number>& at, const By& by, Out gradient) const {
        ComponentsModel::pull_back(at, by, gradient);
        for (index k = 0; estimated && k < m_; ++k) gradient[m_ * d_ + k] = by.coefficient(k);
    }
    template <class T>
    static Pack<T> second(Slope<T> s) {
        return s.key;
    }

  private:
    Buffer<double> given_;
};

}  // namespace

template <class T>
Family<T>* make_ica(const FamilySpec& spec) {
    if (spec.n_components < 1) return nullptr;
    const auto is = [&](const char* variant) { return std::strcmp(spec.variant, variant) == 0; };
    const bool estimated = is("logcosh+coefficients") || is("logistic+coefficients");
    if (spec.n_constants != 0 && (estimated || spec.n_constants != spec.n_components)) return nullptr;
    if (is("logcosh")) return new LinearExpertFamily<T, IcaModel<LogCosh, false>>(spec);
    if (is("logistic")) return new LinearExpertFamily<T, IcaModel<Logistic, false>>(spec);
    if (is("logcosh+coefficients")) return new LinearExpertFamily<T, IcaModel<LogCosh, true>>(spec);
    if (is("logistic+coefficients")) return new LinearExpertFamily<T, IcaModel<Logistic, true>>(spec);
    return nullptr;
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(ica)
