// Markov chains: Langevin and Hamiltonian Monte Carlo.
#include "register.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "region_object.hpp"
#include "scorematch/samplers/chains_problem.hpp"
#include "specs.hpp"

namespace scorematch::bindings {
namespace {

using Matrix = py::array_t<double, py::array::c_style | py::array::forcecast>;

std::string name_of(const py::object& function) {
    const py::object name = py::getattr(function, "__qualname__", py::none());
    return py::str(name.is_none() ? py::repr(function) : name).cast<std::string>();
}

// Calls functions of Python from the core; what they throw waits here until the run has ended.
class Caller {
  public:
    explicit Caller(index n_features) : d_(n_features) {}

    // body() with the GIL; false where it threw.
    template <class Body>
    bool guard(const Body& body) noexcept {
        const py::gil_scoped_acquire acquire;
        try {
            body();
            return true;
        } catch (...) {
            error_ = std::current_exception();
            return false;
        }
    }
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }
    // The points are the function's to keep.
    py::object call(const py::object& function, const double* points, index n) const {
        return function(py::array_t<double>({n, d_}, points));
    }
    index n_features() const noexcept { return d_; }

  private:
    index d_;
    std::exception_ptr error_;
};

// `values` as doubles of that shape.
Vector checked(const py::handle& values, const py::object& function, const char* what,
               const std::vector<py::ssize_t>& shape) {
    const auto wrong = [&](const std::string& came) {
        return name_of(function) + " must return " + what + " of shape " +
               py::str(py::tuple(py::cast(shape))).cast<std::string>() + "; got " + came;
    };
    const py::array array = py::array::ensure(values);
    if (!array || std::string("fiub").find(array.dtype().kind()) == std::string::npos) {
        PyErr_Clear();
        throw py::type_error(wrong(array ? "type " + py::str(array.dtype()).cast<std::string>()
                                         : "an object of type " + std::string(Py_TYPE(values.ptr())->tp_name)));
    }
    bool same = array.ndim() == static_cast<py::ssize_t>(shape.size());
    for (std::size_t i = 0; same && i < shape.size(); ++i) same = array.shape(static_cast<py::ssize_t>(i)) == shape[i];
    if (!same) throw py::value_error(wrong("shape " + shape_of(array)));
    return Vector::ensure(array);
}

void copy_to(const Vector& values, double* out) { std::copy(values.data(), values.data() + values.size(), out); }

// What is sampled.
class TargetObject {
  public:
    static TargetObject of_family(FamilyObject family, const Vector& theta, const std::optional<Vector>& origin) {
        TargetObject target;
        target.n_features_ = family.n_features;
        as_vector(theta, "theta", family.n_params);
        target.theta_.assign(theta.data(), theta.data() + theta.size());
        if (origin) {
            as_vector(*origin, "origin", family.n_features);
            target.origin_.assign(origin->data(), origin->data() + origin->size());
        }
        for (const double value : target.theta_)
            if (!std::isfinite(value)) throw py::value_error("theta must be finite");
        target.family_ = std::move(family);
        return target;
    }
    static TargetObject of_function(index n_features, py::object function) {
        if (n_features < 1) throw py::value_error("n_features must be at least 1; got " + std::to_string(n_features));
        if (PyCallable_Check(function.ptr()) == 0)
            throw py::type_error("function must be callable; got " + py::repr(function).cast<std::string>());
        TargetObject target;
        target.n_features_ = n_features;
        target.function_ = std::move(function);
        return target;
    }
    index n_features() const noexcept { return n_features_; }

    // What the core is given: it points to this object, to the caller and to itself.
    class Bound {
      public:
        Bound(const TargetObject& target, Caller& caller) : target_(target), caller_(caller) {
            if (target.family_) {
                family_ = target.family_->spec();
                spec_.family = &family_;
                spec_.theta = target.theta_.data();
                spec_.origin = target.origin_.empty() ? nullptr : target.origin_.data();
            } else {
                spec_.context = this;
                spec_.function = [](void* context, const double* points, index n, double* log_density,
                                    double* score) noexcept {
                    Bound& self = *static_cast<Bound*>(context);
                    return self.caller_.guard([&] { self.call(points, n, log_density, score); });
                };
            }
        }
        Bound(const Bound&) = delete;
        Bound& operator=(const Bound&) = delete;
        const TargetSpec& spec() const noexcept { return spec_; }

