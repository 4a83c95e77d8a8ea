// How points are cut into tiles: the same at every level, so that what is drawn for them is too.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace stein {

// Tiles of the same number of lanes, a multiple of 32 and 256 at most.
class Tiles {
  public:
    explicit Tiles(index n_points) noexcept {
        constexpr index most = 256, step = 32;
        const index least = (n_points + most - 1) / most;
        lanes_ = ((n_points + least - 1) / least + step - 1) / step * step;
        n_points_ = n_points;
        count_ = (n_points + lanes_ - 1) / lanes_;
    }
    index lanes() const noexcept { return lanes_; }
    index stride() const noexcept { return lanes_ + 16; }
    index count() const noexcept { return count_; }
    index first(index tile) const noexcept { return tile * lanes_; }
    index size(index tile) const noexcept {
        const index left = n_points_ - first(tile);
        return left < lanes_ ? left : lanes_;
    }

  private:
    index n_points_, lanes_, count_;
};

}  // namespace stein

SCOREMATCH_END_LEVEL
