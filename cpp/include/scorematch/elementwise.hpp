// A function of vector_math.hpp, chosen by name and applied to an array: by it the tests reach every level from Python.
#pragma once

#include <cstring>

#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// out[i] = function(in[i]); `in` and `out` may be the same array.
template <class T, class Function>
inline void map_packs(const T* in, T* out, index n, Function function) noexcept {
    const index n_full = n - n % pack_size<T>;
    for (index i = 0; i < n_full; i += pack_size<T>) store<T>(out + i, function(load<T>(in + i)));
    if (n_full == n) return;
    T rest[pack_size<T>] = {};
    const std::size_t rest_bytes = static_cast<std::size_t>(n - n_full) * sizeof(T);
    std::memcpy(rest, in + n_full, rest_bytes);
    store<T>(rest, function(load<T>(rest)));
    std::memcpy(out + n_full, rest, rest_bytes);
}

// False if there is no function of that name. `parameter` is the exponent of power.
template <class T>
bool apply_elementwise(const char* name, const T* in, T* out, index n, T parameter) noexcept {
    const auto apply_if = [&](const char* candidate, auto function) noexcept {
        if (std::strcmp(name, candidate) != 0) return false;
        map_packs<T>(in, out, n, function);
        return true;
    };
    return apply_if("exp", [](Pack<T> x) noexcept { return exp<T>(x); }) ||
           apply_if("exp_nonpositive", [](Pack<T> x) noexcept { return exp_nonpositive<T>(x); }) ||
           apply_if("log", [](Pack<T> x) noexcept { return log<T>(x); }) ||
           apply_if("log1p", [](Pack<T> x) noexcept { return log1p<T>(x); }) ||
           apply_if("tanh", [](Pack<T> x) noexcept { return tanh<T>(x); }) ||
           apply_if("log_cosh", [](Pack<T> x) noexcept { return log_cosh<T>(x); }) ||
           apply_if("softplus", [](Pack<T> x) noexcept { return softplus<T>(x); }) ||
           apply_if("sigmoid", [](Pack<T> x) noexcept { return sigmoid<T>(x); }) ||
           apply_if("sqrt", [](Pack<T> x) noexcept { return sqrt<T>(x); }) ||
           apply_if("inverse_sqrt", [](Pack<T> x) noexcept { return inverse_sqrt<T>(x); }) ||
           apply_if("sine_of_turns", [](Pack<T> x) noexcept { return sine_and_cosine_of_turns<T>(x).sine; }) ||
           apply_if("cosine_of_turns", [](Pack<T> x) noexcept { return sine_and_cosine_of_turns<T>(x).cosine; }) ||
           apply_if("abs", [](Pack<T> x) noexcept { return abs<T>(x); }) ||
           apply_if("power", [parameter](Pack<T> x) noexcept { return power<T>(x, parameter); });
}

SCOREMATCH_END_LEVEL
