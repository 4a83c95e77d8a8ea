// Functions of one coordinate that inequalities are made of: f, f′, f″, and where c·f(t) ≤ s. For single points, and
// for as many as a tile has.
#pragma once

#include <cmath>

#include "scorematch/domains.hpp"

namespace scorematch {

// c·f(x), f a power, logarithm, exponential or absolute value. What is not defined at x is NaN there: logarithms and
// negative powers need x > 0, other powers that are not integers x ≥ 0.
class Term {
  public:
    Term(double coefficient, TermFunction function, double exponent) noexcept
        : c_(coefficient), q_(exponent), shape_(shape_of(function, exponent)) {}

    bool absent() const noexcept { return c_ == 0; }
    // Linear, or the absolute value with c > 0: that is the larger of c·x and −c·x, and a point where the one that is
    // smaller at x exceeds a bound is not nearer than one where the other does.
    bool is_flat() const noexcept { return c_ == 0 || (q_ == 1 && (shape_ == Shape::odd || (has_kink() && c_ > 0))); }
    bool has_kink() const noexcept { return shape_ == Shape::even && q_ == 1; }
    bool is_concave() const noexcept {
        switch (shape_) {
            case Shape::odd: return c_ == 0 || q_ == 1;
            case Shape::even:
            case Shape::exponential:
            case Shape::reciprocal: return c_ <= 0;
            case Shape::root: return q_ < 1 ? c_ >= 0 : c_ <= 0;
            case Shape::logarithm: return c_ >= 0;
        }
        return false;
    }
    // Whether it is defined on one side of 0 alone.
    bool one_sided() const noexcept { return c_ != 0 && shape_ >= Shape::root; }

    double value(double x) const noexcept { return c_ == 0 ? 0.0 : c_ * function(x); }

    void slopes(double x, double& first, double& second) const noexcept {
        first = second = 0;
        if (c_ == 0) return;
        switch (shape_) {
            case Shape::exponential: first = second = c_ * std::exp(x); return;
            case Shape::logarithm:
                first = c_ / x;
                second = -first / x;
                return;
            case Shape::even:
                if (q_ == 1) {
                    first = x < 0 ? -c_ : c_;
                    return;
                }
                [[fallthrough]];
            default: first = c_ * q_ * power(x, q_ - 1); second = q_ == 1 ? 0.0 : c_ * q_ * (q_ - 1) * power(x, q_ - 2);
        }
    }

    // For concave c·f, the y that minimises ½(y − x)² − μc·f(y).
    double pulled(double x, double mu) const noexcept {
        if (c_ == 0) return x;
        if (q_ == 1 && shape_ == Shape::odd) return x + mu * c_;
        if (has_kink()) return std::copysign(std::fmax(std::fabs(x) + mu * c_, 0), x);
        if (q_ == 2 && shape_ == Shape::even) return x / (1 - 2 * mu * c_);
        // The root of y − x − μc·f′(y), which grows with y. It lies beyond x in the direction of c·f′(x), and is not
        // further off than the slope at x says; nor beyond 0, towards which f′ may be infinite or f end.
        double first, second;
        slopes(x, first, second);
        double low = x, high = x + mu * first;
        if (first < 0) {
            low = high;
            high = x;
        }
        if (shape_ >= Shape::root || shape_ == Shape::even) {
            low = x >= 0 ? std::fmax(low, 0) : low;
            high = x <= 0 ? std::fmin(high, 0) : high;
        }
        double y = x;
        for (int k = 0; k < 200 && high > low; ++k) {
            slopes(y, first, second);
            const double value = y - x - mu * first;
            if (value == 0) break;
            (value > 0 ? high : low) = y;
            const double newton = y - value / (1 - mu * second);
            const double next = newton > low && newton < high ? newton : low + (high - low) / 2;
            if (next == y) break;
            y = next;
        }
        return y;
    }

    // The same as `value` for many x, at most as many as a tile has.
    void values(const double* x, int n, double* out) const noexcept {
        if (shape_ == Shape::odd && q_ == 1)
            for (int l = 0; l < n; ++l) out[l] = c_ * x[l];
        else if (shape_ == Shape::even && q_ == 2)
            for (int l = 0; l < n; ++l) out[l] = c_ * x[l] * x[l];
        else
            for (int l = 0; l < n; ++l) out[l] = value(x[l]);
    }

