// What the machine has, and the pieces that tests and benchmarks look at one by one.
#include "register.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/levels.hpp"
#include "scorematch/parallel.hpp"

namespace scorematch::bindings {
namespace {

py::array elementwise(const std::string& name, const py::array& values, double parameter) {
    const auto apply = [&]<class T>(T) -> py::array {
        const py::array_t<T, py::array::c_style> in(values);
        py::array_t<T> out(in.size());
        if (!functions<T>().elementwise(name.c_str(), in.data(), out.mutable_data(), in.size(),
                                        static_cast<T>(parameter)))
            throw py::value_error("there is no function '" + name + "'");
        return out;
    };
    return is_float32(values) ? apply(float{}) : apply(double{});
}

// A weight and its derivative at an array of distances, whose last dimension are the columns.
py::tuple weight(const std::string& function, const py::array_t<double, py::array::c_style | py::array::forcecast>& x,
                 double parameter, std::vector<double> column_values, double exponent) {
    const index n_columns = static_cast<index>(column_values.size());
    if (n_columns < 1 || (n_columns > 1 && (x.ndim() == 0 || x.shape(x.ndim() - 1) != n_columns)))
        throw py::value_error("column_values must be one number, or one for each column of x of shape " + shape_of(x) +
                              "; got " + std::to_string(n_columns));
    for (std::size_t i = 0; i < weight_margin; ++i) column_values.push_back(column_values[i]);
    const std::vector<py::ssize_t> shape(x.shape(), x.shape() + x.ndim());
    py::array_t<double> h(shape), slope(shape);
    const WeightArrays arrays{x.data(), h.mutable_data(),     slope.mutable_data(),
                              x.size(), column_values.data(), n_columns};
    bool known = false;
    {
        const py::gil_scoped_release release;
        known = backend().weight(function.c_str(), parameter, exponent, arrays);
    }
    if (!known) throw py::value_error("there is no weight function '" + function + "'");
    return py::make_tuple(h, slope);
}

}  // namespace

void register_machine(py::module_& module) {
    module.def("level", [] { return backend().level; }, "The instruction-set level in use.");
    module.def("supported_levels", &supported_levels, "Levels of this build that this processor has, lowest first.");
    module.def("use_level", &choose_level, py::arg("name"), "Switches the level of the whole process; for tests.");
    module.def("vector_bits", [] { return backend().vector_bits; });
    module.def("has_threads", &has_threads);
    module.def("elementwise", &elementwise, py::arg("name"), py::arg("values"), py::arg("parameter") = 0.0,
               "A function of the vector math by name, on a flat array.");
    module.def("weight", &weight, py::arg("function"), py::arg("x"), py::arg("parameter"), py::arg("column_values"),
               py::arg("exponent"),
               "h = f(x)^exponent and its derivative; column_values is the cap of f, or what takes its place.");
    module.def(
        "fma_peak",
        [](bool single_precision) {
            const py::gil_scoped_release release;
            return single_precision ? functions<float>().fma_peak() : functions<double>().fma_peak();
        },
        py::arg("single_precision") = false, "What one core can do, in 10^9 floating-point operations a second.");
}

}  // namespace scorematch::bindings
