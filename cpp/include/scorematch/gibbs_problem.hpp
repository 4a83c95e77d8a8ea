// What the Gibbs sampler (gibbs.hpp) is asked for: plain data, which may cross from one level to another.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"

namespace scorematch {

// The density of y on its domain, up to a constant:
//
//     −½ yᵀPy + linearᵀy + Σ_j log_factor_j log y_j + Σ_j extra_j E(y_j),   E(t) = t^exponent, or e^(exponent·t)
//
// P is symmetric with a positive diagonal. The pairwise interaction model is of this form in y = xᵃ, or y = log x.
//
// Its domain: each coordinate in one of its intervals, and as well, in x = y^root, or e^y where root is 0, all
// constraints A x <= bounds, Σ|x_j|^norm <= radius^norm, and in two dimensions the polygon; each where there is one.
struct GibbsProblem {
    index n_features;
    const double* precision;   // (d, d)
    const double* linear;      // (d,)
    const double* log_factor;  // (d,)
    const double* extra;       // (d,)
    double exponent;
    bool exponential;

    const double* ends;           // of the intervals of y, (lower, upper) each, in increasing order
    const index* first_interval;  // (d + 1,) those of coordinate j are [first_interval[j], first_interval[j + 1])
    double root;
    index n_constraints;
    const double* constraints;  // (n_constraints, d)
    const double* bounds;       // (n_constraints,)
    int norm;                   // 1 or 2; 0 where there is no ball
    double radius;
    index n_vertices;        // 0 where there is no polygon
    const double* vertices;  // (n_vertices, 2), in order
};

// Many chains, each a stream of random numbers of its own.
struct GibbsChains {
    index n_chains;
    double* states;            // (n_chains, d) in and out
    std::uint64_t* positions;  // (n_chains,) how far each stream has been used, in and out
    std::uint64_t seed;
};

}  // namespace scorematch
