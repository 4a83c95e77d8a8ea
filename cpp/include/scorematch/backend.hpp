// The door between the bindings, compiled for any processor, and the core, compiled once a level: a table of functions.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"

namespace scorematch {

// Sums over samples that a quadratic objective under coordinate weights needs, with y = x − s. Row-major.
struct WeightedMoments {
    double* h;       // (d,)       Σ w h_j
    double* dh;      // (d,)       Σ w h_j′
    double* first;   // (d, d)     Σ w h_j y_i     at [j, i]
    double* cross;   // (d, d)     Σ w h_j′ y_i    at [j, i]
    double* second;  // (d, d, d)  Σ w h_j y_i y_k at [j, i, k]; with `diagonal` (d,): Σ w h_j y_j²
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
// first. With `interactions` they are those of all coordinates, else each coordinate has its own powers. Without
// weights of coordinates, and with interactions, one row of sums serves all coordinates.
struct PolynomialMoments {
    index degree;  // of the family
    bool interactions;
    const double* shift;  // (d,)
    const double* scale;  // (d,)
    double* sums;         // (1 or d, n)  Σ w h_j y^γ,  |γ| ≤ 2·degree − 2
    double* slope_sums;   // (d, n)       Σ w h_j′ y^γ, |γ| ≤ degree − 1; null without weights of coordinates
};

template <class T>
struct Functions {
    // Per-sample results at θ.
    void (*evaluate)(const FamilySpec&, const double* theta, const Samples<T>&, const FieldSpec&, const Outputs<T>&,
                     int n_threads);

    // J(θ) = Σ wᵢρᵢ / Σ wᵢ; its gradient is written, not added. `sample_weight` null means 1 for each.
    double (*loss_and_gradient)(const FamilySpec&, const double* theta, const Samples<T>&, const double* sample_weight,
                                const FieldSpec&, double* gradient, int n_threads);

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
    // Whether the family has vᵀ∇ψ v, without which there is no objective on the sphere.
    bool (*has_directional)(const FamilySpec&);
    const char* const* families;  // names, ended by a null
    Functions<float> single_precision;
    Functions<double> double_precision;
};

}  // namespace scorematch
