// Denoising score matching (Vincent 2011): the score of the data with noise, x̃ = x + σz, on ℝᵈ.
//
//     ρ = ½‖ψ(x̃) + z/σ‖²,
//
// and with variance reduction ½‖ψ(x̃)‖² + (ψ(x̃) − ψ(x))ᵀz/σ. This leaves out ½‖z‖²/σ², which no parameter changes, and
// ψ(x)ᵀz/σ, whose mean over z is 0: what is left stays bounded as σ falls, to ½‖ψ‖² + zᵀ∇ψz, the sliced objective along
// z. Of several σ the mean is taken with weights σ².
#pragma once

#include "scorematch/objectives/objective.hpp"
#include "scorematch/objectives/random_vectors.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class DenoisingObjective final : public Objective<T> {
  public:
    DenoisingObjective(const ObjectiveSpec& spec, const Density<T>& density, index n_features)
        : density_(density), vectors_(spec, n_features), n_vectors_(spec.n_projections), scales_(spec.noise_scales),
          n_scales_(spec.n_noise_scales), reduces_variance_(spec.variance_reduction), d_(n_features) {
        for (index i = 0; i < n_scales_; ++i) total_ += scales_[i] * scales_[i];
    }

    double passes() const noexcept override {
        return static_cast<double>(n_vectors_ * n_scales_ + (reduces_variance_ ? 1 : 0));
    }
    index workspace_rows() const noexcept override { return own_rows() + density_.workspace_rows(); }
    bool has_gradient_rows() const noexcept override { return density_.has_gradient_rows(); }
    index gradient_workspace_rows() const noexcept override { return own_rows() + density_.gradient_workspace_rows(); }

    void operator()(const Tile<T>& tile, const Tile<T>& /*points*/, const T* weight, Rows<T> workspace, T* norm_term,
                    T* hessian_term, double* sums) const noexcept override {
        go(tile, weight, workspace, norm_term, hessian_term, WayBack<T>(density_, sums));
    }

    void gradient_rows(const Tile<T>& tile, const Tile<T>& /*points*/, const T* weight, Rows<T> workspace, T* norm_term,
                       T* hessian_term, const GradientRows<T>& out) const noexcept override {
        go(tile, weight, workspace, norm_term, hessian_term, WayBack<T>(density_, out));
    }

  private:
    // z, x̃, ψ, its cotangent, and the sum of −z/σ.
    index own_rows() const noexcept { return 5 * d_; }

    void go(const Tile<T>& tile, const T* weight, Rows<T> workspace, T* norm_term, T* hessian_term,
            WayBack<T> back) const noexcept {
        const Rows<T> z = workspace, noisy = z.from(d_), score = noisy.from(d_), cotangent = score.from(d_);
        const Rows<T> targets = cotangent.from(d_), rest = targets.from(d_);
        const index lanes = tile.lanes;
        fill_row<T>(0, lanes, norm_term);
        fill_row<T>(0, lanes, hessian_term);
        for (index j = 0; j < d_; ++j) fill_row<T>(0, lanes, targets[j]);

        Tile<T> with_noise = tile;
        with_noise.x = noisy;
        for (index i = 0; i < n_scales_; ++i) {
            const T sigma = static_cast<T>(scales_[i]), inverse = static_cast<T>(1 / scales_[i]);
            const T share = static_cast<T>(scales_[i] * scales_[i] / (total_ * static_cast<double>(n_vectors_)));
            for (index number = 0; number < n_vectors_; ++number) {
                vectors_(tile, i * n_vectors_ + number, z);
                for (index j = 0; j < d_; ++j)
                    for (index l = 0; l < lanes; l += pack_size<T>)
                        store<T>(noisy[j] + l, load(tile.x[j] + l) + sigma * load(z[j] + l));
                const Derivatives<T> results{score, Curvature::none, {}, {}, nullptr};
                density_.forward(with_noise, rest, results);
                for (index l = 0; l < lanes; l += pack_size<T>) {
                    Pack<T> norm{}, along{};
                    for (index j = 0; j < d_; ++j) {
                        const Pack<T> target = inverse * load(z[j] + l), psi = load(score[j] + l);
                        const Pack<T> residual = psi + target;
                        norm += reduces_variance_ ? psi * psi : residual * residual;
                        along += psi * target;
                        store<T>(targets[j] + l, load(targets[j] + l) - share * target);
                        if (back.is_wanted()) store<T>(cotangent[j] + l, share * load(weight + l) * residual);
                    }
                    store<T>(norm_term + l, load(norm_term + l) + T(0.5) * share * norm);
                    if (reduces_variance_) store<T>(hessian_term + l, load(hessian_term + l) + share * along);
                }
                if (back.is_wanted()) back(with_noise, rest, results, {cotangent, {}, nullptr});
            }
        }
        if (reduces_variance_) take_off(tile, weight, score, targets, rest, hessian_term, back);
    }

    // ψ(x)ᵀz/σ of all vectors together.
    void take_off(const Tile<T>& tile, const T* weight, Rows<T> score, Rows<T> targets, Rows<T> rest, T* hessian_term,
                  WayBack<T>& back) const noexcept {
        const Derivatives<T> results{score, Curvature::none, {}, {}, nullptr};
        density_.forward(tile, rest, results);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> target = load(targets[j] + l);
                store<T>(hessian_term + l, load(hessian_term + l) + load(score[j] + l) * target);
                if (back.is_wanted()) store<T>(targets[j] + l, load(weight + l) * target);
            }
        if (back.is_wanted()) back(tile, rest, results, {targets, {}, nullptr});
    }

    const Density<T>& density_;
    RandomVectors<T> vectors_;
    index n_vectors_;
    const double* scales_;
    index n_scales_;
    double total_ = 0;
    bool reduces_variance_;
    index d_;
};

SCOREMATCH_END_LEVEL
