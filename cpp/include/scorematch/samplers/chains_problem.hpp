// What the samplers of samplers/ are asked for: plain data, which may cross from one level to another.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"

namespace scorematch {

// log p̃ and ψ: a family at θ, or a function of the caller's.
struct TargetSpec {
    const FamilySpec* family = nullptr;
    const double* theta = nullptr;
    const double* origin = nullptr;  // (d,) the family sees x − origin; none where null

    // Points are rows; log densities are wanted unless null. False stops the run, and the caller knows why. It is
    // called from the thread that started the run, with all chains at once.
    bool (*function)(void* context, const double* points, index n_points, double* log_density,
                     double* score) noexcept = nullptr;
    void* context = nullptr;
};

// Where chains may be.
enum class SupportKind { real_space, intervals, sphere, region, function };
struct SupportSpec {
    SupportKind kind = SupportKind::real_space;

    // Unions of intervals, in order: those of list i are [first_interval[i], first_interval[i + 1]), a lower and an
    // upper end each. There is one list for each coordinate, or one for all.
    const double* ends = nullptr;
    const index* first_interval = nullptr;
    index n_lists = 0;

    // A region (domains.hpp), on tiles of Region::lanes points.
    void (*region)(const void* context, const double* x, index n_features, double* scratch,
                   bool* inside) noexcept = nullptr;
    index region_scratch = 0;  // doubles
    // A function of the caller's, as that of a target.
    bool (*function)(void* context, const double* points, index n_points, bool* inside) noexcept = nullptr;
    void* context = nullptr;
};

// Many chains, and so many iterations of all of them. Random numbers are a function of seed, chain and iteration.
struct Chains {
    index n_chains;
    index n_features;
    double* points;       // (n_chains, d) in and out
    double* step_sizes;   // (n_chains,)
    const double* scale;  // (d,)
    std::uint64_t seed;
    std::uint64_t iteration;  // the number of the first one
    index n_iterations;
    index thin;
    double* draws;  // (n_chains, n_iterations / thin, d) the point after every thin-th iteration
    bool reflect;   // at the ends of intervals; else what leaves the support is rejected
};

struct LangevinRun {
    Chains chains;
    double* accepted;  // (n_chains,) how many steps were not rejected
};

// The columns of the state of dual averaging (Hoffman and Gelman 2014, section 3.2) of a chain. A count of 0 means that
// it begins, and μ follows from the step size.
enum AdaptationColumn : int {
    adaptation_mu,
    adaptation_log_mean,
    adaptation_error,
    adaptation_count,
    adaptation_columns
};

struct HamiltonianRun {
    Chains chains;       // step sizes are changed by adaptation
    double* adaptation;  // (n_chains, adaptation_columns) in and out
    index n_leapfrog;
    double jitter;
    double target_acceptance;  // 0: no adaptation
    double* acceptance;        // (n_chains,) sums of the probabilities of acceptance
    double* divergent;         // (n_chains,) how many trajectories diverged
};

// How a run ended. Where several chains fail, the first of those that fail first is named.
enum class RunStatus {
    done,
    stopped,     // by a function of the caller's
    outside,     // a chain starts outside the support
    undefined,   // log density or score at a starting point is not finite
    not_finite,  // a chain became so
    no_score,    // the same, because its score was not finite
};
struct RunResult {
    RunStatus status = RunStatus::done;
    std::uint64_t iteration = 0;
    index chain = 0;
};

}  // namespace scorematch
