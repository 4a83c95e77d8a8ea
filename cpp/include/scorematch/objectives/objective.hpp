// What an objective is: from a density and a field, two terms of ρ for each sample of a tile, and the way back of their
// sum. The engine knows no more of it, and the density nothing.
#pragma once

#include "scorematch/family.hpp"
#include "scorematch/field.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

// Gradients of samples, (n_params, lanes), and as many rows to spare for an objective that goes several ways back.
template <class T>
struct GradientRows {
    Rows<T> out, spare;
    index n_params;
};

// One way back through a density or several, added up: into sums, into rows of gradients, or not at all.
template <class T>
class WayBack {
  public:
    WayBack(const Density<T>& density, double* sums) noexcept : density_(density), sums_(sums) {}
    WayBack(const Density<T>& density, const GradientRows<T>& rows) noexcept : density_(density), rows_(rows) {}

    bool is_wanted() const noexcept { return sums_ != nullptr || rows_.out; }

    void operator()(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                    const Cotangents<T>& cotangents) noexcept {
        if (sums_ != nullptr) {
            density_.backward(tile, workspace, results, cotangents, sums_);
            return;
        }
        density_.gradient_rows(tile, workspace, results, cotangents, is_first_ ? rows_.out : rows_.spare);
        if (!is_first_)
            for (index i = 0; i < rows_.n_params; ++i)
                for (index l = 0; l < tile.lanes; l += pack_size<T>)
                    store<T>(rows_.out[i] + l, load(rows_.out[i] + l) + load(rows_.spare[i] + l));
        is_first_ = false;
    }

  private:
    const Density<T>& density_;
    double* sums_ = nullptr;
    GradientRows<T> rows_{};
    bool is_first_ = true;
};

template <class T>
class Objective {
  public:
    Objective() = default;
    Objective(const Objective&) = delete;
    Objective& operator=(const Objective&) = delete;
    virtual ~Objective() {}

    virtual index workspace_rows() const noexcept = 0;

    // How often it goes through the density there and back, so that work can be estimated.
    virtual double passes() const noexcept { return 1; }

    // Writes the two terms of ρ; adds the way back of Σ weight·ρ to `sums` unless that is null. `tile` is what the
    // density sees, `points` what the field does.
    virtual void operator()(const Tile<T>& tile, const Tile<T>& points, const T* weight, Rows<T> workspace,
                            T* norm_term, T* hessian_term, double* sums) const noexcept = 0;

    // Optional: the same, but the way back of each sample's weight·ρ apart. Without it, samples are gone through one by
    // one. See Density::gradient_rows.
    virtual bool has_gradient_rows() const noexcept { return false; }
    virtual Curvature asked() const noexcept { return Curvature::none; }
    virtual index gradient_workspace_rows() const noexcept { return workspace_rows(); }
    virtual void gradient_rows(const Tile<T>& /*tile*/, const Tile<T>& /*points*/, const T* /*weight*/,
                               Rows<T> /*workspace*/, T* /*norm_term*/, T* /*hessian_term*/,
                               const GradientRows<T>& /*out*/) const noexcept {}
};

SCOREMATCH_END_LEVEL
