// Stochastic descent on minibatches: the state lives here, between calls that do one epoch each.
#include "register.hpp"

#include <pybind11/stl.h>

#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "backend_choice.hpp"
#include "problem.hpp"
#include "specs.hpp"

namespace scorematch::bindings {
namespace {

using Positions = py::array_t<index, py::array::c_style | py::array::forcecast>;

class MinibatchDescent {
  public:
    MinibatchDescent(FamilyObject family, py::array x, std::optional<Vector> sample_weight, const FieldObject& field,
                     int n_threads, const Vector& theta, const Vector& scale, double unit, index batch_size,
                     std::uint64_t seed, const std::optional<Positions>& rows, std::optional<Vector> origin,
                     const std::pair<index, index>& unit_rows, index n_positive)
        : problem_(std::move(family), std::move(x), std::move(sample_weight), field, n_threads, std::move(origin)) {
        const index n_params = problem_.family().n_params;
        theta_ = copy(as_vector(theta, "theta", n_params), n_params);
        scale_ = copy(as_vector(scale, "scale", n_params), n_params);
        first_moment_.assign(theta_.size(), 0.0);
        second_moment_.assign(theta_.size(), 0.0);
        if (!(unit > 0)) throw py::value_error("unit must be positive; got " + std::to_string(unit));
        if (batch_size < 1) throw py::value_error("batch_size must be at least 1; got " + std::to_string(batch_size));
        const auto [n_unit_rows, unit_row_length] = unit_rows;
        if (n_unit_rows < 0 || unit_row_length < 0 || n_unit_rows * unit_row_length > n_params)
            throw py::value_error("unit_rows must be the shape of a block of theta, which has " +
                                  std::to_string(n_params) + " entries; got (" + std::to_string(n_unit_rows) + ", " +
                                  std::to_string(unit_row_length) + ")");
        if (n_positive < 0 || n_positive > n_params - n_unit_rows * unit_row_length)
            throw py::value_error("n_positive must be a number of entries of theta behind unit_rows; got " +
                                  std::to_string(n_positive));
        for (index i = n_params - n_positive; i < n_params; ++i)
            if (!(theta_[static_cast<std::size_t>(i)] > 0))
                throw py::value_error("the last " + std::to_string(n_positive) +
                                      " entries of theta must be positive; entry " + std::to_string(i) + " is " +
                                      std::to_string(theta_[static_cast<std::size_t>(i)]));
        take_rows(rows);
        state_.scale = scale_.data();
        state_.unit = unit;
        state_.mean_weight = mean_weight();
        state_.batch_size = batch_size;
        state_.seed = seed;
        state_.n_unit_rows = n_unit_rows;
        state_.unit_row_length = unit_row_length;
        state_.n_positive = n_positive;
        state_.rows = rows_.data();
        state_.n_rows = static_cast<index>(rows_.size());
        state_.theta = theta_.data();
        state_.first_moment = first_moment_.data();
        state_.second_moment = second_moment_.data();
    }

    double epoch(double first_rate, double last_rate) {
        const Use use(*this);
        return problem_.with_its_samples([&]<class T>(const Samples<T>& samples) {
            const py::gil_scoped_release release;
            return functions<T>().minibatch_epoch(problem_.family().spec(), samples, problem_.sample_weight(),
                                                  problem_.field(), first_rate, last_rate, state_,
                                                  problem_.n_threads());
        });
    }

    Vector theta() {
        const Use use(*this);
        return Vector(problem_.family().n_params, state_.theta);
    }
    Positions rows() {
        const Use use(*this);
        return Positions(state_.n_rows, state_.rows);
    }
    index n_epochs() const noexcept { return state_.n_epochs; }

  private:
    // An epoch runs without the interpreter's lock, and nobody else may look at the state meanwhile.
    class Use {
      public:
        explicit Use(MinibatchDescent& descent) : in_use_(descent.in_use_) {
            if (in_use_) throw std::runtime_error("another thread is running an epoch of these minibatches");
            in_use_ = true;
        }
        ~Use() { in_use_ = false; }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;

      private:
        bool& in_use_;
    };

    static std::vector<double> copy(const double* data, index size) { return {data, data + size}; }

    // Those that are named, or all; a row of weight 0 takes no place in a batch.
    void take_rows(const std::optional<Positions>& rows) {
        const index n = problem_.n_samples();
        if (rows) {
            if (rows->ndim() != 1) throw py::value_error("rows must have one dimension; got shape " + shape_of(*rows));
            rows_.assign(rows->data(), rows->data() + rows->size());
            for (const index row : rows_)
                if (row < 0 || row >= n)
                    throw py::value_error("rows must be positions from 0 to " + std::to_string(n - 1) + "; got " +
                                          std::to_string(row));
        } else {
            rows_.resize(static_cast<std::size_t>(n));
            std::iota(rows_.begin(), rows_.end(), index{0});
        }
        if (const double* const weight = problem_.sample_weight())
            std::erase_if(rows_, [&](index row) { return weight[row] == 0; });
        if (rows_.empty()) throw py::value_error("no row has a positive weight");
    }

    double mean_weight() const {
        const double* const weight = problem_.sample_weight();
        if (weight == nullptr) return 1;
        double total = 0;
        for (const index row : rows_) total += weight[row];
        return total / static_cast<double>(rows_.size());
    }

    Problem problem_;
    std::vector<double> theta_, scale_, first_moment_, second_moment_;
    std::vector<index> rows_;
    Minibatches state_{};
    bool in_use_ = false;
};

}  // namespace

void register_minibatches(py::module_& module) {
    py::class_<MinibatchDescent>(module, "Minibatches", "Adam on minibatches of fixed data, an epoch a call.")
        .def(py::init<FamilyObject, py::array, std::optional<Vector>, const FieldObject&, int, const Vector&,
                      const Vector&, double, index, std::uint64_t, const std::optional<Positions>&,
                      std::optional<Vector>, const std::pair<index, index>&, index>(),
             py::arg("family"), py::arg("X"), py::arg("sample_weight"), py::arg("field"), py::arg("n_threads"),
             py::arg("theta"), py::arg("scale"), py::arg("unit"), py::arg("batch_size"), py::arg("seed"),
             py::arg("rows") = py::none(), py::arg("origin") = py::none(),
             py::arg("unit_rows") = std::pair<index, index>{0, 0}, py::arg("n_positive") = 0)
        .def("epoch", &MinibatchDescent::epoch, py::arg("first_rate"), py::arg("last_rate"),
             "Run one epoch; gives the mean of the batches' objectives, or the first that is not finite.")
        .def_property_readonly("theta", &MinibatchDescent::theta, "A copy of the parameters.")
        .def_property_readonly("rows", &MinibatchDescent::rows, "The rows that take part, in the last epoch's order.")
        .def_property_readonly("n_epochs", &MinibatchDescent::n_epochs);
}

}  // namespace scorematch::bindings
