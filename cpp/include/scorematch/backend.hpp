// The door between the bindings, compiled for any processor, and the core, compiled once a level: a table of functions.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"
#include "scorematch/gibbs_problem.hpp"
#include "scorematch/samplers/chains_problem.hpp"
#include "scorematch/samplers/rbm_gibbs_problem.hpp"
#include "scorematch/stein_problem.hpp"

namespace scorematch {

// Sums over samples that a quadratic objective in a field needs, with a = h, b = h′ and y = x − s. Row-major. There are
// as many h as the field has: q = d, or q = 1 where all coordinates share it.
struct WeightedMoments {
    double* h;       // (q,)       Σ w h_j
    double* dh;      // (d,)       Σ w h_j′
    double* first;   // (q, d)     Σ w h_j y_i     at [j, i]
    double* cross;   // (d, d)     Σ w h_j′ y_i    at [j, i]
    double* second;  // (q, d, d)  Σ w h_j y_i y_k at [j, i, k]; with `diagonal` (d,): Σ w h_j y_j²
};

// What is known of whether several threads are faster than one (thread_trial.hpp).
struct ThreadTrial {
    index serial_steps = 2;     // still to be done on one thread
    double serial_seconds = 0;  // a step on one thread
    double debt = 0;            // what threads have lost lately, in steps on one thread
    index wait = 64;            // for how many steps to give them up when they have lost too much
};

// A descent on minibatches between two epochs (minibatches.hpp). The caller owns what it points to.
struct Minibatches {
    // What is given. The optimiser's variables are θ/scale, its objective is J/unit: of order 1, whatever the data's.
    const double* scale;  // (n_params,)
    double unit;
    double mean_weight;  // of `rows`
    index batch_size;
    std::uint64_t seed;
    // θ/scale begins with this many rows that have length 1 and keep it, and ends with this many numbers that are
    // positive and remain so; none where 0.
    index n_unit_rows;
    index unit_row_length;
    index n_positive;

    // What an epoch changes.
    index* rows;  // those that take part, in the order in which the last epoch saw them
    index n_rows;
    double* theta;          // (n_params,)
    double* first_moment;   // (n_params,) of the gradient, zeros in the beginning
    double* second_moment;  // (n_params,)
    index n_epochs;
    index n_steps;
    ThreadTrial threads;
};

// Sums over samples of the monomials of y_j = (x_j − shift_j)/scale_j, in graded order (monomials.hpp), the constant 1
// first. With `interactions` they are those of all coordinates, else each coordinate has its own powers. With
// interactions, and where the coordinates share their h or there is no field, one row of sums serves all coordinates.
struct PolynomialMoments {
    index degree;  // of the family
    bool interactions;
    const double* shift;  // (d,)
    const double* scale;  // (d,)
    double* sums;         // (1 or d, n)  Σ w h_j y^γ,  |γ| ≤ 2·degree − 2
    double* slope_sums;   // (d, n)       Σ w h_j′ y^γ, |γ| ≤ degree − 1; null without a field
};

// Distances to the boundary, row by row, and room for a weight and its derivative there (weights.hpp).
struct WeightArrays {
    const double* x;
    double* h;
    double* slope;
    index size;
    // A parameter for each column, repeated for n_columns + weight_margin entries, so that a pack can be loaded for
    // every place in a row. Where it is a cap, infinite is none.
    const double* column_values;
    index n_columns;
};
inline constexpr index weight_margin = 16;

// Means over samples, of the quadratic objective of the pairwise interaction model, for d coordinates: the features,
// and on the simplex one more. u = xᵃ, less a shift; h_j and h_j′ are the field's, times the sample weight. See
// pairwise_moments.hpp.
struct PairwiseMoments {
    double a, b;
    bool has_linear;  // whether there is η; what belongs to it is not written otherwise
    bool on_simplex;
    double total_weight;  // by which sums are divided
    const double* shift;  // (d,)
    // With p = x^(a−1), q = x^(b−1), and e_j a unit vector:
    double* squares;  // (d, d, d)  Σ h_j p_j² u uᵀ; on the simplex then (d−1, d, d) that couple: −Σ h_j p_j p_d u uᵀ
    double* cross;    // (d, d)  −Σ h_j p_j q_j u at [j]
    double* linear;   // (d,)    Σ h_j q_j²
    double* g_interaction;    // (d, d)  Σ (h_j p_j′ + h_j′ p_j) u + a′ h_j p_j² e_j at [j]
    double* g_linear;         // (d,)    −Σ h_j q_j′ + h_j′ q_j
    double* coupling_cross;   // (2, d−1, d)  Σ h_j p_j q_d u, of K_j with η_d, and Σ h_j q_j p_d u, of η_j with K_d
    double* coupling_linear;  // (d−1,)  −Σ h_j q_j q_d, of η_j with η_d
};

// What a change of one unknown of an interaction model (interaction.hpp) does to the gradient: `row`, times the change,
// is added from `start` on.
struct GradientUpdate {
    const double* row;
    index start, length;
};

// An unknown as a sweep sees it. Its derivative is the sum of two entries of the gradient (K_ij and K_ji), of which the
// second may be one that is always 0.
struct Unknown {
    index first, second;
    index first_update, n_updates;
    double curvature, inverse_curvature;  // 0, 0 where the form does not know of it
    double penalty;
};

struct SweepResult {
    double largest_change;  // of all changes times their curvatures: about the breach of the conditions before
    index n_switched;       // how many became zero, or ceased to be
};

// The inner loops of the solver of interaction.hpp.
struct InteractionKernels {
    // One round of coordinate descent; keeps the gradient up to date.
    SweepResult (*sweep)(const Unknown*, const GradientUpdate*, index n, double* values, double* gradient) noexcept;
    // out += what the changes would do to the gradient.
    void (*apply)(const Unknown*, const GradientUpdate*, index n, const double* changes, double* out) noexcept;
    // out += Σ_k coefficients[k] · (row rows[k] of a matrix with `length` columns)
    void (*combine)(const double* matrix, index length, const index* rows, const double* coefficients, index n,
                    double* out) noexcept;
};

template <class T>
struct Functions {
    // Per-sample results at θ.
    void (*evaluate)(const FamilySpec&, const double* theta, const Samples<T>&, const FieldSpec&, const Outputs<T>&,
                     int n_threads);

