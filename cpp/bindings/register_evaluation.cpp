// Per-sample results, the objective and its gradient, and the moments of the data.
#include "register.hpp"

#include <pybind11/stl.h>

#include <numeric>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "problem.hpp"
#include "specs.hpp"

namespace scorematch::bindings {

std::vector<double> FieldObject::caps_for(index n_features) const {
    if (caps.size() == 1) return std::vector<double>(static_cast<std::size_t>(n_features), caps[0]);
    if (!caps.empty() && static_cast<index>(caps.size()) != n_features)
        throw py::value_error("c must be a number or have one entry for each of the " + std::to_string(n_features) +
                              " columns of X; got " + std::to_string(caps.size()));
    return caps;
}

FieldTable FieldObject::table_for(index n_samples, index n_features) const {
    if (kind != FieldKind::tabulated) return {};
    if (a.shape(0) != n_samples || b.shape(0) != n_samples || b.shape(1) != n_features ||
        (a.shape(1) != 1 && a.shape(1) != n_features))
        throw py::value_error("the field's tables must have shapes (" + std::to_string(n_samples) + ", 1 or " +
                              std::to_string(n_features) + ") and (" + std::to_string(n_samples) + ", " +
                              std::to_string(n_features) + "); got " + shape_of(a) + " and " + shape_of(b));
    return {a.data(), b.data(), a.shape(1), n_samples};
}

namespace {

template <class T>
T* new_output(py::dict& results, const char* name, std::vector<py::ssize_t> shape) {
    py::array_t<T> array(std::move(shape));
    T* const data = array.mutable_data();
    results[name] = std::move(array);
    return data;
}

py::dict evaluate(const FamilyObject& family, const Vector& theta, const py::array& x, const FieldObject& field,
                  const std::vector<std::string>& wanted, int n_threads, const std::optional<Vector>& origin) {
    const double* const parameters = as_vector(theta, "theta", family.n_params);
    as_thread_count(n_threads);
    return with_samples(x, family.n_features, [&]<class T>(Samples<T> samples) {
        samples.origin = as_origin(origin, field, family.n_features);
        const index n = samples.n_samples, d = samples.n_features;
        py::dict results;
        Outputs<T> outputs;
        for (const std::string& name : wanted) {
            if (name == "score") outputs.score = new_output<T>(results, "score", {n, d});
            else if (name == "hessian_diagonal")
                outputs.hessian_diagonal = new_output<T>(results, "hessian_diagonal", {n, d});
            else if (name == "hessian_trace") outputs.hessian_trace = new_output<T>(results, "hessian_trace", {n});
            else if (name == "norm_term") outputs.norm_term = new_output<T>(results, "norm_term", {n});
            else if (name == "hessian_term") outputs.hessian_term = new_output<T>(results, "hessian_term", {n});
            else if (name == "log_density") outputs.log_density = new_output<T>(results, "log_density", {n});
            else throw py::value_error("there is no per-sample result called '" + name + "'");
        }
        const BoundField bound(field, samples.n_samples, d);
        const py::gil_scoped_release release;
        functions<T>().evaluate(family.spec(), parameters, samples, bound.spec(), outputs, n_threads);
        return results;
    });
}

// J(θ) on fixed data, as an optimiser calls it.
class Loss {
  public:
    Loss(FamilyObject family, py::array x, std::optional<Vector> sample_weight, const FieldObject& field, int n_threads,
         std::optional<Vector> origin)
        : problem_(std::move(family), std::move(x), std::move(sample_weight), field, n_threads, std::move(origin)) {}

    py::tuple operator()(const Vector& theta) const {
        const index n_params = problem_.family().n_params;
        const double* const parameters = as_vector(theta, "theta", n_params);
        py::array_t<double> gradient(n_params);
        double* const out = gradient.mutable_data();
        const double loss = problem_.with_its_samples([&]<class T>(const Samples<T>& samples) {
            const py::gil_scoped_release release;
            return functions<T>().loss_and_gradient(problem_.family().spec(), parameters, samples,
                                                    problem_.sample_weight(), problem_.field(), out,
                                                    problem_.n_threads());
        });
        return py::make_tuple(loss, gradient);
    }