      private:
        void call(const double* points, index n, double* log_density, double* score) const {
            const py::object& function = target_.function_;
            const py::object result = caller_.call(function, points, n);
            const bool has_two = py::isinstance<py::tuple>(result) && py::len(result) == 2;
            if (log_density != nullptr && !has_two)
                throw py::type_error(name_of(function) +
                                     " must return the two arrays (log_density, score), since "
                                     "steps are accepted by the log density; got an object of type " +
                                     std::string(Py_TYPE(result.ptr())->tp_name));
            const py::object given = has_two ? py::object(result[py::int_(1)]) : result;
            copy_to(checked(given, function, "scores", {n, target_.n_features_}), score);
            if (log_density != nullptr)
                copy_to(checked(py::object(result[py::int_(0)]), function, "log densities", {n}), log_density);
        }

        const TargetObject& target_;
        Caller& caller_;
        FamilySpec family_;
        TargetSpec spec_;
    };

  private:
    index n_features_ = 0;
    std::optional<FamilyObject> family_;
    std::vector<double> theta_, origin_;
    py::object function_;
};

// Where chains may be.
class SupportObject {
  public:
    explicit SupportObject(SupportKind kind) : kind_(kind) {}
    static SupportObject of_intervals(const std::vector<Matrix>& lists) {
        SupportObject support(SupportKind::intervals);
        if (lists.empty()) throw py::value_error("intervals must hold at least one array");
        support.first_interval_.push_back(0);
        for (const Matrix& list : lists) {
            if (list.ndim() != 2 || list.shape(0) == 0 || list.shape(1) != 2)
                throw py::value_error("intervals must have shape (m, 2) with m at least 1; got " + shape_of(list));
            double last = -HUGE_VAL;
            for (py::ssize_t i = 0; i < list.shape(0); ++i) {
                const double lower = list.at(i, 0), upper = list.at(i, 1);
                if (!(lower < upper) || !(lower >= last) || (i > 0 && lower == last))
                    throw py::value_error(
                        "intervals must be disjoint and in order, each with its lower end below its "
                        "upper end; got " +
                        py::repr(list).cast<std::string>());
                support.ends_.push_back(lower);
                support.ends_.push_back(last = upper);
            }
            support.first_interval_.push_back(static_cast<index>(support.ends_.size() / 2));
        }
        return support;
    }
    static SupportObject of_region(RegionObject region, bool nonnegative) {
        SupportObject support(SupportKind::region);
        support.region_ = std::move(region);
        support.region_.nonnegative |= nonnegative;
        return support;
    }
    static SupportObject of_function(py::object function) {
        if (PyCallable_Check(function.ptr()) == 0)
            throw py::type_error("function must be callable; got " + py::repr(function).cast<std::string>());
        SupportObject support(SupportKind::function);
        support.function_ = std::move(function);
        return support;
    }

