// Families and fields as Python objects.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cmath>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/levels.hpp"
#include "specs.hpp"

namespace scorematch::bindings {
namespace {

// Collects the blocks of θ as (name, packing, shape), and counts parameters.
class LayoutList final : public LayoutVisitor {
  public:
    void block(const char* name, Packing packing, const index* shape, int n_dimensions) override {
        py::tuple dimensions(static_cast<std::size_t>(n_dimensions));
        index size = 1;
        for (int i = 0; i < n_dimensions; ++i) {
            dimensions[static_cast<std::size_t>(i)] = shape[i];
            size *= shape[i];
        }
        if (packing != Packing::dense) {  // a triangle of each of the last two dimensions' squares
            const index side = shape[n_dimensions - 1];
            size = size / side * (side + 1) / 2;
        }
        n_params += size;
        const char* const names[] = {"dense", "symmetric", "lower"};
        blocks.append(py::make_tuple(name, names[static_cast<int>(packing)], dimensions));
    }
    py::list blocks;
    index n_params = 0;
};

FamilyObject make_family(std::string name, std::string variant, index n_features, index n_components,
                         std::vector<double> constants) {
    if (n_features < 1) throw py::value_error("n_features must be at least 1; got " + std::to_string(n_features));
    FamilyObject family{std::move(name), std::move(variant), n_features, n_components, std::move(constants), 0};
    LayoutList layout;
    if (!backend().describe(family.spec(), layout))
        throw py::value_error("there is no family '" + family.name + "' of variant '" + family.variant + "'");
    family.n_params = layout.n_params;
    return family;
}

py::list layout(const FamilyObject& family) {
    LayoutList list;
    backend().describe(family.spec(), list);
    return list.blocks;
}

FieldObject field_of_kind(FieldKind kind) {
    FieldObject field;
    field.kind = kind;
    return field;
}

FieldObject tabulated_field(Table a, Table b) {
    if (a.ndim() != 2 || b.ndim() != 2)
        throw py::value_error("a and b must have two dimensions; got shapes " + shape_of(a) + " and " + shape_of(b));
    FieldObject field = field_of_kind(FieldKind::tabulated);
    field.a = std::move(a);
    field.b = std::move(b);
    return field;
}

FieldObject coordinate_field(const std::string& function, double exponent, std::vector<double> caps) {
    FieldObject field = field_of_kind(FieldKind::coordinate);
    field.exponent = exponent;
    field.caps = std::move(caps);
    if (function == "power") field.weight = WeightFunction::power;
    else if (function == "min_power") field.weight = WeightFunction::min_power;
    else if (function == "log1p") field.weight = WeightFunction::log1p;
    else if (function == "mcp") field.weight = WeightFunction::mcp;
    else throw py::value_error("there is no weight function '" + function + "'");
    const bool has_caps = field.weight == WeightFunction::min_power || field.weight == WeightFunction::mcp;
    if (has_caps && field.caps.empty()) throw py::value_error(function + " needs caps");
    return field;
}

FieldObject raised(FieldObject field, double power) {
    if (!(power > 0) || !std::isfinite(power))
        throw py::value_error("power must be a positive, finite number; got " + std::to_string(power));
    if (field.objective.kind == ObjectiveKind::denoising || field.objective.kind == ObjectiveKind::finite_difference)
        throw py::value_error("a power is for the exact and the sliced objective alone");
    field.power *= power;
    return field;
}

Projection projection_of(const std::string& name) {
    if (name == "rademacher") return Projection::rademacher;
    if (name == "gaussian") return Projection::gaussian;
    if (name == "sphere") return Projection::sphere;
    throw py::value_error("projection must be 'rademacher', 'gaussian' or 'sphere'; got '" + name + "'");
}

FieldObject with_objective(FieldObject field, ObjectiveKind kind, index n_projections, std::uint64_t seed,
                           index first_row) {
    if (n_projections < 1)
        throw py::value_error("n_projections must be at least 1; got " + std::to_string(n_projections));
    if (first_row < 0) throw py::value_error("first_row must not be negative; got " + std::to_string(first_row));
    field.objective = {};
    field.objective.kind = kind;
    field.objective.n_projections = n_projections;
    field.objective.seed = seed;
    field.objective.first_row = first_row;
    return field;
}

FieldObject sliced(FieldObject field, const std::string& projection, index n_projections, bool variance_reduction,
                   std::uint64_t seed, index first_row) {
    field = with_objective(std::move(field), ObjectiveKind::sliced, n_projections, seed, first_row);
    field.objective.projection = projection_of(projection);
    field.objective.variance_reduction = variance_reduction;
    return field;
}

// x moves in all directions.
void check_in_real_space(const FieldObject& field, const char* objective) {
    if (field.kind != FieldKind::euclidean || field.power != 1)
        throw py::value_error(std::string(objective) + " is for all of real space, and for no power");
}

FieldObject denoising(FieldObject field, std::vector<double> noise_scales, index n_projections, bool variance_reduction,
                      std::uint64_t seed, index first_row) {
    check_in_real_space(field, "denoising");
    if (noise_scales.empty()) throw py::value_error("noise_scales must not be empty");
    for (const double scale : noise_scales)
        if (!(scale > 0) || !std::isfinite(scale))
            throw py::value_error("noise_scales must be positive, finite numbers; got " + std::to_string(scale));
    field = with_objective(std::move(field), ObjectiveKind::denoising, n_projections, seed, first_row);
    field.objective.variance_reduction = variance_reduction;
    field.noise_scales = std::move(noise_scales);
    return field;
}

FieldObject finite_difference(FieldObject field, double step, const std::string& projection, index n_projections,
                              std::uint64_t seed, index first_row) {
    check_in_real_space(field, "finite_difference");
    if (!(step > 0) || !std::isfinite(step))
        throw py::value_error("step must be a positive, finite number; got " + std::to_string(step));
    field = with_objective(std::move(field), ObjectiveKind::finite_difference, n_projections, seed, first_row);
    field.objective.projection = projection_of(projection);
    field.objective.step = step;
    return field;
}

// The random vectors of the objective, row by row.
py::array_t<double> random_vectors(const FieldObject& field, index n_samples, index n_features) {
    if (field.objective.kind == ObjectiveKind::exact)
        throw py::value_error("the exact objective has no random vectors");
    if (n_samples < 0) throw py::value_error("n_samples must not be negative; got " + std::to_string(n_samples));
    if (n_features < 1) throw py::value_error("n_features must be at least 1; got " + std::to_string(n_features));
    const index n_levels = field.noise_scales.empty() ? 1 : static_cast<index>(field.noise_scales.size());
    const index n_vectors = n_levels * field.objective.n_projections;
    py::array_t<double> vectors({n_samples, n_vectors, n_features});
    backend().random_vectors(field.objective, n_samples, n_features, n_vectors, vectors.mutable_data());
    return vectors;
}

}  // namespace

void register_specs(py::module_& module) {
    py::class_<FamilyObject>(module, "Family", "Which family: name, variant, sizes, constants.")
        .def(py::init(&make_family), py::arg("name"), py::arg("variant") = "", py::arg("n_features"),
             py::arg("n_components") = 0, py::arg("constants") = std::vector<double>{})
        .def_readonly("n_params", &FamilyObject::n_params)
        .def_readonly("n_features", &FamilyObject::n_features)
        .def("layout", &layout, "The blocks of theta, in order: (name, packing, shape).");
    py::class_<FieldObject>(module, "Field", "Domain and weight as the objective sees them.")
        .def_static("euclidean", [] { return FieldObject{}; })
        .def_static("sphere", [] { return field_of_kind(FieldKind::sphere); })
        .def_static("tabulated", &tabulated_field, py::arg("a"), py::arg("b"),
                    "a, one for all coordinates or one for each, and b at each sample.")
        .def_static("coordinate", &coordinate_field, py::arg("function"), py::arg("exponent") = 1.0,
                    py::arg("caps") = std::vector<double>{})
        .def("raised", &raised, py::arg("power"),
             "The field with the norm term times power: the objective of p^power, divided by power.")
        .def("sliced", &sliced, py::arg("projection"), py::arg("n_projections"), py::arg("variance_reduction"),
             py::arg("seed"), py::arg("first_row") = 0, "The field under the sliced objective.")
        .def("denoising", &denoising, py::arg("noise_scales"), py::arg("n_projections"), py::arg("variance_reduction"),
             py::arg("seed"), py::arg("first_row") = 0, "The field under the denoising objective.")
        .def("finite_difference", &finite_difference, py::arg("step"), py::arg("projection"), py::arg("n_projections"),
             py::arg("seed"), py::arg("first_row") = 0, "The field under the sliced objective by finite differences.");
    module.def(
        "random_vectors", &random_vectors, py::arg("field"), py::arg("n_samples"), py::arg("n_features"),
        "The random vectors of a field's objective, (n_samples, n_vectors, n_features); of denoising, level after "
        "level.");
    module.def("families", [] {
        py::list names;
        for (const char* const* name = backend().families; *name != nullptr; ++name) names.append(*name);
        return names;
    });
}

}  // namespace scorematch::bindings
