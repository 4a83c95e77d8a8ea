// Gradients of single samples, ∂ρ_i/∂θ, and the sums of their outer products: what standard errors are made of.
//
// The loop is that of engine.hpp. What comes of a tile is a tile again, a row for each parameter, so that the products
// are one more product of tiles and no array of size n_samples × n_params is needed for them.
#pragma once

#include <new>

#include "scorematch/blocks.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/outer.hpp"
#include "scorematch/triangle.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class SampleGradients {
  public:
    SampleGradients(const Family<T>& family, const double* theta, const Samples<T>& samples,
                    const FieldSpec& field_spec)
        : density_(family.at(theta)), field_(make_field<T>(field_spec)),
          objective_(make_objective(field_spec.objective, *density_, field_.get(), samples.n_features)),
          loader_(samples, *density_, field_.get() != nullptr), n_params_(family.n_params()) {
        if (is_direct()) density_->prepare_gradient_rows(objective_->asked());
    }

    index n_params() const noexcept { return n_params_; }

    // Floating-point operations a sample.
    double cost() const noexcept {
        const double repeats = static_cast<double>(is_direct() ? 1 : pack_size<T>);
        return density_->cost() * objective_->passes() * repeats + static_cast<double>(n_params_);
    }
    // x, the weights and the two terms of ρ, the objective's own, and gradients to be added where it goes back again.
    index workspace_rows() const noexcept {
        if (!is_direct()) return loader_.rows() + 3 + objective_->workspace_rows();
        return first_spare_row() + (objective_->passes() > 1 ? n_params_ : 0);
    }
    // Numbers beside them.
    index n_doubles() const noexcept { return is_direct() ? 0 : density_->n_sums() + n_params_; }

    // Writes the gradients of weight·ρ, (n_params, lanes), zeros behind the last sample; returns Σ weight·ρ. It may
    // throw where there is no memory.
    double operator()(const double* sample_weight, index first, index count, index lanes, Rows<T> workspace,
                      double* doubles, Rows<T> out) const {
        const Rows<T> scalars = workspace.from(loader_.rows()), rest = scalars.from(3);
        T* const weight = scalars[0];
        T* const norm_term = scalars[1];
        T* const hessian_term = scalars[2];
        const auto load = [&](index from, index n, index n_lanes) {
            load_weights(sample_weight, from, n, n_lanes, weight);
            return loader_(from, n, n_lanes, workspace);
        };
        if (is_direct()) {
            const auto [tile, points] = load(first, count, lanes);
            const GradientRows<T> rows{out, workspace.from(first_spare_row()), n_params_};
            objective_->gradient_rows(tile, points, weight, rest, norm_term, hessian_term, rows);
            return weighted_total(weight, norm_term, hessian_term, count);
        }
        // Tiles of one sample, each to the end.
        double* const sums = doubles;
        double* const gradient = doubles + density_->n_sums();
        double total = 0;
        for (index i = 0; i < n_params_; ++i)
            for (index l = count; l < lanes; ++l) out[i][l] = 0;
        for (index l = 0; l < count; ++l) {
            const auto [tile, points] = load(first + l, 1, pack_size<T>);
            for (index i = 0; i < density_->n_sums(); ++i) sums[i] = 0;
            (*objective_)(tile, points, weight, rest, norm_term, hessian_term, sums);
            density_->gradient(sums, gradient);
            for (index i = 0; i < n_params_; ++i) out[i][l] = static_cast<T>(gradient[i]);
            total += weighted_total(weight, norm_term, hessian_term, 1);
        }
        return total;
    }

  private:
    index first_spare_row() const noexcept { return loader_.rows() + 3 + objective_->gradient_workspace_rows(); }
    bool is_direct() const noexcept { return objective_->has_gradient_rows(); }

    Owner<Density<T>> density_;
    Owner<Field<T>> field_;
    Owner<Objective<T>> objective_;
    TileLoader<T> loader_;
    index n_params_;
};

// The same with memory for every worker, and fit for a parallel region, out of which nothing may be thrown.
template <class T>
class GradientTiles {
  public:
    GradientTiles(const SampleGradients<T>& gradients, const Partition& partition, const double* sample_weight,
                  int n_workers)
        : gradients_(gradients), partition_(partition), sample_weight_(sample_weight),
          workspaces_(partition, gradients.workspace_rows(), n_workers), doubles_(gradients.n_doubles() * n_workers) {}