    class Bound {
      public:
        Bound(const SupportObject& support, Caller& caller) : support_(support), caller_(caller) {
            const index d = caller.n_features();
            spec_.kind = support.kind_;
            spec_.context = this;
            if (support.kind_ == SupportKind::intervals) {
                spec_.ends = support.ends_.data();
                spec_.first_interval = support.first_interval_.data();
                spec_.n_lists = static_cast<index>(support.first_interval_.size()) - 1;
                if (spec_.n_lists != 1 && spec_.n_lists != d)
                    throw py::value_error("the support must have intervals for one coordinate or for all " +
                                          std::to_string(d) + "; got " + std::to_string(spec_.n_lists));
            }
            if (support.kind_ == SupportKind::region) {
                const index wanted = support.region_.region->n_features();
                if (wanted >= 0 && wanted != d)
                    throw py::value_error("the support has " + std::to_string(wanted) + " coordinates and the target " +
                                          std::to_string(d));
                spec_.region_scratch = support.region_.region->scratch_size(d);
                spec_.region = [](const void* context, const double* x, index n_features, double* scratch,
                                  bool* inside) noexcept {
                    const RegionObject& region = static_cast<const Bound*>(context)->support_.region_;
                    contains_tile(*region.region, x, n_features, region.nonnegative, scratch, inside);
                };
            }
            if (support.kind_ == SupportKind::function)
                spec_.function = [](void* context, const double* points, index n, bool* inside) noexcept {
                    Bound& self = *static_cast<Bound*>(context);
                    return self.caller_.guard([&] {
                        const py::object& function = self.support_.function_;
                        const py::object result = self.caller_.call(function, points, n);
                        const Vector values = checked(result, function, "truth values", {n});
                        for (index i = 0; i < n; ++i) inside[i] = values.at(i) != 0;
                    });
                };
        }
        Bound(const Bound&) = delete;
        Bound& operator=(const Bound&) = delete;
        const SupportSpec& spec() const noexcept { return spec_; }

      private:
        const SupportObject& support_;
        Caller& caller_;
        SupportSpec spec_;
    };
    bool is_sphere() const noexcept { return kind_ == SupportKind::sphere; }

  private:
    SupportKind kind_;
    std::vector<double> ends_;
    std::vector<index> first_interval_;
    RegionObject region_{};
    py::object function_;
};

// A copy, of that shape, finite.
Matrix copied(const Matrix& given, const char* name, index rows, index columns) {
    if (given.ndim() != 2 || given.shape(0) != rows || given.shape(1) != columns)
        throw py::value_error(std::string(name) + " must have shape (" + std::to_string(rows) + ", " +
                              std::to_string(columns) + "); got " + shape_of(given));
    for (index i = 0; i < rows; ++i)
        for (index j = 0; j < columns; ++j)
            if (!std::isfinite(given.at(i, j)))
                throw py::value_error(std::string(name) + " must be finite; row " + std::to_string(i) + " is not");
    return Matrix({rows, columns}, given.data());
}
Vector copied_positive(const Vector& given, const char* name, index size) {
    as_vector(given, name, size);
    for (index i = 0; i < size; ++i)
        if (!(given.at(i) > 0) || !std::isfinite(given.at(i)))
            throw py::value_error(std::string(name) + " must be positive and finite; entry " + std::to_string(i) +
                                  " is " + std::to_string(given.at(i)));
    return Vector(size, given.data());
}

index rows_of(const Matrix& points) {
    if (points.ndim() != 2 || points.shape(0) == 0)
        throw py::value_error("points must have two dimensions and at least one row; got shape " + shape_of(points));
    if (points.shape(0) >= index{1} << 32) throw py::value_error("there must be fewer than 2^32 chains");
    return points.shape(0);
}

// The arrays of a run, checked and copied.
class ChainArrays {
  public:
    ChainArrays(const TargetObject& target, const SupportObject& support, const Matrix& given_points,
                const Vector& given_step_sizes, const Vector& given_scale, std::uint64_t seed, std::uint64_t iteration,
                index n_iterations, index thin, bool reflect)
        : n_chains(rows_of(given_points)), n_features(target.n_features()),
          points(copied(given_points, "points", n_chains, n_features)),
          step_sizes(copied_positive(given_step_sizes, "step_sizes", n_chains)),
          scale(copied_positive(given_scale, "scale", n_features)) {
        if (n_iterations < 0)
            throw py::value_error("n_iterations must not be negative; got " + std::to_string(n_iterations));
        if (thin < 1) throw py::value_error("thin must be at least 1; got " + std::to_string(thin));
        if (support.is_sphere()) {
            if (n_features < 2) throw py::value_error("the sphere must have at least two coordinates");
            for (index j = 0; j < n_features; ++j)
                if (scale.at(j) != 1) throw py::value_error("scale must be 1 in all coordinates on the sphere");
        }
        draws = py::array_t<double>({n_chains, n_iterations / thin, n_features});
        chains = {n_chains,
                  n_features,
                  points.mutable_data(),
                  step_sizes.mutable_data(),
                  scale.data(),
                  seed,
                  iteration,
                  n_iterations,
                  thin,
                  draws.mutable_data(),
                  reflect};
    }

