// One coordinate given the others: draws from densities on a union of intervals,
//
//     φ(y) = log density = −½κy² + my + s·log y + c·E(y),        E(y) = y^q, or e^(qy),
//
// with κ > 0, and y > 0 unless s = 0 and E is the exponential or absent.
//
// Where c = 0 and s >= 0, the density is log-concave (a normal, where s = 0), and the draw is exact, by rejection. Seen
// from the mode, the union falls into sides: stretches on which the density falls all the way. With e the distance from
// a side's beginning p and ψ(e) = φ(p ± e) − φ(p), a concave function that falls from 0,
//
//     ψ(e) <= min(0, ψ(t) − λ(e − t)),        −λ = ψ′(t),
//
// for any t: a hat that is flat up to where the tangent comes to 0, and exponential from there on. t is taken where ψ
// is about −1, the best place. The hats' masses are known, so a side is chosen, a point on it, and the point accepted
// by the ratio: in 8 of 9 cases for half a normal, and nearly always far out in a tail, where an exponential is all
// there is. No distribution function is needed, and no difference of near equal numbers is taken: e is drawn, and not p
// ± e.
//
// Elsewhere it is a step of slice sampling (Neal 2003, "Slice sampling", stepping out and shrinkage), which leaves the
// density as it is, whatever its shape.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/lane_random.hpp"

SCOREMATCH_BEGIN_LEVEL

struct IntervalPack {
    Pack<double> lower, upper;  // empty where lower > upper
};

struct CoordinateDensity {
    double curvature;     // κ
    Pack<double> linear;  // m
    double log_factor;    // s
    double extra;         // c
    double exponent;      // q
    bool exponential;
    double touch;  // √(2/κ), where a normal has fallen by 1/e from its mode

    bool is_log_concave() const noexcept { return extra == 0 && log_factor >= 0; }
};