    // Of all samples of a tile.
    double operator()(index tile, int worker, Rows<T> out) {
        try {
            return gradients_(sample_weight_, partition_.first_sample(tile), partition_.samples_in(tile),
                              partition_.lanes, workspaces_.of(worker),
                              doubles_.data() + worker * gradients_.n_doubles(), out);
        } catch (...) {  // there is nothing else that it could be
            __atomic_store_n(&lacks_memory_, true, __ATOMIC_RELAXED);
            return 0;
        }
    }

    // After the region.
    void check_memory() const {
        if (lacks_memory_) throw std::bad_alloc();
    }

  private:
    const SampleGradients<T>& gradients_;
    const Partition& partition_;
    const double* sample_weight_;
    Workspaces<T> workspaces_;
    Buffer<double> doubles_;
    bool lacks_memory_ = false;
};

// ∂ρ_i/∂θ of every sample: (n_samples, n_params), C-contiguous.
template <class T>
void loss_gradients(const Family<T>& family, const double* theta, const Samples<T>& samples,
                    const FieldSpec& field_spec, double* out, int n_threads) {
    const SampleGradients<T> gradients(family, theta, samples, field_spec);
    const index n_params = gradients.n_params();
    const Partition partition = Partition::of<T>(samples.n_samples, gradients.workspace_rows() + n_params, 0);
    const int workers = threads_worth(gradients.cost() * static_cast<double>(samples.n_samples), n_threads);
    GradientTiles<T> tiles(gradients, partition, nullptr, workers);
    Workspaces<T> all_rows(partition, n_params, workers);
    auto run_chunk = [&](index chunk, int worker) {
        const Rows<T> rows = all_rows.of(worker);
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            tiles(t, worker, rows);
            store_tile<T>(rows, n_params, partition.first_sample(t), partition.samples_in(t), out);
        }
    };
    for_each_chunk(partition, workers, run_chunk);
    tiles.check_memory();
}

// Sums of w ∂ρ/∂θ and of their outer products, of which the upper triangle is meant.
struct GradientSums {
    double loss;
    double* gradient;
    double* products;
};

// A matrix of sums for each chunk.
template <class T>
void add_products_by_chunks(const SampleGradients<T>& gradients, index n_samples, const double* sample_weight,
                            int n_workers, GradientSums& out) {
    const index n_params = gradients.n_params(), n_sums = 1 + n_params + n_params * n_params;
    Partition partition = Partition::of<T>(n_samples, gradients.workspace_rows() + n_params, n_sums);
    // To fill them with zeros and to add them up should be little beside the tiles of a chunk.
    const index fewer = (partition.n_tiles + 3) / 4;
    if (partition.n_chunks > fewer) partition.n_chunks = fewer;
    GradientTiles<T> tiles(gradients, partition, sample_weight, n_workers);
    Workspaces<T> all_rows(partition, n_params, n_workers);
    Buffer<double> sums(n_sums * partition.n_chunks);
    auto run_chunk = [&](index chunk, int worker) {
        const Rows<T> rows = all_rows.of(worker);
        double* const chunk_sums = sums.data() + chunk * n_sums;
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            chunk_sums[0] += tiles(t, worker, rows);
            add_row_sums<T>(rows, n_params, partition.lanes, chunk_sums + 1);
            accumulate_symmetric<T>(rows, rows, n_params, partition.lanes, chunk_sums + 1 + n_params, n_params);
        }
    };
    for_each_chunk(partition, n_workers, run_chunk);
    tiles.check_memory();
    add_up_chunks(sums.data(), n_sums, partition.n_chunks);
    out.loss = sums[0];
    for (index i = 0; i < n_params; ++i) out.gradient[i] = sums[1 + i];
    for (index i = 0; i < n_params * n_params; ++i) out.products[i] = sums[1 + n_params + i];
}

