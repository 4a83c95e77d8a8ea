// Sums of u(x_i, x_j) over all pairs of points (stein/pairs.hpp), and of their wild bootstrap
// (stein/wild_bootstrap.hpp).
//
// Points are cut into tiles, and of the pairs of tiles only those on or above the diagonal are visited. Within one, a
// strip of u, all points of one tile against a pack of the other's, is worked out, and what the bootstrap makes of it
// while it is in the first-level cache; no array of n × n numbers is ever there. Pairs of tiles are grouped in chunks
// by n and the number of draws alone, and chunks are added in order: results do not depend on threads.
#pragma once

#include "scorematch/backend.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/owner.hpp"
#include "scorematch/parallel.hpp"
#include "scorematch/stein/pairs.hpp"
#include "scorematch/stein/tiles.hpp"
#include "scorematch/stein/wild_bootstrap.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace stein {

// What a thread works with.
template <class T>
struct Workspace {
    Buffer<T> left, right;
    Buffer<float> strip;
    SignedSums signed_sums;

    void make_room(const Tiles& tiles, index rows, index n_draws) {
        left.make_room(rows * tiles.stride());
        right.make_room(rows * tiles.stride());
        strip.make_room(tiles.lanes() * SignedSums::strip);
        if (n_draws > 0) signed_sums.make_room(n_draws);
    }
};

template <class T, class Pair, class Kernel>
class PairSums {
  public:
    PairSums(const SteinProblem<T>& problem, const Tiles& tiles)
        : problem_(problem), tiles_(tiles), d_(problem.points.n_features), centre_(d_),
          space_{static_cast<T>(d_), static_cast<T>(problem.bandwidth * problem.bandwidth)} {
        if (Pair::sees_differences) move_to_centre();
        if (tiles.count() * size_of_tile() > most_prepared) return;
        prepared_ = Buffer<T>(tiles.count() * size_of_tile());
        for (index tile = 0; tile < tiles.count(); ++tile) prepare(tile, prepared_.data() + tile * size_of_tile());
    }

    index rows() const noexcept { return Pair::operands * d_; }

    // u(x_i, x_i): the sum, and the largest.
    void diagonal(Buffer<T>& tile_room, double& sum, double& largest) const noexcept {
        sum = largest = 0;
        for (index tile = 0; tile < tiles_.count(); ++tile) {
            const Rows<const T> rows = load(tile, tile_room);
            for (index l = 0; l < tiles_.lanes(); l += pack_size<T>) {
                Pair pair;
                for (index j = 0; j < d_; ++j) {
                    Pack<T> x[Pair::operands];
                    for (int o = 0; o < Pair::operands; ++o) x[o] = scorematch::load(rows[o * d_ + j] + l);
                    pair.add(x, x);
                }
                T u[pack_size<T>];
                store<T>(u, pair.template u<Kernel>(space_));
                for (index k = 0; k < pack_size<T> && l + k < tiles_.size(tile); ++k) {
                    const double value = static_cast<double>(u[k]);
                    sum += value;
                    largest = value > largest ? value : largest;
                }
            }
        }
    }

    // Σ u of a pair of tiles, i < j. Where there are `signs`, of u times `factor` the draws too.
    double tile_pair(Rows<const T> left, index left_tile, Rows<const T> right, index right_tile,
                     Workspace<T>& workspace, const Signs* signs, T factor) const noexcept {
        const bool same = left_tile == right_tile;
        const index n_left = tiles_.size(left_tile), n_right = tiles_.size(right_tile);
        double total = 0;
        for (index lane = 0; lane < n_right; lane += SignedSums::strip) {
            const index end = lane + SignedSums::strip;
            // In a tile with itself, points behind the strip have no partner in it.
            const index n_rows = same && end < n_left ? end : n_left;
            const bool cut = end > n_right;
            index i = 0;
            for (; i + block_rows <= n_rows; i += block_rows)
                total += block<block_rows>(left, i, right, lane, same, cut, n_right, signs, factor, workspace);
            for (; i < n_rows; ++i)
                total += block<1>(left, i, right, lane, same, cut, n_right, signs, factor, workspace);
            if (signs == nullptr) continue;
            const index n_words = (n_rows + signs_in_word - 1) / signs_in_word;
            float* const rest = workspace.strip.data() + n_rows * SignedSums::strip;
            for (index k = 0; k < (n_words * signs_in_word - n_rows) * SignedSums::strip; ++k) rest[k] = 0;
            workspace.signed_sums.add(*signs, left_tile, n_words, right_tile, lane, workspace.strip.data());
        }
        return total;
    }

