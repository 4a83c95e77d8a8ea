// Chains in tiles: a task is a tile of chains that runs all its iterations, and tiles go over threads.
//
// What a lane computes does not depend on its neighbours, so that neither the number of threads nor the size of tiles
// shows in the results.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/samplers/chains_problem.hpp"
#include "scorematch/samplers/support.hpp"
#include "scorematch/samplers/target.hpp"

SCOREMATCH_BEGIN_LEVEL

// Gives out rows one after the other.
class RowSupply {
  public:
    explicit RowSupply(Rows<double> rows) noexcept : rest_(rows) {}
    Rows<double> take(index n) noexcept {
        const Rows<double> taken = rest_;
        rest_ = rest_.from(n);
        return taken;
    }

  private:
    Rows<double> rest_;
};

// The chains' numbers, one a lane.
inline void load_of_each(const double* values, const ChainTile& tile, double* row) noexcept {
    for (index l = 0; l < tile.lanes; ++l) row[l] = values[tile.first + (l < tile.count ? l : tile.count - 1)];
}
inline void store_of_each(const double* row, const ChainTile& tile, double* values) noexcept {
    for (index l = 0; l < tile.count; ++l) values[tile.first + l] = row[l];
}

// The first lane of a chain where a row is not 1, or −1.
inline index first_not_one(const double* row, const ChainTile& tile) noexcept {
    for (index l = 0; l < tile.count; ++l)
        if (!(row[l] == 1)) return l;
    return -1;
}

class ChainTiles {
  public:
    // `together`: all chains in one tile.
    ChainTiles(index n_chains, index rows, bool together, int n_threads) noexcept : n_chains_(n_chains) {
        constexpr index width = pack_size<double>, cache = 32 * 1024, least = 4 * width, most = 256;
        const index packs = (n_chains + width - 1) / width;
        // All rows are to stay in the first-level cache; but short rows do not pay for the loops around them.
        index lanes = cache / (static_cast<index>(sizeof(double)) * rows) / least * least;
        lanes = lanes < least ? least : lanes > most ? most : lanes;
        n_tiles_ = (n_chains + lanes - 1) / lanes;
        // Few tiles go to threads in equal parts.
        if (n_tiles_ < 8 * n_threads) n_tiles_ = (n_tiles_ + n_threads - 1) / n_threads * n_threads;
        if (n_tiles_ > packs) n_tiles_ = packs;
        if (together) n_tiles_ = 1;
        lanes_ = (packs + n_tiles_ - 1) / n_tiles_ * width;
        n_tiles_ = (n_chains + lanes_ - 1) / lanes_;
    }
    index n_tiles() const noexcept { return n_tiles_; }
    index lanes() const noexcept { return lanes_; }
    index stride() const noexcept { return lanes_ + 8; }
    ChainTile tile(index i) const noexcept {
        const index first = i * lanes_, left = n_chains_ - first;
        return {first, left < lanes_ ? left : lanes_, lanes_};
    }

  private:
    index n_chains_, n_tiles_, lanes_;
};

// Runs a `Sampler` of each tile of chains: Sampler(run, target, support)(tile, rows, doubles for the support).
template <class Sampler, class Run>
RunResult run_tiles(const Run& run, index n_chains, ChainTarget& target, Support& support, bool together,
                    int n_threads) {
    const index n_rows = Sampler(run, target, support).n_rows();
    const ChainTiles tiles(n_chains, n_rows, together, n_threads);
    const index stride = tiles.stride(), memory = n_rows * stride + support.scratch_size();
    const index n_workers = tiles.n_tiles() < n_threads ? tiles.n_tiles() : n_threads;
    Buffer<double> scratch(memory * n_workers);
    Buffer<RunResult> results(tiles.n_tiles());
    auto task = [&](index i, int worker) noexcept {
        double* const own = scratch.data() + worker * memory;
        results[i] = Sampler(run, target, support)(tiles.tile(i), Rows<double>{own, stride}, own + n_rows * stride);
    };
    for_each_task(tiles.n_tiles(), n_threads, task);
    RunResult first;
    for (index i = 0; i < tiles.n_tiles(); ++i) {
        const RunResult& other = results[i];
        if (other.status == RunStatus::done) continue;
        if (first.status == RunStatus::done || other.iteration < first.iteration) first = other;
    }
    return first;
}

SCOREMATCH_END_LEVEL
