// Unadjusted Langevin: x ← x + ½·step·s²∘ψ(x) + √step·s∘z, z normal, s the scale of the coordinates.
//
// What leaves the support is reflected at the ends of intervals, or else is refused and the chain stays where it is. On
// the sphere the move, projected, is followed along its great circle.
#pragma once

#include "scorematch/lane_normals.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/samplers/draw_writer.hpp"
#include "scorematch/samplers/sphere.hpp"
#include "scorematch/samplers/tiles.hpp"

SCOREMATCH_BEGIN_LEVEL

class LangevinTile {
  public:
    LangevinTile(const LangevinRun& run, ChainTarget& target, Support& support) noexcept
        : run_(run), chains_(run.chains), d_(run.chains.n_features), target_(target), support_(support),
          writer_(d_, chains_.n_iterations / chains_.thin) {}

    index n_rows() const noexcept {
        return 3 * d_ + 1 + (support_.rejects() ? d_ : 0) + 4 + writer_.scratch_rows() + target_.scratch_rows();
    }

    RunResult operator()(const ChainTile& tile, Rows<double> rows, double* support_scratch) noexcept {
        RowSupply supply(rows);
        tile_ = tile;
        x_ = supply.take(d_);
        score_ = supply.take(d_);
        normals_ = supply.take(d_ + 1);
        next_ = support_.rejects() ? supply.take(d_) : x_;
        const Rows<double> scalars = supply.take(4);
        half_step_ = scalars[0], root_step_ = scalars[1], accepted_ = scalars[2], is_good_ = scalars[3];
        const Rows<double> kept = supply.take(writer_.scratch_rows()), scratch = supply.take(0);

        rows_to_lanes(chains_.points + tile.first * d_, d_, tile.count, tile.lanes, x_);
        writer_.begin(chains_.draws + tile.first * d_ * writer_.n_draws(), tile.count, tile.lanes, kept);
        load_of_each(chains_.step_sizes, tile, half_step_);
        for (index l = 0; l < tile.lanes; l += pack_size<double>) {
            const Pack<double> step = load(half_step_ + l);
            store<double>(root_step_ + l, sqrt<double>(step));
            store<double>(half_step_ + l, step / 2);
        }
        fill_row<double>(0, tile.lanes, accepted_);

        if (!support_.contains(tile, x_, support_scratch, is_good_)) return {RunStatus::stopped, 0, 0};
        if (const index lane = first_not_one(is_good_, tile); lane >= 0) return failure(RunStatus::outside, 0, lane);
        for (index k = 0; k < chains_.n_iterations; ++k) {
            const std::uint64_t iteration = chains_.iteration + static_cast<std::uint64_t>(k);
            draw_normals(iteration, k == 0);
            if (!target_(tile, x_, scratch, nullptr, score_)) return {RunStatus::stopped, 0, 0};
            if (iteration == 0)  // later calls begin where the chains have come to
                if (const index lane = first_undefined_score(); lane >= 0)
                    return failure(RunStatus::undefined, 0, lane);
            const bool good = support_.is_sphere()  ? move_on_sphere()
                              : support_.reflects() ? move<true>()
                                                    : move<false>();
            if (!good)  // unless it is only a lane without a chain
                if (const index lane = first_not_one(is_good_, tile); lane >= 0)
                    return failure(has_score(lane) ? RunStatus::not_finite : RunStatus::no_score, k, lane);
            if (support_.rejects()) {
                if (!support_.contains(tile, next_, support_scratch, is_good_)) return {RunStatus::stopped, 0, 0};
                accept();
            }
            if ((k + 1) % chains_.thin == 0) writer_.add(x_);
        }
        writer_.flush();
        lanes_to_rows(x_, d_, tile.count, chains_.points + tile.first * d_, d_);
        if (!support_.rejects()) fill_row<double>(static_cast<double>(chains_.n_iterations), tile.lanes, accepted_);
        store_of_each(accepted_, tile, run_.accepted);
        return {};
    }

  private:
    RunResult failure(RunStatus status, index k, index lane) const noexcept {
        return {status, chains_.iteration + static_cast<std::uint64_t>(k), tile_.first + lane};
    }

