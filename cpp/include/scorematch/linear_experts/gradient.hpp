// From what samples add up to, to the gradient with respect to V, c, α, b and p: for all samples at once, and for each
// lane of a pack apart. linear_experts.hpp explains the symbols.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/linear_experts/model.hpp"
#include "scorematch/linear_experts/sums.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"

SCOREMATCH_BEGIN_LEVEL

// The finished sums over all samples. `by_gram` has the rows of S diag(α) V, or none where S was not summed.
class FinishedSums {
  public:
    FinishedSums(const ExpertParameters& at, const ExpertSums<const double>& sums, Rows<const double> by_gram) noexcept
        : sums_(sums), by_gram_(by_gram), filters_(at.filters.data()), coefficients_(at.coefficients.data()),
          d_(at.centre.size()), m_(at.offsets.size()) {}

    // Those that belong to one component.
    struct Component {
        double offset, coefficient, trace;
        const double *products, *by_gram, *diagonal;

        double outer(index j) const noexcept { return by_gram == nullptr ? products[j] : products[j] + by_gram[j]; }
        double curvature(index j) const noexcept { return trace + diagonal[j]; }
    };
    Component component(index k) const noexcept {
        return {sums_.offsets[k],
                sums_.coefficients[k],
                sums_.curvature[k],
                sums_.outer + k * d_,
                by_gram_ ? by_gram_[k] : nullptr,
                sums_.diagonal + k * d_};
    }
    double score(index j) const noexcept {
        double total = sums_.score[j];
        for (index k = 0; k < m_; ++k) total += coefficients_[k] * sums_.first[k] * filters_[k * d_ + j];
        return total;
    }
    double precision() const noexcept { return *sums_.precision; }

  private:
    ExpertSums<const double> sums_;
    Rows<const double> by_gram_;
    const double *filters_, *coefficients_;
    index d_, m_;
};

// What the samples of one pack would add to these sums, each in its lane.
template <class T>
class PackSums {
  public:
    // κ with a stride of zero where all features share it; g′, g″, z∘g′ and h.
    PackSums(Rows<const T> y, Rows<const T> delta, Rows<const T> kappa, Rows<const T> first, Rows<const T> second,
             Rows<const T> along, Rows<const T> h, index n_features, index lane) noexcept
        : y_(lanes_from(y, lane)), delta_(lanes_from(delta, lane)), kappa_(lanes_from(kappa, lane)),
          first_(lanes_from(first, lane)), second_(lanes_from(second, lane)), along_(lanes_from(along, lane)),
          h_(lanes_from(h, lane)), d_(n_features) {}

    struct Component {
        Pack<T> offset, coefficient, first, second;
        Rows<const T> y, delta, kappa;

        Pack<T> outer(index j) const noexcept { return first * load(y[j]) + offset * load(delta[j]); }
        Pack<T> curvature(index j) const noexcept { return second * load(kappa[j]); }
    };
    Component component(index k) const noexcept {
        return {load(h_[k]), load(along_[k]), load(first_[k]), load(second_[k]), y_, delta_, kappa_};
    }
    Pack<T> score(index j) const noexcept { return load(y_[j]); }
    Pack<T> precision() const noexcept {
        Pack<T> total{};
        for (index j = 0; j < d_; ++j) total -= load(y_[j]) * load(delta_[j]) + load(kappa_[j]);
        return total;
    }

  private:
    Rows<const T> y_, delta_, kappa_, first_, second_, along_, h_;
    index d_;
};

// The gradient, part by part: a model's `pull_back` asks for what its θ has. All is held by value, since the compiler
// cannot know that what is stored on the way does not change what is referred to.
template <class Number, class Sums>
class ExpertGradient {
    using Component = typename Sums::Component;

  public:
    ExpertGradient(const ExpertParametersOf<Number>& at, const Sums& sums) noexcept
        : filters_(at.filters.data()), coefficients_(at.coefficients.data()), centre_(at.centre.data()),
          precision_(at.precision), d_(at.centre.size()), sums_(sums) {}

    // That of the entries of v_k.
    struct Filter {
        Component sums;
        const Number *filter, *centre;
        Number coefficient;

        auto operator[](index j) const noexcept {
            return coefficient * (sums.outer(j) + centre[j] * sums.offset + 2 * filter[j] * sums.curvature(j));
        }
    };
    Filter filter(index k) const noexcept { return {sums_.component(k), filters_ + k * d_, centre_, coefficients_[k]}; }
    auto coefficient(index k) const noexcept {
        const Component component = sums_.component(k);
        auto total = component.coefficient;
        for (index j = 0; j < d_; ++j) {
            const Number v = filters_[k * d_ + j];
            total += v * v * component.curvature(j);
        }
        return total;
    }
    auto offset(index k) const noexcept { return coefficients_[k] * sums_.component(k).offset; }
    auto centre(index j) const noexcept { return precision_ * sums_.score(j); }
    auto precision() const noexcept { return sums_.precision(); }

  private:
    const Number *filters_, *coefficients_, *centre_;
    Number precision_;
    index d_;
    Sums sums_;
};

SCOREMATCH_END_LEVEL
