// Draws of a tile of chains to where they are wanted, one row a draw.
#pragma once

#include "scorematch/samplers/lanes_to_rows.hpp"

SCOREMATCH_BEGIN_LEVEL

// Keeps draws of a tile until there are enough of them to fill cache lines: chains lie far apart in memory.
class DrawWriter {
  public:
    DrawWriter(index n_features, index n_draws) noexcept
        : d_(n_features), n_draws_(n_draws), most_(d_ < pack_size<double> ? 8 : 1) {}
    index n_draws() const noexcept { return n_draws_; }
    index scratch_rows() const noexcept { return most_ == 1 ? 0 : most_ * d_; }

    // For one tile. `draws` are those of its first chain.
    void begin(double* draws, index count, index lanes, Rows<double> scratch) noexcept {
        draws_ = draws;
        count_ = count;
        lanes_ = lanes;
        kept_ = scratch;
        n_written_ = n_kept_ = 0;
    }
    void add(Rows<const double> x) noexcept {
        if (most_ == 1) {
            lanes_to_rows(x, d_, count_, draws_ + n_written_++ * d_, n_draws_ * d_);
            return;
        }
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes_; l += pack_size<double>) store(kept_[n_kept_ * d_ + j] + l, load(x[j] + l));
        if (++n_kept_ == most_) flush();
    }
    void flush() noexcept {
        lanes_to_rows(kept_, n_kept_ * d_, count_, draws_ + n_written_ * d_, n_draws_ * d_);
        n_written_ += n_kept_;
        n_kept_ = 0;
    }

  private:
    index d_, n_draws_, most_;
    double* draws_ = nullptr;
    index count_ = 0, lanes_ = 0, n_written_ = 0, n_kept_ = 0;
    Rows<double> kept_;
};

SCOREMATCH_END_LEVEL