namespace coordinate_detail {

// The hat on one side.
struct Side {
    Pack<double> begin, end;
    Pack<double> direction;  // 1 or −1
    Pack<double> width;      // 0 where there is no such side
    Pack<double> slope;      // −ψ′(0) >= 0
    Pack<double> flat;       // how far the flat part reaches
    Pack<double> rate;       // λ
    Pack<double> inverse;    // 1/λ
    Pack<double> mass;       // of the hat, its height being 1
    Pack<double> height;     // φ(p), and the weight of the side when all are known
};

template <bool with_log>
[[gnu::always_inline]] inline Pack<double> psi(const CoordinateDensity& density, const Side& side, Pack<double> e) {
    const Pack<double> normal = -e * (side.slope + density.curvature / 2 * e);
    if constexpr (!with_log) return normal;
    const Pack<double> share = side.direction * e / side.begin;
    return normal + density.log_factor * (log1p<double>(share) - share);
}

// Any t will do, and rounding in t costs no more than a few draws, so that the quickest form serves. Where the side is
// so short that a flat hat is as good, it is flat; else the exponential falls by about 1/e at least, and 1 − e^(−...)
// loses nothing.
template <bool with_log>
[[gnu::always_inline]] inline void fit_hat(const CoordinateDensity& density, Side& side) {
    const double kappa = density.curvature;
    Pack<double> slope = side.direction * (kappa * side.begin - density.linear), bend = broadcast(kappa);
    if constexpr (with_log) {
        const Pack<double> ratio = density.log_factor / side.begin;
        slope -= side.direction * ratio;
        bend += ratio / side.begin;
    }
    side.slope = at_most<double>(at_least<double>(slope, 0.0), 1e150);  // its square is to be finite
    Pack<double> t, fall;                                               // fall = −ψ(t)
    if (!with_log && !any(side.slope > 0)) {
        t = broadcast(density.touch);
        side.rate = kappa * t;
        side.inverse = t / 2;
        fall = broadcast(1.0);
    } else {
        const Pack<double> root = sqrt<double>(side.slope * side.slope + 2 * bend);
        if constexpr (with_log) {
            t = 2 / (side.slope + root);
            t = t < side.width ? t : side.width / 2;
            const Pack<double> there = side.begin * (side.begin + side.direction * t);
            side.rate = side.slope + kappa * t + density.log_factor * t / there;
            fall = -psi<with_log>(density, side, t);
        } else {
            t = (root - side.slope) * (1 / kappa);
            side.rate = side.slope + kappa * t;
            fall = t * (side.slope + kappa / 2 * t);
        }
        side.inverse = 1 / side.rate;
    }
    const LaneMask tangent = (t < side.width) & (side.rate * side.width > 1);
    side.flat = tangent ? at_least<double>(t - fall * side.inverse, 0.0) : side.width;
    side.mass = side.width;
    if (!any(tangent)) return;
    Pack<double> tail = side.inverse;
    if (any(side.width < infinity<double>)) tail *= 1 - exp_nonpositive<double>(-side.rate * (side.width - side.flat));
    side.mass = tangent ? side.flat + tail : side.width;
}

[[gnu::always_inline]] inline Pack<double> mode(const CoordinateDensity& density) {
    const double kappa = density.curvature, s = density.log_factor;
    const Pack<double> m = density.linear;
    if (s == 0) return m * (1 / kappa);
    // The positive root of κy² − my − s, by the form in which nothing cancels.
    const Pack<double> root = sqrt<double>(m * m + 4 * kappa * s);
    return m > 0 ? (m + root) / (2 * kappa) : 2 * s / (root - m);
}

// A point of the union of intervals, `before` where it is empty, has no width, or the mode is not finite.
template <bool with_log>
inline Pack<double> draw_log_concave(const CoordinateDensity& density, const IntervalPack* intervals, index n_intervals,
                                     Pack<double> before, Side* sides, LaneRandom& random) noexcept {
    const Pack<double> top = mode(density);
    index n = 0;
    LaneMask possible{};
    Pack<double> greatest = broadcast(-infinity<double>);
    const auto take = [&](Pack<double> begin, Pack<double> end, double direction) noexcept {
        const Pack<double> width = direction * (end - begin);
        const LaneMask there = width > 0;
        if (!any(there)) return;
        Side& side = sides[n++];
        side.begin = there ? begin : broadcast(1.0);
        side.end = end;
        side.direction = broadcast(direction);
        side.width = there ? width : Pack<double>{};
        fit_hat<with_log>(density, side);
        possible |= there;
        if (n_intervals == 1) {
            // Then the two sides begin at the mode, or there is only one.
            side.height = there ? side.mass : Pack<double>{};
            return;
        }
        side.height = side.begin * (density.linear - density.curvature / 2 * side.begin);
        if constexpr (with_log) side.height += density.log_factor * log<double>(side.begin);
        greatest = (there & (side.height > greatest)) ? side.height : greatest;
    };
    for (index i = 0; i < n_intervals; ++i) {
        take(maximum<double>(intervals[i].lower, top), intervals[i].upper, 1);
        take(minimum<double>(intervals[i].upper, top), intervals[i].lower, -1);
    }
    LaneMask active = possible & (top - top == 0);
    if (!any(active)) return before;
    Pack<double> total{};
    for (index i = 0; i < n; ++i) {
        Side& side = sides[i];
        if (n_intervals == 1) {
            total += side.height;
            continue;
        }
        const Pack<double> weight = exp_nonpositive<double>(minimum<double>(side.height - greatest, Pack<double>{}));
        side.height = side.width > 0 ? weight * side.mass : Pack<double>{};
        total += side.height;
    }
    Pack<double> result = before;
    // As good as never more than a dozen rounds; the bound is for what no rounding error should make possible.
    for (int round = 0; round < 10000 && any(active); ++round) {
        const TwoUniforms u = random.next(active);
        Side side = sides[0];
        // Of the hats' whole area, the part below the point that is drawn: the last side that begins there.
        Pack<double> area = u.first * total;
        if (n > 1) {
            const Pack<double> point = area;
            Pack<double> reached = side.height, share = side.height;
            for (index i = 1; i < n; ++i) {
                const Side& other = sides[i];
                const LaneMask further = (point >= reached) & (other.height > 0);
                area = further ? point - reached : area;
                share = further ? other.height : share;
                side.begin = further ? other.begin : side.begin;
                side.end = further ? other.end : side.end;
                side.direction = further ? other.direction : side.direction;
                side.width = further ? other.width : side.width;
                side.slope = further ? other.slope : side.slope;
                side.flat = further ? other.flat : side.flat;
                side.rate = further ? other.rate : side.rate;
                side.inverse = further ? other.inverse : side.inverse;
                side.mass = further ? other.mass : side.mass;
                reached += other.height;
            }
            if (n_intervals > 1) area *= side.mass / share;
        } else if (n_intervals > 1) {
            area = u.first * side.mass;
        }
        const Pack<double> behind = area - side.flat;
        const LaneMask is_flat = behind <= 0;
        const Pack<double> tail =
            is_flat ? Pack<double>{} : -log1p<double>(at_least<double>(-behind * side.rate, -1 + 0x1p-53));
        const Pack<double> e = minimum<double>(is_flat ? area : side.flat + tail * side.inverse, side.width);
        const Pack<double> log_ratio = psi<with_log>(density, side, e) + tail;
        const LaneMask accepted =
            active & (u.second < exp_nonpositive<double>(minimum<double>(log_ratio, Pack<double>{})));
        const Pack<double> value = side.begin + side.direction * e;
        // Rounding may carry it over the end.
        const Pack<double> kept =
            side.direction > 0 ? minimum<double>(value, side.end) : maximum<double>(value, side.end);
        result = accepted ? kept : result;
        active &= ~accepted;
    }
    return result;
}

// The density of z = log y, or of z = y where E is the exponential: light tails on all of the line, and no pole.
class SliceDensity {
  public:
    explicit SliceDensity(const CoordinateDensity& density) noexcept
        : density_(density), weight_(density.exponential ? 0.0 : density.log_factor + 1) {}