    index n_chains, n_features;
    Matrix points;
    Vector step_sizes, scale;
    py::array_t<double> draws;
    Chains chains{};
};

// Runs without the GIL, and raises what went wrong.
template <class Run>
void run(const TargetObject& target, const SupportObject& support, const Run& body) {
    Caller caller(target.n_features());
    const TargetObject::Bound bound_target(target, caller);
    const SupportObject::Bound bound_support(support, caller);
    RunResult result;
    {
        const py::gil_scoped_release release;
        result = body(bound_target.spec(), bound_support.spec());
    }
    caller.rethrow();
    const std::string chain = "chain " + std::to_string(result.chain);
    const std::string end = chain + " became infinite or NaN at iteration " + std::to_string(result.iteration);
    switch (result.status) {
        case RunStatus::done:
        case RunStatus::stopped: return;
        case RunStatus::outside: throw py::value_error(chain + " starts outside the support");
        case RunStatus::undefined:
            throw py::value_error("the log density and the score must be finite where chains start; those of " + chain +
                                  " are not");
        case RunStatus::not_finite: throw py::value_error(end + ": the step size is too large for this target");
        case RunStatus::no_score:
            throw py::value_error(end +
                                  ", its score not being finite: the step size is too large for this target, or the "
                                  "score is not defined wherever chains may be");
    }
}

py::dict run_langevin(const TargetObject& target, const SupportObject& support, const Matrix& points,
                      const Vector& step_sizes, const Vector& scale, std::uint64_t seed, std::uint64_t iteration,
                      index n_iterations, index thin, bool reflect, int n_threads) {
    const int threads = as_thread_count(n_threads);
    const ChainArrays arrays(target, support, points, step_sizes, scale, seed, iteration, n_iterations, thin, reflect);
    py::array_t<double> accepted(arrays.n_chains);
    const LangevinRun langevin{arrays.chains, accepted.mutable_data()};
    run(target, support,
        [&](const TargetSpec& at, const SupportSpec& in) { return backend().langevin(at, in, langevin, threads); });
    py::dict results;
    results["points"] = arrays.points;
    results["draws"] = arrays.draws;
    results["accepted"] = accepted;
    return results;
}

py::dict run_hamiltonian(const TargetObject& target, const SupportObject& support, const Matrix& points,
                         const Vector& step_sizes, const Vector& scale, const Matrix& adaptation, std::uint64_t seed,
                         std::uint64_t iteration, index n_iterations, index thin, bool reflect, index n_leapfrog,
                         double jitter, double target_acceptance, int n_threads) {
    const int threads = as_thread_count(n_threads);
    const ChainArrays arrays(target, support, points, step_sizes, scale, seed, iteration, n_iterations, thin, reflect);
    if (n_leapfrog < 1) throw py::value_error("n_leapfrog must be at least 1; got " + std::to_string(n_leapfrog));
    if (!(jitter >= 0 && jitter < 1))
        throw py::value_error("jitter must be at least 0 and less than 1; got " + std::to_string(jitter));
    if (!(target_acceptance >= 0 && target_acceptance < 1))
        throw py::value_error("target_acceptance must be at least 0 and less than 1; got " +
                              std::to_string(target_acceptance));
    Matrix state = copied(adaptation, "adaptation", arrays.n_chains, adaptation_columns);
    py::array_t<double> acceptance(arrays.n_chains), divergent(arrays.n_chains);
    const HamiltonianRun hamiltonian{
        arrays.chains,           state.mutable_data(), n_leapfrog, jitter, target_acceptance, acceptance.mutable_data(),
        divergent.mutable_data()};
    run(target, support, [&](const TargetSpec& at, const SupportSpec& in) {
        return backend().hamiltonian(at, in, hamiltonian, threads);
    });
    py::dict results;
    results["points"] = arrays.points;
    results["step_sizes"] = arrays.step_sizes;
    results["adaptation"] = state;
    results["draws"] = arrays.draws;
    results["acceptance"] = acceptance;
    results["divergent"] = divergent;
    return results;
}

Vector reasonable_step_sizes(const TargetObject& target, const SupportObject& support, const Matrix& points,
                             const Vector& scale, std::uint64_t seed, int n_threads) {
    const int threads = as_thread_count(n_threads);
    Vector ones(rows_of(points));
    std::fill(ones.mutable_data(), ones.mutable_data() + ones.size(), 1.0);
    const ChainArrays arrays(target, support, points, ones, scale, seed, 0, 0, 1, false);
    run(target, support, [&](const TargetSpec& at, const SupportSpec& in) {
        return backend().reasonable_step_sizes(at, in, arrays.chains, threads);
    });
    return arrays.step_sizes;
}

}  // namespace

