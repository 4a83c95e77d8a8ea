// Inequalities between sums of functions of the coordinates, joined by a rule:
//
//     Σ_j c_kj f_kj(x_j) ≤ C_k
//
// Along coordinate j each inequality holds on at most two intervals, which have closed forms. The rule joins them: from
// x_j on, inequalities begin and cease to hold at the ends of their intervals, and the section ends where the rule is
// first broken.
// Where all must hold that is the first of those ends.
//
// Several inequalities that must all hold are as far from being broken as the first of them is.
#include <algorithm>
#include <cmath>
#include <utility>

#include "nearest.hpp"
#include "scorematch/domains.hpp"
#include "terms.hpp"

namespace scorematch {
namespace {

class InequalitiesRegion final : public Region {
  public:
    InequalitiesRegion(const std::vector<InequalitySpec>& inequalities, std::vector<int> rule)
        : d_(static_cast<index>(inequalities.front().coefficients.size())), rule_(std::move(rule)) {
        for (const InequalitySpec& inequality : inequalities) {
            for (std::size_t j = 0; j < inequality.coefficients.size(); ++j)
                terms_.emplace_back(inequality.coefficients[j], inequality.functions[j], inequality.exponents[j]);
            bounds_.push_back(inequality.bound);
        }
        for (const int step : rule_) {
            all_ = all_ && step != rule_or;
            any_ = any_ && step != rule_and;
        }
    }

    index n_features() const noexcept override { return d_; }
    double cost(index d) const noexcept override { return 3.0 * static_cast<double>(count() * d); }
    index scratch_size(index d) const noexcept override {
        // What the other coordinates of each inequality sum to, the terms of one, states, and four ends of each set;
        // stack of the rule, and a point, its normal and what finding the nearest one takes.
        return (count() * (d + 5) + d + 4) * lanes + static_cast<index>(rule_.size()) + 3 * d + nearest_scratch(d);
    }

    void contains(const double* x, index d, double* scratch, bool* inside) const noexcept override {
        const Memory memory = memory_at(scratch);
        for (index k = 0; k < count(); ++k) {
            double sum[lanes] = {}, value[lanes];
            for (index j = 0; j < d; ++j) {
                if (term(k, j).absent()) continue;
                term(k, j).values(x + j * lanes, lanes, value);
                for (int l = 0; l < lanes; ++l) sum[l] += value[l];
            }
            for (int l = 0; l < lanes; ++l) memory.states[k * lanes + l] = sum[l] <= bound(k) ? 1.0 : 0.0;
        }
        for (int l = 0; l < lanes; ++l) inside[l] = kept(memory, l);
    }

    void coordinate_distance(const double* x, index d, double* scratch, double* phi,
                             double* slope) const noexcept override {
        const Memory memory = memory_at(scratch);
        for (index k = 0; k < count(); ++k) sum_others(k, x, memory);
        for (index j = 0; j < d; ++j) {
            double above[lanes], below[lanes];
            if (all_) ways_to_first(x, j, memory, above, below);
            else ways_by_rule(x, j, memory, above, below);
            for (int l = 0; l < lanes; ++l) {
                const bool up = above[l] < below[l];
                const double nearest = up ? above[l] : below[l];
                phi[j * lanes + l] = nearest;
                slope[j * lanes + l] = nearest == HUGE_VAL ? 0.0 : up ? -1.0 : 1.0;
            }
        }
    }

    // For inequalities that must all hold.
    void distance(const double* x, index d, double* scratch, double* g, double* gradient) const noexcept override {
        const Memory memory = memory_at(scratch);
        double* const normal = memory.point + d;
        double* const best = normal + d;
        for (int l = 0; l < lanes; ++l) {
            for (index j = 0; j < d; ++j) memory.point[j] = x[j * lanes + l];
            g[l] = HUGE_VAL;
            std::fill(best, best + d, 0.0);
            for (index k = 0; k < count(); ++k) {
                const double away =
                    distance_to_complement(&term(k, 0), d, bound(k), memory.point, memory.nearest, normal);
                if (!(away < g[l])) continue;
                g[l] = away;
                std::copy(normal, normal + d, best);
            }
            for (index j = 0; j < d; ++j) gradient[j * lanes + l] = best[j];
        }
    }

