// The rows of scratch that a forward and its way back share, and the strips in which a tile goes through them.
#pragma once

#include "scorematch/lanes.hpp"
#include "scorematch/tile.hpp"

#include "components.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// A tile's rows, or those of a strip of it.
template <class T>
struct MixtureRows {
    index lanes;
    Rows<T> x;               // (d + 1) x less the centre, and ones
    Rows<T> score;           // (d)     ψ, on the way through ℝᵈ that keeps it here
    Rows<T> responsibility;  // (K)     ℓ_k, then r_k
    Rows<T> solved;          // full: (K·d) P_k δ_k, then a_k; tied: (d) Px, then v; diagonal: none
    Rows<T> share;           // (K)     tr(d_k d_kᵀ − P_k), then m_k, then λ_k; follows on `solved`
    Rows<T> centred;         // tied: (d) δ̄
    Rows<T> weighted;        // tied: (K) c r_k
    // Where there is a direction:
    Rows<T> along;   // (K)     vᵀd_k, then 2g r_k vᵀd_k
    Rows<T> bent;    // (K)     q_k
    Rows<T> turned;  // (d)     full: g r_k v; tied: gv + 2g Σ r_k (vᵀd_k) δ_k

    MixtureRows strip(index lane, index count) const noexcept {
        return {count,
                lanes_from(x, lane),
                lanes_from(score, lane),
                lanes_from(responsibility, lane),
                lanes_from(solved, lane),
                lanes_from(share, lane),
                lanes_from(centred, lane),
                lanes_from(weighted, lane),
                lanes_from(along, lane),
                lanes_from(bent, lane),
                lanes_from(turned, lane)};
    }
};

template <class T, CovarianceShape shape>
inline index solved_rows(const Components<T, shape>& mix) noexcept {
    return mix.full ? mix.n_components * mix.d : mix.tied ? mix.d : 0;
}
// From the rows of `solved` of one component to the next one's.
template <class T, CovarianceShape shape>
inline index solved_step(const Components<T, shape>& mix, const MixtureRows<T>& rows) noexcept {
    return mix.full ? mix.d * rows.solved.stride : 0;
}

// Without a direction, and with one.
template <class T, CovarianceShape shape>
inline index euclidean_rows_of(const Components<T, shape>& mix) noexcept {
    return 2 * mix.d + 1 + 2 * mix.n_components + solved_rows(mix) + (mix.tied ? mix.d + mix.n_components : 0);
}
template <class T, CovarianceShape shape>
inline index workspace_rows_of(const Components<T, shape>& mix) noexcept {
    return euclidean_rows_of(mix) + 2 * mix.n_components;
}

template <class T, CovarianceShape shape>
inline MixtureRows<T> rows_of(const Components<T, shape>& mix, const Tile<T>& tile, Rows<T> workspace) noexcept {
    MixtureRows<T> rows;
    rows.lanes = tile.lanes;
    rows.x = workspace;
    rows.score = rows.x.from(mix.d + 1);
    rows.responsibility = rows.score.from(mix.d);
    rows.solved = rows.responsibility.from(mix.n_components);
    rows.share = rows.solved.from(solved_rows(mix));
    rows.centred = rows.share.from(mix.n_components);
    rows.weighted = rows.centred.from(mix.d);
    rows.along = workspace.from(euclidean_rows_of(mix));
    rows.bent = rows.along.from(mix.n_components);
    rows.turned = rows.score;
    return rows;
}

// body(strip, lane): strips of four packs, and of more where the rows of more fit in the first-level cache.
template <class T, CovarianceShape shape, class Body>
inline void for_each_strip(const Components<T, shape>& mix, const MixtureRows<T>& rows, const Body& body) noexcept {
    constexpr index bytes = 24 * 1024, step = 4 * pack_size<T>;
    index longest = bytes / (euclidean_rows_of(mix) * static_cast<index>(sizeof(T))) / step * step;
    if (longest < step) longest = step;
    for (index lane = 0; lane < rows.lanes; lane += longest)
        body(rows.strip(lane, rows.lanes - lane < longest ? rows.lanes - lane : longest), lane);
}

}  // namespace
SCOREMATCH_END_LEVEL