    // Points, scores and multipliers of a tile; in `room` unless all tiles are prepared.
    Rows<const T> load(index tile, Buffer<T>& room) const noexcept {
        if (prepared_.size() > 0) return {prepared_.data() + tile * size_of_tile(), tiles_.stride()};
        prepare(tile, room.data());
        return {room.data(), tiles_.stride()};
    }

  private:
    static constexpr int block_rows = n_registers >= 32 ? 4 : 2;
    // Packs of a strip; two double ones to a single one.
    static constexpr int packs = static_cast<int>(SignedSums::strip / pack_size<T>);
    // How many of them share what is loaded of a row, as far as registers hold their sums.
    static constexpr int packs_at_once = n_registers >= 32 && Pair::operands == 2 ? packs : 1;

    // A tile is looked at as often as there are others: where they are few enough, all are prepared once.
    static constexpr index most_prepared = 32 * 1024 * 1024 / static_cast<index>(sizeof(T));

    index size_of_tile() const noexcept { return rows() * tiles_.stride(); }

    void move_to_centre() noexcept {
        const Samples<T>& points = problem_.points;
        for (index j = 0; j < d_; ++j) {
            const T* const column = points.data + j * points.column_stride;
            double sum = 0;
            for (index i = 0; i < points.n_samples; ++i) sum += static_cast<double>(column[i * points.row_stride]);
            centre_[j] = sum / static_cast<double>(points.n_samples);
        }
        problem_.points.origin = centre_.data();
    }

    // In units of the bandwidth. Points about their centre, so that the change of units costs no digits; and the change
    // in double, where rounding to float32 in it would be the same error in every pair, and not cancel.
    void prepare(index tile, T* out) const noexcept {
        const Rows<T> rows{out, tiles_.stride()};
        load_part(problem_.points, tile, 1 / problem_.bandwidth, rows);
        load_part(problem_.score, tile, problem_.bandwidth, rows.from(d_));
        if constexpr (Pair::operands > 2) load_part(problem_.multiplier, tile, 1.0, rows.from(2 * d_));
    }

    void load_part(const Samples<T>& samples, index tile, double factor, Rows<T> rows) const noexcept {
        load_tile(samples, tiles_.first(tile), tiles_.size(tile), tiles_.lanes(), rows);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tiles_.lanes(); ++l)
                rows[j][l] = static_cast<T>(static_cast<double>(rows[j][l]) * factor);
    }

    template <int R>
    double block(Rows<const T> left, index i, Rows<const T> right, index lane, bool same, bool cut, index n_right,
                 const Signs* signs, T factor, Workspace<T>& workspace) const noexcept {
        Counted counted[R];
        for (int k = 0; k < R; ++k) counted[k] = {same ? i + k : -1, n_right};
        const bool all_count = !cut && (!same || i + R <= lane);
        float* const out = signs == nullptr ? nullptr : workspace.strip.data() + i * SignedSums::strip;
        Pack<T> sum{};
        SCOREMATCH_UNROLL
        for (int n = 0; n < packs; n += packs_at_once)
            pair_block<Pair, Kernel, R, packs_at_once, T>(
                space_, left, i, right, lane + n * pack_size<T>, d_, all_count, counted, sum, factor,
                out == nullptr ? nullptr : out + n * pack_size<T>, SignedSums::strip);
        return static_cast<double>(sum_lanes<T>(sum));
    }

    SteinProblem<T> problem_;
    const Tiles& tiles_;
    index d_;
    Buffer<double> centre_;
    Space<T> space_;
    Buffer<T> prepared_;
};

