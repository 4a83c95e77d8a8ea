// From what samples add up to, to the gradient with respect to V, c, α, b and p: for all samples at once, and for each
// lane of a pack apart. linear_experts.hpp explains the symbols.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/family.hpp"
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
        double offset, trace;
        const double *products, *by_gram, *diagonal;

        double outer(index j) const noexcept { return by_gram == nullptr ? products[j] : products[j] + by_gram[j]; }
        double curvature(index j) const noexcept { return trace + diagonal[j]; }
    };
    Component component(index k) const noexcept {
        return {sums_.offsets[k], sums_.curvature[k], sums_.outer + k * d_, by_gram_ ? by_gram_[k] : nullptr,
                sums_.diagonal + k * d_};
    }
    double coefficient(index k) const noexcept {
        const Component component_k = component(k);
        double total = sums_.coefficients[k];
        for (index j = 0; j < d_; ++j) {  // what of r comes from κ
            const double v = filters_[k * d_ + j];
            total += v * v * component_k.curvature(j);
        }
        return total;
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
    // What the way back leaves of each component: g′, g″, z∘g′ + r∘g″, h and, where there is a direction t, 2e s∘g″.
    struct Found {
        Rows<const T> first, second, along, h, across;
    };
    PackSums(Rows<const T> delta, const Derivatives<T>& results, const Cotangents<T>& cotangents, const Found& found,
             index n_features, index lane) noexcept
        : delta_(lanes_from(delta, lane)), y_(lanes_from(cotangents.score, lane)),
          first_(lanes_from(found.first, lane)), second_(lanes_from(found.second, lane)),
          along_(lanes_from(found.along, lane)), h_(lanes_from(found.h, lane)), across_(lanes_from(found.across, lane)),
          direction_(lanes_from(results.direction, lane)), d_(n_features) {
        if (results.asked != Curvature::none) kappa_ = lanes_from(cotangents.curvature, lane);
        if (results.asked == Curvature::trace) kappa_.stride = 0;  // all features share it
        if (direction_) directional_ = cotangents.directional + lane;
    }

    struct Component {
        Pack<T> offset, first, second, across;
        Rows<const T> y, delta, kappa, direction;

        Pack<T> outer(index j) const noexcept {
            const Pack<T> total = first * load(y[j]) + offset * load(delta[j]);
            return direction ? total + across * load(direction[j]) : total;
        }
        Pack<T> curvature(index j) const noexcept { return kappa ? second * load(kappa[j]) : Pack<T>{}; }
    };
    Component component(index k) const noexcept {
        return {load(h_[k]), load(first_[k]), load(second_[k]), direction_ ? load(across_[k]) : Pack<T>{},
                y_,          delta_,          kappa_,           direction_};
    }
    Pack<T> coefficient(index k) const noexcept { return load(along_[k]); }
    Pack<T> score(index j) const noexcept { return load(y_[j]); }
    Pack<T> precision() const noexcept {
        Pack<T> total{};
        for (index j = 0; j < d_; ++j) {
            total -= load(y_[j]) * load(delta_[j]);
            if (kappa_) total -= load(kappa_[j]);
            if (direction_) total -= load(directional_) * load(direction_[j]) * load(direction_[j]);
        }
        return total;
    }

  private:
    Rows<const T> delta_, y_, first_, second_, along_, h_, across_;
    Rows<const T> kappa_, direction_;  // null where there is none
    const T* directional_ = nullptr;
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
    auto coefficient(index k) const noexcept { return sums_.coefficient(k); }
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
