// Sums of the Stein kernel against the formula written out, point by point, at numbers of points next to the sizes of
// tiles, strips and words.
#include <cmath>
#include <vector>

#include "check.hpp"
#include "scorematch/philox.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

// u of two points on all of space, or with multipliers, under exp(−r/2h²).
template <class T>
double gaussian_u(const T* x, const T* s, const T* a, const T* y, const T* t, const T* b, index d, double h) {
    double r = 0, scores = 0, cross = 0, second = 0;
    for (index j = 0; j < d; ++j) {
        const double delta = static_cast<double>(x[j]) - static_cast<double>(y[j]);
        const double aj = a == nullptr ? 1 : static_cast<double>(a[j]),
                     bj = b == nullptr ? 1 : static_cast<double>(b[j]);
        r += delta * delta;
        scores += static_cast<double>(s[j]) * static_cast<double>(t[j]);
        cross += delta * (aj * static_cast<double>(t[j]) - bj * static_cast<double>(s[j])) - aj * bj;
        second += aj * bj * delta * delta;
    }
    const double k = std::exp(-r / (2 * h * h)), slope = -k / (2 * h * h), curvature = k / (4 * h * h * h * h);
    return scores * k + 2 * slope * cross - 4 * curvature * second;
}

double sign_of(index point, index draw, std::uint64_t seed) {
    RandomStream stream(seed, RandomUse::wild_bootstrap, static_cast<std::uint32_t>(draw));
    std::uint64_t word = 0;
    for (index k = 0; k <= point / 64; ++k) word = stream.next();
    return (word >> (point % 64) & 1) != 0 ? 1 : -1;
}

template <class T>
void test_sums(index n, index d, bool weighted) {
    const double h = 0.9, tolerance = sizeof(T) == 8 ? 1e-12 : 1e-4;
    const index n_draws = 3;
    const std::uint64_t seed = 12345;
    const std::vector<T> x = numbers<T>(n * d, 1), s = numbers<T>(n * d, 2);
    std::vector<T> a = numbers<T>(n * d, 3);
    for (T& value : a) value = std::abs(value);
    const auto samples = [&](const std::vector<T>& v) { return Samples<T>{v.data(), n, d, d, 1, nullptr}; };
    SteinProblem<T> problem{samples(x), samples(s), {}, false, SteinKernel::gaussian, h};
    if (weighted) problem.multiplier = samples(a);

    std::vector<double> sign(static_cast<std::size_t>(n * n_draws));
    for (index i = 0; i < n; ++i)
        for (index b = 0; b < n_draws; ++b) sign[static_cast<std::size_t>(i * n_draws + b)] = sign_of(i, b, seed);
    double diagonal = 0, off_diagonal = 0, size = 0, draws[n_draws] = {};
    const auto row = [&](const std::vector<T>& v, index i) { return v.data() + i * d; };
    for (index i = 0; i < n; ++i)
        for (index j = i; j < n; ++j) {
            const double u = gaussian_u<T>(row(x, i), row(s, i), weighted ? row(a, i) : nullptr, row(x, j), row(s, j),
                                           weighted ? row(a, j) : nullptr, d, h);
            size += std::abs(u);
            (i == j ? diagonal : off_diagonal) += u;
            for (index b = 0; i < j && b < n_draws; ++b)
                draws[b] += u * sign[static_cast<std::size_t>(i * n_draws + b)] *
                            sign[static_cast<std::size_t>(j * n_draws + b)];
        }
    for (int n_threads : {1, 3}) {
        double found[n_draws];
        const SteinSums sums = functions<T>().kernel_stein(problem, {n_draws, seed, found}, n_threads);
        CHECK(std::abs(sums.diagonal - diagonal) <= tolerance * size);
        CHECK(std::abs(sums.off_diagonal - off_diagonal) <= tolerance * size);
        for (index b = 0; b < n_draws; ++b) CHECK(std::abs(found[b] - draws[b]) <= (tolerance + 1e-6) * size);
    }
}

template <class T>
void test_all() {
    for (index n : {1, 2, 31, 32, 33, 64, 255, 256, 257, 530})
        for (bool weighted : {false, true}) test_sums<T>(n, n % 2 == 0 ? 1 : 3, weighted);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level() || scorematch::this_level() == nullptr) return skipped;
    scorematch::test_all<float>();
    scorematch::test_all<double>();
    return check_result();
}
