// What chains are drawn from, at a tile of them: a compiled density, or a function of the caller's.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/samplers/chains_problem.hpp"
#include "scorematch/samplers/lanes_to_rows.hpp"

SCOREMATCH_BEGIN_LEVEL

// `count` chains and lanes behind them that repeat the last one.
struct ChainTile {
    index first = 0, count = 0, lanes = 0;
};

class ChainTarget {
  public:
    ChainTarget() = default;
    ChainTarget(const ChainTarget&) = delete;
    ChainTarget& operator=(const ChainTarget&) = delete;
    virtual ~ChainTarget() {}
    virtual index scratch_rows() const noexcept = 0;
    virtual double cost() const noexcept = 0;
    // Writes ψ, and log p̃ unless it is null. False where the run is to stop.
    virtual bool operator()(const ChainTile& tile, Rows<const double> x, Rows<double> scratch, double* log_density,
                            Rows<double> score) noexcept = 0;
};

class DensityTarget final : public ChainTarget {
  public:
    DensityTarget(Density<double>& density, index n_features, const double* origin)
        : density_(density), d_(n_features) {
        const double* const centre = density.centre();
        if (origin == nullptr && centre == nullptr) return;
        shift_ = Buffer<double>(d_);
        for (index j = 0; j < d_; ++j)
            shift_[j] = (centre == nullptr ? 0 : centre[j]) + (origin == nullptr ? 0 : origin[j]);
    }
    index scratch_rows() const noexcept override { return shift_.size() + density_.workspace_rows(); }
    double cost() const noexcept override { return density_.cost(); }
    bool operator()(const ChainTile& tile, Rows<const double> x, Rows<double> scratch, double* log_density,
                    Rows<double> score) noexcept override {
        // A density is given no more lanes than the engine would give it; all pieces use the same scratch.
        constexpr index most = 256;
        if (tile.lanes > most) scratch.stride = most + 8;
        for (index lane = 0; lane < tile.lanes; lane += most) {
            const index lanes = tile.lanes - lane < most ? tile.lanes - lane : most;
            piece({lanes_from(x, lane), d_, lanes, {}, tile.first + lane, lanes}, scratch,
                  log_density == nullptr ? nullptr : log_density + lane, lanes_from(score, lane));
        }
        return true;
    }

  private:
    void piece(Tile<double> tile, Rows<double> scratch, double* log_density, Rows<double> score) const noexcept {
        for (index j = 0; j < shift_.size(); ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<double>)
                store<double>(scratch[j] + l, load(tile.x[j] + l) - shift_[j]);
        if (shift_.size() != 0) tile.x = scratch;
        const Rows<double> workspace = scratch.from(shift_.size());
        if (log_density == nullptr) density_.forward(tile, workspace, {score, Curvature::none, {}, {}, nullptr});
        else density_.log_density_and_score(tile, workspace, log_density, score);
    }

    Density<double>& density_;
    index d_;
    Buffer<double> shift_;
};

// For one tile that holds all chains.
class FunctionTarget final : public ChainTarget {
  public:
    FunctionTarget(const TargetSpec& spec, index n_chains, index n_features)
        : spec_(spec), d_(n_features), points_(n_chains * n_features), score_(n_chains * n_features) {}
    index scratch_rows() const noexcept override { return 0; }
    double cost() const noexcept override { return 0; }
    bool operator()(const ChainTile& tile, Rows<const double> x, Rows<double> /*scratch*/, double* log_density,
                    Rows<double> score) noexcept override {
        lanes_to_rows(x, d_, tile.count, points_.data(), d_);
        if (!spec_.function(spec_.context, points_.data(), tile.count, log_density, score_.data())) return false;
        rows_to_lanes(score_.data(), d_, tile.count, tile.lanes, score);
        for (index l = tile.count; log_density != nullptr && l < tile.lanes; ++l)
            log_density[l] = log_density[tile.count - 1];
        return true;
    }

  private:
    TargetSpec spec_;
    index d_;
    Buffer<double> points_, score_;
};

SCOREMATCH_END_LEVEL
