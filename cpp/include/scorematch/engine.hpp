// The engine: the loop over tiles.
//
// A tile of samples is turned to lanes, the family goes forward, the field makes ρ and its cotangents of it, the
// family goes backward, all while the tile is in the cache; nothing of size n × anything is ever kept.
//
// Sums do not depend on the number of threads. Tiles are grouped in chunks, by n and the tile size alone; a chunk is
// summed by one thread, tile after tile, in double, and the chunks are added up in order.
#pragma once

#include "scorematch/backend.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/family.hpp"
#include "scorematch/field.hpp"
#include "scorematch/level.hpp"
#include "scorematch/objectives/make.hpp"
#include "scorematch/owner.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/parallel.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/transpose.hpp"

SCOREMATCH_BEGIN_LEVEL

// Below this much work (in floating-point operations) a second thread costs more than it brings.
inline constexpr double serial_work = 4e6;

inline int threads_worth(double work, int n_threads) noexcept { return work < serial_work ? 1 : n_threads; }

// How n samples are cut up. Depends on n, the rows that a tile needs and the size of a sum, never on threads.
struct Partition {
    index n_samples;
    index lanes;   // a tile
    index stride;  // between the rows of a tile
    index n_tiles;
    index n_chunks;

    template <class T>
    static Partition of(index n_samples, index rows_of_a_tile, index n_sums) noexcept {
        // A tile with all its rows is to stay in the L2 cache; long rows pay for the loops around them.
        const index cache = 512 * 1024, longest = 256, shortest = 64 > 2 * pack_size<T> ? 64 : 2 * pack_size<T>;
        index lanes = cache / (static_cast<index>(sizeof(T)) * (rows_of_a_tile > 0 ? rows_of_a_tile : 1));
        lanes = lanes / shortest * shortest;
        lanes = lanes > longest ? longest : lanes < shortest ? shortest : lanes;
        // All lanes of a tile are computed, so that a last tile of a few samples would cost as much as any other: tiles
        // are as equal as whole packs allow.
        const index most_tiles = n_samples > lanes ? (n_samples + lanes - 1) / lanes : 1;
        const index packs = ((n_samples + most_tiles - 1) / most_tiles + pack_size<T> - 1) / pack_size<T>;
        lanes = (packs > 0 ? packs : 1) * pack_size<T>;
        const index n_tiles = (n_samples + lanes - 1) / lanes;

        // Enough chunks to keep many threads busy, as long as their sums stay in a cache or near one.
        const index memory = 4 * 1024 * 1024, most = 128, least = 8;
        index n_chunks = memory / (8 * (n_sums + 1));
        n_chunks = n_chunks > most ? most : n_chunks < least ? least : n_chunks;
        if (n_tiles < n_chunks) n_chunks = n_tiles;
        const index cache_line = 64 / static_cast<index>(sizeof(T));
        return {n_samples, lanes, lanes + cache_line, n_tiles, n_chunks};
    }

    index first_tile(index chunk) const noexcept { return chunk * n_tiles / n_chunks; }
    index first_sample(index tile) const noexcept { return tile * lanes; }
    index samples_in(index tile) const noexcept {
        const index left = n_samples - tile * lanes;
        return left < lanes ? left : lanes;
    }
};

// Turns samples to lanes, about their origin; lanes behind the last sample repeat it.
template <class T>
inline void load_tile(const Samples<T>& samples, index first, index count, index lanes, Rows<T> rows,
                      Ahead<T> ahead = {}) noexcept {
    transpose_samples(samples, first, count, rows, ahead);
    for (index j = 0; count < lanes && j < samples.n_features; ++j)
        for (index l = count; l < lanes; ++l) rows[j][l] = rows[j][count - 1];
}

