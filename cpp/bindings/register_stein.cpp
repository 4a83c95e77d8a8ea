// Sums of the Stein kernel over pairs of samples.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/stein_problem.hpp"

namespace scorematch::bindings {
namespace {

SteinKernel kernel_of(const std::string& name) {
    if (name == "imq") return SteinKernel::imq;
    if (name == "gaussian") return SteinKernel::gaussian;
    throw py::value_error("kernel must be 'imq' or 'gaussian'; got '" + name + "'");
}

// Another array with a row for each sample, of the type of X.
template <class T>
Samples<T> beside(const py::array& array, const char* name, const Samples<T>& points) {
    if (array.ndim() != 2 || array.shape(0) != points.n_samples || array.shape(1) != points.n_features ||
        !py::isinstance<py::array_t<T>>(array))
        throw py::value_error(std::string(name) + " must have the shape and type of X; got shape " + shape_of(array) +
                              ", type " + py::str(array.dtype()).cast<std::string>());
    return as_samples<T>(array);
}

py::tuple kernel_stein(const py::array& x, const py::array& score, const std::optional<py::array>& multiplier,
                       bool on_sphere, const std::string& kernel, double bandwidth, index n_draws, std::uint64_t seed,
                       int n_threads) {
    as_thread_count(n_threads);
    const SteinKernel function = kernel_of(kernel);
    if (!(bandwidth > 0) || !std::isfinite(bandwidth))
        throw py::value_error("bandwidth must be positive and finite; got " + std::to_string(bandwidth));
    if (n_draws < 0 || n_draws >= index{1} << 32)
        throw py::value_error("n_draws must not be negative, and below 2^32; got " + std::to_string(n_draws));
    if (on_sphere && multiplier) throw py::value_error("there is no multiplier on the sphere");
    return with_samples(x, -1, [&]<class T>(const Samples<T>& points) {
        SteinProblem<T> problem{points, beside(score, "score", points), {}, on_sphere, function, bandwidth};
        if (multiplier) problem.multiplier = beside(*multiplier, "multiplier", points);
        py::array_t<double> draws(n_draws);
        const WildBootstrap bootstrap{n_draws, seed, draws.mutable_data()};
        SteinSums sums;
        {
            const py::gil_scoped_release release;
            sums = functions<T>().kernel_stein(problem, bootstrap, n_threads);
        }
        return py::make_tuple(sums.diagonal, sums.off_diagonal, draws);
    });
}

}  // namespace

void register_stein(py::module_& module) {
    module.def(
        "kernel_stein", &kernel_stein, py::arg("X"), py::arg("score"), py::arg("multiplier"), py::arg("on_sphere"),
        py::arg("kernel"), py::arg("bandwidth"), py::arg("n_draws"), py::arg("seed"), py::arg("n_threads"),
        "Sums of the Stein kernel u over i = j and over i < j, and draws of the sum over i < j of w_i w_j u_ij.");
}

}  // namespace scorematch::bindings
