// Block Gibbs sampling of the RBM against the formula for one chain, with the same random numbers, at numbers of chains
// and units next to the sizes of packs and blocks.
#include "scorematch/samplers/rbm_gibbs_problem.hpp"

#include <cmath>
#include <vector>

#include "check.hpp"
#include "scorematch/philox.hpp"
#include "scorematch/transpose.hpp"
#include "this_level.hpp"

namespace scorematch {
namespace {

std::size_t at(index i) { return static_cast<std::size_t>(i); }

struct Machine {
    Machine(index d_, index m_)
        : d(d_), m(m_), components(numbers<double>(m * d, 1)), hidden(numbers<double>(m, 2)),
          visible(numbers<double>(d, 3)) {}
    RbmGibbsProblem problem() const { return {d, m, components.data(), hidden.data(), visible.data(), noise_variance}; }
    index d, m;
    std::vector<double> components, hidden, visible;
    double noise_variance = 0.3;
};

RandomBlock block_of(std::uint64_t seed, index chain, std::uint64_t block) {
    const RandomBlock counter{{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                               static_cast<std::uint32_t>(chain), static_cast<std::uint32_t>(RandomUse::rbm_gibbs)}};
    return philox(counter, seed);
}

double uniform(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t word = low | static_cast<std::uint64_t>(high) << 32;
    return (static_cast<double>(word >> 12) + 0.5) * 0x1p-52;
}

// One iteration of one chain.
void step(const Machine& machine, std::uint64_t seed, index chain, std::uint64_t iteration, double* x) {
    const index d = machine.d, m = machine.m;
    std::uint64_t block = iteration * static_cast<std::uint64_t>((m + 3) / 4 + (d + 1) / 2);
    std::vector<double> mean = machine.visible;
    for (index k = 0; k < m; ++k) {
        double u = machine.hidden[at(k)];
        for (index j = 0; j < d; ++j) u += machine.components[at(k * d + j)] / machine.noise_variance * x[j];
        const RandomBlock words = block_of(seed, chain, block + static_cast<std::uint64_t>(k / 4));
        const double drawn = (static_cast<double>(words.word[k % 4]) + 0.5) * 0x1p-32;
        if (drawn < 1 / (1 + std::exp(-u)))
            for (index j = 0; j < d; ++j) mean[at(j)] += machine.components[at(k * d + j)];
    }
    block += static_cast<std::uint64_t>((m + 3) / 4);
    for (index j = 0; j < d; ++j) {
        const RandomBlock words = block_of(seed, chain, block + static_cast<std::uint64_t>(j / 2));
        const double radius = std::sqrt(-2 * std::log(uniform(words.word[0], words.word[1])));
        const double angle = 2 * 3.14159265358979323846 * uniform(words.word[2], words.word[3]);
        const double z = radius * (j % 2 == 0 ? std::cos(angle) : std::sin(angle));
        x[j] = mean[at(j)] + std::sqrt(machine.noise_variance) * z;
    }
}

void test_chains(index d, index m, index n) {
    const Machine machine(d, m);
    const index n_iterations = 7, thin = 2, n_draws = n_iterations / thin;
    const std::uint64_t seed = 0x0123456789abcdef, iteration = 0x7fffffff;
    const std::vector<double> begin = numbers<double>(n * d, 4);
    std::vector<double> want = begin, want_draws(at(n * n_draws * d));
    for (index chain = 0; chain < n; ++chain)
        for (index i = 0; i < n_iterations; ++i) {
            double* const x = want.data() + chain * d;
            step(machine, seed, chain, iteration + static_cast<std::uint64_t>(i), x);
            for (index j = 0; i % thin == thin - 1 && j < d; ++j)
                want_draws[at((chain * n_draws + i / thin) * d + j)] = x[j];
        }
    for (int n_threads : {1, 3}) {
        std::vector<double> points = begin, draws(at(n * n_draws * d));
        this_level()->rbm_gibbs(machine.problem(),
                                {n, points.data(), seed, iteration, n_iterations, thin, draws.data()}, n_threads);
        bool right = true;
        for (index i = 0; i < n * d; ++i) right = right && std::abs(points[at(i)] - want[at(i)]) < 1e-12;
        for (index i = 0; i < n * n_draws * d; ++i) right = right && std::abs(draws[at(i)] - want_draws[at(i)]) < 1e-12;
        CHECK(right);
    }
}

// Samples turned to lanes and back are the same, and nothing is written beside them.
template <class T>
void test_there_and_back(index d, index n) {
    const index stride = d + 3;
    const std::vector<T> samples = numbers<T>(n * d, 5);
    std::vector<T> tile(at(d * (n + 5)), T(7)), back(at(n * stride), T(9));
    const Rows<T> rows{tile.data(), n + 5};
    transpose_samples(Samples<T>{samples.data(), n, d, d, 1, nullptr}, 0, n, rows);
    store_samples<T>(rows, d, n, back.data(), stride);
    bool right = true;
    for (index i = 0; i < n; ++i)
        for (index j = 0; j < stride; ++j)
            right = right && back[at(i * stride + j)] == (j < d ? samples[at(i * d + j)] : T(9));
    CHECK(right);
}

void test_all() {
    for (index n : {1, 7, 8, 9, 64, 257, 600}) test_chains(3, 5, n);
    for (index d : {1, 2, 7, 17}) test_chains(d, 10 - d % 4, 9);
    for (index d : {1, 2, 3, 8, 19, 33})
        for (index n : {1, 2, 8, 31}) {
            test_there_and_back<float>(d, n);
            test_there_and_back<double>(d, n);
        }
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_all();
    return check_result();
}
