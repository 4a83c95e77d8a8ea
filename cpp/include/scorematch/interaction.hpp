// The l1-penalised minimum of a quadratic form in the columns c_j of an interaction matrix:
//
//     Σ_j (½ c_jᵀ A_j c_j − g_jᵀ c_j) [+ Σ_{j<d−1} c_jᵀ C_j c_{d−1}] + α Σ_{i≠j} |K_ij| + α_η Σ_j |η_j|
//
// c_j is column j of K, and after it η_j where the form has linear terms. K may be symmetric, so that the columns hang
// together by K_ij = K_ji, or its columns are problems by themselves. The matrix of the whole form (d² rows) is never
// made. interaction.cpp says how it is minimised.
//
// The solver is compiled once; what it spends its time in is compiled for each level (interaction_kernels.hpp).
#pragma once

#include <memory>

#include "scorematch/backend.hpp"

namespace scorematch {

struct InteractionForm {
    index n_columns;         // d
    index size;              // m: d, or d + 1 with linear terms
    const double* blocks;    // (d, m, m), A_j symmetric and positive semidefinite
    const double* linear;    // (d, m), g_j
    const double* coupling;  // (d − 1, m, m), C_j, or null; only where K is symmetric
    bool symmetric;
    bool fixed_diagonal;  // K_jj = 0
};

enum class InteractionOutcome { converged, stopped, unbounded };

struct InteractionMinimum {
    InteractionOutcome outcome;
    index n_iter;  // sweeps and Newton steps, of the column that took most
    // The largest breach of the conditions of a minimum: the distance of 0 from the subgradient in an unknown. Where K
    // is symmetric, K_ij = K_ji is one unknown, whose penalty is 2α.
    double violation;
    index column;  // where it is unbounded: a column along which the objective falls for ever
};

class InteractionSolver {
  public:
    // What `form` points to must outlive the solver.
    InteractionSolver(const InteractionForm& form, const InteractionKernels& kernels);
    ~InteractionSolver();
    InteractionSolver(const InteractionSolver&) = delete;
    InteractionSolver& operator=(const InteractionSolver&) = delete;

    // Where the next minimisation starts; without it, where the last one ended, and in the beginning 0. (d, m).
    void start(const double* columns);
    // Entries of the columns that are 0 here, (d, m), are held at 0; with null, none is. Where K is symmetric it must
    // be.
    void restrict_to(const unsigned char* allowed);
    // It aims at a violation of tol·min(1, max|g|). It has converged where rounding keeps it from there but the
    // violation is at most tol·max(1, max|g|). An infinite α keeps K diagonal.
    // `count` penalties are gone through one after the other, each from the minimum before; up to the first without
    // one. For each, the columns c_j and the gradient A_jc_j − g_j (+ coupling) of the form at them, both (d, m).
    void minimise(const double* alphas, const double* alpha_linears, index count, double tol, index max_iter,
                  int n_threads, InteractionMinimum* minima, double* columns, double* gradients);
    // The gradient where it stands.
    void gradient(double* out) const;

  private:
    class Part;
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace scorematch
