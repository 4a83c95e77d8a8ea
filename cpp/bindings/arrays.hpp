// NumPy arrays to the core's plain views, with errors that say which argument, what was expected and what came.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <utility>

#include "scorematch/common.hpp"

namespace scorematch::bindings {

namespace py = pybind11;

inline std::string shape_of(const py::array& array) { return py::str(array.attr("shape")).cast<std::string>(); }

inline bool is_float32(const py::array& array) { return py::isinstance<py::array_t<float>>(array); }
inline bool is_float64(const py::array& array) { return py::isinstance<py::array_t<double>>(array); }

// A view of X as it lies in memory: any strides, no copy. X is of type T.
template <class T>
Samples<T> as_samples(const py::array& x) {
    const py::ssize_t size = sizeof(T);
    const bool aligned = (x.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    if (!aligned || x.strides(0) % size != 0 || x.strides(1) % size != 0)
        throw py::value_error("X must be aligned, with strides that are whole numbers of elements; pass a copy of it");
    return {static_cast<const T*>(x.data()), x.shape(0), x.shape(1), x.strides(0) / size, x.strides(1) / size};
}

// Calls function(Samples<float>) or function(Samples<double>), as X is. `n_features` < 0: any.
template <class Function>
auto with_samples(const py::array& x, index n_features, Function&& function) {
    if (x.ndim() != 2)
        throw py::value_error("X must have two dimensions, (n_samples, n_features); got shape " + shape_of(x));
    if (x.shape(0) == 0) throw py::value_error("X must have at least one row; got shape " + shape_of(x));
    if (n_features >= 0 && x.shape(1) != n_features)
        throw py::value_error("X must have " + std::to_string(n_features) + " columns; got shape " + shape_of(x));
    if (is_float32(x)) return function(as_samples<float>(x));
    if (is_float64(x)) return function(as_samples<double>(x));
    throw py::type_error("X must be of type float32 or float64; got " + py::str(x.dtype()).cast<std::string>());
}

// A contiguous vector of doubles; other real types are converted.
using Vector = py::array_t<double, py::array::c_style | py::array::forcecast>;

inline const double* as_vector(const Vector& vector, const char* name, index size) {
    if (vector.ndim() != 1 || vector.shape(0) != size)
        throw py::value_error(std::string(name) + " must have shape (" + std::to_string(size) + ",); got " +
                              shape_of(vector));
    return vector.data();
}

inline const double* as_optional_vector(const std::optional<Vector>& vector, const char* name, index size) {
    return vector ? as_vector(*vector, name, size) : nullptr;
}

inline int as_thread_count(int n_threads) {
    if (n_threads < 1) throw py::value_error("n_threads must be at least 1; got " + std::to_string(n_threads));
    return n_threads;
}

}  // namespace scorematch::bindings
