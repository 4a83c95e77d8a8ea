// The field: what domain and weight make of the objective, A = diag(a) + c v vᵀ and b at a tile of samples.
//
//   ℝᵈ                     a = 1                b = 0               no object: the engine knows the case
//   coordinate weights h   a_j = h(x_j)         b_j = h′(x_j)       generalised score matching on the orthant
//   unit sphere            a = 1, c = −1, v = x, b = −(d−1) x       Mardia, Kent and Laha (2016)
//   any other              a and b from a table that was made of the samples beforehand: distances to a boundary depend
//                          on nothing but x, and the same samples are seen many times
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/family.hpp"
#include "scorematch/level.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// One row of `a` where all coordinates share it, else one a coordinate. No `a`: it is 1; no `b`: it is 0; no direction:
// c v vᵀ is absent.
template <class T>
struct FieldValues {
    Rows<const T> a;
    Rows<const T> b;
    Rows<const T> direction;
    T c = 0;
};

template <class T>
class Field {
  public:
    virtual ~Field() {}
    virtual Curvature curvature() const noexcept = 0;
    virtual index workspace_rows(index n_features) const noexcept = 0;
    virtual FieldValues<T> at(const Tile<T>& tile, Rows<T> workspace) const noexcept = 0;

    // On a manifold the score function is the tangential gradient Aψ, and the Hessian trace is tr(A∇ψ) + bᵀψ, the
    // Laplace–Beltrami operator; elsewhere both are those of the surrounding space.
    virtual bool is_manifold() const noexcept { return false; }

    // The factor of the norm term: ρ = ½·power·ψᵀAψ + tr(A ∇ψ) + bᵀψ is the objective of the density p^power, divided
    // by power.
    T power() const noexcept { return power_; }
    void raise(T power) noexcept { power_ = power; }

  private:
    T power_ = 1;
};

// h(x) and h′(x) of one coordinate, x > 0.
template <class T>
struct WeightValue {
    Pack<T> h;
    Pack<T> derivative;
};

// h = x^p, its derivative p·x^(p−1).
template <class T>
struct PowerWeight {
    T exponent;
    WeightValue<T> operator()(Pack<T> x, index /*coordinate*/) const noexcept {
        return {power<T>(x, exponent), exponent * power<T>(x, exponent - 1)};
    }
};

// h = min(x, c)^p, flat above the cap.
template <class T>
struct MinPowerWeight {
    T exponent;
    const double* caps;
    WeightValue<T> operator()(Pack<T> x, index coordinate) const noexcept {
        const Pack<T> cap = broadcast(static_cast<T>(caps[coordinate]));
        const Pack<T> capped = minimum<T>(x, cap);
        const Pack<T> slope = exponent * power<T>(capped, exponent - 1);
        return {power<T>(capped, exponent), x < cap ? slope : Pack<T>{}};
    }
};

// h = log(1 + x).
template <class T>
struct Log1pWeight {
    WeightValue<T> operator()(Pack<T> x, index /*coordinate*/) const noexcept {
        return {log1p<T>(x), T(1) / (T(1) + x)};
    }
};

// h = λx − x²/(2γ) up to x = γλ, flat from there on: the slope falls from λ to 0.
template <class T>
inline WeightValue<T> minimax_concave(Pack<T> x, Pack<T> lambda, T gamma) noexcept {
    const Pack<T> end = gamma * lambda;
    const Integers<T> is_flat = x >= end;
    const Pack<T> capped = is_flat ? end : x;
    const Pack<T> slope = is_flat ? Pack<T>{} : lambda - capped / gamma;
    return {capped * ((lambda + slope) / 2), slope};
}

template <class T>
struct MinimaxConcaveWeight {
    T gamma;
    const double* lambdas;
    WeightValue<T> operator()(Pack<T> x, index coordinate) const noexcept {
        return minimax_concave<T>(x, broadcast(static_cast<T>(lambdas[coordinate])), gamma);
    }
};

template <class T, class Weight>
class CoordinateField final : public Field<T> {
  public:
    explicit CoordinateField(Weight weight) : weight_(weight) {}
    Curvature curvature() const noexcept override { return Curvature::diagonal; }
    index workspace_rows(index n_features) const noexcept override { return 2 * n_features; }

