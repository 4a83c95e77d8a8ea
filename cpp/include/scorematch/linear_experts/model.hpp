// What a model of linear experts is made of, and the plainest one. linear_experts.hpp explains the symbols.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

// G′ at some u, and the key to G″ and G‴.
template <class T>
struct Slope {
    Pack<T> first, key;
};

// What a density of linear experts is made of.
template <class Number>
struct ExpertParametersOf {
    ExpertParametersOf() noexcept = default;
    ExpertParametersOf(index n_features, index n_components)
        : filters(n_components * n_features), offsets(n_components), coefficients(n_components), centre(n_features) {}
    Buffer<Number> filters;       // V (m,d), row by row
    Buffer<Number> offsets;       // c (m,)
    Buffer<Number> coefficients;  // α (m,)
    Buffer<Number> centre;        // b (d,)
    Number precision = 0;         // p

    // A copy in a precision.
    template <class Other>
    ExpertParametersOf<Other> as() const {
        ExpertParametersOf<Other> copy(centre.size(), offsets.size());
        const auto convert = [](const Buffer<Number>& from, Buffer<Other>& to) {
            for (index i = 0; i < from.size(); ++i) to[i] = static_cast<Other>(from[i]);
        };
        convert(filters, copy.filters);
        convert(offsets, copy.offsets);
        convert(coefficients, copy.coefficients);
        convert(centre, copy.centre);
        copy.precision = static_cast<Other>(precision);
        return copy;
    }
};
using ExpertParameters = ExpertParametersOf<double>;

// The plainest model, and what others derive from: θ is V, there is no base, α = 1.
class ComponentsModel {
  public:
    // Whether there are c, b and p; if not, nothing is spent on them.
    static constexpr bool has_base = false;
    // Whether the way back needs ∂/∂α.
    static constexpr bool estimates_coefficients = false;

    explicit ComponentsModel(const FamilySpec& spec) : d_(spec.n_features), m_(spec.n_components) {}
    index n_features() const noexcept { return d_; }
    index n_components() const noexcept { return m_; }
    index n_params() const noexcept { return m_ * d_; }
    void describe(LayoutVisitor& visitor) const {
        const index shape[] = {m_, d_};
        visitor.block("components", Packing::dense, shape, 2);
    }
    // V, c, α, b, p of θ.
    void read(const double* theta, ExpertParameters& out) const noexcept {
        for (index i = 0; i < m_ * d_; ++i) out.filters[i] = theta[i];
        for (index k = 0; k < m_; ++k) out.coefficients[k] = 1;
    }
    // The gradient with respect to θ of that with respect to V, c, α, b, p, which is `by`
    // (linear_experts/gradient.hpp): all samples' in double, or a pack's.
    template <class Number, class By, class Out>
    void pull_back(const ExpertParametersOf<Number>& /*at*/, const By& by, Out gradient) const noexcept {
        for (index k = 0; k < m_; ++k) {
            const auto by_filter = by.filter(k);
            for (index j = 0; j < d_; ++j) gradient[k * d_ + j] = by_filter[j];
        }
    }

  protected:
    index d_, m_;
};

SCOREMATCH_END_LEVEL
