// Domains with a boundary: which points they contain, and how far from the boundary these are.
//
// A Region computes on tiles of points, in doubles; what all have in common (reading the samples, threads, the cut to
// the non-negative orthant, writing the results) is in engine/domains/region.cpp. Time goes into memory as much as into
// arithmetic here, so it is all compiled once, for any processor.
#pragma once

#include <memory>
#include <vector>

#include "scorematch/common.hpp"

namespace scorematch {

class Region {
  public:
    // Points in a tile. Coordinate j of point l is at x[j * lanes + l]; results (lanes × d) are laid out the same way.
    static constexpr int lanes = 64;

    virtual ~Region() = default;

    // How many coordinates a point has; −1 where any number will do.
    virtual index n_features() const noexcept = 0;
    // About how many nanoseconds a point takes, so that little work is left to one thread.
    virtual double cost(index d) const noexcept = 0;
    // Doubles that a call needs for itself.
    virtual index scratch_size(index /*d*/) const noexcept { return 0; }

    // Whether each point lies in the closed region. Not for NaN.
    virtual void contains(const double* x, index d, double* scratch, bool* inside) const noexcept = 0;
    // The distance φ from each coordinate to the nearest end of the section through the point, the others being fixed,
    // and dφ/dx_j: ±1, or 0 where φ is infinite. Points outside give what they give.
    virtual void coordinate_distance(const double* x, index d, double* scratch, double* phi,
                                     double* slope) const noexcept = 0;
    // The distance g to the complement, and its gradient.
    virtual void distance(const double* x, index d, double* scratch, double* g, double* gradient) const noexcept = 0;
};

// Whether each point of a tile lies in the closed region, cut to the non-negative orthant where that is asked for. NaN
// and infinite points do not.
void contains_tile(const Region& region, const double* x, index n_features, bool nonnegative, double* scratch,
                   bool* inside) noexcept;

// The same on samples; the results are C-contiguous. `nonnegative` cuts the region to the non-negative orthant. They
// throw std::bad_alloc.
template <class T>
void contains(const Region& region, const Samples<T>& samples, bool nonnegative, bool* inside, int n_threads);
template <class T>
void coordinate_distance(const Region& region, const Samples<T>& samples, bool nonnegative, double* phi, double* slope,
                         int n_threads);
template <class T>
void distance(const Region& region, const Samples<T>& samples, bool nonnegative, double* g, double* gradient,
              int n_threads);

// A closed interval.
struct Interval {
    double lower, upper;
};

// A union of disjoint intervals for each coordinate, in order. One list holds for every coordinate.
std::unique_ptr<Region> make_intervals(std::vector<std::vector<Interval>> intervals);

// ‖x‖ ≤ radius in the l1 norm or the l2 norm.
enum class BallNorm { l1, l2 };
std::unique_ptr<Region> make_ball(double radius, BallNorm norm);

// Ax ≤ b: A has a row for each entry of b. No row is zero.
std::unique_ptr<Region> make_half_spaces(std::vector<double> a, std::vector<double> b, index n_features);

// The inside of a closed polygon that does not touch itself, in two coordinates: its vertices one after the other,
// counter-clockwise.
struct Vertex {
    double x, y;
};
std::unique_ptr<Region> make_polygon(std::vector<Vertex> vertices);

// Inequalities Σ_j c_j f_j(x_j) ≤ bound, joined by a rule in postfix form: numbers of inequalities, and −1 for "and",
// −2 for "or" of the two before. Exponents are those of powers; of absolute values 1. `distance` is for rules of "and"
// alone.
enum class TermFunction { power, absolute, exponential, logarithm };
struct InequalitySpec {
    std::vector<double> coefficients;
    std::vector<TermFunction> functions;
    std::vector<double> exponents;
    double bound;
};
constexpr int rule_and = -1, rule_or = -2;
std::unique_ptr<Region> make_inequalities(const std::vector<InequalitySpec>& inequalities, std::vector<int> rule);

}  // namespace scorematch
