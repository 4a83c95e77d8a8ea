// Drawing from truncated densities.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/gibbs_problem.hpp"

namespace scorematch::bindings {
namespace {

using Matrix = py::array_t<double, py::array::c_style | py::array::forcecast>;
using Positions = py::array_t<std::uint64_t, py::array::c_style>;

std::vector<double> taken(const Matrix& matrix, const char* name, index rows, index columns) {
    if (matrix.ndim() != 2 || (rows >= 0 && matrix.shape(0) != rows) || matrix.shape(1) != columns)
        throw py::value_error(std::string(name) + " must have shape (" + (rows < 0 ? "any" : std::to_string(rows)) +
                              ", " + std::to_string(columns) + "); got " + shape_of(matrix));
    return {matrix.data(), matrix.data() + matrix.size()};
}

std::vector<double> taken(const Vector& vector, const char* name, index size) {
    const double* const data = as_vector(vector, name, size);
    return {data, data + size};
}

void check_finite(const std::vector<double>& values, const char* name) {
    for (std::size_t k = 0; k < values.size(); ++k)
        if (!std::isfinite(values[k]))
            throw py::value_error(std::string(name) + " must be finite; entry " + std::to_string(k) + " is not");
}

// A density and its domain, copied.
class GibbsSampler {
  public:
    GibbsSampler(const Matrix& precision, const Vector& linear, const Vector& log_factor, const Vector& extra,
                 double exponent, bool exponential, const std::vector<Matrix>& intervals, double root,
                 const Matrix& constraints, const Vector& bounds, int norm, double radius, const Matrix& vertices)
        : d_(linear.size()), precision_(taken(precision, "precision", d_, d_)), linear_(taken(linear, "linear", d_)),
          log_factor_(taken(log_factor, "log_factor", d_)), extra_(taken(extra, "extra", d_)),
          constraints_(taken(constraints, "constraints", -1, d_)),
          bounds_(taken(bounds, "bounds", constraints.shape(0))), vertices_(taken(vertices, "vertices", -1, 2)) {
        check_finite(precision_, "precision");
        check_finite(linear_, "linear");
        check_finite(log_factor_, "log_factor");
        check_finite(extra_, "extra");
        check_finite(constraints_, "constraints");
        check_finite(bounds_, "bounds");
        check_finite(vertices_, "vertices");
        for (index j = 0; j < d_; ++j)
            if (!(precision_[static_cast<std::size_t>(j * d_ + j)] > 0))
                throw py::value_error("precision must be positive on its diagonal; entry " + std::to_string(j) +
                                      " is not");
        if (static_cast<index>(intervals.size()) != d_)
            throw py::value_error("intervals must be " + std::to_string(d_) + " lists; got " +
                                  std::to_string(intervals.size()));
        first_interval_.push_back(0);
        for (const Matrix& list : intervals) {
            const std::vector<double> ends = taken(list, "intervals", -1, 2);
            if (ends.empty()) throw py::value_error("intervals must not be empty lists");
            for (const double end : ends)
                if (std::isnan(end)) throw py::value_error("intervals must not hold NaN");
            ends_.insert(ends_.end(), ends.begin(), ends.end());
            first_interval_.push_back(static_cast<index>(ends_.size() / 2));
        }
        if (norm < 0 || norm > 2) throw py::value_error("norm must be 0, 1 or 2; got " + std::to_string(norm));
        if (!vertices_.empty() && (d_ != 2 || vertices_.size() < 6))
            throw py::value_error("vertices need two columns of data, and must be three at least");
        problem_ = {d_,
                    precision_.data(),
                    linear_.data(),
                    log_factor_.data(),
                    extra_.data(),
                    exponent,
                    exponential,
                    ends_.data(),
                    first_interval_.data(),
                    root,
                    static_cast<index>(bounds_.size()),
                    constraints_.data(),
                    bounds_.data(),
                    norm,
                    radius,
                    static_cast<index>(vertices_.size() / 2),
                    vertices_.data()};
    }
    GibbsSampler(const GibbsSampler&) = delete;
    GibbsSampler& operator=(const GibbsSampler&) = delete;

    py::tuple sweep(const Matrix& states, const Positions& positions, index n_sweeps, std::uint64_t seed,
                    int n_threads) const {
        const index n_chains = positions.size();
        if (positions.ndim() != 1 || n_chains == 0)
            throw py::value_error("positions must have one dimension, and not be empty; got " + shape_of(positions));
        if (n_chains > index{1} << 32) throw py::value_error("there must be no more than 2^32 chains");
        const std::vector<double> given = taken(states, "states", n_chains, d_);
        Matrix after({n_chains, d_}, given.data());
        Positions positions_after(n_chains, positions.data());
        const GibbsChains chains{n_chains, after.mutable_data(), positions_after.mutable_data(), seed};
        const int threads = as_thread_count(n_threads);
        {
            const py::gil_scoped_release release;
            backend().gibbs(problem_, chains, n_sweeps, threads);
        }
        return py::make_tuple(after, positions_after);
    }

  private:
    index d_;
    std::vector<double> precision_, linear_, log_factor_, extra_, ends_, constraints_, bounds_, vertices_;
    std::vector<index> first_interval_;
    GibbsProblem problem_{};
};

}  // namespace

void register_samplers(py::module_& module) {
    py::class_<GibbsSampler>(module, "GibbsSampler", "Gibbs sampling of -y'Py/2 + linear'y + ... on a domain.")
        .def(py::init<const Matrix&, const Vector&, const Vector&, const Vector&, double, bool,
                      const std::vector<Matrix>&, double, const Matrix&, const Vector&, int, double, const Matrix&>(),
             py::arg("precision"), py::arg("linear"), py::arg("log_factor"), py::arg("extra"), py::arg("exponent"),
             py::arg("exponential"), py::arg("intervals"), py::arg("root"), py::arg("constraints"), py::arg("bounds"),
             py::arg("norm"), py::arg("radius"), py::arg("vertices"))
        .def("sweep", &GibbsSampler::sweep, py::arg("states"), py::arg("positions"), py::arg("n_sweeps"),
             py::arg("seed"), py::arg("n_threads"),
             "So many sweeps of every chain: (states, positions), copies. A position tells how far the chain's stream "
             "of random numbers has been used.");
}

}  // namespace scorematch::bindings
