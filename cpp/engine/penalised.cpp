// Coordinate descent finds which coefficients are not zero and their signs; given those the objective is a plain
// quadratic form, and one linear system gives the minimum to the last digit. (Coordinate descent alone would take as
// many sweeps as the condition of Γ is high.)
//
// An iteration is a sweep over all coefficients, sweeps over those that are not zero, and Newton's step on these, which
// ends where a coefficient would change its sign. Nothing of it ever raises the objective, and there are finitely many
// patterns of signs, so it ends. Where the columns of Γ that belong to the pattern depend on each other, there is a
// direction along which the form is linear: the step goes along it until a coefficient is zero, and if none ever is,
// the objective has no lower bound.
#include "scorematch/penalised.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace scorematch {
namespace {

constexpr double eps = std::numeric_limits<double>::epsilon();
// A column of Γ of which no more than this (times the number of columns) is its own depends on the others. The entries
// of Γ are sums, whose errors are some units in the last place.
constexpr double dependent = 64 * eps;
// Above this it need not be looked at more closely.
constexpr double suspicious = 1e-5;
// Rounding errors excuse no breach of the conditions that is larger.
constexpr double most_rounding = 1e-6;
// Sweeps over the coefficients that are not zero before Newton's step, at most.
constexpr int most_sweeps = 20;

double sign(double x) { return x < 0 ? -1.0 : 1.0; }

// x towards zero by λ, and no further than to zero.
double shrunk(double x, double lambda) {
    const double excess = std::fabs(x) - lambda;
    return excess > 0 ? std::copysign(excess, x) : 0.0;
}

// Eight sums at once, which a compiler may put into vectors without changing their order.
double dot(const double* a, const double* b, index n) {
    double sums[8] = {};
    index i = 0;
    for (; i + 8 <= n; i += 8)
        for (int j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
    double total = 0;
    for (; i < n; ++i) total += a[i] * b[i];
    for (const double sum : sums) total += sum;
    return total;
}

class Descent {
  public:
    Descent(const PenalisedForm& form, double* theta)
        : form_(form), n_(form.size), theta_(theta), residual_(size(n_)), scale_(size(n_)) {
        for (index k = 0; k < n_; ++k) {
            const double curvature = gamma(k, k);
            scale_[size(k)] = curvature > 0 ? 1 / std::sqrt(curvature) : 0.0;
            if (scale_[size(k)] == 0) theta_[k] = 0;
            largest_linear_ = std::max(largest_linear_, std::fabs(form_.linear[k]) * scale_[size(k)]);
        }
        renew_residual();
    }

    // A coefficient that Γ does not know of, and whose penalty is too weak to hold it; −1 where there is none.
    index unheld() const {
        for (index k = 0; k < n_; ++k)
            if (scale_[size(k)] == 0 && std::fabs(form_.linear[k]) > form_.penalty[k]) return k;
        return -1;
    }

    void sweep_all() {
        for (index k = 0; k < n_; ++k) {
            const double change = descend(k);
            if (change == 0) continue;
            const double* const row = form_.gamma + k * n_;
            for (index l = 0; l < n_; ++l) residual_[size(l)] -= change * row[l];
        }
    }

    // Residuals of the others are out of date afterwards.
    void sweep_support() {
        find_support();
        for (int sweep = 0; sweep < most_sweeps; ++sweep) {
            double largest_change = 0, largest = 0;
            for (const index k : support_) {
                const double change = descend(k);
                largest_change = std::max(largest_change, std::fabs(change) / scale_[size(k)]);
                largest = std::max(largest, std::fabs(theta_[k]) / scale_[size(k)]);
                if (change == 0) continue;
                const double* const row = form_.gamma + k * n_;
                for (const index l : support_) residual_[size(l)] -= change * row[l];
            }
            if (largest_change <= 1e-3 * largest) break;
        }
    }

    // To the minimum for the signs as they are, or to where the first of them changes; again until none does. False if
    // the objective has no lower bound; then θ is the direction.
    bool solve_support() {
        for (;;) {
            find_support();
            if (support_.empty()) return true;
            renew_residual();
            const bool regular = factorise();
            if (regular) solve();
            else if (!along_null_direction()) return false;
            if (!step(regular)) return true;
        }
    }

    // Residuals from the start, so that rounding errors do not add up; and with them the size of what they are made of.
    void renew_residual() {
        std::vector<double> magnitude(size(n_));
        for (index k = 0; k < n_; ++k) residual_[size(k)] = form_.linear[k];
        for (index k = 0; k < n_; ++k) {
            if (theta_[k] == 0) continue;
            const double* const row = form_.gamma + k * n_;
            for (index l = 0; l < n_; ++l) {
                residual_[size(l)] -= theta_[k] * row[l];
                magnitude[size(l)] += std::fabs(theta_[k] * row[l]);
            }
        }
        rounding_ = 0;
        for (index k = 0; k < n_; ++k) rounding_ = std::max(rounding_, magnitude[size(k)] * scale_[size(k)]);
        rounding_ *= 8 * eps * std::sqrt(static_cast<double>(n_));
    }

    double violation() const {
        double worst = 0;
        for (index k = 0; k < n_; ++k) {
            const double r = residual_[size(k)], lambda = form_.penalty[k];
            const double own = theta_[k] != 0 ? std::fabs(r - lambda * sign(theta_[k])) : std::fabs(r) - lambda;
            worst = std::max(worst, own * scale_[size(k)]);
        }
        return largest_linear_ > 0 ? worst / largest_linear_ : worst;
    }
    double rounding() const { return largest_linear_ > 0 ? std::min(rounding_ / largest_linear_, most_rounding) : 0.0; }

  private:
    static std::size_t size(index i) { return static_cast<std::size_t>(i); }
    double gamma(index k, index l) const { return form_.gamma[k * n_ + l]; }

    double descend(index k) {
        if (scale_[size(k)] == 0) return 0;
        const double curvature = gamma(k, k), before = theta_[k];
        theta_[k] = shrunk(residual_[size(k)] + curvature * before, form_.penalty[k]) / curvature;
        return theta_[k] - before;
    }

    void find_support() {
        support_.clear();
        for (index k = 0; k < n_; ++k)
            if (theta_[k] != 0) support_.push_back(k);
    }

    // Γ on the support, scaled to a unit diagonal, as LLᵀ: row after row, until one depends on those before. False if
    // one does; then `rank_` is its number, and the direction is the one in which Γ vanishes.
    bool factorise() {
        const index m = static_cast<index>(support_.size());
        factor_.assign(size(m * m), 0.0);
        for (rank_ = 0; rank_ < m; ++rank_) {
            const index k = support_[size(rank_)];
            double* const row = factor_.data() + rank_ * m;
            double squares = 0;
            for (index j = 0; j < rank_; ++j) {
                const double* const other = factor_.data() + j * m;
                const index l = support_[size(j)];
                row[j] = (gamma(k, l) * scale_[size(k)] * scale_[size(l)] - dot(row, other, j)) / other[j];
                squares += row[j] * row[j];
            }
            const double own = 1 - squares;
            if (own <= suspicious && own <= dependent * static_cast<double>(m) * find_null_direction()) return false;
            row[rank_] = std::sqrt(own);
        }
        return true;
    }

    // In scaled coefficients, the direction that leaves all but row `rank_` of Γ alone; returns its squared length, by
    // which errors of Γ come out larger in what is left of that row.
    double find_null_direction() {
        const index m = static_cast<index>(support_.size());
        direction_.assign(size(m), 0.0);
        for (index j = 0; j < rank_; ++j) direction_[size(j)] = -factor_[size(rank_ * m + j)];
        solve_transposed(rank_, direction_);
        direction_[size(rank_)] = 1;
        double squares = 0;
        for (index j = 0; j <= rank_; ++j) squares += direction_[size(j)] * direction_[size(j)];
        return squares;
    }

    // x ← L⁻ᵀx with the first n rows of L.
    void solve_transposed(index n, std::vector<double>& x) const {
        const index m = static_cast<index>(support_.size());
        for (index j = n; j-- > 0;) {
            const double* const row = factor_.data() + j * m;
            x[size(j)] /= row[j];
            for (index i = 0; i < j; ++i) x[size(i)] -= row[i] * x[size(j)];
        }
    }

    // What falls along +e_k: the slope of the objective, its sign turned.
    double pull(index k) const { return residual_[size(k)] - form_.penalty[k] * sign(theta_[k]); }

    // The direction to the minimum for these signs.
    void solve() {
        const index m = static_cast<index>(support_.size());
        direction_.assign(size(m), 0.0);
        for (index j = 0; j < m; ++j) {
            const double* const row = factor_.data() + j * m;
            const index k = support_[size(j)];
            direction_[size(j)] = (pull(k) * scale_[size(k)] - dot(row, direction_.data(), j)) / row[j];
        }
        solve_transposed(m, direction_);
        for (index j = 0; j < m; ++j) direction_[size(j)] *= scale_[size(support_[size(j)])];
    }

    // Turns the direction with Γv = 0 so that the objective does not rise. False if it falls, and no sign ever changes.
    bool along_null_direction() {
        double gain = 0, magnitude = 0;
        for (index j = 0; j <= rank_; ++j) {
            const index k = support_[size(j)];
            direction_[size(j)] *= scale_[size(k)];
            // Not with the residual, which is the same along v but for the rounding errors of Γθ.
            gain += (form_.linear[k] - form_.penalty[k] * sign(theta_[k])) * direction_[size(j)];
            magnitude += (std::fabs(form_.linear[k]) + form_.penalty[k]) * std::fabs(direction_[size(j)]);
        }
        const bool falls = std::fabs(gain) > 1e-9 * magnitude;
        const double turn = gain < 0 ? -1.0 : 1.0;
        bool ends = false;
        for (index j = 0; j <= rank_; ++j) {
            direction_[size(j)] *= turn;
            ends = ends || direction_[size(j)] * theta_[support_[size(j)]] < 0;
        }
        if (!ends && falls) {
            std::fill(theta_, theta_ + n_, 0.0);
            for (index j = 0; j <= rank_; ++j) theta_[support_[size(j)]] = direction_[size(j)];
            return false;
        }
        if (!ends)  // level ground: the other way leads to a zero
            for (index j = 0; j <= rank_; ++j) direction_[size(j)] = -direction_[size(j)];
        return true;
    }

    // Goes along the direction, to its end or (without one) for ever, but only to where the first coefficient is zero.
    // True if one is.
    bool step(bool has_end) {
        const index m = static_cast<index>(support_.size());
        double length = has_end ? 1.0 : std::numeric_limits<double>::infinity();
        index first = -1;
        for (index j = 0; j < m; ++j) {
            const double theta = theta_[support_[size(j)]], d = direction_[size(j)];
            if (theta * d < 0 && -theta / d < length) {
                length = -theta / d;
                first = j;
            }
        }
        for (index j = 0; j < m; ++j) theta_[support_[size(j)]] += length * direction_[size(j)];
        if (first >= 0) theta_[support_[size(first)]] = 0;
        return first >= 0;
    }

    const PenalisedForm& form_;
    const index n_;
    double* const theta_;
    std::vector<double> residual_;  // g − Γθ
    std::vector<double> scale_;     // 1/√Γ_kk; 0 where Γ_kk is 0, and then θ_k is 0 too
    double largest_linear_ = 0, rounding_ = 0;
    std::vector<index> support_;
    std::vector<double> factor_, direction_;
    index rank_ = 0;
};

}  // namespace

PenalisedMinimum minimise_penalised(const PenalisedForm& form, double tol, index max_iter, double* theta) {
    Descent descent(form, theta);
    const index unheld = descent.unheld();
    if (unheld >= 0) {
        std::fill(theta, theta + form.size, 0.0);
        theta[unheld] = sign(form.linear[unheld]);
        return {PenalisedOutcome::unbounded, 0, std::numeric_limits<double>::infinity()};
    }
    double violation = descent.violation();
    for (index iteration = 1; iteration <= max_iter; ++iteration) {
        descent.sweep_all();
        descent.sweep_support();
        if (!descent.solve_support())
            return {PenalisedOutcome::unbounded, iteration, std::numeric_limits<double>::infinity()};
        descent.renew_residual();
        violation = descent.violation();
        if (violation <= std::max(tol, descent.rounding())) return {PenalisedOutcome::converged, iteration, violation};
    }
    return {PenalisedOutcome::stopped, max_iter, violation};
}

}  // namespace scorematch
