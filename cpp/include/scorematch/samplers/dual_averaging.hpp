// The adaptation of step sizes: dual averaging of log ε, chain by chain, so that the mean probability of acceptance
// becomes what is wanted (Hoffman and Gelman 2014, "The No-U-Turn sampler", section 3.2).
#pragma once

#include "scorematch/samplers/chains_problem.hpp"
#include "scorematch/samplers/lanes_to_rows.hpp"
#include "scorematch/samplers/target.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

class DualAveraging {
  public:
    static constexpr index n_rows = adaptation_columns;

    void begin(const double* state, const ChainTile& tile, const double* step, Rows<double> rows) noexcept {
        rows_ = rows;
        rows_to_lanes(state + tile.first * adaptation_columns, adaptation_columns, tile.count, tile.lanes, rows);
        for (index l = 0; l < tile.lanes; l += pack_size<double>) {
            const Integers<double> is_new = load(rows[adaptation_count] + l) == 0;
            const Pack<double> log_step = log<double>(load(step + l));
            const auto set = [&](AdaptationColumn column, Pack<double> value) noexcept {
                store<double>(rows[column] + l, is_new ? value : load(rows[column] + l));
            };
            set(adaptation_mu, log_step + 0x1.26bb1bbb55516p+1);  // log 10
            set(adaptation_log_mean, Pack<double>{});
            set(adaptation_error, Pack<double>{});
        }
    }

    // After an iteration with that probability of acceptance.
    void adapt(index l, Pack<double> acceptance, double wanted, double* step) noexcept {
        constexpr double gamma = 0.05, first = 10, kappa = 0.75;
        constexpr double most = 690;  // of |log ε|, so that ε is a positive number
        const Pack<double> m = load(rows_[adaptation_count] + l) + 1;
        const Pack<double> weight = 1 / (m + first);
        const Pack<double> error = (1 - weight) * load(rows_[adaptation_error] + l) + weight * (wanted - acceptance);
        const Pack<double> log_step = at_most<double>(
            at_least<double>(load(rows_[adaptation_mu] + l) - sqrt<double>(m) * (1 / gamma) * error, -most), most);
        const Pack<double> forget = exp<double>(-kappa * log<double>(m));
        const Pack<double> log_mean = forget * log_step + (1 - forget) * load(rows_[adaptation_log_mean] + l);
        store<double>(rows_[adaptation_count] + l, m);
        store<double>(rows_[adaptation_error] + l, error);
        store<double>(rows_[adaptation_log_mean] + l, log_mean);
        store<double>(step + l, exp<double>(log_step));
    }

    void end(const ChainTile& tile, double* state) const noexcept {
        lanes_to_rows(rows_, adaptation_columns, tile.count, state + tile.first * adaptation_columns,
                      adaptation_columns);
    }

  private:
    Rows<double> rows_;
};

SCOREMATCH_END_LEVEL
