// Block Gibbs sampling of the Gaussian-Bernoulli RBM: all hidden units given the visible ones, then these given those,
//
//     P(h_k = 1 | x) = 1/(1 + e^−u_k),   u = c + Wx/σ²,          x | h ~ N(b + Wᵀh, σ²I).
//
// The lanes of a tile are chains, so that a sweep is two products with packed matrices; all iterations of a tile are
// done while it is in the cache. Neither the products nor the random numbers of a lane depend on its neighbours:
// results do not depend on how chains are cut into tiles, and so on no thread.
//
// As the family does, the sampler sees x from b. With y = x − b and u = (c + Wb/σ²) + Wy/σ², chains far from the origin
// lose no digits on the way.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/lane_normals.hpp"
#include "scorematch/lane_random.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/parallel.hpp"
#include "scorematch/product.hpp"
#include "scorematch/samplers/rbm_gibbs_problem.hpp"
#include "scorematch/transpose.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace rbm_gibbs_detail {

// 1 with probability 1/(1 + e^v), else 0. Of a word w of 32 bits, (w + ½)/2³² < 1/(1 + e^v), without the division: the
// probability is right to 2⁻³³, the most that as many bits can hold. What stands in the upper half of a word is left
// out.
[[gnu::always_inline]] inline Pack<double> unit_is_on(LaneWords word, Pack<double> v) {
    constexpr std::uint64_t bits_of_two_52 = 0x4330000000000000;
    const Pack<double> w = from_bits<double>((word & 0xffffffff) | bits_of_two_52) - (0x1p52 - 0.5);
    return (w + w * exp<double>(v)) < 0x1p32 ? broadcast<double>(1) : Pack<double>{};
}

class Sampler {
  public:
    explicit Sampler(const RbmGibbsProblem& problem)
        : d_(problem.n_features), m_(problem.n_hidden), sigma_(__builtin_sqrt(problem.noise_variance)), offsets_(m_),
          centre_(d_), back_(problem.components, d_, m_, 1, d_) {
        Buffer<double> filters(m_ * d_);
        for (index k = 0; k < m_; ++k) {
            double offset = problem.intercept_hidden[k];
            for (index j = 0; j < d_; ++j) {
                const double filter = problem.components[k * d_ + j] / problem.noise_variance;
                offset += filter * problem.intercept_visible[j];
                filters[k * d_ + j] = -filter;
            }
            offsets_[k] = -offset;
        }
        for (index j = 0; j < d_; ++j) centre_[j] = problem.intercept_visible[j];
        filters_ = PackedMatrix<double>(filters.data(), m_, d_, d_, 1);
    }

    index workspace_rows() const noexcept { return 2 * d_ + m_; }

    // Floating-point operations of an iteration of a chain, roughly.
    double cost() const noexcept { return static_cast<double>(4 * m_ * d_ + 40 * m_ + 60 * d_); }

    // All iterations of `count` chains from number `first` on; lanes behind them run along, for nobody.
    void run(const RbmGibbsChains& chains, index first, index count, index lanes, Rows<double> y) const noexcept {
        const Rows<double> hidden = y.from(d_), x = hidden.from(m_);
        load_tile(Samples<double>{chains.points, chains.n_chains, d_, d_, 1, centre_.data()}, first, count, lanes, y);
        const index n_draws = chains.n_iterations / chains.thin;
        index until_draw = chains.thin, draw = 0;
        for (index i = 0; i < chains.n_iterations; ++i) {
            const std::uint64_t block = (chains.iteration + static_cast<std::uint64_t>(i)) * blocks_of_an_iteration();
            draw_hidden(chains.seed, first, block, y, lanes, hidden);
            const bool is_drawn = --until_draw == 0, is_last = i + 1 == chains.n_iterations;
            draw_visible(chains.seed, first, block, hidden, lanes, y, is_drawn || is_last ? x : Rows<double>{});
            if (is_drawn) {
                until_draw = chains.thin;
                store_samples<double>(x, d_, count, chains.draws + (first * n_draws + draw++) * d_, n_draws * d_);
            }
            if (is_last) store_samples<double>(x, d_, count, chains.points + first * d_, d_);
        }
    }

