// Every region on samples of both types, with strides, any number of rows and threads; the numbers themselves are
// tested in Python.
#include "scorematch/domains.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "check.hpp"

using namespace scorematch;

namespace {

using Size = scorematch::index;

struct Results {
    std::vector<unsigned char> inside;
    std::vector<double> phi, slope, g, gradient;

    bool operator==(const Results& other) const {
        return inside == other.inside && equal(phi, other.phi) && equal(slope, other.slope) && equal(g, other.g) &&
               equal(gradient, other.gradient);
    }
    // NaN equals NaN here.
    static bool equal(const std::vector<double>& a, const std::vector<double>& b) {
        bool same = a.size() == b.size();
        for (std::size_t k = 0; same && k < a.size(); ++k) same = a[k] == b[k] || (a[k] != a[k] && b[k] != b[k]);
        return same;
    }
};

template <class T>
Results run(const Region& region, const Samples<T>& samples, bool nonnegative, int n_threads) {
    const std::size_t n = static_cast<std::size_t>(samples.n_samples);
    const std::size_t size = n * static_cast<std::size_t>(samples.n_features);
    Results results{std::vector<unsigned char>(n), std::vector<double>(size), std::vector<double>(size),
                    std::vector<double>(n), std::vector<double>(size)};
    const auto inside = std::make_unique<bool[]>(n);
    contains(region, samples, nonnegative, inside.get(), n_threads);
    for (std::size_t i = 0; i < n; ++i) results.inside[i] = inside[i];
    coordinate_distance(region, samples, nonnegative, results.phi.data(), results.slope.data(), n_threads);
    distance(region, samples, nonnegative, results.g.data(), results.gradient.data(), n_threads);
    return results;
}

// The same rows as they stand, with strides, and backwards; the last row is no point.
template <class T>
void check_region(const Region& region, Size n, bool nonnegative) {
    const Size d = 2;
    const auto entry = [&](Size i, Size j) {
        if (i == n - 1 && n > 1) return std::numeric_limits<T>::quiet_NaN();
        return static_cast<T>(std::sin(static_cast<double>(7 * i + 3 * j + 1)));
    };
    std::vector<T> rows(static_cast<std::size_t>(n * d)), wide(static_cast<std::size_t>(3 * n * d));
    for (Size i = 0; i < n; ++i)
        for (Size j = 0; j < d; ++j) {
            rows[static_cast<std::size_t>(i * d + j)] = entry(i, j);
            wide[static_cast<std::size_t>(j * 3 * n + 3 * (n - 1 - i))] = entry(i, j);
        }
    const Samples<T> plain{rows.data(), n, d, d, 1, nullptr};
    const Samples<T> strided{wide.data() + 3 * (n - 1), n, d, -3, 3 * n, nullptr};
    const Results expected = run(region, plain, nonnegative, 1);
    CHECK(run(region, strided, nonnegative, 1) == expected);
    CHECK(run(region, plain, nonnegative, 3) == expected);
    if (n > 1) CHECK(!expected.inside.back());
    for (Size i = 0; i + 1 < n; ++i) {
        if (!expected.inside[static_cast<std::size_t>(i)]) continue;
        for (Size j = 0; j < d; ++j) {
            const std::size_t k = static_cast<std::size_t>(i * d + j);
            CHECK(expected.g[static_cast<std::size_t>(i)] <= expected.phi[k] * (1 + 1e-12));
            CHECK(std::fabs(expected.slope[k]) == (expected.phi[k] < HUGE_VAL ? 1 : 0));
            if (nonnegative) CHECK(expected.phi[k] <= static_cast<double>(entry(i, j)));
        }
    }
}

InequalitySpec powers(double a, double b, double exponent, double bound) {
    return {{a, b}, {TermFunction::power, TermFunction::power}, {exponent, exponent}, bound};
}

}  // namespace

int main() {
    std::vector<std::unique_ptr<Region>> regions;
    regions.push_back(make_intervals({{{-0.9, -0.1}, {0.2, HUGE_VAL}}}));
    regions.push_back(make_intervals({{{-0.5, 0.5}}, {{-HUGE_VAL, 0.7}}}));
    regions.push_back(make_ball(0.9, BallNorm::l1));
    regions.push_back(make_ball(0.9, BallNorm::l2));
    regions.push_back(make_half_spaces({1, 2, -1, 0}, {0.9, 0.5}, 2));
    regions.push_back(make_polygon({{-0.9, -0.9}, {0.8, -0.5}, {0.1, 0.1}, {0.2, 0.9}}));
    regions.push_back(make_inequalities({powers(1, 4, 2, 0.8), powers(1, -1, 1, 0.5)}, {0, 1, rule_and}));
    regions.push_back(make_inequalities({powers(1, 2, 4, 0.8), powers(-1, -1, 2, -0.1), powers(1, 1, 3, 0.9)},
                                        {0, 1, 2, rule_and, rule_and}));
    const InequalitySpec named{{1, 1}, {TermFunction::exponential, TermFunction::logarithm}, {0, 0}, 0.8};
    const InequalitySpec absolute{{-1, 0}, {TermFunction::absolute, TermFunction::power}, {1, -1}, -0.1};
    regions.push_back(make_inequalities({named, absolute}, {0, 1, rule_and}));
    for (const auto& region : regions)
        for (const Size n : {1, 2, 63, 64, 65, 3000})
            for (const bool nonnegative : {false, true}) {
                check_region<float>(*region, n, nonnegative);
                check_region<double>(*region, n, nonnegative);
            }

    // A rule of both kinds: 0 or (1 and 2), where the way leads from one part into the next.
    const auto mixed = make_inequalities({powers(1, 0, 1, 0), powers(-1, 0, 1, 0.5), powers(1, 0, 1, 2)},
                                         {0, 1, 2, rule_and, rule_or});
    const double point[] = {-0.25, 7};
    double phi[2], slope[2];
    coordinate_distance(*mixed, Samples<double>{point, 1, 2, 2, 1, nullptr}, false, phi, slope, 1);
    CHECK(phi[0] == 2.25 && slope[0] == -1 && phi[1] == HUGE_VAL && slope[1] == 0);
    return check_result();
}
