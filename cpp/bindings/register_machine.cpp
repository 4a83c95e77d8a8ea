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

}  // namespace

void register_machine(py::module_& module) {
    module.def("level", [] { return backend().level; }, "The instruction-set level in use.");
    module.def("supported_levels", &supported_levels, "Levels of this build that this processor has, lowest first.");
    module.def("use_level", &choose_level, py::arg("name"), "Switches the level of the whole process; for tests.");
    module.def("vector_bits", [] { return backend().vector_bits; });
    module.def("has_threads", &has_threads);
    module.def("elementwise", &elementwise, py::arg("name"), py::arg("values"), py::arg("parameter") = 0.0,
               "A function of the vector math by name, on a flat array.");
    module.def(
        "fma_peak",
        [](bool single_precision) {
            const py::gil_scoped_release release;
            return single_precision ? functions<float>().fma_peak() : functions<double>().fma_peak();
        },
        py::arg("single_precision") = false, "What one core can do, in 10^9 floating-point operations a second.");
}

}  // namespace scorematch::bindings