    // Where c·f(t) ≤ s, for many s: at most two closed intervals, nowhere for NaN. What is empty has its ends the wrong
    // way round. It says whether there are second intervals, and writes them only then.
    bool at_most(const double* s, int n, double* lower, double* upper, double* second_lower,
                 double* second_upper) const noexcept {
        constexpr double inf = HUGE_VAL;
        if (c_ == 0) {
            for (int l = 0; l < n; ++l) lower[l] = s[l] >= 0 ? -inf : inf;
            for (int l = 0; l < n; ++l) upper[l] = -lower[l];
            return false;
        }
        double v[Region::lanes], end[Region::lanes];
        const double inverse = 1 / c_;
        for (int l = 0; l < n; ++l) v[l] = s[l] * inverse;
        ends(v, n, end);
        const bool below = c_ > 0;  // f(t) ≤ v, or else f(t) ≥ v
        switch (shape_) {
            case Shape::odd:
                for (int l = 0; l < n; ++l) lower[l] = below ? -inf : end[l];
                for (int l = 0; l < n; ++l) upper[l] = below ? end[l] : inf;
                return false;
            case Shape::even:
                if (below) {
                    for (int l = 0; l < n; ++l) lower[l] = v[l] >= 0 ? -end[l] : inf;
                    for (int l = 0; l < n; ++l) upper[l] = v[l] >= 0 ? end[l] : -inf;
                    return false;
                }
                for (int l = 0; l < n; ++l) lower[l] = -inf;
                for (int l = 0; l < n; ++l) upper[l] = v[l] <= 0 ? inf : -end[l];
                for (int l = 0; l < n; ++l) second_lower[l] = v[l] <= 0 ? inf : end[l];
                for (int l = 0; l < n; ++l) second_upper[l] = v[l] <= 0 ? -inf : inf;
                return true;
            case Shape::exponential:
                if (below) {
                    for (int l = 0; l < n; ++l) lower[l] = v[l] > 0 ? -inf : inf;
                    for (int l = 0; l < n; ++l) upper[l] = v[l] > 0 ? end[l] : -inf;
                } else {
                    for (int l = 0; l < n; ++l) lower[l] = v[l] <= 0 ? -inf : end[l];
                    for (int l = 0; l < n; ++l) upper[l] = inf;
                }
                return false;
            case Shape::root:
                for (int l = 0; l < n; ++l) lower[l] = below ? (v[l] >= 0 ? 0.0 : inf) : (v[l] <= 0 ? 0.0 : end[l]);
                for (int l = 0; l < n; ++l) upper[l] = below ? (v[l] >= 0 ? end[l] : -inf) : inf;
                return false;
            case Shape::logarithm:
                for (int l = 0; l < n; ++l) lower[l] = below ? 0.0 : end[l];
                for (int l = 0; l < n; ++l) upper[l] = below ? end[l] : inf;
                return false;
            case Shape::reciprocal:
                for (int l = 0; l < n; ++l) lower[l] = below ? (v[l] > 0 ? end[l] : inf) : 0.0;
                for (int l = 0; l < n; ++l) upper[l] = below ? (v[l] > 0 ? inf : -inf) : (v[l] <= 0 ? inf : end[l]);
                return false;
        }
        return false;
    }

  private:
    // Powers by what they do to the sign: odd and even integers, positive powers on x ≥ 0, negative ones on x > 0.
    // The absolute value is an even power, of exponent 1.
    enum class Shape { odd, even, exponential, root, logarithm, reciprocal };

    static Shape shape_of(TermFunction function, double q) noexcept {
        switch (function) {
            case TermFunction::absolute: return Shape::even;
            case TermFunction::exponential: return Shape::exponential;
            case TermFunction::logarithm: return Shape::logarithm;
            case TermFunction::power: break;
        }
        if (q < 0) return Shape::reciprocal;
        if (q != std::floor(q)) return Shape::root;
        return std::fmod(q, 2) == 0 ? Shape::even : Shape::odd;
    }

    double function(double x) const noexcept {
        switch (shape_) {
            case Shape::exponential: return std::exp(x);
            case Shape::logarithm: return x > 0 ? std::log(x) : std::nan("");
            case Shape::root: return x >= 0 ? power(x, q_) : std::nan("");
            case Shape::reciprocal: return x > 0 ? power(x, q_) : std::nan("");
            case Shape::even: return q_ == 1 ? std::fabs(x) : power(x, q_);
            case Shape::odd: return power(x, q_);
        }
        return 0;
    }

    // x^p, the usual exponents without the general function.
    static double power(double x, double p) noexcept {
        if (p == 0) return 1;
        if (p == 1) return x;
        if (p == 2) return x * x;
        if (p == -1) return 1 / x;
        if (p == 0.5) return std::sqrt(x);
        return std::pow(x, p);
    }

    // The t with f(t) = v; of two the positive one.
    void ends(const double* v, int n, double* end) const noexcept {
        if (shape_ == Shape::exponential)
            for (int l = 0; l < n; ++l) end[l] = std::log(v[l]);
        else if (shape_ == Shape::logarithm)
            for (int l = 0; l < n; ++l) end[l] = std::exp(v[l]);
        else if (q_ == 1)
            for (int l = 0; l < n; ++l) end[l] = v[l];
        else if (q_ == 2)
            for (int l = 0; l < n; ++l) end[l] = std::sqrt(v[l]);
        else if (q_ == 0.5)
            for (int l = 0; l < n; ++l) end[l] = v[l] * v[l];
        else if (q_ == -1)
            for (int l = 0; l < n; ++l) end[l] = 1 / v[l];
        else
            for (int l = 0; l < n; ++l) end[l] = std::copysign(std::pow(std::fabs(v[l]), 1 / q_), v[l]);
    }

    double c_, q_;
    Shape shape_;
};

}  // namespace scorematch
