// Where chains may be, at a tile of them: whether they are inside, and how they move.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/samplers/chains_problem.hpp"
#include "scorematch/samplers/lanes_to_rows.hpp"
#include "scorematch/samplers/target.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// A coordinate and its momentum after reflection at the ends of an interval.
struct Reflected {
    Pack<double> x, sign;
};

// As a billiard ball, as often as needed. What is inside stays as it is; NaN passes, and NaN becomes of what is so far
// away that its last bits are all that is left of where it would come to lie.
[[gnu::always_inline]] inline Reflected reflect(Pack<double> x, Pack<double> lower, Pack<double> upper) {
    const Pack<double> one = broadcast(1.0);
    const Integers<double> below = x < lower;
    const Integers<double> above = x > upper;
    // From the end that is crossed, which is finite: how far beyond, and how many times the interval's width that is.
    const Pack<double> width = upper - lower;
    const Pack<double> beyond = below ? lower - x : above ? x - upper : Pack<double>{};
    const Pack<double> times = width < infinity<double> ? beyond / width : Pack<double>{};
    Pack<double> whole = (times + MathConstants<double>::rounder) - MathConstants<double>::rounder;
    whole = whole > times ? whole - one : whole;
    const Pack<double> rest = beyond - (whole > 0 ? whole * width : Pack<double>{});
    const Integers<double> odd = (Integers<double>)(to_bits<double>(whole + MathConstants<double>::rounder) << 63) < 0;
    // An even number of whole widths: back from the end that was crossed; an odd one: from the other.
    const Pack<double> from_lower = lower + rest, from_upper = upper - rest;
    const Integers<double> at_lower = below ^ odd;
    Pack<double> y = at_lower ? from_lower : from_upper;
    y = y < lower ? lower : y > upper ? upper : y;
    y = times < 0x1p24 ? y : broadcast(not_a_number<double>);
    const Integers<double> crossed = below | above;
    return {crossed ? y : x, (crossed & ~odd) ? -one : one};
}

class Support {
  public:
    Support(const SupportSpec& spec, index n_chains, index n_features, bool reflects)
        : spec_(spec), d_(n_features), reflects_(reflects && spec.kind == SupportKind::intervals) {
        if (spec.kind != SupportKind::function) return;
        points_ = Buffer<double>(n_chains * d_);
        inside_ = Buffer<bool>(n_chains);
    }

    bool is_sphere() const noexcept { return spec_.kind == SupportKind::sphere; }
    bool reflects() const noexcept { return reflects_; }
    // Whether a move can end outside.
    bool rejects() const noexcept { return spec_.kind != SupportKind::real_space && !is_sphere() && !reflects_; }
    // Doubles that `contains` needs for itself.
    index scratch_size() const noexcept {
        return spec_.kind == SupportKind::region ? region_lanes * d_ + spec_.region_scratch : 0;
    }

    // 1 in the lanes of points inside, else 0. False where the run is to stop.
    bool contains(const ChainTile& tile, Rows<const double> x, double* scratch, double* inside) noexcept {
        switch (spec_.kind) {
            case SupportKind::real_space: fill_row<double>(1, tile.lanes, inside); return true;
            case SupportKind::sphere: on_sphere(tile, x, inside); return true;
            case SupportKind::intervals: in_intervals(tile, x, inside); return true;
            case SupportKind::region: in_region(tile, x, scratch, inside); return true;
            case SupportKind::function: return in_function(tile, x, inside);
        }
        return true;
    }

    // Coordinate j went from `before`, which is in one of its intervals, to `after`.
    [[gnu::always_inline]] Reflected reflected(index j, Pack<double> before, Pack<double> after) const noexcept {
        const index list = spec_.n_lists == 1 ? 0 : j;
        const index begin = spec_.first_interval[list], end = spec_.first_interval[list + 1];
        Pack<double> lower = broadcast(spec_.ends[2 * begin]), upper = broadcast(spec_.ends[2 * begin + 1]);
        for (index i = begin + 1; i < end; ++i) {
            const Integers<double> here = before >= spec_.ends[2 * i];
            lower = here ? broadcast(spec_.ends[2 * i]) : lower;
            upper = here ? broadcast(spec_.ends[2 * i + 1]) : upper;
        }
        return reflect(after, lower, upper);
    }

  private:
    static constexpr index region_lanes = 64;  // Region::lanes

    void on_sphere(const ChainTile& tile, Rows<const double> x, double* inside) const noexcept {
        for (index l = 0; l < tile.lanes; l += pack_size<double>) {
            Pack<double> square{};
            for (index j = 0; j < d_; ++j) square += load(x[j] + l) * load(x[j] + l);
            store<double>(inside + l, abs<double>(square - 1) < 1e-6 ? broadcast(1.0) : Pack<double>{});
        }
    }

    void in_intervals(const ChainTile& tile, Rows<const double> x, double* inside) const noexcept {
        for (index l = 0; l < tile.lanes; l += pack_size<double>) {
            Integers<double> all = ~Integers<double>{};
            for (index j = 0; j < d_; ++j) {
                const index list = spec_.n_lists == 1 ? 0 : j;
                const Pack<double> at = load(x[j] + l);
                Integers<double> any_of_them{};
                for (index i = spec_.first_interval[list]; i < spec_.first_interval[list + 1]; ++i)
                    any_of_them |= (at >= spec_.ends[2 * i]) & (at <= spec_.ends[2 * i + 1]);
                all &= any_of_them;
            }
            store<double>(inside + l, all ? broadcast(1.0) : Pack<double>{});
        }
    }

    // A region's lanes behind the last chain repeat it.
    void in_region(const ChainTile& tile, Rows<const double> x, double* scratch, double* inside) const noexcept {
        for (index first = 0; first < tile.lanes; first += region_lanes) {
            const index count = tile.lanes - first < region_lanes ? tile.lanes - first : region_lanes;
            for (index j = 0; j < d_; ++j)
                for (index l = 0; l < region_lanes; ++l)
                    scratch[j * region_lanes + l] = x[j][first + (l < count ? l : count - 1)];
            bool result[region_lanes];
            spec_.region(spec_.context, scratch, d_, scratch + d_ * region_lanes, result);
            for (index l = 0; l < count; ++l) inside[first + l] = result[l] ? 1 : 0;
        }
    }

    bool in_function(const ChainTile& tile, Rows<const double> x, double* inside) noexcept {
        lanes_to_rows(x, d_, tile.count, points_.data(), d_);
        if (!spec_.function(spec_.context, points_.data(), tile.count, inside_.data())) return false;
        for (index l = 0; l < tile.lanes; ++l) inside[l] = inside_[l < tile.count ? l : tile.count - 1] ? 1 : 0;
        return true;
    }

    SupportSpec spec_;
    index d_;
    bool reflects_;
    Buffer<double> points_;  // for a function, which sees all chains at once
    Buffer<bool> inside_;
};

SCOREMATCH_END_LEVEL
