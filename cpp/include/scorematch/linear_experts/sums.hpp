// The sums over samples from which the gradient of linear experts follows.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

// Each way back leaves those that it has no use for at zero. Vectors are padded to whole groups of `group`, which are
// added to at once. `Number` is double or const double.
template <class Number>
struct ExpertSums {
    static constexpr int group = 8;
    static constexpr index padded(index n) noexcept { return (n + group - 1) / group * group; }

    Number* outer;         // (m,d) Σ g′yᵀ + hδᵀ + 2e(g″∘s)tᵀ; by K Σ (h − p weight·g′)δᵀ
    Number* diagonal;      // (m,d) Σ g″κᵀ where κ has a row for each feature
    Number* curvature;     // (m,)  Σ κ·g″ where it has one
    Number* coefficients;  // (m,)  Σ z∘g′ + e s∘s∘g″; of log p̃ Σ c G
    Number* offsets;       // (m,)  Σ h
    Number* first;         // (m,)  Σ weight·g′, by K
    Number* score;         // (d,)  Σ y, by K −p Σ weight·δ; of log p̃ Σ c δ
    Number* precision;     // −Σ [yᵀδ + Σ_j κ_j + e‖t‖²]; of log p̃ −½ Σ c‖δ‖²
    Number* gram;          // (m,m) the upper triangle of S, by K

    static index size(index d, index m, bool by_gram) noexcept {
        return 2 * m * d + 4 * padded(m) + padded(d) + 1 + (by_gram ? m * m : 0);
    }
    static ExpertSums at(Number* sums, index d, index m) noexcept {
        ExpertSums s;
        s.outer = sums;
        s.diagonal = s.outer + m * d;
        s.curvature = s.diagonal + m * d;
        s.coefficients = s.curvature + padded(m);
        s.offsets = s.coefficients + padded(m);
        s.first = s.offsets + padded(m);
        s.score = s.first + padded(m);
        s.precision = s.score + padded(d);
        s.gram = s.precision + 1;
        return s;
    }
};

SCOREMATCH_END_LEVEL
