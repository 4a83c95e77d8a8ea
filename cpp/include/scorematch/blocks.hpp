// A range cut into near-equal blocks of a bounded size. Ten rows and blocks of at most six give five and five, not six
// and four: no rows are padded and no block is much smaller than the others.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

class Blocks {
  public:
    Blocks() noexcept = default;
    Blocks(index total, index largest) noexcept
        : count_((total + largest - 1) / largest), size_(count_ > 0 ? total / count_ : 0),
          n_larger_(total - size_ * count_) {}

    index count() const noexcept { return count_; }
    // Block i is [begin(i), begin(i + 1)); the larger ones, by one, come first.
    index begin(index i) const noexcept { return i * size_ + (i < n_larger_ ? i : n_larger_); }
    index size(index i) const noexcept { return size_ + (i < n_larger_ ? 1 : 0); }

  private:
    index count_ = 0;
    index size_ = 0;
    index n_larger_ = 0;
};

SCOREMATCH_END_LEVEL
