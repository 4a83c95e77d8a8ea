// The descriptions of a family and of a field as Python objects: they own what the core's descriptions point to.
#pragma once

#include <string>
#include <vector>

#include "arrays.hpp"
#include "scorematch/common.hpp"

namespace scorematch::bindings {

struct FamilyObject {
    std::string name, variant;
    index n_features = 0, n_components = 0;
    std::vector<double> constants;
    index n_params = 0;

    FamilySpec spec() const {
        return {name.c_str(),
                variant.c_str(),
                n_features,
                n_components,
                constants.empty() ? nullptr : constants.data(),
                static_cast<index>(constants.size())};
    }
};

// Feature after feature.
using Table = py::array_t<double, py::array::f_style | py::array::forcecast>;

struct FieldObject {
    FieldKind kind = FieldKind::euclidean;
    WeightFunction weight = WeightFunction::power;
    double exponent = 1.0;
    std::vector<double> caps;  // empty, one for all coordinates, or one each
    Table a, b;                // of a tabulated field: (n_samples, 1 or n_features) and (n_samples, n_features)
    double power = 1.0;
    ObjectiveSpec objective;           // without its pointers
    std::vector<double> noise_scales;  // of denoising

    bool has_weights() const { return kind == FieldKind::coordinate || kind == FieldKind::tabulated; }
    // Whether all coordinates have the same weight.
    bool is_shared() const { return kind == FieldKind::tabulated && a.shape(1) == 1; }

    // `n_features` caps are made of one.
    std::vector<double> caps_for(index n_features) const;

    // The table of a tabulated field, for samples of that shape.
    FieldTable table_for(index n_samples, index n_features) const;
};

}  // namespace scorematch::bindings
