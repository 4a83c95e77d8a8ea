// Step sizes to begin with (Hoffman and Gelman 2014, "The No-U-Turn sampler", algorithm 4): doubled or halved until the
// ratio of acceptance of one leapfrog step crosses ½. Where nothing changes it, as on a flat density, this has a bound.
#pragma once

#include "scorematch/samplers/trajectories.hpp"

SCOREMATCH_BEGIN_LEVEL

class FirstStepSizesTile {
  public:
    FirstStepSizesTile(const Chains& chains, ChainTarget& target, Support& support) noexcept
        : chains_(chains), trajectories_(chains, target, support) {}

    index n_rows() const noexcept { return trajectories_.n_rows() + 1; }

    RunResult operator()(const ChainTile& tile, Rows<double> rows, double* support_scratch) noexcept {
        RowSupply supply(rows);
        Trajectories& way = trajectories_;
        const RunResult begun = way.begin(tile, supply, support_scratch);
        if (begun.status != RunStatus::done) return begun;
        double* const direction = supply.take(1)[0];  // 1 to double, −1 to halve, 0 when done
        fill_row<double>(1, tile.lanes, way.step);
        for (int round = 0; round <= most_rounds; ++round) {
            way.draw_momentum(RandomUse::first_step_sizes, 0);
            if (!way.go(1)) return Trajectories::stopped();
            Integers<double> active{};
            for (index l = 0; l < tile.lanes; l += pack_size<double>) {
                const Pack<double> step = load(way.step + l);
                const Integers<double> above = load(way.log_ratio + l) > log_half;
                Pack<double> sense = above ? broadcast(1.0) : broadcast(-1.0);
                if (round > 0) sense = sense == load(direction + l) ? sense : Pack<double>{};
                store<double>(direction + l, sense);
                store<double>(way.step + l, sense > 0 ? 2 * step : sense < 0 ? step / 2 : step);
                active |= sense != 0;
            }
            if (!any(active)) break;
        }
        store_of_each(way.step, tile, chains_.step_sizes);
        return {};
    }

  private:
    static constexpr int most_rounds = 60;
    static constexpr double log_half = -0x1.62e42fefa39efp-1;

    const Chains& chains_;
    Trajectories trajectories_;
};

SCOREMATCH_END_LEVEL
