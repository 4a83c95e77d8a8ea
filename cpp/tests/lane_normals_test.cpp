// Normals in lanes: each is what its block gives by the formula, whichever lane it is drawn in, and all together follow
// the normal distribution.
#include "scorematch/lane_normals.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "check.hpp"

namespace scorematch {
namespace {

constexpr std::uint64_t seed = 0x0123456789abcdef;

// A normal of a block by the C library, in long double.
double by_formula(std::uint32_t stream, std::uint64_t block, bool second) {
    const RandomBlock words =
        philox(RandomBlock{{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream,
                            static_cast<std::uint32_t>(RandomUse::langevin)}},
               seed);
    const auto uniform = [&](int i) {
        const std::uint64_t word = words.word[i] | static_cast<std::uint64_t>(words.word[i + 1]) << 32;
        return (static_cast<long double>(word >> 12) + 0.5L) * 0x1p-52L;
    };
    const long double angle = 2 * std::acos(-1.0L) * uniform(2);
    return static_cast<double>(std::sqrt(-2 * std::log(uniform(0))) * (second ? std::sin(angle) : std::cos(angle)));
}

void test_values() {
    constexpr index lanes = 5 * pack_size<double>, first = 3, n_blocks = 40;
    constexpr std::uint64_t block = 0xffffffe0;  // goes over from word to word
    std::vector<double> z(static_cast<std::size_t>(2 * n_blocks * lanes));
    lane_normals(seed, RandomUse::langevin, first, block, n_blocks, lanes, {z.data(), lanes});
    for (index i = 0; i < 2 * n_blocks; ++i)
        for (index l = 0; l < lanes; ++l) {
            const double want = by_formula(static_cast<std::uint32_t>(first + l),
                                           block + static_cast<std::uint64_t>(i / 2), i % 2 == 1);
            CHECK(std::abs(z[static_cast<std::size_t>(i * lanes + l)] - want) <= 4e-16 * (1 + std::abs(want)));
        }
    // Another way of cutting streams and blocks gives the same bits.
    std::vector<double> one(static_cast<std::size_t>(2 * pack_size<double>));
    for (index i = 0; i < n_blocks; ++i) {
        lane_normals(seed, RandomUse::langevin, first + 7, block + static_cast<std::uint64_t>(i), 1, pack_size<double>,
                     {one.data(), pack_size<double>});
        CHECK(one[0] == z[static_cast<std::size_t>(2 * i * lanes + 7)]);
        CHECK(one[static_cast<std::size_t>(pack_size<double>)] == z[static_cast<std::size_t>((2 * i + 1) * lanes + 7)]);
    }
}

void test_extremes() {
    const double least = 0x1p-53, most = 1 - 0x1p-53;
    const TwoNormals far = normals_of({broadcast(least), broadcast(least)});
    const TwoNormals near = normals_of({broadcast(most), broadcast(0.375)});
    CHECK(std::abs(far.first[0] - std::sqrt(106 * std::log(2.0))) < 1e-14);
    CHECK(far.second[0] > 0 && far.second[0] < 1e-14);
    CHECK(std::abs(near.first[0] + std::sqrt(0x1p-53)) < 1e-23);
    CHECK(std::abs(near.second[0] - std::sqrt(0x1p-53)) < 1e-23);
}

void test_distribution() {
    constexpr index lanes = 1024, n_blocks = 512;
    std::vector<double> z(static_cast<std::size_t>(2 * n_blocks * lanes));
    lane_normals(seed, RandomUse::langevin, 0, 0, n_blocks, lanes, {z.data(), lanes});
    const double n = static_cast<double>(z.size());  // 2²⁰
    double sum[5] = {}, neighbours = 0, streams = 0, squares = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        double power = 1;
        for (double& s : sum) s += power, power *= z[i];
        const std::size_t pair = i / lanes % 2 == 0 ? i + lanes : i - lanes;  // of the same block
        neighbours += z[i] * z[pair] / 2;
        squares += (z[i] * z[i] - 1) * (z[pair] * z[pair] - 1) / 2;
        if ((i + 1) % lanes != 0) streams += z[i] * z[i + 1];
    }
    // Means of powers within 4.5 standard errors; so too products, of which there are half as many for pairs.
    const double root = std::sqrt(n);
    CHECK(std::abs(sum[1]) < 4.5 * root);
    CHECK(std::abs(sum[2] - n) < 4.5 * root * std::sqrt(2.0));
    CHECK(std::abs(sum[3]) < 4.5 * root * std::sqrt(15.0));
    CHECK(std::abs(sum[4] - 3 * n) < 4.5 * root * std::sqrt(96.0));
    CHECK(std::abs(neighbours) < 4.5 * root / std::sqrt(2.0));
    CHECK(std::abs(squares) < 4.5 * root * 2 / std::sqrt(2.0));
    CHECK(std::abs(streams) < 4.5 * root);

    // Kolmogorov's distance, whose √n-fold exceeds 1.95 once in a thousand times.
    std::sort(z.begin(), z.end());
    double distance = 0;
    for (std::size_t i = 0; i < z.size(); ++i) {
        const double expected = std::erfc(-z[i] / std::sqrt(2.0)) / 2;
        distance =
            std::max({distance, expected - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - expected});
    }
    CHECK(root * distance < 1.95);
    // Beyond 4: a Poisson number with the mean 66.4.
    const auto beyond = std::count_if(z.begin(), z.end(), [](double value) { return std::abs(value) > 4; });
    CHECK(beyond > 66 - 33 && beyond < 66 + 37);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_values();
    scorematch::test_extremes();
    scorematch::test_distribution();
    return check_result();
}
