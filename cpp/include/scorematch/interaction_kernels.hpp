// The loops in which the solver of interaction.hpp spends its time.
#pragma once

#include "scorematch/backend.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace interaction {

// out += a·row
inline void add_multiple(double a, const double* row, index length, double* out) noexcept {
    constexpr index lanes = pack_size<double>;
    const Pack<double> factor = broadcast(a);
    index i = 0;
    for (; i + lanes <= length; i += lanes)
        store<double>(out + i, multiply_add<double>(factor, load<double>(row + i), load<double>(out + i)));
    for (; i < length; ++i) out[i] += a * row[i];
}

inline SweepResult sweep(const Unknown* unknowns, const GradientUpdate* updates, index n, double* values,
                         double* gradient) noexcept {
    SweepResult result{0, 0};
    for (index k = 0; k < n; ++k) {
        const Unknown& u = unknowns[k];
        const double before = values[k];
        const double pull = u.curvature * before - (gradient[u.first] + gradient[u.second]);
        const double excess = __builtin_fabs(pull) - u.penalty;
        const double after = excess > 0 ? __builtin_copysign(excess, pull) * u.inverse_curvature : 0.0;
        const double change = after - before;
        if (change == 0) continue;
        values[k] = after;
        result.n_switched += (after == 0) != (before == 0);
        const double size = __builtin_fabs(change) * u.curvature;
        if (size > result.largest_change) result.largest_change = size;
        const GradientUpdate* const own = updates + u.first_update;
        for (index l = 0; l < u.n_updates; ++l)
            add_multiple(change, own[l].row, own[l].length, gradient + own[l].start);
    }
    return result;
}

inline void apply(const Unknown* unknowns, const GradientUpdate* updates, index n, const double* changes,
                  double* out) noexcept {
    for (index k = 0; k < n; ++k) {
        if (changes[k] == 0) continue;
        const GradientUpdate* const own = updates + unknowns[k].first_update;
        for (index l = 0; l < unknowns[k].n_updates; ++l)
            add_multiple(changes[k], own[l].row, own[l].length, out + own[l].start);
    }
}

// So many packs of `out` stay in registers while the rows pass.
template <index n_packs>
inline void combine_strip(const double* matrix, index length, const index* rows, const double* coefficients, index n,
                          double* out) noexcept {
    constexpr index lanes = pack_size<double>;
    Pack<double> sums[n_packs];
    for (index p = 0; p < n_packs; ++p) sums[p] = load<double>(out + p * lanes);
    for (index k = 0; k < n; ++k) {
        const double* const row = matrix + rows[k] * length;
        const Pack<double> factor = broadcast(coefficients[k]);
        for (index p = 0; p < n_packs; ++p)
            sums[p] = multiply_add<double>(factor, load<double>(row + p * lanes), sums[p]);
    }
    for (index p = 0; p < n_packs; ++p) store<double>(out + p * lanes, sums[p]);
}

inline void combine(const double* matrix, index length, const index* rows, const double* coefficients, index n,
                    double* out) noexcept {
    constexpr index lanes = pack_size<double>;
    index i = 0;
    for (; i + 8 * lanes <= length; i += 8 * lanes)
        combine_strip<8>(matrix + i, length, rows, coefficients, n, out + i);
    if (i + 4 * lanes <= length) {
        combine_strip<4>(matrix + i, length, rows, coefficients, n, out + i);
        i += 4 * lanes;
    }
    if (i + 2 * lanes <= length) {
        combine_strip<2>(matrix + i, length, rows, coefficients, n, out + i);
        i += 2 * lanes;
    }
    if (i + lanes <= length) {
        combine_strip<1>(matrix + i, length, rows, coefficients, n, out + i);
        i += lanes;
    }
    if (i == length) return;
    if (length < lanes) {
        for (index k = 0; k < n; ++k)
            for (index l = 0; l < length; ++l) out[l] += coefficients[k] * matrix[rows[k] * length + l];
        return;
    }
    // The last few, as the end of a pack that begins before them.
    const index first = length - lanes;
    double sums[lanes] = {};
    combine_strip<1>(matrix + first, length, rows, coefficients, n, sums);
    for (; i < length; ++i) out[i] += sums[i - first];
}

}  // namespace interaction
SCOREMATCH_END_LEVEL