  private:
    // Of random words: one gives the words of four hidden units, or the normals of two visible ones.
    static constexpr index units_of_a_block = 4;
    index hidden_blocks() const noexcept { return (m_ + units_of_a_block - 1) / units_of_a_block; }
    std::uint64_t blocks_of_an_iteration() const noexcept {
        return static_cast<std::uint64_t>(hidden_blocks() + (d_ + 1) / 2);
    }

    void draw_hidden(std::uint64_t seed, index first, std::uint64_t block, Rows<const double> y, index lanes,
                     Rows<double> hidden) const noexcept {
        multiply(filters_, y, lanes, hidden, offsets_.data());
        for (index k = 0; k < m_; k += units_of_a_block, ++block)
            for (index l = 0; l < lanes; l += pack_size<double>) {
                const LaneBlock words =
                    philox(LaneBlock{{LaneWords{} + block, LaneWords{} + (block >> 32), streams_from(first + l),
                                      LaneWords{} + static_cast<std::uint64_t>(RandomUse::rbm_gibbs)}},
                           seed);
                SCOREMATCH_UNROLL
                for (index i = 0; i < units_of_a_block; ++i) {
                    if (k + i == m_) break;
                    double* const place = hidden[k + i] + l;
                    store<double>(place, unit_is_on(words.word[i], load(place)));
                }
            }
    }

    // y, and x itself where it is wanted. y is that of the rounded x, so that a chain can go on from what is stored.
    void draw_visible(std::uint64_t seed, index first, std::uint64_t block, Rows<const double> hidden, index lanes,
                      Rows<double> y, Rows<double> x) const noexcept {
        multiply(back_, hidden, lanes, y);
        block += static_cast<std::uint64_t>(hidden_blocks());
        for (index j = 0; j < d_; j += 2, ++block)
            for (index l = 0; l < lanes; l += pack_size<double>) {
                const TwoNormals z =
                    normals_of(lane_uniforms(seed, RandomUse::rbm_gibbs, streams_from(first + l), block));
                move(z.first, j, l, y, x);
                if (j + 1 < d_) move(z.second, j + 1, l, y, x);
            }
    }

    [[gnu::always_inline]] void move(Pack<double> z, index j, index l, Rows<double> y, Rows<double> x) const noexcept {
        double* const place = y[j] + l;
        const Pack<double> visible = multiply_add<double>(broadcast(sigma_), z, load(place)) + centre_[j];
        if (x) store<double>(x[j] + l, visible);
        store<double>(place, visible - centre_[j]);
    }

    index d_, m_;
    double sigma_;
    Buffer<double> offsets_;        // −(c + Wb/σ²)
    Buffer<double> centre_;         // b
    PackedMatrix<double> back_;     // Wᵀ
    PackedMatrix<double> filters_;  // −W/σ²
};

}  // namespace rbm_gibbs_detail

// All iterations of every chain.
inline void rbm_gibbs(const RbmGibbsProblem& problem, const RbmGibbsChains& chains, int n_threads) {
    const rbm_gibbs_detail::Sampler sampler(problem);
    const index n = chains.n_chains, rows = sampler.workspace_rows();
    n_threads =
        threads_worth(sampler.cost() * static_cast<double>(n) * static_cast<double>(chains.n_iterations), n_threads);
    // Tiles for every thread, as far as chains suffice.
    const Partition partition = Partition::of<double>((n + n_threads - 1) / n_threads, rows, 0);
    const index lanes = partition.lanes, n_tiles = (n + lanes - 1) / lanes;
    Workspaces<double> workspaces(partition, rows, n_threads);
    auto run = [&](index tile, int worker) noexcept {
        const index first = tile * lanes;
        sampler.run(chains, first, n - first < lanes ? n - first : lanes, lanes, workspaces.of(worker));
    };
    for_each_task(n_tiles, n_threads, run);
}

SCOREMATCH_END_LEVEL
