// Von Mises–Fisher on the unit sphere: log p = θᵀx with θ = κμ.
//
// Extended to the space around the sphere by the same formula: ψ = θ, ∇ψ = 0. All that is special to the sphere is in
// the field.
#include "scorematch/registry.hpp"
#include "scorematch/separable.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

struct LinearTerm {
    static constexpr int n_params = 1;
    template <class T>
    static TermValues<T> values(Pack<T> x, const T* theta) {
        return {theta[0] * x, broadcast(theta[0]), Pack<T>{}};
    }
    template <class T>
    static TermSlopes<T, n_params> slopes(Pack<T> x, const T* /*theta*/) {
        return {{x}, {broadcast(T(1))}, {Pack<T>{}}};
    }
};

template <class T>
class VonMisesFisherFamily final : public Family<T> {
  public:
    explicit VonMisesFisherFamily(index n_features) : d_(n_features) {}
    index n_params() const noexcept override { return d_; }
    void describe(LayoutVisitor& visitor) const override { visitor.block("natural", Packing::dense, &d_, 1); }
    Density<T>* at(const double* theta) const override { return new Separable<T, LinearTerm>(d_, theta); }

  private:
    index d_;
};

}  // namespace

template <class T>
Family<T>* make_von_mises_fisher(const FamilySpec& spec) {
    return new VonMisesFisherFamily<T>(spec.n_features);
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(von_mises_fisher)