    Pack<double> z(Pack<double> y) const { return density_.exponential ? y : log<double>(y); }
    Pack<double> y(Pack<double> z) const { return density_.exponential ? z : exp<double>(z); }
    Pack<double> operator()(Pack<double> z) const {
        const Pack<double> at = y(z);
        return at * (density_.linear - density_.curvature / 2 * at) + weight_ * z +
               density_.extra * exp<double>(density_.exponent * z);
    }
    // A guess at the extent of the density, which must not depend on where the chain is.
    double step() const noexcept {
        if (density_.exponential) return 2 * __builtin_sqrt(1 / density_.curvature);
        const double fall = weight_ < 0 ? -weight_ : weight_;  // of the density where y is small
        return fall > 0.5 ? 2 : fall > 0.01 ? 1 / fall : 100;
    }

  private:
    const CoordinateDensity& density_;
    double weight_;
};

inline Pack<double> step_of_slice_sampling(const CoordinateDensity& density, const IntervalPack* intervals,
                                           index n_intervals, Pack<double> before, LaneRandom& random) noexcept {
    const SliceDensity log_density(density);
    Pack<double> lowest = broadcast(infinity<double>), highest = broadcast(-infinity<double>);
    for (index i = 0; i < n_intervals; ++i) {
        const LaneMask there = intervals[i].lower < intervals[i].upper;
        lowest = there ? minimum<double>(lowest, intervals[i].lower) : lowest;
        highest = there ? maximum<double>(highest, intervals[i].upper) : highest;
    }
    const Pack<double> z = log_density.z(before), start = log_density(z);
    const LaneMask movable = (lowest < highest) & (start - start == 0);
    if (!any(movable)) return before;
    const Pack<double> least = log_density.z(lowest), most = log_density.z(highest);
    const double step = log_density.step();
    const TwoUniforms u = random.next(movable);
    const Pack<double> level = start + log<double>(u.first);
    Pack<double> left = maximum<double>(z - step * u.second, least), right = minimum<double>(left + step, most);
    const auto step_out = [&](Pack<double> from, double by, Pack<double> last) noexcept {
        for (int k = 0; k < 10000; ++k) {
            const LaneMask onward = movable & (by > 0 ? from < last : from > last) & (log_density(from) > level);
            if (!any(onward)) break;
            const Pack<double> next = by > 0 ? minimum<double>(from + by, last) : maximum<double>(from + by, last);
            from = onward ? next : from;
        }
        return from;
    };
    left = step_out(left, -step, least);
    right = step_out(right, step, most);
    Pack<double> result = before;
    LaneMask active = movable;
    for (int round = 0; round < 10000 && any(active); ++round) {
        const Pack<double> at = left + random.next(active).first * (right - left), y = log_density.y(at);
        LaneMask inside{};
        for (index i = 0; i < n_intervals; ++i) inside |= (y >= intervals[i].lower) & (y <= intervals[i].upper);
        const LaneMask accepted = active & inside & (log_density(at) > level);
        result = accepted ? y : result;
        active &= ~accepted;
        left = at < z ? at : left;
        right = at < z ? right : at;
    }
    return result;
}

}  // namespace coordinate_detail

// Draws a coordinate anew; one object for each thread.
class CoordinateDraws {
  public:
    explicit CoordinateDraws(index n_intervals) : sides_(2 * n_intervals) {}

    Pack<double> operator()(const CoordinateDensity& density, const IntervalPack* intervals, index n_intervals,
                            Pack<double> before, LaneRandom& random) noexcept {
        using namespace coordinate_detail;
        if (!density.is_log_concave()) return step_of_slice_sampling(density, intervals, n_intervals, before, random);
        if (density.log_factor == 0)
            return draw_log_concave<false>(density, intervals, n_intervals, before, sides_.data(), random);
        return draw_log_concave<true>(density, intervals, n_intervals, before, sides_.data(), random);
    }

  private:
    Buffer<coordinate_detail::Side> sides_;
};

SCOREMATCH_END_LEVEL
