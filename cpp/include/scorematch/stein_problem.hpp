// What the kernel Stein discrepancy (kernel_stein.hpp) is asked for: plain data, which may cross from one level to
// another.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"

namespace scorematch {

enum class SteinKernel { imq, gaussian };

// Points and the Stein operator there, T f = tr(A∇f) + sᵀf with s = Aψ + b. A is diag(a), or where there is no a it is
// I, and on the sphere I − xxᵀ. The kernel is a function of the distance over the bandwidth.
template <class T>
struct SteinProblem {
    Samples<T> points;
    Samples<T> score;       // s
    Samples<T> multiplier;  // a; its data may be null
    bool on_sphere;
    SteinKernel kernel;
    double bandwidth;
};

// Sums of u over pairs of points.
struct SteinSums {
    double diagonal = 0;      // Σ u(x_i, x_i)
    double off_diagonal = 0;  // Σ_{i<j} u(x_i, x_j)
};

// Draws of Σ_{i<j} w_i w_j u(x_i, x_j), the multipliers w being 1 or −1 with equal chances.
struct WildBootstrap {
    index n_draws;
    std::uint64_t seed;
    double* draws;  // (n_draws,)
};

}  // namespace scorematch
