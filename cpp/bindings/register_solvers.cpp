// Minimising what the closed forms are made of.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/interaction.hpp"
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

// Keeps the arrays of the form alive.
class InteractionProblem {
  public:
    InteractionProblem(Matrix blocks, Matrix linear, std::optional<Matrix> coupling, bool symmetric,
                       bool fixed_diagonal)
        : blocks_(std::move(blocks)), linear_(std::move(linear)), coupling_(std::move(coupling)) {
        if (linear_.ndim() != 2 || linear_.shape(0) < 1 ||
            (linear_.shape(1) != linear_.shape(0) && linear_.shape(1) != linear_.shape(0) + 1))
            throw py::value_error("g must have shape (d, d) or (d, d + 1); got " + shape_of(linear_));
        d_ = linear_.shape(0);
        m_ = linear_.shape(1);
        check("blocks", blocks_, d_);
        if (coupling_) check("coupling", *coupling_, d_ - 1);
        if (coupling_ && !symmetric) throw py::value_error("columns that are coupled are not problems by themselves");
        finite(linear_.data(), linear_.size(), "g");
        for (index j = 0; j < d_; ++j)
            for (index i = 0; i < m_; ++i)
                if (!(blocks_.data()[(j * m_ + i) * m_ + i] >= 0))
                    throw py::value_error("blocks must not be negative on their diagonals; entry " + std::to_string(i) +
                                          " of block " + std::to_string(j) + " is");
        const InteractionForm form{
            d_, m_, blocks_.data(), linear_.data(), coupling_ ? coupling_->data() : nullptr, symmetric, fixed_diagonal};
        const py::gil_scoped_release release;
        solver_ = std::make_unique<InteractionSolver>(form, backend().interaction);
    }

    void start(const Matrix& columns) {
        if (columns.ndim() != 2 || columns.shape(0) != d_ || columns.shape(1) != m_)
            throw py::value_error("start must have shape (" + std::to_string(d_) + ", " + std::to_string(m_) +
                                  "); got " + shape_of(columns));
        finite(columns.data(), columns.size(), "start");
        const double* const first = columns.data();
        const py::gil_scoped_release release;
        solver_->start(first);
    }

    void restrict_to(const py::array_t<bool, py::array::c_style | py::array::forcecast>& allowed) {
        if (allowed.ndim() != 2 || allowed.shape(0) != d_ || allowed.shape(1) != m_)
            throw py::value_error("allowed must have shape (" + std::to_string(d_) + ", " + std::to_string(m_) +
                                  "); got " + shape_of(allowed));
        solver_->restrict_to(reinterpret_cast<const unsigned char*>(allowed.data()));
    }

    py::list minimise(const Vector& alphas, const Vector& alpha_linears, double tol, index max_iter, int n_threads) {
        as_thread_count(n_threads);
        const index n = alphas.size();
        const double* const first = as_vector(alphas, "alphas", n);
        const double* const second = as_vector(alpha_linears, "alpha_linears", n);
        for (index k = 0; k < n; ++k)
            if (!(first[k] >= 0) || !(second[k] >= 0)) throw py::value_error("penalties must not be negative");
        py::array_t<double> columns({n, d_, m_}), gradients({n, d_, m_});
        double* const out = columns.mutable_data();
        double* const slopes = gradients.mutable_data();
        std::vector<InteractionMinimum> minima(static_cast<std::size_t>(n));
        {
            const py::gil_scoped_release release;
            solver_->minimise(first, second, n, tol, max_iter, n_threads, minima.data(), out, slopes);
        }
        const char* const outcomes[] = {"converged", "stopped", "unbounded"};
        py::list results;
        for (index k = 0; k < n; ++k) {
            const InteractionMinimum& minimum = minima[static_cast<std::size_t>(k)];
            results.append(py::make_tuple(columns[py::int_(k)], gradients[py::int_(k)],
                                          outcomes[static_cast<int>(minimum.outcome)], minimum.n_iter,
                                          minimum.violation, minimum.column));
        }
        return results;
    }

    py::array_t<double> gradient() const {
        py::array_t<double> gradient({d_, m_});
        solver_->gradient(gradient.mutable_data());
        return gradient;
    }

  private:
    void check(const char* name, const Matrix& array, index count) const {
        if (array.ndim() != 3 || array.shape(0) != count || array.shape(1) != m_ || array.shape(2) != m_)
            throw py::value_error(std::string(name) + " must have shape (" + std::to_string(count) + ", " +
                                  std::to_string(m_) + ", " + std::to_string(m_) + "); got " + shape_of(array));
        // 0·x is 0 for finite x, else NaN; the position is looked for only where there is one.
        double probe = 0;
        for (index k = 0; k < array.size(); ++k) probe += 0 * array.data()[k];
        if (probe != 0) finite(array.data(), array.size(), name);
    }

    Matrix blocks_, linear_;
    std::optional<Matrix> coupling_;
    index d_ = 0, m_ = 0;
    std::unique_ptr<InteractionSolver> solver_;
};

}  // namespace

void register_solvers(py::module_& module) {
    module.def("minimise_penalised", &minimise_penalised, py::arg("gamma"), py::arg("linear"), py::arg("penalty"),
               py::arg("start"), py::arg("tol"), py::arg("max_iter"),
               "The minimum of theta' gamma theta / 2 - linear' theta + penalty' |theta|: (theta, outcome, n_iter, "
               "violation). Where it is unbounded, theta is a direction in which it falls for ever.");
    py::class_<InteractionProblem>(module, "InteractionProblem",
                                   "A quadratic form in the columns of an interaction matrix, with l1 penalties. The "
                                   "arrays are not copied: they must not change.")
        .def(py::init<Matrix, Matrix, std::optional<Matrix>, bool, bool>(), py::arg("blocks"), py::arg("g"),
             py::arg("coupling"), py::arg("symmetric"), py::arg("fixed_diagonal"))
        .def("start", &InteractionProblem::start, py::arg("columns"))
        .def("restrict_to", &InteractionProblem::restrict_to, py::arg("allowed"),
             "Hold the entries of the columns that are False at 0.")
        .def("minimise", &InteractionProblem::minimise, py::arg("alphas"), py::arg("alpha_linears"), py::arg("tol"),
             py::arg("max_iter"), py::arg("n_threads"),
             "One after the other, each from the last minimum: a list of (columns, gradient, outcome, n_iter, "
             "violation, column). Where it is unbounded, along that column (-1 elsewhere), and what follows is void.")
        .def("gradient", &InteractionProblem::gradient,
             "Of the form, without penalties, at the last minimum or where it was started.");
}

}  // namespace scorematch::bindings
