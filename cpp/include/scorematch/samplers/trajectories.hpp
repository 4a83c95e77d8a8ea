// Leapfrog trajectories of a tile of chains, and how likely their ends are to be accepted.
//
// Scales s are those of a diagonal mass matrix: with the momentum p of the coordinates x/s,
//
//   p ← p + ½ε s∘ψ(x),    x ← x + ε s∘p,    p ← p + ½ε s∘ψ(x),    H = ½‖p‖² − log p̃(x).
//
// At the ends of intervals x and p are reflected, which changes neither ‖p‖ nor volumes and can be gone back, so that
// the choice by H is exact. Elsewhere a trajectory may pass outside the support, and is rejected where it ends there.
// On the sphere x moves along great circles and p stays tangential (Byrne and Girolami 2013, "Geodesic Monte Carlo on
// embedded manifolds").
#pragma once

#include "scorematch/lane_normals.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/samplers/sphere.hpp"
#include "scorematch/samplers/tiles.hpp"

SCOREMATCH_BEGIN_LEVEL

// An end of a trajectory.
struct PhaseRows {
    Rows<double> x, score;
    double* log_density = nullptr;
};

// Trajectories of a tile of chains.
class Trajectories {
  public:
    Trajectories(const Chains& chains, ChainTarget& target, Support& support) noexcept
        : chains_(chains), d_(chains.n_features), target_(target), support_(support) {}

    index n_rows() const noexcept { return 5 * d_ + 1 + 7 + target_.scratch_rows(); }

    // Takes its rows; the rest are given back. Reads the points, and looks whether chains can start there.
    RunResult begin(const ChainTile& tile, RowSupply& supply, double* support_scratch) noexcept {
        tile_ = tile;
        support_scratch_ = support_scratch;
        here = {supply.take(d_), supply.take(d_), supply.take(1)[0]};
        there = {supply.take(d_), supply.take(d_), supply.take(1)[0]};
        momentum_ = supply.take(d_ + 1);
        const Rows<double> scalars = supply.take(5);
        step = scalars[0], log_ratio = scalars[1], inside = scalars[2], diverged = scalars[3], kinetic_ = scalars[4];
        scratch_ = supply.take(target_.scratch_rows());
        rows_to_lanes(chains_.points + tile.first * d_, d_, tile.count, tile.lanes, here.x);
        if (!support_.contains(tile, here.x, support_scratch_, inside)) return stopped();
        if (const index lane = first_not_one(inside, tile); lane >= 0) return failure(RunStatus::outside, lane);
        if (!target_(tile, here.x, scratch_, here.log_density, here.score)) return stopped();
        if (const index lane = first_undefined(); lane >= 0) return failure(RunStatus::undefined, lane);
        return {};
    }