  private:
    // Each (inequality, ..., lanes).
    struct Memory {
        double *others, *values, *states, *sets, *stack, *point, *nearest;
    };
    // The rows of a set: the ends of its two intervals.
    enum End { lower, upper, second_lower, second_upper };

    index count() const noexcept { return static_cast<index>(bounds_.size()); }
    const Term& term(index k, index j) const noexcept { return terms_[static_cast<std::size_t>(k * d_ + j)]; }
    double bound(index k) const noexcept { return bounds_[static_cast<std::size_t>(k)]; }

    Memory memory_at(double* scratch) const noexcept {
        Memory memory;
        memory.others = scratch;
        memory.values = memory.others + count() * d_ * lanes;
        memory.states = memory.values + d_ * lanes;
        memory.sets = memory.states + count() * lanes;
        memory.stack = memory.sets + 4 * (count() + 1) * lanes;
        memory.point = memory.stack + rule_.size();
        memory.nearest = memory.point + 3 * d_;
        return memory;
    }

    // For each coordinate the sum over all others, without taking a difference: a large term must not blot them out.
    void sum_others(index k, const double* x, const Memory& memory) const noexcept {
        double* const others = memory.others + k * d_ * lanes;
        double sum[lanes] = {};
        for (index j = 0; j < d_; ++j) {
            std::copy(sum, sum + lanes, others + j * lanes);
            if (term(k, j).absent()) continue;
            double* const value = memory.values + j * lanes;
            term(k, j).values(x + j * lanes, lanes, value);
            for (int l = 0; l < lanes; ++l) sum[l] += value[l];
        }
        std::fill(sum, sum + lanes, 0.0);
        for (index j = d_; j-- > 0;) {
            const double* const value = memory.values + j * lanes;
            for (int l = 0; l < lanes; ++l) others[j * lanes + l] += sum[l];
            if (term(k, j).absent()) continue;
            for (int l = 0; l < lanes; ++l) sum[l] += value[l];
        }
    }

    // Where inequality k holds along coordinate j. It says whether there are second intervals.
    bool find_set(index k, index j, const Memory& memory, double* set, double* rest) const noexcept {
        const double* const others = memory.others + (k * d_ + j) * lanes;
        for (int l = 0; l < lanes; ++l) rest[l] = bound(k) - others[l];
        return term(k, j).at_most(rest, lanes, set + lower * lanes, set + upper * lanes, set + second_lower * lanes,
                                  set + second_upper * lanes);
    }

    // How far coordinate j can move until the first of the inequalities, all of which hold, does not.
    void ways_to_first(const double* x, index j, const Memory& memory, double* above, double* below) const noexcept {
        double* const set = memory.sets;
        double rest[lanes];
        for (int l = 0; l < lanes; ++l) above[l] = below[l] = HUGE_VAL;
        for (index k = 0; k < count(); ++k) {
            if (term(k, j).absent()) continue;
            const double* const value = x + j * lanes;
            if (find_set(k, j, memory, set, rest)) {  // two intervals, on either side of 0
                for (int l = 0; l < lanes; ++l) {
                    const double from = set[second_lower * lanes + l] < HUGE_VAL ? set[second_lower * lanes + l] : 0;
                    set[lower * lanes + l] = value[l] > 0 ? (from > 0 ? from : -HUGE_VAL) : -HUGE_VAL;
                    set[upper * lanes + l] = value[l] > 0 ? HUGE_VAL : set[upper * lanes + l];
                }
            }
            for (int l = 0; l < lanes; ++l) {
                const double up = set[upper * lanes + l] - value[l], down = value[l] - set[lower * lanes + l];
                above[l] = up < above[l] ? up : above[l];
                below[l] = down < below[l] ? down : below[l];
            }
        }
        // Rounding may leave an end on the wrong side of a point on the boundary.
        for (int l = 0; l < lanes; ++l) {
            above[l] = above[l] > 0 ? above[l] : 0;
            below[l] = below[l] > 0 ? below[l] : 0;
        }
    }