  private:
    Problem problem_;
};

py::array_t<double> loss_gradients(const FamilyObject& family, const Vector& theta, const py::array& x,
                                   const FieldObject& field, int n_threads, const std::optional<Vector>& origin) {
    const Problem problem(family, x, std::nullopt, field, n_threads, origin);
    const double* const parameters = as_vector(theta, "theta", family.n_params);
    py::array_t<double> gradients({problem.n_samples(), family.n_params});
    double* const out = gradients.mutable_data();
    problem.with_its_samples([&]<class T>(const Samples<T>& samples) {
        const py::gil_scoped_release release;
        functions<T>().loss_gradients(family.spec(), parameters, samples, problem.field(), out, n_threads);
    });
    return gradients;
}

py::tuple gradient_products(const FamilyObject& family, const Vector& theta, const py::array& x,
                            const std::optional<Vector>& sample_weight, const FieldObject& field, int n_threads,
                            const std::optional<Vector>& origin) {
    const Problem problem(family, x, sample_weight, field, n_threads, origin);
    const double* const parameters = as_vector(theta, "theta", family.n_params);
    py::array_t<double> gradient(family.n_params), products({family.n_params, family.n_params});
    double* const gradient_out = gradient.mutable_data();
    double* const products_out = products.mutable_data();
    const double loss = problem.with_its_samples([&]<class T>(const Samples<T>& samples) {
        const py::gil_scoped_release release;
        return functions<T>().gradient_products(family.spec(), parameters, samples, problem.sample_weight(),
                                                problem.field(), gradient_out, products_out, n_threads);
    });
    return py::make_tuple(loss, gradient, products);
}

py::tuple moments(const py::array& x, const std::optional<Vector>& sample_weight, const Vector& shift, bool diagonal,
                  int n_threads) {
    as_thread_count(n_threads);
    return with_samples(x, -1, [&]<class T>(const Samples<T>& samples) {
        const index d = samples.n_features;
        const double* const weight = as_optional_vector(sample_weight, "sample_weight", samples.n_samples);
        const double* const origin = as_vector(shift, "shift", d);
        py::array_t<double> first(d);
        py::array_t<double> second(diagonal ? std::vector<py::ssize_t>{d} : std::vector<py::ssize_t>{d, d});
        double* const first_data = first.mutable_data();
        double* const second_data = second.mutable_data();
        {
            const py::gil_scoped_release release;
            functions<T>().moments(samples, weight, origin, diagonal, first_data, second_data, n_threads);
        }
        return py::make_tuple(first, second);
    });
}

py::dict weighted_moments(const py::array& x, const std::optional<Vector>& sample_weight, const FieldObject& field,
                          const Vector& shift, bool diagonal, int n_threads) {
    as_thread_count(n_threads);
    check_plain(field);
    if (!field.has_weights()) throw py::value_error("field must be one with weights of coordinates");
    return with_samples(x, -1, [&]<class T>(const Samples<T>& samples) {
        const index d = samples.n_features;
        const double* const weight = as_optional_vector(sample_weight, "sample_weight", samples.n_samples);
        const double* const origin = as_vector(shift, "shift", d);
        const index q = field.is_shared() ? 1 : d;
        py::dict results;
        const WeightedMoments out{
            new_output<double>(results, "h", {q}), new_output<double>(results, "dh", {d}),
            new_output<double>(results, "first", {q, d}), new_output<double>(results, "cross", {d, d}),
            diagonal ? new_output<double>(results, "second", {d}) : new_output<double>(results, "second", {q, d, d})};
        const BoundField bound(field, samples.n_samples, d);
        const py::gil_scoped_release release;
        functions<T>().weighted_moments(samples, weight, bound.spec(), origin, diagonal, out, n_threads);
        return results;
    });
}

// Monomials in so many variables of at most that degree: a binomial coefficient.
index n_monomials(index n_variables, index degree) {
    index n = 1;
    for (index k = 1; k <= degree; ++k) n = n * (n_variables + k) / k;
    return n;
}

py::tuple polynomial_moments(const py::array& x, const std::optional<Vector>& sample_weight, const FieldObject& field,
                             index degree, bool interactions, const Vector& shift, const Vector& scale, int n_threads) {
    as_thread_count(n_threads);
    check_plain(field);
    if (degree < 1) throw py::value_error("degree must be at least 1; got " + std::to_string(degree));
    if (field.kind == FieldKind::sphere) throw py::value_error("there are no polynomial moments on the sphere");
    return with_samples(x, -1, [&]<class T>(const Samples<T>& samples) {
        const index d = samples.n_features;
        const double* const weight = as_optional_vector(sample_weight, "sample_weight", samples.n_samples);
        const bool weighted = field.has_weights(), one_row = interactions && (!weighted || field.is_shared());
        const index n_variables = interactions ? d : 1, n_rows = one_row ? 1 : d;
        py::array_t<double> sums({n_rows, n_monomials(n_variables, 2 * degree - 2)});
        py::array_t<double> slope_sums({weighted ? d : 0, n_monomials(n_variables, degree - 1)});
        const PolynomialMoments out{degree,
                                    interactions,
                                    as_vector(shift, "shift", d),
                                    as_vector(scale, "scale", d),
                                    sums.mutable_data(),
                                    weighted ? slope_sums.mutable_data() : nullptr};
        const BoundField bound(field, samples.n_samples, d);
        {
            const py::gil_scoped_release release;
            functions<T>().polynomial_moments(samples, weight, bound.spec(), out, n_threads);
        }
        return py::make_tuple(sums, slope_sums);
    });
}

py::dict pairwise_moments(const py::array& x, const std::optional<Vector>& sample_weight, const FieldObject& field,
                          double a, double b, bool has_linear, bool on_simplex, const Vector& shift, int n_threads) {
    as_thread_count(n_threads);
    check_plain(field);
    if (!(a >= 0) || !(b >= 0)) throw py::value_error("a and b must not be negative");
    if (field.kind == FieldKind::sphere) throw py::value_error("there are no pairwise moments on the sphere");
    return with_samples(x, -1, [&]<class T>(const Samples<T>& samples) {
        const index d = samples.n_features + (on_simplex ? 1 : 0), n_coupled = on_simplex ? d - 1 : 0;
        const index n_linear = has_linear ? d : 0, n_coupled_linear = has_linear ? n_coupled : 0;
        const double* const weight = as_optional_vector(sample_weight, "sample_weight", samples.n_samples);
        double total_weight = static_cast<double>(samples.n_samples);
        if (weight != nullptr) total_weight = std::accumulate(weight, weight + samples.n_samples, 0.0);
        py::dict results;
        const PairwiseMoments out{a,
                                  b,
                                  has_linear,
                                  on_simplex,
                                  total_weight,
                                  as_vector(shift, "shift", d),
                                  new_output<double>(results, "squares", {d + n_coupled, d, d}),
                                  new_output<double>(results, "cross", {n_linear, d}),
                                  new_output<double>(results, "linear", {n_linear}),
                                  new_output<double>(results, "g_interaction", {d, d}),
                                  new_output<double>(results, "g_linear", {n_linear}),
                                  new_output<double>(results, "coupling_cross", {2, n_coupled_linear, d}),
                                  new_output<double>(results, "coupling_linear", {n_coupled_linear})};
        const BoundField bound(field, samples.n_samples, samples.n_features);
        const py::gil_scoped_release release;
        functions<T>().pairwise_moments(samples, weight, bound.spec(), out, n_threads);
        return results;
    });
}

// The first entry that is not finite, as (row, column), or None.
py::object first_nonfinite(const py::array& x) {
    return with_samples(x, -1, []<class T>(const Samples<T>& samples) -> py::object {
        index row = -1, column = -1;
        {
            const py::gil_scoped_release release;
            for (index i = 0; i < samples.n_samples && row < 0; ++i) {
                const T* const sample = samples.data + i * samples.row_stride;
                T probe = 0;  // 0·x is 0 for finite x, else NaN
                for (index j = 0; j < samples.n_features; ++j) probe += T(0) * sample[j * samples.column_stride];
                if (probe == 0) continue;
                row = i;
                for (column = 0; T(0) * sample[column * samples.column_stride] == 0;) ++column;
            }
        }
        if (row < 0) return py::none();
        return py::make_tuple(row, column);
    });
}

}  // namespace

void register_evaluation(py::module_& module) {
    module.def("evaluate", &evaluate, py::arg("family"), py::arg("theta"), py::arg("X"), py::arg("field"),
               py::arg("wanted"), py::arg("n_threads"), py::arg("origin") = py::none(),
               "Per-sample results by name, in a dict.");
    py::class_<Loss>(module, "Loss", "J(theta) and its gradient on fixed data.")
        .def(py::init<FamilyObject, py::array, std::optional<Vector>, const FieldObject&, int, std::optional<Vector>>(),
             py::arg("family"), py::arg("X"), py::arg("sample_weight"), py::arg("field"), py::arg("n_threads"),
             py::arg("origin") = py::none())
        .def("__call__", &Loss::operator(), py::arg("theta"));
    module.def("loss_gradients", &loss_gradients, py::arg("family"), py::arg("theta"), py::arg("X"), py::arg("field"),
               py::arg("n_threads"), py::arg("origin") = py::none(),
               "The gradient of the objective of each sample with respect to theta, (n, p).");
    module.def("gradient_products", &gradient_products, py::arg("family"), py::arg("theta"), py::arg("X"),
               py::arg("sample_weight"), py::arg("field"), py::arg("n_threads"), py::arg("origin") = py::none(),
               "Sums over samples of w*rho, of w*g and of w^2*g*g', g the gradient of rho with respect to theta.");
    module.def("moments", &moments, py::arg("X"), py::arg("sample_weight"), py::arg("shift"), py::arg("diagonal"),
               py::arg("n_threads"), "Sums of w*y and w*y*y' with y = x - shift.");
    module.def("weighted_moments", &weighted_moments, py::arg("X"), py::arg("sample_weight"), py::arg("field"),
               py::arg("shift"), py::arg("diagonal"), py::arg("n_threads"),
               "The same sums in a field with weights, in a dict: h, dh, first, cross, second.");
    module.def(
        "polynomial_moments", &polynomial_moments, py::arg("X"), py::arg("sample_weight"), py::arg("field"),
        py::arg("degree"), py::arg("interactions"), py::arg("shift"), py::arg("scale"), py::arg("n_threads"),
        "Sums of monomials of (x - shift)/scale, times w*h_j and times w*h_j'; the latter empty on all of space.");
    module.def("pairwise_moments", &pairwise_moments, py::arg("X"), py::arg("sample_weight"), py::arg("field"),
               py::arg("a"), py::arg("b"), py::arg("has_linear"), py::arg("on_simplex"), py::arg("shift"),
               py::arg("n_threads"),
               "Means of the pairwise interaction model's quadratic objective, in a dict: squares, cross, linear, "
               "g_interaction, g_linear, coupling_cross, coupling_linear.");
    module.def("first_nonfinite", &first_nonfinite, py::arg("X"),
               "The first (row, column) that is not finite, or None.");
}

}  // namespace scorematch::bindings
