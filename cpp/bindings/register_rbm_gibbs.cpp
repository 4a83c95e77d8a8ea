// Block Gibbs sampling of the Gaussian-Bernoulli RBM.
#include "register.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "scorematch/samplers/rbm_gibbs_problem.hpp"

namespace scorematch::bindings {
namespace {

using Matrix = py::array_t<double, py::array::c_style | py::array::forcecast>;

// As text where there are several dimensions: "(3, 1)".
std::string place_of(const py::array_t<double>& array, index entry) {
    if (array.ndim() < 2) return std::to_string(entry);
    return "(" + std::to_string(entry / array.shape(1)) + ", " + std::to_string(entry % array.shape(1)) + ")";
}

void check_finite(const py::array_t<double>& array, const char* name) {
    const double* const values = array.data();
    for (index i = 0; i < array.size(); ++i)
        if (!std::isfinite(values[i]))
            throw py::value_error(std::string(name) + " must be finite; entry " + place_of(array, i) + " is " +
                                  std::to_string(values[i]));
}

// Normal numbers of the sampler are smaller in size.
constexpr double largest_normal = 10;

// No sum of the sampler may overflow, wherever a chain goes: the largest |x_j − b_j| is either where it begins, or
// given by Wᵀh, and the largest activation follows from that.
void check_range(const RbmGibbsProblem& problem, const double* points, index n_chains) {
    const index d = problem.n_features, m = problem.n_hidden;
    const double noise = largest_normal * std::sqrt(problem.noise_variance);
    std::vector<double> activations(problem.intercept_hidden, problem.intercept_hidden + m);
    for (double& activation : activations) activation = std::abs(activation);
    double farthest = 0;
    for (index j = 0; j < d; ++j) {
        const double centre = std::abs(problem.intercept_visible[j]);
        double reach = noise, begin = 0;
        for (index k = 0; k < m; ++k) reach += std::abs(problem.components[k * d + j]);
        for (index i = 0; i < n_chains; ++i) begin = std::fmax(begin, std::abs(points[i * d + j]) + centre);
        reach = std::fmax(reach, begin) + centre;
        farthest = std::fmax(farthest, reach);
        for (index k = 0; k < m; ++k)
            activations[static_cast<std::size_t>(k)] +=
                std::abs(problem.components[k * d + j]) / problem.noise_variance * reach;
    }
    if (!(farthest <= std::numeric_limits<double>::max()))
        throw py::value_error("components, intercept_visible or points are so large that sums overflow");
    for (const double activation : activations)
        if (!(activation <= std::numeric_limits<double>::max()))
            throw py::value_error(
                "components are so large, or noise_variance so small, that the activations of hidden units overflow");
}

py::dict rbm_gibbs(const Matrix& components, const Vector& intercept_hidden, const Vector& intercept_visible,
                   double noise_variance, const Matrix& points, std::uint64_t seed, std::uint64_t iteration,
                   index n_iterations, index thin, int n_threads) {
    if (components.ndim() != 2 || components.size() == 0)
        throw py::value_error("components must have shape (n_hidden, n_features), neither of them 0; got shape " +
                              shape_of(components));
    const index m = components.shape(0), d = components.shape(1);
    as_vector(intercept_hidden, "intercept_hidden", m);
    as_vector(intercept_visible, "intercept_visible", d);
    if (points.ndim() != 2 || points.shape(0) == 0 || points.shape(1) != d)
        throw py::value_error("points must have shape (n_chains, " + std::to_string(d) + "), with a chain at least; " +
                              "got shape " + shape_of(points));
    const index n_chains = points.shape(0);
    if (n_chains > index{1} << 32) throw py::value_error("there must be no more than 2^32 chains");
    check_finite(components, "components");
    check_finite(intercept_hidden, "intercept_hidden");
    check_finite(intercept_visible, "intercept_visible");
    check_finite(points, "points");
    if (!(noise_variance > 0) || !std::isfinite(noise_variance))
        throw py::value_error("noise_variance must be positive and finite; got " + std::to_string(noise_variance));
    if (n_iterations < 0)
        throw py::value_error("n_iterations must not be negative; got " + std::to_string(n_iterations));
    if (thin < 1) throw py::value_error("thin must be at least 1; got " + std::to_string(thin));
    const int threads = as_thread_count(n_threads);

    const RbmGibbsProblem problem{
        d, m, components.data(), intercept_hidden.data(), intercept_visible.data(), noise_variance};
    check_range(problem, points.data(), n_chains);
    Matrix after({n_chains, d}, points.data());
    Matrix draws({n_chains, n_iterations / thin, d});
    const RbmGibbsChains chains{n_chains, after.mutable_data(), seed, iteration, n_iterations,
                                thin,     draws.mutable_data()};
    {
        const py::gil_scoped_release release;
        backend().rbm_gibbs(problem, chains, threads);
    }
    py::dict result;
    result["points"] = after;
    result["draws"] = draws;
    return result;
}

}  // namespace

void register_rbm_gibbs(py::module_& module) {
    module.def("rbm_gibbs", &rbm_gibbs, py::arg("components"), py::arg("intercept_hidden"),
               py::arg("intercept_visible"), py::arg("noise_variance"), py::arg("points"), py::arg("seed"),
               py::arg("iteration"), py::arg("n_iterations"), py::arg("thin"), py::arg("n_threads"),
               "Block Gibbs sampling of the Gaussian-Bernoulli RBM: where the chains are after so many iterations, and "
               "the points after each `thin` of them, (n_chains, n_iterations // thin, n_features). `iteration` is the "
               "number of the first.");
}

}  // namespace scorematch::bindings
