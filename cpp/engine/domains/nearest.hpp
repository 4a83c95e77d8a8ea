// The point nearest to x of the complement of one inequality, F(y) = Σ_j c_j f_j(y_j) ≤ C.
#pragma once

#include "terms.hpp"

namespace scorematch {

index nearest_scratch(index d) noexcept;

// The distance from x to where F(y) > C or F is not defined, and the unit vector from there towards x. Infinite where
// that is nowhere; 0 where x does not fulfil the inequality.
double distance_to_complement(const Term* terms, index d, double bound, const double* x, double* scratch,
                              double* normal) noexcept;

}  // namespace scorematch
