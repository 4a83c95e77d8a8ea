// Minimising what the closed forms are made of.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <string>

#include "arrays.hpp"
#include "scorematch/penalised.hpp"

namespace scorematch::bindings {
namespace {

using Matrix = py::array_t<double, py::array::c_style | py::array::forcecast>;

// Comparisons with NaN are false, so that the solver would take it for a coefficient that has converged.
const double* finite(const double* entries, index n, const char* name) {
    for (index k = 0; k < n; ++k)
        if (!std::isfinite(entries[k]))
            throw py::value_error(std::string(name) + " must be finite; entry " + std::to_string(k) + " is not");
    return entries;
}

py::tuple minimise_penalised(const Matrix& gamma, const Vector& linear, const Vector& penalty, const Vector& start,
                             double tol, index max_iter) {
    const index n = linear.size();
    if (gamma.ndim() != 2 || gamma.shape(0) != n || gamma.shape(1) != n)
        throw py::value_error("gamma must have shape (" + std::to_string(n) + ", " + std::to_string(n) + "); got " +
                              shape_of(gamma));
    finite(gamma.data(), n * n, "gamma");
    for (index k = 0; k < n; ++k)
        if (!(gamma.data()[k * n + k] >= 0))
            throw py::value_error("gamma must not be negative on its diagonal; entry " + std::to_string(k) + " is");
    const PenalisedForm form{n, gamma.data(), finite(as_vector(linear, "linear", n), n, "linear"),
                             as_vector(penalty, "penalty", n)};
    for (index k = 0; k < n; ++k)
        if (!(form.penalty[k] >= 0))
            throw py::value_error("penalty must not be negative; entry " + std::to_string(k) + " is");
    py::array_t<double> theta(n);
    double* const out = theta.mutable_data();
    const double* const first = finite(as_vector(start, "start", n), n, "start");
    for (index k = 0; k < n; ++k) out[k] = first[k];
    PenalisedMinimum minimum;
    {
        const py::gil_scoped_release release;
        minimum = scorematch::minimise_penalised(form, tol, max_iter, out);
    }
    const char* const outcomes[] = {"converged", "stopped", "unbounded"};
    return py::make_tuple(theta, outcomes[static_cast<int>(minimum.outcome)], minimum.n_iter, minimum.violation);
}

}  // namespace

void register_solvers(py::module_& module) {
    module.def("minimise_penalised", &minimise_penalised, py::arg("gamma"), py::arg("linear"), py::arg("penalty"),
               py::arg("start"), py::arg("tol"), py::arg("max_iter"),
               "The minimum of theta' gamma theta / 2 - linear' theta + penalty' |theta|: (theta, outcome, n_iter, "
               "violation). Where it is unbounded, theta is a direction in which it falls for ever.");
}

}  // namespace scorematch::bindings
