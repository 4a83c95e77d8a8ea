// The sums that all forms of the covariance have, and the row sums of which several make their own.
//
// First come those of the form (`n_form_sums`, see full.hpp, tied.hpp and diagonal.hpp), and then Σ r_k c for each
// coordinate (K, d) and for the trace (K). In all of them λ_k is the row `share`.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/outer.hpp"

#include "pullback.hpp"
#include "workspace.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

template <class Number>
struct CurvatureSums {
    Number* coordinates;
    Number* traces;
};
template <class Number, class T, CovarianceShape shape>
inline CurvatureSums<Number> curvature_sums(const Components<T, shape>& mix, Number* sums) noexcept {
    Number* const coordinates = sums + n_form_sums(mix);
    return {coordinates, coordinates + mix.n_components * mix.d};
}

template <Way way, class T, CovarianceShape shape>
inline void add_up_curvature(const Components<T, shape>& mix, const MixtureRows<T>& rows, const Pullback<T>& back,
                             double* sums) noexcept {
    const auto [coordinates, traces] = curvature_sums(mix, sums);
    if (way == Way::by_coordinate)
        accumulate_outer<T>(rows.responsibility, mix.n_components, back.c, mix.d, rows.lanes, coordinates, mix.d);
    else if (way != Way::score_alone)
        accumulate_outer<T>(rows.responsibility, mix.n_components, back.c, 1, rows.lanes, traces, 1);
}

// δ_kj times a row of weights.
template <class T, CovarianceShape shape>
inline void weigh_differences(const Components<T, shape>& mix, const MixtureRows<T>& rows, const T* weight, index k,
                              index j, T* out) noexcept {
    const T mean = mix.mean[k * mix.d + j];
    for (index l = 0; l < rows.lanes; l += pack_size<T>)
        store<T>(out + l, load(weight + l) * (load(rows.x[j] + l) - mean));
}

}  // namespace
SCOREMATCH_END_LEVEL
