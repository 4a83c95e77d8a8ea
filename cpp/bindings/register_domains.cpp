// Domains with a boundary.
#include "register.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "region_object.hpp"
#include "scorematch/domains.hpp"

namespace scorematch::bindings {
namespace {

using Matrix = py::array_t<double, py::array::c_style | py::array::forcecast>;

RegionObject make_object(std::unique_ptr<Region> region, bool nonnegative) { return {std::move(region), nonnegative}; }

std::vector<double> entries_of(const Matrix& array) { return {array.data(), array.data() + array.size()}; }

void check_matrix(const Matrix& matrix, const char* name, index rows, index columns) {
    if (matrix.ndim() == 2 && (rows < 0 || matrix.shape(0) == rows) && (columns < 0 || matrix.shape(1) == columns))
        return;
    throw py::value_error(std::string(name) + " has the wrong shape " + shape_of(matrix));
}

RegionObject intervals(const std::vector<std::vector<std::pair<double, double>>>& given, bool nonnegative) {
    if (given.empty()) throw py::value_error("intervals must not be empty");
    std::vector<std::vector<Interval>> unions;
    for (const auto& pairs : given) {
        unions.emplace_back();
        for (const auto& [lower, upper] : pairs) unions.back().push_back({lower, upper});
    }
    return make_object(make_intervals(std::move(unions)), nonnegative);
}

RegionObject ball(double radius, int norm, bool nonnegative) {
    if (norm != 1 && norm != 2) throw py::value_error("norm must be 1 or 2; got " + std::to_string(norm));
    return make_object(make_ball(radius, norm == 1 ? BallNorm::l1 : BallNorm::l2), nonnegative);
}

RegionObject half_spaces(const Matrix& a, const Vector& b, bool nonnegative) {
    check_matrix(a, "A", b.size(), -1);
    return make_object(make_half_spaces(entries_of(a), entries_of(b), a.shape(1)), nonnegative);
}

RegionObject polygon(const Matrix& given, bool nonnegative) {
    check_matrix(given, "vertices", -1, 2);
    if (given.shape(0) < 3) throw py::value_error("vertices must have at least three rows");
    std::vector<Vertex> vertices;
    for (py::ssize_t k = 0; k < given.shape(0); ++k) vertices.push_back({given.at(k, 0), given.at(k, 1)});
    return make_object(make_polygon(std::move(vertices)), nonnegative);
}

TermFunction function_called(const std::string& name) {
    if (name == "power") return TermFunction::power;
    if (name == "abs") return TermFunction::absolute;
    if (name == "exp") return TermFunction::exponential;
    if (name == "log") return TermFunction::logarithm;
    throw py::value_error("there is no function '" + name + "'");
}

// An inequality is (coefficients, names of functions, exponents, bound).
using InequalityTuple = std::tuple<std::vector<double>, std::vector<std::string>, std::vector<double>, double>;

RegionObject inequalities(const std::vector<InequalityTuple>& given, const std::vector<int>& rule, bool nonnegative) {
    if (given.empty()) throw py::value_error("inequalities must not be empty");
    std::vector<InequalitySpec> specs;
    for (const auto& [coefficients, names, exponents, bound] : given) {
        const std::size_t d = std::get<0>(given.front()).size();
        if (coefficients.size() != d || names.size() != d || exponents.size() != d || d == 0)
            throw py::value_error("inequalities must all have as many coefficients, functions and exponents");
        specs.push_back({coefficients, {}, exponents, bound});
        for (const std::string& name : names) specs.back().functions.push_back(function_called(name));
    }
    int depth = 0;
    for (const int step : rule) {
        if (step >= static_cast<int>(given.size()) || step < rule_or)
            throw py::value_error("rule names an inequality that there is not: " + std::to_string(step));
        depth += step >= 0 ? 1 : -1;
        if (depth < 1) break;
    }
    if (depth != 1) throw py::value_error("rule must be in postfix form");
    return make_object(make_inequalities(specs, rule), nonnegative);
}

py::array_t<bool> region_contains(const RegionObject& self, const py::array& x, int n_threads) {
    as_thread_count(n_threads);
    return with_samples(x, self.region->n_features(), [&]<class T>(const Samples<T>& samples) {
        py::array_t<bool> inside(samples.n_samples);
        bool* const out = inside.mutable_data();
        {
            const py::gil_scoped_release release;
            scorematch::contains(*self.region, samples, self.nonnegative, out, n_threads);
        }
        return inside;
    });
}

py::tuple region_coordinate_distance(const RegionObject& self, const py::array& x, int n_threads) {
    as_thread_count(n_threads);
    return with_samples(x, self.region->n_features(), [&]<class T>(const Samples<T>& samples) {
        py::array_t<double> phi({samples.n_samples, samples.n_features}),
            slope({samples.n_samples, samples.n_features});
        double *const phi_out = phi.mutable_data(), *const slope_out = slope.mutable_data();
        {
            const py::gil_scoped_release release;
            scorematch::coordinate_distance(*self.region, samples, self.nonnegative, phi_out, slope_out, n_threads);
        }
        return py::make_tuple(phi, slope);
    });
}

py::tuple region_distance(const RegionObject& self, const py::array& x, int n_threads) {
    as_thread_count(n_threads);
    return with_samples(x, self.region->n_features(), [&]<class T>(const Samples<T>& samples) {
        py::array_t<double> g(samples.n_samples), gradient({samples.n_samples, samples.n_features});
        double *const g_out = g.mutable_data(), *const gradient_out = gradient.mutable_data();
        {
            const py::gil_scoped_release release;
            scorematch::distance(*self.region, samples, self.nonnegative, g_out, gradient_out, n_threads);
        }
        return py::make_tuple(g, gradient);
    });
}

}  // namespace

void register_domains(py::module_& module) {
    py::class_<RegionObject>(module, "Region",
                             "A domain with a boundary: what it contains, and how far the boundary is.")
        .def_static("intervals", &intervals, py::arg("intervals"), py::arg("nonnegative") = false)
        .def_static("ball", &ball, py::arg("radius"), py::arg("norm"), py::arg("nonnegative") = false)
        .def_static("half_spaces", &half_spaces, py::arg("A"), py::arg("b"), py::arg("nonnegative") = false)
        .def_static("polygon", &polygon, py::arg("vertices"), py::arg("nonnegative") = false)
        .def_static("inequalities", &inequalities, py::arg("inequalities"), py::arg("rule"),
                    py::arg("nonnegative") = false)
        .def(
            "cost", [](const RegionObject& self, index d) { return self.region->cost(d); }, py::arg("n_features"),
            "About how many nanoseconds a point takes.")
        .def("contains", &region_contains, py::arg("X"), py::arg("n_threads") = 1)
        .def("coordinate_distance", &region_coordinate_distance, py::arg("X"), py::arg("n_threads") = 1)
        .def("distance", &region_distance, py::arg("X"), py::arg("n_threads") = 1);
}

}  // namespace scorematch::bindings
