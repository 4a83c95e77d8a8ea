// The exact objective, ρ = ½·power·ψᵀAψ + tr(A∇ψ) + bᵀψ (Hyvärinen 2005, and its kin on domains).
#pragma once

#include "scorematch/objectives/objective.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class ExactObjective final : public Objective<T> {
  public:
    ExactObjective(const Density<T>& density, const Field<T>* field, index n_features) noexcept
        : density_(density), field_(field), n_features_(n_features),
          asked_(field == nullptr ? Curvature::trace : field->curvature()),
          curvature_rows_(rows_of(asked_, n_features)) {}

    index workspace_rows() const noexcept override {
        return shortcut() ? density_.euclidean_rows() : rows_of_passage(density_.workspace_rows());
    }
    index gradient_workspace_rows() const noexcept override {
        return rows_of_passage(density_.gradient_workspace_rows());
    }
    bool has_gradient_rows() const noexcept override { return density_.has_gradient_rows(); }
    Curvature asked() const noexcept override { return asked_; }
    bool shortcut() const noexcept { return field_ == nullptr && density_.has_euclidean_shortcut(); }

    void operator()(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace, T* norm_term,
                    T* hessian_term, double* sums) const noexcept override {
        if (shortcut()) {
            density_.euclidean(tile, weight, workspace, norm_term, hessian_term, sums);
            return;
        }
        const Passage passage = forward(tile, points, workspace, norm_term, hessian_term);
        if (sums == nullptr) return;
        density_.backward(tile, passage.rest, passage.results, cotangents(passage, weight, tile.lanes), sums);
    }

    void gradient_rows(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace, T* norm_term,
                       T* hessian_term, const GradientRows<T>& out) const noexcept override {
        const Passage passage = forward(tile, points, workspace, norm_term, hessian_term);
        density_.gradient_rows(tile, passage.rest, passage.results, cotangents(passage, weight, tile.lanes), out.out);
    }

  private:
    // What the way there leaves for the way back, and room for the cotangents.
    struct Passage {
        FieldValues<T> field;
        Derivatives<T> results;
        T* projection;  // c vᵀψ
        Rows<T> score_cotangent, curvature_cotangent;
        T* directional_cotangent;
        Rows<T> rest;  // the density's
    };

    Passage forward(const Tile<T>& tile, const Tile<T>& points, Rows<T> workspace, T* norm_term,
                    T* hessian_term) const noexcept {
        const Rows<T> score = workspace, score_cotangent = workspace.from(n_features_);
        const Rows<T> curvature = workspace.from(2 * n_features_);
        const Rows<T> curvature_cotangent = curvature.from(curvature_rows_);
        const Rows<T> scalars = curvature_cotangent.from(curvature_rows_);
        T* const __restrict directional = scalars[0];
        T* const __restrict projection = scalars[1];
        const Rows<T> field_workspace = workspace.from(own_rows());
        const FieldValues<T> field = field_ == nullptr ? FieldValues<T>{} : field_->at(points, field_workspace);
        const Rows<T> rest = field_workspace.from(field_ == nullptr ? 0 : field_->workspace_rows(n_features_));

        const Derivatives<T> results{score, asked_, curvature, field.direction, directional};
        density_.forward(tile, rest, results);

        const T half_power = T(0.5) * power();
        for (index l = 0; l < tile.lanes; l += pack_size<T>) {
            Pack<T> norm{}, hessian{}, along{};
            if (field.direction) {
                for (index j = 0; j < n_features_; ++j) along += load(field.direction[j] + l) * load(score[j] + l);
                norm = field.c * along * along;
                hessian = field.c * load(directional + l);
                store<T>(projection + l, field.c * along);
            }
            for (index j = 0; j < n_features_; ++j) {
                const Pack<T> psi = load(score[j] + l);
                norm += field.a ? load(field.a[a_row(j)] + l) * psi * psi : psi * psi;
                if (field.b) hessian += load(field.b[j] + l) * psi;
            }
            for (index j = 0; j < curvature_rows_; ++j) {
                const Pack<T> second = load(curvature[j] + l);
                hessian += field.a ? load(field.a[j] + l) * second : second;
            }
            store<T>(norm_term + l, half_power * norm);
            store<T>(hessian_term + l, hessian);
        }
        return {field, results, projection, score_cotangent, curvature_cotangent, scalars[2], rest};
    }

    // Of ψ weight·(power·Aψ + b), of ∇ψ weight·A.
    Cotangents<T> cotangents(const Passage& passage, const T* weight, index lanes) const noexcept {
        const FieldValues<T>& field = passage.field;
        const T factor = power();
        for (index j = 0; j < n_features_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                Pack<T> u = load(passage.results.score[j] + l);
                if (field.a) u *= load(field.a[a_row(j)] + l);
                if (field.direction) u += load(passage.projection + l) * load(field.direction[j] + l);
                u *= factor;
                if (field.b) u += load(field.b[j] + l);
                store<T>(passage.score_cotangent[j] + l, load(weight + l) * u);
            }
        for (index j = 0; j < curvature_rows_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> w = load(weight + l);
                store<T>(passage.curvature_cotangent[j] + l, field.a ? w * load(field.a[j] + l) : w);
            }
        for (index l = 0; l < lanes; l += pack_size<T>)
            store<T>(passage.directional_cotangent + l, field.c * load(weight + l));
        return {passage.score_cotangent, passage.curvature_cotangent, passage.directional_cotangent};
    }

    index rows_of_passage(index density_rows) const noexcept {
        const index field_rows = field_ == nullptr ? 0 : field_->workspace_rows(n_features_);
        return own_rows() + field_rows + density_rows;
    }
    // ψ and its cotangent, ∇ψ and its cotangent, vᵀ∇ψv, vᵀψ and their cotangents.
    index own_rows() const noexcept { return 2 * n_features_ + 2 * curvature_rows_ + 3; }
    index a_row(index j) const noexcept { return asked_ == Curvature::trace ? 0 : j; }
    T power() const noexcept { return field_ == nullptr ? T(1) : field_->power(); }

    const Density<T>& density_;
    const Field<T>* field_;
    index n_features_;
    Curvature asked_;
    index curvature_rows_;
};

SCOREMATCH_END_LEVEL
