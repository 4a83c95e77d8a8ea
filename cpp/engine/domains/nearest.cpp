// Three cases, of which the first that applies is taken.
//
// * F is linear on the side of 0 where x lies (and |y_j| counts for F): a half-space.
// * F is concave, so that F ≥ C is a convex set and the nearest point is unique. With a multiplier μ ≥ 0 it minimises
//   ½‖y − x‖² − μF(y), one coordinate at a time, and F at that point grows with μ: the root of F = C is the solution.
// * Else there may be many local minima. The distance along a ray from x to the surface F = C is a function of the
//   ray's direction; Newton's method on the surface, whose steps are halved until that distance falls, makes it smaller
//   from several starts: the shortest ways along the axes, and the way up the gradient. Each direction gives an upper
//   bound, so that the result is never too small.
#include "nearest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace scorematch {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
constexpr int most_iterations = 100;
constexpr int n_axis_starts = 4;

class Surface {
  public:
    Surface(const Term* terms, index d, double bound, const double* x, double* scratch) noexcept
        : terms_(terms), d_(d), bound_(bound), x_(x), y_(scratch), first_(y_ + d), second_(first_ + d),
          direction_(second_ + d), trial_(direction_ + d), step_(trial_ + d) {}

    double excess(const double* y) const noexcept {
        double sum = -bound_;
        for (index j = 0; j < d_; ++j) sum += terms_[j].value(y[j]);
        return sum;
    }

    bool is_flat() const noexcept {
        return std::all_of(terms_, terms_ + d_, [](const Term& term) { return term.is_flat(); });
    }
    bool is_concave() const noexcept {
        return std::all_of(terms_, terms_ + d_, [](const Term& term) { return term.is_concave(); });
    }

    double flat(double* normal) noexcept {
        const double length = unit_gradient(x_, normal);
        return length > 0 ? -excess(x_) / length : HUGE_VAL;
    }

    // ---- F concave

    double convex(double* normal) noexcept {
        // F(y(μ)) − C grows with μ from below 0; where it stays there, F never reaches C.
        double low = 0, high = 1, at_high = at_multiplier(high);
        for (int k = 0; !(at_high >= 0); ++k) {
            if (k == most_iterations * 2) return HUGE_VAL;
            low = high;
            high *= k < 20 ? 2 : 16;
            at_high = at_multiplier(high);
        }
        double mu = high;
        for (int k = 0; k < most_iterations && high - low > 2 * eps * high; ++k) {
            const double value = at_multiplier(mu);
            (value >= 0 ? high : low) = mu;
            if (value == 0) break;
            // dF/dμ = Σ F_j′² / (1 − μF_j″)
            double slope = 0;
            for (index j = 0; j < d_; ++j) {
                terms_[j].slopes(y_[j], first_[j], second_[j]);
                if (y_[j] != 0 || !terms_[j].has_kink()) slope += first_[j] * first_[j] / (1 - mu * second_[j]);
            }
            const double newton = mu - value / slope;
            if (std::fabs(newton - mu) <= 2 * eps * mu) break;
            mu = newton > low && newton < high ? newton : (low + high) / 2;
        }
        return towards_x(normal);
    }

    // ---- neither

