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

// tanh x and 1 − tanh²x = 1/cosh²x. The latter from e^y, y = −2|x|, as 4e^y/(1 + e^y)²: the difference would have lost
// all digits where |x| is large. e^y − 1 = q and so on as in tanh of vector_math.hpp, whose reciprocal serves both.
template <class T>
struct TanhAndSlope {
    Pack<T> tanh, slope;
};
template <class T>
inline TanhAndSlope<T> tanh_and_slope(Pack<T> x) {
    // Beyond, e^y would be subnormal.
    constexpr T most = sizeof(T) == sizeof(double) ? T(350) : T(43);
    Pack<T> magnitude = abs<T>(x);
    magnitude = magnitude > most ? broadcast<T>(most) : magnitude;
    const ExponentAndRest<T> e = reduce_by_ln2<T>(-2 * magnitude);
    const Pack<T> two_n = power_of_two<T>(to_bits<T>(e.rounded));
    const Pack<T> small = two_n * expm1_of_rest<T>(e.rest);
    const Pack<T> inverse = 1 / ((1 + two_n) + small);
    const Pack<T> tanh = ((1 - two_n) - small) * inverse;
    return {from_bits<T>(to_bits<T>(tanh) | (to_bits<T>(x) & sign_bit<T>)), 4 * (two_n + small) * (inverse * inverse)};
}

struct LogCosh {
    template <class T>
    static Pack<T> value(Pack<T> s) {
        return -log_cosh<T>(s);
    }
    template <class T>
    static ExpertDerivatives<T> derivatives(Pack<T> s) {
        const TanhAndSlope<T> t = tanh_and_slope<T>(s);
        return {-t.tanh, -t.slope, 2 * t.tanh * t.slope};
    }
};

struct Logistic {
    static constexpr double rate = 0.90689968211710892530;  // π / 2√3
    template <class T>
    static Pack<T> value(Pack<T> s) {
        return -2 * log_cosh<T>(static_cast<T>(rate) * s);
    }
    template <class T>
    static ExpertDerivatives<T> derivatives(Pack<T> s) {
        const TanhAndSlope<T> t = tanh_and_slope<T>(static_cast<T>(rate) * s);
        const Pack<T> first = static_cast<T>(-2 * rate) * t.tanh;
        const Pack<T> second = static_cast<T>(-2 * rate * rate) * t.slope;
        return {first, second, first * second};
    }
};

// α constant and given (all ones if it is not), or the second block of θ.
template <class T, class Expert>
class IcaFamily final : public Family<T> {
  public:
    IcaFamily(const FamilySpec& spec, bool estimates_coefficients)
        : d_(spec.n_features), m_(spec.n_components), estimates_coefficients_(estimates_coefficients),
          coefficients_(m_) {
        for (index k = 0; k < m_; ++k) coefficients_[k] = spec.n_constants == 0 ? 1 : spec.constants[k];
    }

    index n_params() const noexcept override { return m_ * d_ + (estimates_coefficients_ ? m_ : 0); }
    void describe(LayoutVisitor& visitor) const override {
        const index shape[] = {m_, d_};
        visitor.block("components", Packing::dense, shape, 2);
        if (estimates_coefficients_) visitor.block("coefficients", Packing::dense, &m_, 1);
    }
    Density<T>* at(const double* theta) const override {
        const double* const coefficients = estimates_coefficients_ ? theta + m_ * d_ : coefficients_.data();
        return new LinearExperts<T, Expert>(d_, m_, theta, coefficients, estimates_coefficients_);
    }

  private:
    index d_, m_;
    bool estimates_coefficients_;
    Buffer<double> coefficients_;
};

}  // namespace

template <class T>
Family<T>* make_ica(const FamilySpec& spec) {
    if (spec.n_components < 1) return nullptr;
    const auto is = [&](const char* variant) { return std::strcmp(spec.variant, variant) == 0; };
    const bool estimated = is("logcosh+coefficients") || is("logistic+coefficients");
    if (spec.n_constants != 0 && (estimated || spec.n_constants != spec.n_components)) return nullptr;
    if (is("logcosh") || is("logcosh+coefficients")) return new IcaFamily<T, LogCosh>(spec, estimated);
    if (is("logistic") || is("logistic+coefficients")) return new IcaFamily<T, Logistic>(spec, estimated);
    return nullptr;
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(ica)