// Loads tiles about the centre that the density asks for, and once more as they are for a field to look at: a weight is
// a function of x itself. Where there is no field, or no centre, the two are one.
template <class T>
class TileLoader {
  public:
    TileLoader(const Samples<T>& samples, const Density<T>& density, bool has_field)
        : samples_(samples), centred_(samples), asks_ahead_(density.asks_ahead()) {
        const double* const centre = density.centre();
        if (centre == nullptr) return;
        separate_ = has_field;
        origin_ = Buffer<double>(samples.n_features);
        for (index j = 0; j < samples.n_features; ++j)
            origin_[j] = centre[j] + (samples.origin == nullptr ? 0 : samples.origin[j]);
        centred_.origin = origin_.data();
    }

    index rows() const noexcept { return separate_ ? 2 * samples_.n_features : samples_.n_features; }

    struct Views {
        Tile<T> tile;    // what the density sees
        Tile<T> points;  // what the field does
    };
    Views operator()(index first, index count, index lanes, Rows<T> rows) const noexcept {
        const Rows<T> points = separate_ ? rows.from(samples_.n_features) : rows;
        const Ahead<T> ahead = ahead_of(samples_, first, count);
        load_tile(centred_, first, count, lanes, rows, asks_ahead_ ? Ahead<T>{} : ahead);
        if (separate_) load_tile(samples_, first, count, lanes, points);
        const index d = samples_.n_features;
        return {{rows, d, lanes, ahead, first, count}, {points, d, lanes, {}, first, count}};
    }

  private:
    Samples<T> samples_, centred_;
    Buffer<double> origin_;
    bool separate_ = false, asks_ahead_;
};

// Weights of a tile's samples; zero in the lanes that only repeat.
template <class T>
inline void load_weights(const double* sample_weight, index first, index count, index lanes, T* out) noexcept {
    for (index l = 0; l < count; ++l)
        out[l] = sample_weight == nullptr ? T(1) : static_cast<T>(sample_weight[first + l]);
    for (index l = count; l < lanes; ++l) out[l] = 0;
}

// Σ weight·ρ over a tile's samples, from the two terms.
template <class T>
inline double weighted_total(const T* weight, const T* norm_term, const T* hessian_term, index count) noexcept {
    double total = 0;
    for (index l = 0; l < count; ++l)
        total +=
            static_cast<double>(weight[l]) * (static_cast<double>(norm_term[l]) + static_cast<double>(hessian_term[l]));
    return total;
}

// Memory for all workers: each has `rows` rows of its own.
template <class T>
class Workspaces {
  public:
    Workspaces() noexcept = default;
    Workspaces(const Partition& partition, index rows, int n_workers) { fit(partition, rows, n_workers); }

    // Of the memory of an earlier call, where that is enough.
    void fit(const Partition& partition, index rows, int n_workers) {
        rows_ = rows;
        stride_ = partition.stride;
        memory_.make_room(rows * stride_ * n_workers);
    }
    Rows<T> of(int worker) noexcept { return {memory_.data() + worker * rows_ * stride_, stride_}; }

  private:
    index rows_ = 0, stride_ = 0;
    Buffer<T> memory_;
};

// Runs body(task, worker) for every task. `Body` is a lambda of the caller; it must not throw.
template <class Body>
inline void for_each_task(index n_tasks, int n_threads, Body& body) noexcept {
    parallel_for(
        n_tasks, n_threads, [](void* context, index task, int worker) { (*static_cast<Body*>(context))(task, worker); },
        &body);
}

// The same for every chunk.
template <class Body>
inline void for_each_chunk(const Partition& partition, int n_threads, Body& body) noexcept {
    for_each_task(partition.n_chunks, n_threads, body);
}

// Sums of n_sums numbers over all chunks, in order, into the first chunk's.
inline void add_up_chunks(double* sums, index n_sums, index n_chunks) noexcept {
    for (index chunk = 1; chunk < n_chunks; ++chunk)
        for (index i = 0; i < n_sums; ++i) sums[i] += sums[chunk * n_sums + i];
}

// Memory that one call leaves to the next.
template <class T>
struct Scratch {
    Workspaces<T> workspaces;
    Buffer<double> sums;
};

