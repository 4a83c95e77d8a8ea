// The door between the bindings, compiled for any processor, and the core, compiled once a level: a table of functions.
#pragma once

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

template <class T>
struct Functions {
    // Per-sample results at θ.
    void (*evaluate)(const FamilySpec&, const double* theta, const Samples<T>&, const FieldSpec&, const Outputs<T>&,
                     int n_threads);

    // J(θ) = Σ wᵢρᵢ / Σ wᵢ; its gradient is written, not added. `sample_weight` null means 1 for each.
    double (*loss_and_gradient)(const FamilySpec&, const double* theta, const Samples<T>&, const double* sample_weight,
                                const FieldSpec&, double* gradient, int n_threads);

    // Σ w (x − s) and Σ w (x − s)(x − s)ᵀ (all of the matrix, or with `diagonal` its diagonal only).
    void (*moments)(const Samples<T>&, const double* sample_weight, const double* shift, bool diagonal, double* first,
                    double* second, int n_threads);

    // The same under coordinate weights h_j (moments.hpp).
    void (*weighted_moments)(const Samples<T>&, const double* sample_weight, const FieldSpec&, const double* shift,
                             bool diagonal, const WeightedMoments&, int n_threads);

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