    // J(θ) = Σ wᵢρᵢ / Σ wᵢ; its gradient is written, not added. `sample_weight` null means 1 for each.
    double (*loss_and_gradient)(const FamilySpec&, const double* theta, const Samples<T>&, const double* sample_weight,
                                const FieldSpec&, double* gradient, int n_threads);

    // ∂ρ_i/∂θ of every sample, (n_samples, n_params).
    void (*loss_gradients)(const FamilySpec&, const double* theta, const Samples<T>&, const FieldSpec&, double* out,
                           int n_threads);

    // Σ wρ, which it returns, Σ w ∂ρ/∂θ and Σ w² ∂ρ/∂θ ∂ρ/∂θᵀ. `sample_weight` null means 1 for each.
    double (*gradient_products)(const FamilySpec&, const double* theta, const Samples<T>&, const double* sample_weight,
                                const FieldSpec&, double* gradient, double* products, int n_threads);

    // One epoch of Adam, with a learning rate that goes in equal steps from the first to the last. The result is the
    // mean of the objectives of the batches, each at the θ that it met; where one is not finite, the epoch ends there.
    double (*minibatch_epoch)(const FamilySpec&, const Samples<T>&, const double* sample_weight, const FieldSpec&,
                              double first_rate, double last_rate, Minibatches&, int n_threads);

    // Σ w (x − s) and Σ w (x − s)(x − s)ᵀ (all of the matrix, or with `diagonal` its diagonal only).
    void (*moments)(const Samples<T>&, const double* sample_weight, const double* shift, bool diagonal, double* first,
                    double* second, int n_threads);

    // The same under coordinate weights h_j (moments.hpp).
    void (*weighted_moments)(const Samples<T>&, const double* sample_weight, const FieldSpec&, const double* shift,
                             bool diagonal, const WeightedMoments&, int n_threads);

    // Moments of monomials (polynomial_moments.hpp).
    void (*polynomial_moments)(const Samples<T>&, const double* sample_weight, const FieldSpec&,
                               const PolynomialMoments&, int n_threads);

    // Moments of the pairwise interaction model (pairwise_moments.hpp).
    void (*pairwise_moments)(const Samples<T>&, const double* sample_weight, const FieldSpec&, const PairwiseMoments&,
                             int n_threads);

    // Sums of the Stein kernel over pairs of samples (kernel_stein.hpp).
    SteinSums (*kernel_stein)(const SteinProblem<T>&, const WildBootstrap&, int n_threads);

    // A function of vector_math.hpp by name; false if there is none.
    bool (*elementwise)(const char* name, const T* in, T* out, index n, T parameter) noexcept;

    // What one core of this machine can do, in 10⁹ floating-point operations a second.
    double (*fma_peak)() noexcept;
};

struct Backend {
    const char* level;
    int vector_bits;
    // Visits the blocks of θ; false if the family, or the variant of it, does not exist.
    bool (*describe)(const FamilySpec&, LayoutVisitor&);
    // h = f^p and its derivative, f by name; false if there is none of that name.
    bool (*weight)(const char* function, double parameter, double exponent, const WeightArrays&) noexcept;
    const char* const* families;  // names, ended by a null
    // The first vectors of each row of the objective: (n_samples, n_vectors, n_features).
    void (*random_vectors)(const ObjectiveSpec&, index n_samples, index n_features, index n_vectors, double* out);
    // So many sweeps of the Gibbs sampler (gibbs.hpp).
    void (*gibbs)(const GibbsProblem&, const GibbsChains&, index n_sweeps, int n_threads);
    // So many iterations of chains of the samplers (samplers/); a step size for each to begin with.
    RunResult (*langevin)(const TargetSpec&, const SupportSpec&, const LangevinRun&, int n_threads);
    RunResult (*hamiltonian)(const TargetSpec&, const SupportSpec&, const HamiltonianRun&, int n_threads);
    RunResult (*reasonable_step_sizes)(const TargetSpec&, const SupportSpec&, const Chains&, int n_threads);
    // Block Gibbs sampling of the RBM (samplers/rbm_gibbs.hpp).
    void (*rbm_gibbs)(const RbmGibbsProblem&, const RbmGibbsChains&, int n_threads);
    Functions<float> single_precision;
    Functions<double> double_precision;
    InteractionKernels interaction;
};

}  // namespace scorematch