void register_chains(py::module_& module) {
    py::class_<TargetObject>(module, "Target", "What is sampled: a log density and its score.")
        .def_static("family", &TargetObject::of_family, py::arg("family"), py::arg("theta"),
                    py::arg("origin") = py::none())
        .def_static("python", &TargetObject::of_function, py::arg("n_features"), py::arg("function"),
                    "function(points (n, d)) gives the scores (n, d), or (log densities (n,), scores).")
        .def_property_readonly("n_features", &TargetObject::n_features);
    py::class_<SupportObject>(module, "Support", "Where chains may be.")
        .def_static("real_space", [] { return SupportObject(SupportKind::real_space); })
        .def_static("sphere", [] { return SupportObject(SupportKind::sphere); })
        .def_static("intervals", &SupportObject::of_intervals, py::arg("intervals"),
                    "Unions of intervals, arrays (m, 2): one for each coordinate, or one for all.")
        .def_static("region", &SupportObject::of_region, py::arg("region"), py::arg("nonnegative") = false)
        .def_static("python", &SupportObject::of_function, py::arg("function"),
                    "function(points (n, d)) says of each whether it is inside.");
    module.def("run_langevin", &run_langevin, py::arg("target"), py::arg("support"), py::arg("points"),
               py::arg("step_sizes"), py::arg("scale"), py::arg("seed"), py::arg("iteration"), py::arg("n_iterations"),
               py::arg("thin"), py::arg("reflect"), py::arg("n_threads"),
               "Iterations of unadjusted Langevin chains, in a dict: points, draws, accepted.");
    module.def("run_hamiltonian", &run_hamiltonian, py::arg("target"), py::arg("support"), py::arg("points"),
               py::arg("step_sizes"), py::arg("scale"), py::arg("adaptation"), py::arg("seed"), py::arg("iteration"),
               py::arg("n_iterations"), py::arg("thin"), py::arg("reflect"), py::arg("n_leapfrog"), py::arg("jitter"),
               py::arg("target_acceptance"), py::arg("n_threads"),
               "Iterations of Hamiltonian Monte Carlo, in a dict: points, step_sizes, adaptation, draws, acceptance, "
               "divergent. The columns of adaptation are mu, the log of the mean step size, the error and the count of "
               "dual averaging; zeros begin anew. After the last iteration that adapts, exp(adaptation[:, 1]) are the "
               "step sizes to go on with, and target_acceptance=0 keeps them.");
    module.def("reasonable_step_sizes", &reasonable_step_sizes, py::arg("target"), py::arg("support"),
               py::arg("points"), py::arg("scale"), py::arg("seed"), py::arg("n_threads"),
               "Leapfrog step sizes to begin with, one for each chain.");
}

}  // namespace scorematch::bindings
