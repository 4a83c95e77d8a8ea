// Sliced score matching (Song, Garg, Shi and Ermon 2019): the trace is seen along random directions alone.
//
// With A = SSᵀ and u = Sv, so that E[uuᵀ] = A,
//
//     ρ = ½·power·(uᵀψ)² + uᵀ∇ψu + bᵀψ,
//
// and with variance reduction ½·power·ψᵀAψ in place of the first term. Its mean over v is the exact ρ either way.
#pragma once

#include "scorematch/objectives/objective.hpp"
#include "scorematch/objectives/random_vectors.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class SlicedObjective final : public Objective<T> {
  public:
    SlicedObjective(const ObjectiveSpec& spec, const Density<T>& density, const Field<T>* field, index n_features)
        : density_(density), field_(field), vectors_(spec, n_features), n_vectors_(spec.n_projections),
          reduces_variance_(spec.variance_reduction), d_(n_features),
          field_rows_(field == nullptr ? 0 : field->workspace_rows(n_features)) {}

    double passes() const noexcept override { return static_cast<double>(n_vectors_); }
    index workspace_rows() const noexcept override { return own_rows() + density_.workspace_rows(); }
    bool has_gradient_rows() const noexcept override { return density_.has_gradient_rows(); }
    index gradient_workspace_rows() const noexcept override { return own_rows() + density_.gradient_workspace_rows(); }

    void operator()(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace, T* norm_term,
                    T* hessian_term, double* sums) const noexcept override {
        go(tile, points, weight, workspace, norm_term, hessian_term, WayBack<T>(density_, sums));
    }

    void gradient_rows(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace, T* norm_term,
                       T* hessian_term, const GradientRows<T>& out) const noexcept override {
        go(tile, points, weight, workspace, norm_term, hessian_term, WayBack<T>(density_, out));
    }

  private:
    // u, ψ, its cotangent; uᵀ∇ψu and its cotangent, and one to spare.
    index own_rows() const noexcept { return 3 * d_ + 3 + field_rows_; }

    void go(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace, T* norm_term,
            T* hessian_term, WayBack<T> back) const noexcept {
        const Rows<T> u = workspace, score = u.from(d_), score_cotangent = score.from(d_);
        const Rows<T> scalars = score_cotangent.from(d_), field_workspace = scalars.from(3);
        const Rows<T> rest = field_workspace.from(field_rows_);
        T* const __restrict directional = scalars[0];
        T* const __restrict directional_cotangent = scalars[1];
        const FieldValues<T> field = field_ == nullptr ? FieldValues<T>{} : field_->at(points, field_workspace);
        const T share = T(1) / static_cast<T>(n_vectors_), factor = field_ == nullptr ? T(1) : field_->power();

        fill_row<T>(0, tile.lanes, norm_term);
        fill_row<T>(0, tile.lanes, hessian_term);
        if (back.is_wanted()) scale_row(share, weight, tile.lanes, directional_cotangent);
        for (index number = 0; number < n_vectors_; ++number) {
            vectors_(tile, number, u);
            to_field(field, tile.lanes, u, scalars[2]);
            const Derivatives<T> results{score, Curvature::none, {}, u, directional};
            density_.forward(tile, rest, results);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                Pack<T> norm{}, hessian = load(directional + l), along{}, across{};
                for (index j = 0; j < d_; ++j) {
                    const Pack<T> psi = load(score[j] + l);
                    along += load(u[j] + l) * psi;
                    if (field.direction) across += load(field.direction[j] + l) * psi;
                    if (field.b) hessian += load(field.b[j] + l) * psi;
                    if (reduces_variance_) norm += field.a ? load(field.a[row_of_a(j)] + l) * psi * psi : psi * psi;
                }
                norm = reduces_variance_ ? norm + field.c * across * across : along * along;
                store<T>(norm_term + l, load(norm_term + l) + share * T(0.5) * factor * norm);
                store<T>(hessian_term + l, load(hessian_term + l) + share * hessian);
                if (!back.is_wanted()) continue;
                const Pack<T> w = load(directional_cotangent + l);
                for (index j = 0; j < d_; ++j) {
                    Pack<T> slope;  // of the norm term in ψ_j
                    if (reduces_variance_) {
                        slope = load(score[j] + l);
                        if (field.a) slope *= load(field.a[row_of_a(j)] + l);
                        if (field.direction) slope += field.c * across * load(field.direction[j] + l);
                    } else {
                        slope = along * load(u[j] + l);
                    }
                    slope *= factor;
                    if (field.b) slope += load(field.b[j] + l);
                    store<T>(score_cotangent[j] + l, w * slope);
                }
            }
            if (back.is_wanted()) back(tile, rest, results, {score_cotangent, {}, directional_cotangent});
        }
    }

    index row_of_a(index j) const noexcept { return field_->curvature() == Curvature::trace ? 0 : j; }

    // u = Sv in place. A field that has a direction is a projection, A = AAᵀ; others are diagonal.
    void to_field(const FieldValues<T>& field, index lanes, Rows<T> v, T* along) const noexcept {
        if (field.direction) {
            fill_row<T>(0, lanes, along);
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < lanes; l += pack_size<T>)
                    store<T>(along + l, load(along + l) + load(field.direction[j] + l) * load(v[j] + l));
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < lanes; l += pack_size<T>)
                    store<T>(v[j] + l, load(field.a[row_of_a(j)] + l) * load(v[j] + l) +
                                           field.c * load(along + l) * load(field.direction[j] + l));
        } else if (field.a) {
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < lanes; l += pack_size<T>)
                    store<T>(v[j] + l, sqrt<T>(load(field.a[row_of_a(j)] + l)) * load(v[j] + l));
        }
    }

    const Density<T>& density_;
    const Field<T>* field_;
    RandomVectors<T> vectors_;
    index n_vectors_;
    bool reduces_variance_;
    index d_, field_rows_;
};

SCOREMATCH_END_LEVEL