    void draw_momentum(RandomUse use, std::uint64_t block) noexcept {
        lane_normals(chains_.seed, use, tile_.first, block, (d_ + 1) / 2, tile_.lanes, momentum_);
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            if (support_.is_sphere()) project_to_tangent(here.x, d_, l, momentum_);
            store<double>(kinetic_ + l, kinetic(l));
        }
    }

    // From `here` with `step` to `there`. Writes the logarithm of the ratio of acceptance, less than any number where
    // the end is outside or the trajectory diverged. False where the run is to stop.
    bool go(index n_leapfrog) noexcept {
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile_.lanes; l += pack_size<double>)
                store<double>(there.x[j] + l, load(here.x[j] + l));
        for (index i = 0; i < n_leapfrog; ++i) {
            const bool is_first = i == 0, is_last = i == n_leapfrog - 1;
            const Rows<double> score = is_first ? here.score : there.score;
            if (support_.is_sphere()) kick_and_move_on_sphere(score, is_first ? 0.5 : 1);
            else if (support_.reflects()) kick_and_move<true>(score, is_first ? 0.5 : 1);
            else kick_and_move<false>(score, is_first ? 0.5 : 1);
            if (!target_(tile_, there.x, scratch_, is_last ? there.log_density : nullptr, there.score)) return false;
        }
        if (support_.rejects()) {
            if (!support_.contains(tile_, there.x, support_scratch_, inside)) return false;
        } else {
            fill_row<double>(1, tile_.lanes, inside);
        }
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            kick(there.score, l, 0.5);
            Pack<double> difference =
                load(there.log_density + l) - load(here.log_density + l) + load(kinetic_ + l) - kinetic(l);
            for (index j = 0; j < d_; ++j) difference += 0 * load(there.x[j] + l);  // NaN unless all is finite
            const Integers<double> is_inside = load(inside + l) > 0;
            const Integers<double> is_good = (difference - difference == 0) & (difference > -most_error);
            store<double>(log_ratio + l, (is_inside & is_good) ? difference : broadcast(-infinity<double>));
            store<double>(diverged + l, (is_inside & ~is_good) ? broadcast(1.0) : Pack<double>{});
        }
        return true;
    }

    // `there` becomes `here` in the lanes of a pack.
    void accept(Integers<double> accepted, index l) noexcept {
        const auto choose = [&](double* old, const double* proposed) noexcept {
            const Pack<double> a = load(proposed + l), b = load(old + l);
            store<double>(old + l, accepted ? a : b);
        };
        for (index j = 0; j < d_; ++j) choose(here.x[j], there.x[j]);
        for (index j = 0; j < d_; ++j) choose(here.score[j], there.score[j]);
        choose(here.log_density, there.log_density);
    }

    static RunResult stopped() noexcept { return {RunStatus::stopped, 0, 0}; }

    PhaseRows here, there;
    double *step = nullptr, *log_ratio = nullptr, *inside = nullptr, *diverged = nullptr;

  private:
    // Beyond it a trajectory is held to have left the level set of H for good (Betancourt's and Stan's bound).
    static constexpr double most_error = 1000;

    RunResult failure(RunStatus status, index lane) const noexcept {
        return {status, chains_.iteration, tile_.first + lane};
    }

    index first_undefined() const noexcept {
        for (index l = 0; l < tile_.count; ++l) {
            double probe = 0 * here.log_density[l];
            for (index j = 0; j < d_; ++j) probe += 0 * here.score[j][l];
            if (!(probe == 0)) return l;
        }
        return -1;
    }

    Pack<double> kinetic(index l) const noexcept {
        Pack<double> square{};
        for (index j = 0; j < d_; ++j) square += load(momentum_[j] + l) * load(momentum_[j] + l);
        return square / 2;
    }

    void kick(Rows<const double> score, index l, double factor) noexcept {
        const Pack<double> part = factor * load(step + l);
        for (index j = 0; j < d_; ++j)
            store<double>(momentum_[j] + l, load(momentum_[j] + l) + (part * chains_.scale[j]) * load(score[j] + l));
        if (support_.is_sphere()) project_to_tangent(there.x, d_, l, momentum_);
    }

    template <bool reflects>
    void kick_and_move(Rows<const double> score, double factor) noexcept {
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            const Pack<double> whole = load(step + l), part = factor * whole;
            for (index j = 0; j < d_; ++j) {
                const double s = chains_.scale[j];
                Pack<double> p = load(momentum_[j] + l) + (part * s) * load(score[j] + l);
                const Pack<double> x = load(there.x[j] + l);
                Pack<double> next = x + (whole * s) * p;
                if constexpr (reflects) {
                    const Reflected reflected = support_.reflected(j, x, next);
                    next = reflected.x;
                    p *= reflected.sign;
                }
                store<double>(there.x[j] + l, next);
                store<double>(momentum_[j] + l, p);
            }
        }
    }

    void kick_and_move_on_sphere(Rows<const double> score, double factor) noexcept {
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            kick(score, l, factor);
            move_on_great_circle(there.x, momentum_, d_, l, load(step + l));
        }
    }

    const Chains& chains_;
    index d_;
    ChainTarget& target_;
    Support& support_;
    ChainTile tile_;
    double* support_scratch_ = nullptr;
    Rows<double> momentum_, scratch_;
    double* kinetic_ = nullptr;
};

SCOREMATCH_END_LEVEL
