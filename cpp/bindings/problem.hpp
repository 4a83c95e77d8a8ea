// What an objective is made of, checked: family, samples, weights and field.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "specs.hpp"

namespace scorematch::bindings {

// A field for given samples; keeps what it points to alive.
class BoundField {
  public:
    BoundField(FieldObject field, index n_samples, index n_features)
        : field_(std::move(field)), caps_(field_.caps_for(n_features)), spec_{field_.kind,
                                                                              field_.weight,
                                                                              field_.exponent,
                                                                              caps_.empty() ? nullptr : caps_.data(),
                                                                              field_.table_for(n_samples, n_features),
                                                                              field_.power,
                                                                              field_.objective} {
        spec_.objective.noise_scales = field_.noise_scales.data();
        spec_.objective.n_noise_scales = static_cast<index>(field_.noise_scales.size());
    }
    BoundField(const BoundField&) = delete;
    BoundField& operator=(const BoundField&) = delete;
    const FieldSpec& spec() const noexcept { return spec_; }

  private:
    FieldObject field_;
    std::vector<double> caps_;
    FieldSpec spec_;
};

// The weights of coordinates are functions of x itself, so that x cannot be moved beneath them.
inline const double* as_origin(const std::optional<Vector>& origin, const FieldObject& field, index n_features) {
    if (origin && field.kind != FieldKind::euclidean) throw py::value_error("an origin is for real space alone");
    return as_optional_vector(origin, "origin", n_features);
}

// Moments are those of the field alone: what a power multiplies is not among them, nor what random vectors do.
inline void check_plain(const FieldObject& field) {
    if (field.power != 1 || field.objective.kind != ObjectiveKind::exact)
        throw py::value_error("moments are taken in a field of the exact objective that is not raised to a power");
}

// For what is called many times: everything is checked when it is made.
class Problem {
  public:
    Problem(FamilyObject family, py::array x, std::optional<Vector> sample_weight, const FieldObject& field,
            int n_threads, std::optional<Vector> origin)
        : family_(std::move(family)), x_(std::move(x)), sample_weight_(std::move(sample_weight)),
          origin_(std::move(origin)), field_(field, n_rows(x_), family_.n_features),
          n_threads_(as_thread_count(n_threads)) {
        as_origin(origin_, field, family_.n_features);
        with_samples(x_, family_.n_features, [](const auto&) {});
        as_optional_vector(sample_weight_, "sample_weight", x_.shape(0));
    }

    const FamilyObject& family() const noexcept { return family_; }
    const FieldSpec& field() const noexcept { return field_.spec(); }
    const double* sample_weight() const noexcept { return sample_weight_ ? sample_weight_->data() : nullptr; }
    index n_samples() const noexcept { return x_.shape(0); }
    int n_threads() const noexcept { return n_threads_; }

    // Calls function(samples), of the type that they have.
    template <class Function>
    auto with_its_samples(Function&& function) const {
        return with_samples(x_, family_.n_features, [&]<class T>(Samples<T> samples) {
            samples.origin = origin_ ? origin_->data() : nullptr;
            return function(samples);
        });
    }

  private:
    static index n_rows(const py::array& x) { return x.ndim() == 2 ? x.shape(0) : 0; }

    FamilyObject family_;
    py::array x_;
    std::optional<Vector> sample_weight_, origin_;
    BoundField field_;
    int n_threads_;
};

}  // namespace scorematch::bindings