// With more parameters, such matrices would take more memory than there is. There is only one, then, of whose squares
// each is summed by one thread, over the tiles in order: round by round, the rows of some tiles are worked out and kept
// for all squares.
inline constexpr index most_params_of_chunks = 256;
inline constexpr index square_side = 96;  // its sums and the rows that it comes of stay in the L2 cache

template <class T>
void add_products_by_rounds(const SampleGradients<T>& gradients, index n_samples, const double* sample_weight,
                            int n_workers, GradientSums& out) {
    const index n_params = gradients.n_params(), n_totals = 1 + n_params;
    const Partition partition = Partition::of<T>(n_samples, gradients.workspace_rows(), 0);
    // As much is kept as the matrix takes that is gone through for it, within bounds.
    const index least_bytes = 8 * 1024 * 1024, most_bytes = 32 * 1024 * 1024, matrix = 8 * n_params * n_params;
    const index bytes = matrix < least_bytes ? least_bytes : matrix > most_bytes ? most_bytes : matrix;
    const index most = bytes / (n_params * partition.stride * static_cast<index>(sizeof(T)));
    const Blocks rounds(partition.n_tiles, most > 1 ? most : 1), squares(n_params, square_side);
    GradientTiles<T> tiles(gradients, partition, sample_weight, n_workers);
    Workspaces<T> kept(partition, n_params, static_cast<int>(rounds.size(0)));
    Buffer<double> totals(n_totals * rounds.size(0));
    out.loss = 0;
    for (index i = 0; i < n_params; ++i) out.gradient[i] = 0;
    for (index i = 0; i < n_params * n_params; ++i) out.products[i] = 0;

    for (index round = 0; round < rounds.count(); ++round) {
        const index size = rounds.size(round);
        auto run_tile = [&](index i, int worker) {
            const Rows<T> rows = kept.of(static_cast<int>(i));
            double* const tile_totals = totals.data() + i * n_totals;
            tile_totals[0] = tiles(rounds.begin(round) + i, worker, rows);
            for (index k = 1; k < n_totals; ++k) tile_totals[k] = 0;
            add_row_sums<T>(rows, n_params, partition.lanes, tile_totals + 1);
        };
        for_each_task(size, n_workers, run_tile);
        tiles.check_memory();
        for (index i = 0; i < size; ++i) {
            out.loss += totals[i * n_totals];
            for (index k = 0; k < n_params; ++k) out.gradient[k] += totals[i * n_totals + 1 + k];
        }
        auto run_square = [&](index task, int) noexcept {
            index i = 0;  // the row of squares, and how far right of the diagonal in it
            for (; task >= squares.count() - i; ++i) task -= squares.count() - i;
            const index top = squares.begin(i), left = squares.begin(i + task);
            double* const sums = out.products + top * n_params + left;
            for (index t = 0; t < size; ++t) {
                const Rows<const T> rows = kept.of(static_cast<int>(t));
                if (task == 0)
                    accumulate_symmetric<T>(rows.from(top), rows.from(top), squares.size(i), partition.lanes, sums,
                                            n_params);
                else
                    accumulate_outer<T>(rows.from(top), squares.size(i), rows.from(left), squares.size(i + task),
                                        partition.lanes, sums, n_params);
            }
        };
        for_each_task(triangle(squares.count()), n_workers, run_square);
    }
}

// Returns Σ wρ; writes Σ w ∂ρ/∂θ, (n_params,), and Σ w² ∂ρ/∂θ ∂ρ/∂θᵀ, (n_params, n_params).
template <class T>
double gradient_products(const Family<T>& family, const double* theta, const Samples<T>& samples,
                         const double* sample_weight, const FieldSpec& field_spec, double* gradient, double* products,
                         int n_threads) {
    const SampleGradients<T> gradients(family, theta, samples, field_spec);
    const index n_params = gradients.n_params(), n = samples.n_samples;
    const double cost = gradients.cost() + static_cast<double>(n_params * n_params);
    const int workers = threads_worth(cost * static_cast<double>(n), n_threads);
    GradientSums out{0, gradient, products};
    if (n_params <= most_params_of_chunks) add_products_by_chunks(gradients, n, sample_weight, workers, out);
    else add_products_by_rounds(gradients, n, sample_weight, workers, out);
    mirror(products, n_params);
    return out.loss;
}

SCOREMATCH_END_LEVEL
