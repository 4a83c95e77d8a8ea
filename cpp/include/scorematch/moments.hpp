// Moments of the data, from which quadratic objectives follow in closed form.
//
// They are taken about a point s that lies near the data: with y = x − s small, nothing cancels when a covariance is
// made of them, however far the data are from the origin.
#pragma once

#include "scorematch/engine.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/product.hpp"
#include "scorematch/triangle.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace moments_detail {

// y = x − s, in place.
template <class T>
inline void subtract(const double* shift, index n_features, index lanes, Rows<T> x) noexcept {
    for (index j = 0; j < n_features; ++j) {
        const Pack<T> s = broadcast(static_cast<T>(shift[j]));
        for (index l = 0; l < lanes; l += pack_size<T>) store<T>(x[j] + l, load(x[j] + l) - s);
    }
}

// The loop of engine.hpp for sums alone: body(x, tile, weight, all_ones, rest, sums) once a tile, whose samples are
// those of the rows x, to be changed at will; `all_ones` tells that no weight needs to be looked at.
template <class T, class Body>
void sum_over_tiles(const Samples<T>& samples, const double* sample_weight, index rows, index n_sums, double cost,
                    int n_threads, double* out, const Body& body) {
    const index d = samples.n_features, all_rows = d + 1 + rows;
    const Partition partition = Partition::of<T>(samples.n_samples, all_rows, n_sums);
    const int workers = threads_worth(cost * static_cast<double>(samples.n_samples), n_threads);
    Workspaces<T> workspaces(partition, all_rows, workers);
    Buffer<double> sums(n_sums * partition.n_chunks);
    auto run_chunk = [&](index chunk, int worker) noexcept {
        const Rows<T> x = workspaces.of(worker), weight = x.from(d), rest = weight.from(1);
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            const index first = partition.first_sample(t), count = partition.samples_in(t);
            load_tile(samples, first, count, partition.lanes, x, ahead_of(samples, first, count));
            load_weights(sample_weight, first, count, partition.lanes, weight[0]);
            const bool all_ones = sample_weight == nullptr && count == partition.lanes;
            const Tile<T> tile{x, d, partition.lanes, {}, first, count};
            body(x, tile, weight[0], all_ones, rest, sums.data() + chunk * n_sums);
        }
    };
    for_each_chunk(partition, workers, run_chunk);
    add_up_chunks(sums.data(), n_sums, partition.n_chunks);
    for (index i = 0; i < n_sums; ++i) out[i] = sums[i];
}

}  // namespace moments_detail

// Σ w y into `first`, Σ w y yᵀ into `second`: (d, d), or with `diagonal` its diagonal, (d,).
template <class T>
void moments(const Samples<T>& samples, const double* sample_weight, const double* shift, bool diagonal, double* first,
             double* second, int n_threads) {
    using namespace moments_detail;
    const index d = samples.n_features, n_second = diagonal ? d : d * d;
    Samples<T> shifted = samples;
    shifted.origin = shift;
    Buffer<double> sums(d + n_second);
    const double cost = 2.0 * static_cast<double>(n_second) + 4.0 * static_cast<double>(d);
    sum_over_tiles(
        shifted, sample_weight, d, sums.size(), cost, n_threads, sums.data(),
        [=](Rows<T> y, const Tile<T>& tile, const T* weight, bool all_ones, Rows<T> scratch, double* out) noexcept {
            const index lanes = tile.lanes;
            const Rows<T> weighted = all_ones ? y : scratch;
            for (index j = 0; j < d; ++j) {
                if (!all_ones) product_row<T>(weight, y[j], lanes, weighted[j]);
                out[j] += sum_row<T>(weighted[j], lanes);
                if (diagonal) out[d + j] += dot_rows<T>(weighted[j], y[j], lanes);
            }
            if (!diagonal) accumulate_symmetric<T>(weighted, y, d, lanes, out + d, d);
        });
    for (index i = 0; i < d; ++i) first[i] = sums[i];
    for (index i = 0; i < n_second; ++i) second[i] = sums[d + i];
    if (!diagonal) mirror(second, d);
}

// See WeightedMoments in backend.hpp.
template <class T>
void weighted_moments(const Samples<T>& samples, const double* sample_weight, const FieldSpec& field_spec,
                      const double* shift, bool diagonal, const WeightedMoments& out, int n_threads) {
    using namespace moments_detail;
    const Owner<Field<T>> field(make_field<T>(field_spec));
    const Field<T>& values = *field;
    const bool shared = values.curvature() == Curvature::trace;
    const index d = samples.n_features, n_h = shared ? 1 : d, n_second = diagonal ? d : n_h * d * d;
    const index n_sums = n_h + d + n_h * d + d * d + n_second;
    Buffer<double> sums(n_sums);
    const double cost = 2.0 * static_cast<double>(n_sums);
    const index field_rows = values.workspace_rows(d);
    sum_over_tiles(
        samples, sample_weight, field_rows + n_h + 2 * d, n_sums, cost, n_threads, sums.data(),
        [=, &values](Rows<T> x, const Tile<T>& tile, const T* weight, bool, Rows<T> rest, double* s) noexcept {
            const index lanes = tile.lanes;
            const FieldValues<T> at = values.at(tile, rest);
            const Rows<T> h = rest.from(field_rows), dh = h.from(n_h), scaled = dh.from(d);
            subtract(shift, d, lanes, x);
            for (index j = 0; j < n_h; ++j) {
                product_row<T>(weight, at.a[j], lanes, h[j]);
                s[j] += sum_row<T>(h[j], lanes);
            }
            for (index j = 0; j < d; ++j) {
                product_row<T>(weight, at.b[j], lanes, dh[j]);
                s[n_h + j] += sum_row<T>(dh[j], lanes);
            }
            double* const first = s + n_h + d;
            double* const cross = first + n_h * d;
            double* const second = cross + d * d;
            accumulate_outer<T>(h, n_h, x, d, lanes, first, d);
            accumulate_outer<T>(dh, d, x, d, lanes, cross, d);
            for (index j = 0; diagonal && j < d; ++j) {
                product_row<T>(h[shared ? 0 : j], x[j], lanes, scaled[0]);
                second[j] += dot_rows<T>(scaled[0], x[j], lanes);
            }
            for (index j = 0; !diagonal && j < n_h; ++j) {
                for (index i = 0; i < d; ++i) product_row<T>(h[j], x[i], lanes, scaled[i]);
                accumulate_symmetric<T>(scaled, x, d, lanes, second + j * d * d, d);
            }
        });
    const double* source = sums.data();
    const auto take = [&source](double* target, index size) noexcept {
        for (index i = 0; i < size; ++i) target[i] = source[i];
        source += size;
    };
    take(out.h, n_h);
    take(out.dh, d);
    take(out.first, n_h * d);
    take(out.cross, d * d);
    take(out.second, n_second);
    for (index j = 0; !diagonal && j < n_h; ++j) mirror(out.second + j * d * d, d);
}

SCOREMATCH_END_LEVEL
