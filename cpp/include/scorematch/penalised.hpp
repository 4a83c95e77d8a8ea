// The minimum of a quadratic form with an l1 penalty on each coefficient:
//
//     ½ θᵀΓθ − gᵀθ + Σ_k λ_k |θ_k|,        Γ symmetric and positive semidefinite
//
// It works on Γ, whatever the number of samples behind it, and always in doubles; so it is compiled once, for any
// processor.
#pragma once

#include "scorematch/common.hpp"

namespace scorematch {

struct PenalisedForm {
    index size;
    const double* gamma;    // (size, size); its diagonal must not be negative
    const double* linear;   // g
    const double* penalty;  // λ_k ≥ 0; infinity keeps a coefficient at 0
};

enum class PenalisedOutcome { converged, stopped, unbounded };

struct PenalisedMinimum {
    PenalisedOutcome outcome;
    index n_iter;
    // The largest breach of the conditions of a minimum, r_k = g_k − (Γθ)_k equal to λ_k sign θ_k, or |r_k| ≤ λ_k at
    // θ_k = 0. In units of √Γ_kk, and as a part of the largest |g_k|.
    double violation;
};

// `theta` holds where to start, and the minimum in the end: a minimum for other penalties is a good start. It has
// converged when the violation is at most `tol`, or as small as rounding allows. Where there is no minimum, `theta`
// holds a direction in which the objective falls for ever.
PenalisedMinimum minimise_penalised(const PenalisedForm& form, double tol, index max_iter, double* theta);

}  // namespace scorematch