    double general(double* normal) noexcept {
        double best = HUGE_VAL;
        struct Start {
            index column = -1;
            double way = 0;
        } starts[n_axis_starts];
        const double total = excess(x_);
        for (index j = 0; j < d_; ++j) {
            const double rest = terms_[j].value(x_[j]) - total;
            Interval parts[2];
            const bool two =
                terms_[j].at_most(&rest, 1, &parts[0].lower, &parts[0].upper, &parts[1].lower, &parts[1].upper);
            for (const Interval* part = parts; part < parts + 1 + two; ++part) {
                if (!(part->lower <= x_[j] && x_[j] <= part->upper)) continue;
                insert(starts, j, part->upper - x_[j]);
                insert(starts, j, part->lower - x_[j]);
            }
        }
        for (const Start& start : starts) {
            if (start.column < 0) continue;
            std::fill(direction_, direction_ + d_, 0.0);
            direction_[start.column] = start.way < 0 ? -1 : 1;
            descend(std::fabs(start.way), best, normal);
        }
        const double length = unit_gradient(x_, direction_);
        if (length > 0) {
            for (index j = 0; j < d_; ++j) direction_[j] = -direction_[j];
            double reach = -total / length;
            for (int k = 0; k < 64 && excess_at(reach, direction_) < 0; ++k) reach *= 2;
            if (excess_at(reach, direction_) >= 0) descend(first_crossing(reach, direction_), best, normal);
        }
        return best;
    }

  private:
    template <class Start>
    static void insert(Start* starts, index column, double way) noexcept {
        if (!(std::fabs(way) < HUGE_VAL)) return;
        Start entry{column, way};
        for (int k = 0; k < n_axis_starts; ++k)
            if (starts[k].column < 0 || std::fabs(entry.way) < std::fabs(starts[k].way)) std::swap(entry, starts[k]);
    }

    // −∇F/‖∇F‖ at y, and ‖∇F‖; 0 where that is not a number.
    double unit_gradient(const double* y, double* unit) const noexcept {
        double largest = 0, length = 0, second = 0;
        for (index j = 0; j < d_; ++j) {
            terms_[j].slopes(y[j], unit[j], second);
            largest = std::max(largest, std::fabs(unit[j]));
        }
        if (!(largest > 0 && largest < HUGE_VAL)) {
            std::fill(unit, unit + d_, 0.0);
            return 0;
        }
        for (index j = 0; j < d_; ++j) length += (unit[j] / largest) * (unit[j] / largest);
        length = largest * std::sqrt(length);
        for (index j = 0; j < d_; ++j) unit[j] /= -length;
        return length;
    }

    // ‖x − y‖ and the unit vector of that; on the surface itself, the normal.
    double towards_x(double* normal) const noexcept {
        double length = 0;
        for (index j = 0; j < d_; ++j) length += (x_[j] - y_[j]) * (x_[j] - y_[j]);
        length = std::sqrt(length);
        if (length > 0)
            for (index j = 0; j < d_; ++j) normal[j] = (x_[j] - y_[j]) / length;
        else unit_gradient(x_, normal);
        return length;
    }

    double at_multiplier(double mu) noexcept {
        for (index j = 0; j < d_; ++j) y_[j] = terms_[j].pulled(x_[j], mu);
        return excess(y_);
    }

    double excess_at(double reach, const double* direction) noexcept {
        double sum = -bound_;
        for (index j = 0; j < d_; ++j) sum += terms_[j].value(x_[j] + reach * direction[j]);
        return sum;
    }

    // Where F crosses C on a ray, given that it is not below C at `high`.
    double first_crossing(double high, const double* direction) noexcept {
        double low = 0, reach = high;
        for (int k = 0; k < most_iterations && high - low > eps * high; ++k) {
            const double value = excess_at(reach, direction);
            (value < 0 ? low : high) = reach;
            if (value == 0) break;
            double slope = 0, first = 0, second = 0;
            for (index j = 0; j < d_; ++j) {
                terms_[j].slopes(x_[j] + reach * direction[j], first, second);
                slope += first * direction[j];
            }
            const double newton = reach - value / slope;
            if (std::fabs(newton - reach) <= eps * reach) break;
            reach = newton > low && newton < high ? newton : (low + high) / 2;
        }
        return reach;
    }

