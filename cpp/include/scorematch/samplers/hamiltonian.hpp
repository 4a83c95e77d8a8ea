// Hamiltonian Monte Carlo: a leapfrog trajectory (trajectories.hpp) from a normal momentum, then Metropolis' choice
// between its two ends.
//
// One leapfrog step of length ε is the Metropolis-adjusted Langevin step with step = ε².
#pragma once

#include "scorematch/samplers/draw_writer.hpp"
#include "scorematch/samplers/dual_averaging.hpp"
#include "scorematch/samplers/trajectories.hpp"

SCOREMATCH_BEGIN_LEVEL

class HamiltonianTile {
  public:
    HamiltonianTile(const HamiltonianRun& run, ChainTarget& target, Support& support) noexcept
        : run_(run), chains_(run.chains), d_(run.chains.n_features), trajectories_(run.chains, target, support),
          writer_(d_, chains_.n_iterations / chains_.thin) {}

    index n_rows() const noexcept {
        return trajectories_.n_rows() + 4 + DualAveraging::n_rows + writer_.scratch_rows();
    }

    RunResult operator()(const ChainTile& tile, Rows<double> rows, double* support_scratch) noexcept {
        RowSupply supply(rows);
        const RunResult begun = trajectories_.begin(tile, supply, support_scratch);
        if (begun.status != RunStatus::done) return begun;
        Trajectories& way = trajectories_;
        const Rows<double> scalars = supply.take(4);
        step_ = scalars[0], acceptance_ = scalars[1], divergent_ = scalars[2], uniform_ = scalars[3];
        const bool adapts = run_.target_acceptance > 0;
        load_of_each(chains_.step_sizes, tile, step_);
        averaging_.begin(run_.adaptation, tile, step_, supply.take(DualAveraging::n_rows));
        writer_.begin(chains_.draws + tile.first * d_ * writer_.n_draws(), tile.count, tile.lanes,
                      supply.take(writer_.scratch_rows()));
        fill_row<double>(0, tile.lanes, acceptance_);
        fill_row<double>(0, tile.lanes, divergent_);

        const std::uint64_t blocks = static_cast<std::uint64_t>((d_ + 1) / 2);
        for (index k = 0; k < chains_.n_iterations; ++k) {
            const std::uint64_t iteration = chains_.iteration + static_cast<std::uint64_t>(k);
            way.draw_momentum(RandomUse::hamiltonian, iteration * blocks);
            for (index l = 0; l < tile.lanes; l += pack_size<double>) {
                const TwoUniforms u =
                    lane_uniforms(chains_.seed, RandomUse::acceptance, streams_from(tile.first + l), iteration);
                store<double>(uniform_ + l, u.first);
                store<double>(way.step + l, load(step_ + l) * (1 + run_.jitter * (2 * u.second - 1)));
            }
            if (!way.go(run_.n_leapfrog)) return Trajectories::stopped();
            for (index l = 0; l < tile.lanes; l += pack_size<double>) {
                const Pack<double> probability =
                    exp_nonpositive<double>(minimum<double>(load(way.log_ratio + l), Pack<double>{}));
                way.accept(load(uniform_ + l) < probability, l);
                store<double>(acceptance_ + l, load(acceptance_ + l) + probability);
                store<double>(divergent_ + l, load(divergent_ + l) + load(way.diverged + l));
                if (adapts) averaging_.adapt(l, probability, run_.target_acceptance, step_);
            }
            if ((k + 1) % chains_.thin == 0) writer_.add(way.here.x);
        }
        writer_.flush();
        lanes_to_rows(way.here.x, d_, tile.count, chains_.points + tile.first * d_, d_);
        store_of_each(step_, tile, chains_.step_sizes);
        store_of_each(acceptance_, tile, run_.acceptance);
        store_of_each(divergent_, tile, run_.divergent);
        if (adapts) averaging_.end(tile, run_.adaptation);
        return {};
    }

  private:
    const HamiltonianRun& run_;
    const Chains& chains_;
    index d_;
    Trajectories trajectories_;
    DualAveraging averaging_;
    DrawWriter writer_;
    double *step_ = nullptr, *acceptance_ = nullptr, *divergent_ = nullptr, *uniform_ = nullptr;
};

SCOREMATCH_END_LEVEL
