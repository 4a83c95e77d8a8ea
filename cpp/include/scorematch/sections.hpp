// Sections of a domain: the intervals that a coordinate may move in while the others stay, for a pack of chains.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/coordinate_draws.hpp"
#include "scorematch/gibbs_problem.hpp"

SCOREMATCH_BEGIN_LEVEL

// How many intervals a section of the domain can have.
inline index most_intervals(const GibbsProblem& problem) noexcept {
    index most = problem.n_vertices / 2;
    for (index j = 0; j < problem.n_features; ++j) {
        const index n = problem.first_interval[j + 1] - problem.first_interval[j];
        most = n > most ? n : most;
    }
    return most < 1 ? 1 : most;
}

// What the constraints say of one pack of chains, kept up to date as coordinates move. y lies in the caller's rows, one
// coordinate each, `stride` apart.
class Sections {
  public:
    Sections(const GibbsProblem& problem, index n_intervals)
        : problem_(problem), constrained_(problem.n_constraints > 0 || problem.norm > 0), slack_(problem.n_constraints),
          intervals_(n_intervals) {}

    const IntervalPack* intervals() const noexcept { return intervals_.data(); }

    // From the start, so that rounding errors do not add up.
    void renew(const double* y, index stride) noexcept {
        if (!constrained_) return;
        for (index r = 0; r < problem_.n_constraints; ++r) slack_[r] = broadcast(problem_.bounds[r]);
        room_ = broadcast(problem_.norm == 2 ? problem_.radius * problem_.radius : problem_.radius);
        for (index i = 0; i < problem_.n_features; ++i) {
            const Pack<double> x = as_x(load(y + i * stride));
            for (index r = 0; r < problem_.n_constraints; ++r) slack_[r] -= coefficient(r, i) * x;
            room_ -= size(x);
        }
    }

    // The intervals of coordinate j; returns how many.
    index find(index j, const double* y, index stride) noexcept {
        const index first = problem_.first_interval[j];
        index n = problem_.first_interval[j + 1] - first;
        for (index k = 0; k < n; ++k)
            intervals_[k] = {broadcast(problem_.ends[2 * (first + k)]), broadcast(problem_.ends[2 * (first + k) + 1])};
        if (problem_.n_vertices > 0) {
            const IntervalPack only = intervals_[0];
            n = across_polygon(j, as_x(load(y + (1 - j) * stride)));
            for (index k = 0; k < n; ++k) intervals_[k] = common(in_y(intervals_[k]), only);
        }
        if (constrained_) {
            const IntervalPack bounds = in_y(within_constraints(j, as_x(load(y + j * stride))));
            for (index k = 0; k < n; ++k) intervals_[k] = common(intervals_[k], bounds);
        }
        return n;
    }

    void moved(index j, Pack<double> before, Pack<double> after) noexcept {
        if (!constrained_) return;
        const Pack<double> from = as_x(before), to = as_x(after);
        for (index r = 0; r < problem_.n_constraints; ++r) slack_[r] -= coefficient(r, j) * (to - from);
        room_ -= size(to) - size(from);
    }

  private:
    double coefficient(index r, index j) const noexcept { return problem_.constraints[r * problem_.n_features + j]; }
    Pack<double> as_x(Pack<double> y) const noexcept {
        if (problem_.root == 1) return y;
        return problem_.root == 0 ? exp<double>(y) : power<double>(y, problem_.root);
    }
    // The way back, for an end of an interval; x below 0 lies below every y.
    Pack<double> as_y(Pack<double> x) const noexcept {
        if (problem_.root == 1) return x;
        const Pack<double> at_least_zero = x > 0 ? x : Pack<double>{};
        return problem_.root == 0 ? log<double>(at_least_zero) : power<double>(at_least_zero, 1 / problem_.root);
    }
    Pack<double> size(Pack<double> x) const noexcept { return problem_.norm == 2 ? x * x : abs<double>(x); }

    IntervalPack in_y(IntervalPack x) const noexcept {
        if (problem_.root == 1) return x;
        return {x.lower > 0 ? as_y(x.lower) : broadcast(-infinity<double>), as_y(x.upper)};
    }
    static IntervalPack common(IntervalPack a, IntervalPack b) noexcept {
        return {maximum<double>(a.lower, b.lower), minimum<double>(a.upper, b.upper)};
    }

    IntervalPack within_constraints(index j, Pack<double> x) const noexcept {
        Pack<double> lower = broadcast(-infinity<double>), upper = broadcast(infinity<double>);
        for (index r = 0; r < problem_.n_constraints; ++r) {
            const double a = coefficient(r, j);
            if (a == 0) continue;
            const Pack<double> end = x + slack_[r] / a;
            if (a > 0) upper = minimum<double>(upper, end);
            else lower = maximum<double>(lower, end);
        }
        if (problem_.norm > 0) {
            const Pack<double> left = at_least<double>(room_ + size(x), 0.0);
            const Pack<double> reach = problem_.norm == 2 ? sqrt<double>(left) : left;
            upper = minimum<double>(upper, reach);
            lower = maximum<double>(lower, -reach);
        }
        return {lower, upper};
    }

    // Where the line through the points in the direction of coordinate j crosses the edges, in order: inside is between
    // the first and the second, between the third and the fourth, and so on. An edge holds its lower end and not its
    // upper one, so that their number is even.
    index across_polygon(index j, Pack<double> other) noexcept {
        const index n = problem_.n_vertices, most = n / 2;
        double heights[pack_size<double>];
        store<double>(heights, other);
        index used = 0;
        for (index lane = 0; lane < pack_size<double>; ++lane) {
            double* const found = crossings_.data();
            index count = 0;
            const double height = heights[lane];
            for (index k = 0; k < n; ++k) {
                const double* const a = problem_.vertices + 2 * k;
                const double* const b = problem_.vertices + 2 * (k + 1 < n ? k + 1 : 0);
                const double from = a[1 - j], to = b[1 - j];
                if ((from <= height) == (to <= height)) continue;
                const double share = (height - from) / (to - from), at = a[j] + share * (b[j] - a[j]);
                index place = count++;
                for (; place > 0 && found[place - 1] > at; --place) found[place] = found[place - 1];
                found[place] = at;
            }
            for (index k = 0; k < most; ++k) {
                const bool there = 2 * k + 1 < count;
                lane_ends_[(2 * k) * pack_size<double> + lane] = there ? found[2 * k] : 1.0;
                lane_ends_[(2 * k + 1) * pack_size<double> + lane] = there ? found[2 * k + 1] : 0.0;
                if (there && k + 1 > used) used = k + 1;
            }
        }
        for (index k = 0; k < used; ++k)
            intervals_[k] = {load(lane_ends_.data() + 2 * k * pack_size<double>),
                             load(lane_ends_.data() + (2 * k + 1) * pack_size<double>)};
        return used;
    }

    const GibbsProblem& problem_;
    bool constrained_;
    Buffer<Pack<double>> slack_;
    Pack<double> room_{};  // radius^norm − Σ|x|^norm
    Buffer<IntervalPack> intervals_;
    Buffer<double> crossings_{problem_.n_vertices}, lane_ends_{problem_.n_vertices * pack_size<double>};
};

SCOREMATCH_END_LEVEL
