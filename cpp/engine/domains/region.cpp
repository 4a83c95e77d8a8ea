// What all regions have in common: samples to tiles, threads, the cut to the non-negative orthant, results to rows.
#include <algorithm>
#include <cmath>
#include <vector>

#include "scorematch/domains.hpp"
#include "scorematch/parallel.hpp"

namespace scorematch {
namespace {

constexpr int lanes = Region::lanes;
// Tiles that a thread takes at once.
constexpr index tiles_a_task = 16;

// The rows from `first` on as a tile; where the samples end, the last row stands for what is missing.
template <class T>
void load(const Samples<T>& samples, index first, int n, double* x) noexcept {
    for (index j = 0; j < samples.n_features; ++j) {
        const T* const column = samples.data + j * samples.column_stride + first * samples.row_stride;
        for (int l = 0; l < n; ++l) x[j * lanes + l] = static_cast<double>(column[l * samples.row_stride]);
        for (int l = n; l < lanes; ++l) x[j * lanes + l] = x[j * lanes + n - 1];
    }
}

void store(const double* tile, index d, int n, double* rows) noexcept {
    for (int l = 0; l < n; ++l)
        for (index j = 0; j < d; ++j) rows[l * d + j] = tile[j * lanes + l];
}

// One tile's worth of work, for parallel_for.
template <class T, class Body>
struct Tiles {
    const Samples<T>& samples;
    index memory_a_worker;  // doubles: the points, then what the body needs
    double* memory;
    const Body& body;  // body(first row, number of rows, points, its memory)

    static void run(void* context, index task, int worker) noexcept {
        const Tiles& self = *static_cast<const Tiles*>(context);
        double* const x = self.memory + worker * self.memory_a_worker;
        double* const rest = x + self.samples.n_features * lanes;
        const index begin = task * tiles_a_task * lanes;
        const index end = std::min(begin + tiles_a_task * lanes, self.samples.n_samples);
        for (index first = begin; first < end; first += lanes) {
            const int n = static_cast<int>(std::min<index>(lanes, end - first));
            load(self.samples, first, n, x);
            self.body(first, n, x, rest);
        }
    }
};

template <class T, class Body>
void for_tiles(const Samples<T>& samples, index doubles, int n_threads, const Body& body) {
    const index memory_a_worker = samples.n_features * lanes + doubles;
    std::vector<double> memory(static_cast<std::size_t>(memory_a_worker * n_threads));
    Tiles<T, Body> tiles{samples, memory_a_worker, memory.data(), body};
    constexpr index rows_a_task = tiles_a_task * lanes;
    parallel_for((samples.n_samples + rows_a_task - 1) / rows_a_task, n_threads, Tiles<T, Body>::run, &tiles);
}

}  // namespace

void contains_tile(const Region& region, const double* x, index n_features, bool nonnegative, double* scratch,
                   bool* inside) noexcept {
    const double least = nonnegative ? 0.0 : -HUGE_VAL;
    region.contains(x, n_features, scratch, inside);
    for (index j = 0; j < n_features; ++j)
        for (int l = 0; l < lanes; ++l) {
            const double value = x[j * lanes + l];
            inside[l] = inside[l] & (value >= least) & (std::fabs(value) < HUGE_VAL);
        }
}

template <class T>
void contains(const Region& region, const Samples<T>& samples, bool nonnegative, bool* inside, int n_threads) {
    const index d = samples.n_features;
    const auto body = [&](index first, int n, const double* x, double* scratch) noexcept {
        bool result[lanes];
        contains_tile(region, x, d, nonnegative, scratch, result);
        std::copy(result, result + n, inside + first);
    };
    for_tiles(samples, region.scratch_size(d), n_threads, body);
}

template <class T>
void coordinate_distance(const Region& region, const Samples<T>& samples, bool nonnegative, double* phi, double* slope,
                         int n_threads) {
    const index d = samples.n_features, size = d * lanes;
    const auto body = [&](index first, int n, const double* x, double* memory) noexcept {
        double* const phi_tile = memory;
        double* const slope_tile = memory + size;
        region.coordinate_distance(x, d, memory + 2 * size, phi_tile, slope_tile);
        if (nonnegative)
            for (index k = 0; k < size; ++k) {
                const bool nearer = x[k] <= phi_tile[k];
                phi_tile[k] = nearer ? x[k] : phi_tile[k];
                slope_tile[k] = nearer ? 1.0 : slope_tile[k];
            }
        store(phi_tile, d, n, phi + first * d);
        store(slope_tile, d, n, slope + first * d);
    };
    for_tiles(samples, 2 * size + region.scratch_size(d), n_threads, body);
}

template <class T>
void distance(const Region& region, const Samples<T>& samples, bool nonnegative, double* g, double* gradient,
              int n_threads) {
    const index d = samples.n_features, size = d * lanes;
    const auto body = [&](index first, int n, const double* x, double* memory) noexcept {
        double distances[lanes];
        region.distance(x, d, memory + size, distances, memory);
        if (nonnegative)
            for (int l = 0; l < lanes; ++l)
                for (index j = 0; j < d; ++j) {
                    if (!(x[j * lanes + l] < distances[l])) continue;
                    distances[l] = x[j * lanes + l];
                    for (index i = 0; i < d; ++i) memory[i * lanes + l] = i == j ? 1.0 : 0.0;
                }
        std::copy(distances, distances + n, g + first);
        store(memory, d, n, gradient + first * d);
    };
    for_tiles(samples, size + region.scratch_size(d), n_threads, body);
}

template void contains(const Region&, const Samples<float>&, bool, bool*, int);
template void contains(const Region&, const Samples<double>&, bool, bool*, int);
template void coordinate_distance(const Region&, const Samples<float>&, bool, double*, double*, int);
template void coordinate_distance(const Region&, const Samples<double>&, bool, double*, double*, int);
template void distance(const Region&, const Samples<float>&, bool, double*, double*, int);
template void distance(const Region&, const Samples<double>&, bool, double*, double*, int);

}  // namespace scorematch