    FieldValues<T> at(const Tile<T>& tile, Rows<T> workspace) const noexcept override {
        const Rows<T> a = workspace, b = workspace.from(tile.n_features);
        for (index j = 0; j < tile.n_features; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const WeightValue<T> value = weight_(load(tile.x[j] + l), j);
                store<T>(a[j] + l, value.h);
                store<T>(b[j] + l, value.derivative);
            }
        return {a, b, {}, 0};
    }

  private:
    Weight weight_;
};

// ℝᵈ under another power than 1.
template <class T>
class RaisedEuclideanField final : public Field<T> {
  public:
    Curvature curvature() const noexcept override { return Curvature::trace; }
    index workspace_rows(index /*n_features*/) const noexcept override { return 0; }
    FieldValues<T> at(const Tile<T>& /*tile*/, Rows<T> /*workspace*/) const noexcept override { return {}; }
};

template <class T>
class SphereField final : public Field<T> {
  public:
    Curvature curvature() const noexcept override { return Curvature::trace; }
    index workspace_rows(index n_features) const noexcept override { return 1 + n_features; }
    bool is_manifold() const noexcept override { return true; }

    FieldValues<T> at(const Tile<T>& tile, Rows<T> workspace) const noexcept override {
        const Rows<T> a = workspace, b = workspace.from(1);
        const T dimension = static_cast<T>(tile.n_features - 1);
        for (index l = 0; l < tile.lanes; ++l) a[0][l] = 1;
        for (index j = 0; j < tile.n_features; ++j)
            for (index l = 0; l < tile.lanes; ++l) b[j][l] = -dimension * tile.x[j][l];
        return {a, b, tile.x, T(-1)};
    }
};

template <class T>
class TabulatedField final : public Field<T> {
  public:
    explicit TabulatedField(const FieldTable& table) : table_(table) {}
    Curvature curvature() const noexcept override {
        return table_.a_rows == 1 ? Curvature::trace : Curvature::diagonal;
    }
    index workspace_rows(index n_features) const noexcept override { return table_.a_rows + n_features; }

    FieldValues<T> at(const Tile<T>& tile, Rows<T> workspace) const noexcept override {
        const Rows<T> a = workspace, b = workspace.from(table_.a_rows);
        for (index j = 0; j < table_.a_rows; ++j) look_up(table_.a, j, tile, a[j]);
        for (index j = 0; j < tile.n_features; ++j) look_up(table_.b, j, tile, b[j]);
        return {a, b, {}, 0};
    }

  private:
    // Lanes behind the last sample repeat it, as they do in the tile.
    void look_up(const double* table, index row, const Tile<T>& tile, T* __restrict out) const noexcept {
        const double* const __restrict values = table + row * table_.stride + tile.first;
        for (index l = 0; l < tile.count; ++l) out[l] = static_cast<T>(values[l]);
        for (index l = tile.count; l < tile.lanes; ++l) out[l] = out[tile.count - 1];
    }

    FieldTable table_;
};

template <class T>
Field<T>* make_field_of_kind(const FieldSpec& spec) {
    switch (spec.kind) {
        case FieldKind::euclidean: return spec.power == 1 ? nullptr : new RaisedEuclideanField<T>();
        case FieldKind::sphere: return new SphereField<T>();
        case FieldKind::tabulated: return new TabulatedField<T>(spec.table);
        case FieldKind::coordinate: break;
    }
    const T exponent = static_cast<T>(spec.exponent);
    switch (spec.weight) {
        case WeightFunction::power: return new CoordinateField<T, PowerWeight<T>>({exponent});
        case WeightFunction::min_power: return new CoordinateField<T, MinPowerWeight<T>>({exponent, spec.caps});
        case WeightFunction::mcp: return new CoordinateField<T, MinimaxConcaveWeight<T>>({exponent, spec.caps});
        case WeightFunction::log1p: break;
    }
    return new CoordinateField<T, Log1pWeight<T>>({});
}

// The caller deletes it; null on ℝᵈ.
template <class T>
Field<T>* make_field(const FieldSpec& spec) {
    Field<T>* const field = make_field_of_kind<T>(spec);
    if (field != nullptr) field->raise(static_cast<T>(spec.power));
    return field;
}

SCOREMATCH_END_LEVEL