// Σ wᵢρᵢ / total_weight and its gradient.
template <class T>
double loss_and_gradient(const Density<T>& density, const Field<T>* field, const ObjectiveSpec& objective_spec,
                         const Samples<T>& samples, const double* sample_weight, double total_weight, double* gradient,
                         int n_threads, Scratch<T>& scratch) {
    const Owner<Objective<T>> owner(make_objective(objective_spec, density, field, samples.n_features));
    const Objective<T>& objective = *owner;

    const TileLoader<T> loader(samples, density, field != nullptr);

    // What a worker needs: x, the weights, the two terms, and the objective's own. What a chunk sums: ρ, then the rest.
    const index rows = loader.rows() + 3 + objective.workspace_rows();
    const index n_sums = 1 + density.n_sums();
    const Partition partition = Partition::of<T>(samples.n_samples, rows, n_sums);
    const double cost = density.cost() * objective.passes() * static_cast<double>(samples.n_samples);
    const int workers = threads_worth(cost, n_threads);
    Workspaces<T>& workspaces = scratch.workspaces;
    workspaces.fit(partition, rows, workers);
    scratch.sums.make_room(n_sums * partition.n_chunks);
    double* const sums = scratch.sums.data();
    for (index i = 0; i < n_sums * partition.n_chunks; ++i) sums[i] = 0;

    auto sum_chunk = [&](index chunk, int worker) noexcept {
        const Rows<T> x = workspaces.of(worker), scalars = x.from(loader.rows()), rest = scalars.from(3);
        T* const weight = scalars[0];
        T* const norm_term = scalars[1];
        T* const hessian_term = scalars[2];
        double* const chunk_sums = sums + chunk * n_sums;
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            const index first = partition.first_sample(t), count = partition.samples_in(t);
            const auto [tile, points] = loader(first, count, partition.lanes, x);
            load_weights(sample_weight, first, count, partition.lanes, weight);
            objective(tile, points, weight, rest, norm_term, hessian_term, chunk_sums + 1);
            chunk_sums[0] += weighted_total(weight, norm_term, hessian_term, count);
        }
    };
    for_each_chunk(partition, workers, sum_chunk);
    add_up_chunks(sums, n_sums, partition.n_chunks);
    for (index i = 0; i < n_sums; ++i) sums[i] /= total_weight;
    density.gradient(sums + 1, gradient);
    return sums[0];
}

// J(θ) = Σ wᵢρᵢ / Σ wᵢ and its gradient.
template <class T>
double loss_and_gradient(const Family<T>& family, const double* theta, const Samples<T>& samples,
                         const double* sample_weight, const FieldSpec& field_spec, double* gradient, int n_threads) {
    const Owner<Density<T>> density(family.at(theta));
    const Owner<Field<T>> field(make_field<T>(field_spec));
    double total_weight = static_cast<double>(samples.n_samples);
    if (sample_weight != nullptr) {
        total_weight = 0;
        for (index i = 0; i < samples.n_samples; ++i) total_weight += sample_weight[i];
    }
    Scratch<T> scratch;
    return loss_and_gradient(*density, field.get(), field_spec.objective, samples, sample_weight, total_weight,
                             gradient, n_threads, scratch);
}

// Writes rows of lanes as columns of a C-contiguous (n_samples, n_columns) array.
template <class T, class Out>
inline void store_tile(Rows<const T> rows, index n_columns, index first, index count, Out* out) noexcept {
    for (index j = 0; j < n_columns; ++j)
        for (index l = 0; l < count; ++l) out[(first + l) * n_columns + j] = static_cast<Out>(rows[j][l]);
}