template <class T, class Pair, class Kernel>
SteinSums sums(const SteinProblem<T>& problem, const WildBootstrap& bootstrap, int n_threads) {
    const index n = problem.points.n_samples, n_draws = bootstrap.n_draws;
    const Tiles tiles(n);
    const PairSums<T, Pair, Kernel> pairs(problem, tiles);

    const double work = static_cast<double>(n) * static_cast<double>(n) *
                        (5.0 * static_cast<double>(pairs.rows()) + static_cast<double>(n_draws) / 8);
    n_threads = threads_worth(work, n_threads);
    OwnerOfMany<Workspace<T>> workspaces(n_threads);
    for (int i = 0; i < n_threads; ++i) workspaces[i].make_room(tiles, pairs.rows(), n_draws);

    SteinSums result;
    double largest;
    pairs.diagonal(workspaces[0].left, result.diagonal, largest);
    // |u_ij| is at most √(u_ii u_jj): scaled by the largest, nothing leaves the range of float32.
    const double scale = largest > 0 ? largest : 1;
    const Signs signs(tiles, n_draws, bootstrap.seed);

    // Enough chunks to keep many threads busy, as long as their sums stay near a cache.
    const index n_pairs = tiles.count() * (tiles.count() + 1) / 2, n_sums = 1 + n_draws;
    index n_chunks = 4 * 1024 * 1024 / (8 * n_sums);
    n_chunks = n_chunks > 256 ? 256 : n_chunks < 16 ? 16 : n_chunks;
    n_chunks = n_chunks > n_pairs ? n_pairs : n_chunks;
    Buffer<double> chunk_sums(n_chunks * n_sums);

    auto run = [&](index chunk, int worker) noexcept {
        Workspace<T>& workspace = workspaces[worker];
        double* const own = chunk_sums.data() + chunk * n_sums;
        const index first = chunk * n_pairs / n_chunks, last = (chunk + 1) * n_pairs / n_chunks;
        index left_tile = 0, right_tile = first;
        while (right_tile >= tiles.count()) right_tile -= tiles.count() - ++left_tile;
        Rows<const T> left = pairs.load(left_tile, workspace.left);
        for (index pair = first; pair < last; ++pair) {
            const Rows<const T> right = pairs.load(right_tile, workspace.right);
            if (n_draws > 0) workspace.signed_sums.start(n_draws);
            own[0] += pairs.tile_pair(left, left_tile, right, right_tile, workspace, n_draws > 0 ? &signs : nullptr,
                                      static_cast<T>(1 / scale));
            if (n_draws > 0) workspace.signed_sums.add_to(own + 1, n_draws);
            if (++right_tile < tiles.count() || pair + 1 == last) continue;
            right_tile = ++left_tile;
            left = pairs.load(left_tile, workspace.left);
        }
    };
    using Body = decltype(run);
    parallel_for(
        n_chunks, n_threads,
        [](void* context, index chunk, int worker) { (*static_cast<Body*>(context))(chunk, worker); }, &run);

    // What was in units of the bandwidth.
    const double unit = 1 / (problem.bandwidth * problem.bandwidth);
    for (index draw = 0; draw < n_draws; ++draw) bootstrap.draws[draw] = 0;
    for (index chunk = 0; chunk < n_chunks; ++chunk) {
        const double* const own = chunk_sums.data() + chunk * n_sums;
        result.off_diagonal += own[0];
        for (index draw = 0; draw < n_draws; ++draw) bootstrap.draws[draw] += own[1 + draw];
    }
    for (index draw = 0; draw < n_draws; ++draw) bootstrap.draws[draw] *= scale * unit;
    result.diagonal *= unit;
    result.off_diagonal *= unit;
    return result;
}

template <class T, class Pair>
SteinSums sums_of_kernel(const SteinProblem<T>& problem, const WildBootstrap& bootstrap, int n_threads) {
    if (problem.kernel == SteinKernel::imq) return sums<T, Pair, InverseMultiquadric>(problem, bootstrap, n_threads);
    return sums<T, Pair, GaussianKernel>(problem, bootstrap, n_threads);
}

}  // namespace stein

template <class T>
inline SteinSums kernel_stein(const SteinProblem<T>& problem, const WildBootstrap& bootstrap, int n_threads) {
    if (problem.on_sphere) return stein::sums_of_kernel<T, stein::SpherePair<T>>(problem, bootstrap, n_threads);
    if (problem.multiplier.data == nullptr)
        return stein::sums_of_kernel<T, stein::EuclideanPair<T>>(problem, bootstrap, n_threads);
    return stein::sums_of_kernel<T, stein::DiagonalPair<T>>(problem, bootstrap, n_threads);
}

SCOREMATCH_END_LEVEL
