// Monomials y^α in graded order: by degree; within one degree those with y_0 first, higher powers before lower ones,
// then those that begin with y_1, and so on. For two variables: 1; y_0, y_1; y_0², y_0 y_1, y_1²; … It is the order of
// scikit-learn's PolynomialFeatures.
//
// What makes it good to compute with: the monomials of degree t whose first variable is y_k are y_k times those of
// degree t − 1 that have no variable before y_k, in the same order, and these are the last ones of their degree. So a
// table of where blocks begin is all that is needed, and every monomial costs one multiplication:
//
//     block (t, k)  =  y_k · [first(t − 1, k), end(t − 1))
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/tile.hpp"

SCOREMATCH_BEGIN_LEVEL

// Where the monomials of up to a degree stand; the constant 1 is number 0.
class Monomials {
  public:
    Monomials(index n_variables, index degree) : d_(n_variables), degree_(degree), first_((degree + 1) * (d_ + 1)) {
        at(0, d_) = 1;  // the constant has no variable at all, so that it is in every block's reach
        for (index t = 1; t <= degree; ++t) {
            at(t, 0) = end(t - 1);
            for (index k = 0; k < d_; ++k) at(t, k + 1) = first(t, k) + end(t - 1) - first(t - 1, k);
        }
    }

    index n_variables() const noexcept { return d_; }
    index degree() const noexcept { return degree_; }

    // The first monomial of degree t without a variable before y_k.
    index first(index t, index k) const noexcept { return first_[t * (d_ + 1) + k]; }
    // Behind the last one of degree t: how many there are of degree t or less. None are of a negative degree.
    index end(index t) const noexcept { return t < 0 ? 0 : first(t, d_); }
    index count() const noexcept { return end(degree_); }

  private:
    index& at(index t, index k) noexcept { return first_[t * (d_ + 1) + k]; }

    index d_, degree_;
    Buffer<index> first_;
};

// For each monomial b of less than the table's degree and each variable j: the number of y_j·y^b, and the power of y_j
// in it, which is what its derivative with respect to y_j brings to the front.
class MonomialProducts {
  public:
    explicit MonomialProducts(const Monomials& monomials)
        : d_(monomials.n_variables()), size_(monomials.end(monomials.degree() - 1)), product_(size_ * d_),
          power_(size_ * d_) {
        for (index j = 0; j < d_; ++j) {
            product_[j] = 1 + j;
            power_[j] = 1;
        }
        for (index t = 1; t < monomials.degree(); ++t)
            for (index k = 0; k < d_; ++k) {
                index tail = monomials.first(t - 1, k);  // b = y_k · tail
                for (index b = monomials.first(t, k); b < monomials.first(t, k + 1); ++b, ++tail)
                    for (index j = 0; j < d_; ++j) {
                        product_[b * d_ + j] =
                            j <= k ? monomials.first(t + 1, j) + b - monomials.first(t, j)
                                   : monomials.first(t + 1, k) + product(tail, j) - monomials.first(t, k);
                        power_[b * d_ + j] = power(tail, j) + (j == k ? 1 : 0);
                    }
            }
    }

    index size() const noexcept { return size_; }
    index product(index b, index j) const noexcept { return product_[b * d_ + j]; }
    index power(index b, index j) const noexcept { return power_[b * d_ + j]; }

  private:
    index d_, size_;
    Buffer<index> product_, power_;
};

// Rows of all monomials up to a degree but the constant: row i holds number i + 1. The first rows, y itself, are there.
template <class T>
inline void multiply_out(const Monomials& monomials, index degree, index lanes, Rows<T> rows) noexcept {
    for (index t = 2; t <= degree; ++t)
        for (index k = 0; k < monomials.n_variables(); ++k) {
            index tail = monomials.first(t - 1, k);
            for (index b = monomials.first(t, k); b < monomials.first(t, k + 1); ++b, ++tail)
                product_row<T>(rows[k], rows[tail - 1], lanes, rows[b - 1]);
        }
}

SCOREMATCH_END_LEVEL