// The terms are those of the exact objective, whatever the objective of a fit.
template <class T>
void evaluate(const Family<T>& family, const double* theta, const Samples<T>& samples, const FieldSpec& field_spec,
              const Outputs<T>& outputs, int n_threads) {
    const Owner<Density<T>> density(family.at(theta));
    const Owner<Field<T>> field(make_field<T>(field_spec));
    const index d = samples.n_features;
    const ExactObjective<T> objective(*density, field.get(), d);
    const TileLoader<T> loader(samples, *density, field.get() != nullptr);
    const bool manifold = field.get() != nullptr && field->is_manifold();
    const Curvature asked = outputs.hessian_diagonal != nullptr ? Curvature::diagonal : Curvature::trace;
    const index curvature_rows = rows_of(asked, d);

    const index field_rows = manifold ? field->workspace_rows(d) : 0;
    const index own = loader.rows() + d + 3 + objective.workspace_rows();
    const index derivatives = loader.rows() + d + curvature_rows + 1 + field_rows + density->workspace_rows();
    const index rows = own > derivatives ? own : derivatives;
    const Partition partition = Partition::of<T>(samples.n_samples, rows, 0);
    const int workers = threads_worth(density->cost() * static_cast<double>(samples.n_samples), n_threads);
    Workspaces<T> workspaces(partition, rows, workers);

    auto run_chunk = [&](index chunk, int worker) noexcept {
        const Rows<T> x = workspaces.of(worker), rest = x.from(loader.rows());
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            const index first = partition.first_sample(t), count = partition.samples_in(t);
            const auto [tile, points] = loader(first, count, partition.lanes, x);

            if (outputs.norm_term != nullptr || outputs.hessian_term != nullptr ||
                (manifold && outputs.hessian_trace != nullptr)) {
                T* const norm_term = rest[0];
                T* const hessian_term = rest[1];
                objective(tile, points, nullptr, rest.from(2), norm_term, hessian_term, nullptr);
                if (outputs.norm_term != nullptr) store_tile<T>(rest, 1, first, count, outputs.norm_term);
                if (outputs.hessian_term != nullptr) store_tile<T>(rest.from(1), 1, first, count, outputs.hessian_term);
                if (manifold && outputs.hessian_trace != nullptr)
                    store_tile<T>(rest.from(1), 1, first, count, outputs.hessian_trace);
            }
            if (outputs.score != nullptr || outputs.hessian_diagonal != nullptr ||
                (!manifold && outputs.hessian_trace != nullptr)) {
                const Rows<T> score = rest, curvature = rest.from(d), spare = curvature.from(curvature_rows);
                density->forward(tile, spare.from(1 + field_rows), {score, asked, curvature, {}, nullptr});
                if (manifold) project(points, field->at(points, spare.from(1)), score, spare[0]);
                if (outputs.score != nullptr) store_tile<T>(score, d, first, count, outputs.score);
                if (outputs.hessian_diagonal != nullptr)
                    store_tile<T>(curvature, d, first, count, outputs.hessian_diagonal);
                if (!manifold && outputs.hessian_trace != nullptr) {
                    for (index j = 1; j < curvature_rows; ++j)
                        for (index l = 0; l < count; ++l) curvature[0][l] += curvature[j][l];
                    store_tile<T>(curvature, 1, first, count, outputs.hessian_trace);
                }
            }
            if (outputs.log_density != nullptr) {
                density->log_density(tile, rest.from(1), rest[0]);
                store_tile<T>(rest, 1, first, count, outputs.log_density);
            }
        }
    };
    for_each_chunk(partition, workers, run_chunk);
}

// ψ ← Aψ on a manifold: the tangential part.
template <class T>
inline void project(const Tile<T>& tile, const FieldValues<T>& field, Rows<T> score, T* along) noexcept {
    for (index l = 0; l < tile.lanes; ++l) along[l] = 0;
    for (index j = 0; j < tile.n_features; ++j)
        for (index l = 0; l < tile.lanes; ++l) along[l] += field.direction[j][l] * score[j][l];
    for (index j = 0; j < tile.n_features; ++j)
        for (index l = 0; l < tile.lanes; ++l)
            score[j][l] = field.a[0][l] * score[j][l] + field.c * along[l] * field.direction[j][l];
}

SCOREMATCH_END_LEVEL