    // Row j becomes normal number iteration·d + j of each chain's stream. Blocks hold two: where d is odd every other
    // iteration begins with the second half of a block, the first half of which ended the iteration before.
    void draw_normals(std::uint64_t iteration, bool is_first) noexcept {
        const std::uint64_t number = iteration * static_cast<std::uint64_t>(d_);
        std::uint64_t block = number / 2;
        index have = 0;
        if (number % 2 == 1) {
            double* const carried = normals_[d_];
            if (is_first)
                lane_normals(chains_.seed, RandomUse::langevin, tile_.first, block, 1, tile_.lanes,
                             {normals_[0], carried - normals_[0]});
            for (index l = 0; l < tile_.lanes; l += pack_size<double>)
                store<double>(normals_[0] + l, load(carried + l));
            have = 1;
            ++block;
        }
        lane_normals(chains_.seed, RandomUse::langevin, tile_.first, block, (d_ - have + 1) / 2, tile_.lanes,
                     normals_.from(have));
    }

    bool has_score(index lane) const noexcept {
        for (index j = 0; j < d_; ++j)
            if (!(0 * score_[j][lane] == 0)) return false;
        return true;
    }
    index first_undefined_score() const noexcept {
        for (index l = 0; l < tile_.count; ++l)
            if (!has_score(l)) return l;
        return -1;
    }

    // False where a lane is no longer finite; `is_good_` says which.
    template <bool reflects>
    bool move() noexcept {
        Integers<double> all_good = ~Integers<double>{};
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            const Pack<double> half_step = load(half_step_ + l), root_step = load(root_step_ + l);
            Pack<double> probe{};
            for (index j = 0; j < d_; ++j) {
                const double s = chains_.scale[j];
                const Pack<double> x = load(x_[j] + l);
                Pack<double> next = x + (half_step * (s * s)) * load(score_[j] + l);
                next += (root_step * s) * load(normals_[j] + l);
                if constexpr (reflects) next = support_.reflected(j, x, next).x;
                probe += 0 * next;
                store<double>(next_[j] + l, next);
            }
            all_good &= note_whether_good(l, probe);
        }
        return !any(~all_good);
    }

    // The probe is 0, but NaN where a coordinate is not finite.
    Integers<double> note_whether_good(index l, Pack<double> probe) noexcept {
        const Integers<double> good = probe == 0;
        store<double>(is_good_ + l, good ? broadcast(1.0) : Pack<double>{});
        return good;
    }

    bool move_on_sphere() noexcept {
        Integers<double> all_good = ~Integers<double>{};
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            const Pack<double> half_step = load(half_step_ + l), root_step = load(root_step_ + l);
            for (index j = 0; j < d_; ++j)
                store<double>(normals_[j] + l, half_step * load(score_[j] + l) + root_step * load(normals_[j] + l));
            project_to_tangent(x_, d_, l, normals_);
            move_on_great_circle(x_, normals_, d_, l, broadcast(1.0));
            Pack<double> probe{};
            for (index j = 0; j < d_; ++j) probe += 0 * load(x_[j] + l);
            all_good &= note_whether_good(l, probe);
        }
        return !any(~all_good);
    }

    void accept() noexcept {
        for (index l = 0; l < tile_.lanes; l += pack_size<double>) {
            const Pack<double> inside = load(is_good_ + l);
            for (index j = 0; j < d_; ++j) {
                const Pack<double> x = load(x_[j] + l), next = load(next_[j] + l);
                store<double>(x_[j] + l, inside > 0 ? next : x);
            }
            store<double>(accepted_ + l, load(accepted_ + l) + inside);
        }
    }

    const LangevinRun& run_;
    const Chains& chains_;
    index d_;
    ChainTarget& target_;
    Support& support_;
    DrawWriter writer_;
    ChainTile tile_;
    Rows<double> x_, score_, normals_, next_;
    double *half_step_ = nullptr, *root_step_ = nullptr, *accepted_ = nullptr, *is_good_ = nullptr;
};

SCOREMATCH_END_LEVEL