    // From the point at `reach` along direction_ to a local minimum of the distance.
    void descend(double reach, double& best, double* normal) noexcept {
        for (int iteration = 0; iteration < most_iterations; ++iteration) {
            if (!newton_step(reach)) break;
            bool fell = false;
            for (double share = 1; share > 1e-9 && !fell; share /= 2) {
                double length = 0;
                for (index j = 0; j < d_; ++j) {
                    trial_[j] = reach * direction_[j] + share * step_[j];
                    length += trial_[j] * trial_[j];
                }
                length = std::sqrt(length);
                for (index j = 0; j < d_; ++j) trial_[j] /= length;
                if (!(excess_at(reach, trial_) > 0)) continue;
                const double shorter = first_crossing(reach, trial_);
                if (!(shorter < reach)) continue;
                fell = true;
                reach = shorter;
                std::copy(trial_, trial_ + d_, direction_);
            }
            if (!fell) break;
        }
        if (!(reach < best)) return;
        best = reach;
        for (index j = 0; j < d_; ++j) {
            y_[j] = x_[j] + reach * direction_[j];
            normal[j] = -direction_[j];
        }
        if (reach == 0) unit_gradient(x_, normal);
    }

    // Newton's step for ½‖y − x‖² on the surface, along its tangent; false at a stationary point.
    bool newton_step(double reach) noexcept {
        double square = 0, along = 0;
        for (index j = 0; j < d_; ++j) {
            y_[j] = x_[j] + reach * direction_[j];
            terms_[j].slopes(y_[j], first_[j], second_[j]);
            square += first_[j] * first_[j];
            along += first_[j] * direction_[j];
        }
        if (!(square > 0 && square < HUGE_VAL)) return false;
        const double mu = reach * along / square;
        double left = 0;  // what is not normal to the surface
        for (index j = 0; j < d_; ++j) {
            trial_[j] = mu * first_[j] - reach * direction_[j];
            left += trial_[j] * trial_[j];
        }
        if (!(std::sqrt(left) > 1e-11 * reach)) return false;
        // The Hessian of the Lagrangian is diagonal. On the tangent it is positive if all its entries are, or if one is
        // not and the bordered matrix has the right sign.
        int n_negative = 0;
        double sum = 0;
        for (index j = 0; j < d_; ++j) {
            second_[j] = 1 - mu * second_[j];
            n_negative += second_[j] <= 0;
            sum += first_[j] * first_[j] / second_[j];
        }
        if (n_negative > 1 || (n_negative == 1 && !(sum < 0)))
            for (index j = 0; j < d_; ++j) second_[j] = std::max(std::fabs(second_[j]), 0.1);
        double numerator = 0, denominator = 0;
        for (index j = 0; j < d_; ++j) {
            numerator += first_[j] * trial_[j] / second_[j];
            denominator += first_[j] * first_[j] / second_[j];
        }
        double descent = 0;
        for (index j = 0; j < d_; ++j) {
            step_[j] = (trial_[j] - numerator / denominator * first_[j]) / second_[j];
            descent += step_[j] * trial_[j];
        }
        if (!(descent > 0 && descent < HUGE_VAL)) std::copy(trial_, trial_ + d_, step_);
        return true;
    }

    const Term* terms_;
    index d_;
    double bound_;
    const double* x_;
    double *y_, *first_, *second_, *direction_, *trial_, *step_;
};

}  // namespace

index nearest_scratch(index d) noexcept { return 6 * d; }

double distance_to_complement(const Term* terms, index d, double bound, const double* x, double* scratch,
                              double* normal) noexcept {
    Surface surface(terms, d, bound, x, scratch);
    std::fill(normal, normal + d, 0.0);
    if (!(surface.excess(x) <= 0)) return 0;
    double away = surface.is_flat()      ? surface.flat(normal)
                  : surface.is_concave() ? surface.convex(normal)
                                         : surface.general(normal);
    for (index j = 0; j < d; ++j)
        if (terms[j].one_sided() && !(away <= x[j])) {
            away = x[j];
            std::fill(normal, normal + d, 0.0);
            normal[j] = 1;
        }
    return away;
}

}  // namespace scorematch
