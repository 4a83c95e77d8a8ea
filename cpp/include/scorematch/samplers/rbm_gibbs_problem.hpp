// What the Gibbs sampler of the RBM (rbm_gibbs.hpp) is asked for: plain data, which may cross from one level to
// another.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"

namespace scorematch {

// log p̃(x, h) = −‖x − b‖²/2σ² + hᵀ(c + Wx/σ²), h in {0, 1}^m. All is finite, and so small that no sum overflows.
struct RbmGibbsProblem {
    index n_features;
    index n_hidden;
    const double* components;         // W (m, d)
    const double* intercept_hidden;   // c (m,)
    const double* intercept_visible;  // b (d,)
    double noise_variance;            // σ²
};

// Many chains, each with random numbers of its own. What an iteration draws is a function of the seed, the number of
// the chain and its own number, so that a run may be cut into calls.
struct RbmGibbsChains {
    index n_chains;
    double* points;  // (n_chains, d) in and out
    std::uint64_t seed;
    std::uint64_t iteration;  // the number of the first
    index n_iterations;
    index thin;
    double* draws;  // (n_chains, n_iterations / thin, d): the points after each `thin` iterations
};

}  // namespace scorematch