    // How far coordinate j can move until the rule is broken.
    void ways_by_rule(const double* x, index j, const Memory& memory, double* above, double* below) const noexcept {
        double rest[lanes];
        for (index k = 0; k < count(); ++k) {
            double* const set = memory.sets + 4 * k * lanes;
            if (!find_set(k, j, memory, set, rest)) {
                std::fill(set + second_lower * lanes, set + second_upper * lanes, HUGE_VAL);
                std::fill(set + second_upper * lanes, set + 4 * lanes, -HUGE_VAL);
            }
            if (term(k, j).absent()) continue;
            for (int l = 0; l < lanes; ++l)
                if (term(k, j).value(x[j * lanes + l]) <= rest[l]) stretch(set + l, x[j * lanes + l]);
        }
        for (int l = 0; l < lanes; ++l) {
            above[l] = way<1>(x[j * lanes + l], memory, l);
            below[l] = way<-1>(x[j * lanes + l], memory, l);
        }
    }

    // A point where an inequality holds is in its set, whatever rounding says: the nearer interval is made longer.
    static void stretch(double* set, double value) noexcept {
        const auto gap = [&](End from, End to) {
            return std::max({set[from * lanes] - value, value - set[to * lanes], 0.0});
        };
        const bool first = gap(lower, upper) <= gap(second_lower, second_upper);
        double& from = set[(first ? lower : second_lower) * lanes];
        double& to = set[(first ? upper : second_upper) * lanes];
        from = std::min(from, value);
        to = std::max(to, value);
    }

    // How far the rule holds from `start` on, upwards or downwards.
    template <int direction>
    double way(double start, const Memory& memory, int l) const noexcept {
        for (double here = direction * start;;) {
            double next = HUGE_VAL;
            for (index k = 0; k < count(); ++k) {
                const double* const set = memory.sets + 4 * k * lanes + l;
                bool holds_beyond = false;
                double change = HUGE_VAL;
                for (const int part : {static_cast<int>(lower), static_cast<int>(second_lower)}) {
                    const double first = set[part * lanes], last = set[(part + 1) * lanes];
                    const double from = direction > 0 ? first : -last, to = direction > 0 ? last : -first;
                    if (from <= here && here < to) {
                        holds_beyond = true;
                        change = to;
                    } else if (from > here && from < to && !holds_beyond) {
                        change = std::min(change, from);
                    }
                }
                memory.states[k * lanes + l] = holds_beyond;
                next = std::min(next, change);
            }
            if (!kept(memory, l)) return here - direction * start;
            if (next == HUGE_VAL) return HUGE_VAL;
            here = next;
        }
    }

    // Whether the states of a lane fulfil the rule.
    bool kept(const Memory& memory, int l) const noexcept {
        if (all_ || any_) {
            for (index k = 0; k < count(); ++k)
                if ((memory.states[k * lanes + l] != 0) != all_) return !all_;
            return all_;
        }
        index top = 0;
        for (const int step : rule_) {
            if (step >= 0) {
                memory.stack[top++] = memory.states[step * lanes + l];
                continue;
            }
            --top;
            const bool first = memory.stack[top - 1] != 0, second = memory.stack[top] != 0;
            memory.stack[top - 1] = step == rule_and ? first && second : first || second;
        }
        return memory.stack[0] != 0;
    }

    index d_;
    std::vector<Term> terms_;  // (inequalities, coordinates)
    std::vector<double> bounds_;
    std::vector<int> rule_;
    bool all_ = true, any_ = true;
};

}  // namespace

std::unique_ptr<Region> make_inequalities(const std::vector<InequalitySpec>& inequalities, std::vector<int> rule) {
    return std::make_unique<InequalitiesRegion>(inequalities, std::move(rule));
}

}  // namespace scorematch
