// Finite-difference sliced score matching (Pang, Xu, Li, Song, Ermon and Zhu 2020), on ℝᵈ: the sliced objective without
// variance reduction, whose derivatives along v are differences of ℓ = log p̃,
//
//     ρ = ½((ℓ₊ − ℓ₋)/2ε)² + (ℓ₊ − 2ℓ + ℓ₋)/ε²,    ℓ± = ℓ(x ± εv).
//
// Where ℓ is a quadratic these are no approximations.
#pragma once

#include "scorematch/objectives/objective.hpp"
#include "scorematch/objectives/random_vectors.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class FiniteDifferenceObjective final : public Objective<T> {
  public:
    FiniteDifferenceObjective(const ObjectiveSpec& spec, const Density<T>& density, index n_features)
        : density_(density), vectors_(spec, n_features), n_vectors_(spec.n_projections),
          step_(static_cast<T>(spec.step)), d_(n_features) {}

    double passes() const noexcept override { return static_cast<double>(2 * n_vectors_ + 1); }
    // v, x ± εv, ℓ, ℓ±, two cotangents.
    index workspace_rows() const noexcept override { return 2 * d_ + 5 + density_.workspace_rows(); }

    void operator()(const Tile<T>& tile, const Tile<T>& /*points*/, const T* weight, Rows<T> workspace, T* norm_term,
                    T* hessian_term, double* sums) const noexcept override {
        const Rows<T> v = workspace, moved = v.from(d_), scalars = moved.from(d_), rest = scalars.from(5);
        T* const __restrict middle = scalars[0];
        T* const __restrict ahead = scalars[1];
        T* const __restrict behind = scalars[2];
        T* const __restrict ahead_cotangent = scalars[3];
        T* const __restrict behind_cotangent = scalars[4];
        const index lanes = tile.lanes;
        const T share = T(1) / static_cast<T>(n_vectors_), curvature = 1 / (step_ * step_), slope = 1 / (2 * step_);

        fill_row<T>(0, lanes, norm_term);
        fill_row<T>(0, lanes, hessian_term);
        density_.log_density(tile, rest, middle);
        Tile<T> there = tile;
        there.x = moved;
        for (index number = 0; number < n_vectors_; ++number) {
            vectors_(tile, number, v);
            step_along(tile, v, -step_, moved);
            density_.log_density(there, rest, behind);
            step_along(tile, v, step_, moved);
            density_.log_density(there, rest, ahead);
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> up = load(ahead + l) - load(middle + l), down = load(behind + l) - load(middle + l);
                const Pack<T> first = slope * (up - down);
                store<T>(norm_term + l, load(norm_term + l) + share * T(0.5) * first * first);
                store<T>(hessian_term + l, load(hessian_term + l) + share * curvature * (up + down));
                if (sums == nullptr) continue;
                const Pack<T> w = share * load(weight + l);
                store<T>(ahead_cotangent + l, w * (curvature + slope * first));
                store<T>(behind_cotangent + l, w * (curvature - slope * first));
            }
            if (sums == nullptr) continue;
            density_.log_density_backward(there, rest, ahead_cotangent, sums);
            step_along(tile, v, -step_, moved);
            density_.log_density_backward(there, rest, behind_cotangent, sums);
        }
        if (sums == nullptr) return;
        scale_row(-2 * curvature, weight, lanes, ahead_cotangent);
        density_.log_density_backward(tile, rest, ahead_cotangent, sums);
    }

  private:
    void step_along(const Tile<T>& tile, Rows<T> v, T step, Rows<T> out) const noexcept {
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(out[j] + l, load(tile.x[j] + l) + step * load(v[j] + l));
    }

    const Density<T>& density_;
    RandomVectors<T> vectors_;
    index n_vectors_;
    T step_;
    index d_;
};

SCOREMATCH_END_LEVEL
