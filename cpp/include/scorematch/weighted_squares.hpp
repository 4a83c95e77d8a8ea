// Σ_l w_jl · u_l u_lᵀ for many weights j at once, over samples l: m weighted symmetric d × d matrices.
//
// A product for each j would take the same u_i u_k anew for each. Instead the entries with i ≤ k, taken row by row, are
// the columns of one long matrix, with a row of products u_i u_k for each sample, and the sums are (weights)ᵀ times it:
// half the operations of d × d entries, and one further multiplication for each pair and sample, not for each weight
// too. That matrix is never there as a whole: a strip of columns is made where it is used, for all weights.
//
// Each strip of the results comes of the samples in order, whoever works it out: threads share the strips and their
// number changes no bit.
#pragma once

#include "scorematch/blocks.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/outer.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/triangle.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// The register block: a weight broadcast for each of its rows, times packs of pairs. 8·3 + 3 + 1 = 28 of 32 registers
// with 11 loads for 24 multiply-adds, or 4·3 + 3 + 1 = 16 of 16.
inline constexpr int square_rows = n_registers >= 32 ? 8 : has_multiply_add ? 4 : 3;
inline constexpr int square_packs = 3;
template <class T>
inline constexpr index strip_pairs = square_packs * pack_size<T>;

// So many samples' products of a strip stay in a first-level cache; and sums of floats get no longer than this before
// they are added up in double.
inline constexpr index square_step = 128;

template <class T>
inline index square_strips(index d) noexcept {
    return (triangle(d) + strip_pairs<T> - 1) / strip_pairs<T>;
}

// Samples with their weights in the order in which the product reads them.
template <class T>
class SquarePanel {
  public:
    SquarePanel() noexcept = default;
    SquarePanel(index n_weights, index n_vector, index capacity)
        : weight_blocks_(n_weights, square_rows), n_vector_(n_vector), capacity_(capacity),
          vector_stride_(n_vector + pack_size<T>), vectors_(capacity * vector_stride_), weights_(capacity * n_weights) {
    }

    index n_vector() const noexcept { return n_vector_; }
    const Blocks& weight_blocks() const noexcept { return weight_blocks_; }
    const T* vector(index sample) const noexcept { return vectors_.data() + sample * vector_stride_; }
    index vector_stride() const noexcept { return vector_stride_; }
    // Of the weights of one block those of all samples from this one on, sample by sample.
    const T* weights(index block, index sample) const noexcept {
        return weights_.data() + weight_blocks_.begin(block) * capacity_ + sample * weight_blocks_.size(block);
    }

    // Takes `count` samples from rows of lanes to the places from `sample` on.
    void fill(index sample, index count, Rows<const T> vector, Rows<const T> weight) noexcept {
        for (index i = 0; i < n_vector_; ++i) {
            const T* const __restrict row = vector[i];
            T* const __restrict target = vectors_.data() + sample * vector_stride_ + i;
            for (index l = 0; l < count; ++l) target[l * vector_stride_] = row[l];
        }
        for (index block = 0; block < weight_blocks_.count(); ++block) {
            const index size = weight_blocks_.size(block), first = weight_blocks_.begin(block);
            for (index r = 0; r < size; ++r) {
                const T* const __restrict row = weight[first + r];
                T* const __restrict target = weights_.data() + first * capacity_ + sample * size + r;
                for (index l = 0; l < count; ++l) target[l * size] = row[l];
            }
        }
    }

  private:
    Blocks weight_blocks_;
    index n_vector_ = 0, capacity_ = 0, vector_stride_ = 0;
    Buffer<T> vectors_, weights_;
};

// A strip of pairs (i, k ≥ i), and memory to work it out. One each worker.
template <class T>
class SquareStrip {
  public:
    SquareStrip() noexcept = default;
    explicit SquareStrip(index n_weights)
        : products_(square_step * product_stride), sums_(n_weights * strip_pairs<T>), n_weights_(n_weights) {}

    // sums[j·ld + pair] += Σ over the panel's samples from `begin` to `end`, for the pairs of this strip.
    void accumulate(const SquarePanel<T>& panel, index begin, index end, index strip, double* sums, index ld) noexcept {
        place(panel.n_vector(), strip);
        const index n_packs = (n_pairs_ + pack_size<T> - 1) / pack_size<T>;
        for (index i = 0; i < sums_.size(); ++i) sums_[i] = 0;
        for (index first = begin; first < end; first += square_step) {
            const index step = end - first < square_step ? end - first : square_step;
            multiply_out(panel, first, step);
            for (index block = 0; block < panel.weight_blocks().count(); ++block)
                add_block<square_rows, square_packs>(
                    panel.weight_blocks().size(block), n_packs, panel.weights(block, first), step,
                    sums_.data() + panel.weight_blocks().begin(block) * strip_pairs<T>);
        }
        for (index j = 0; j < n_weights_; ++j) {
            const double* const __restrict from = sums_.data() + j * strip_pairs<T>;
            double* const __restrict to = sums + j * ld + first_pair_;
            for (index pair = 0; pair < n_pairs_; ++pair) to[pair] += from[pair];
        }
    }

  private:
    static constexpr index product_stride = strip_pairs<T> + pack_size<T>;

    // A run of pairs with the same i.
    struct Run {
        index i, k, first, length;
    };

    void place(index d, index strip) noexcept {
        first_pair_ = strip * strip_pairs<T>;
        const index end = triangle(d) < first_pair_ + strip_pairs<T> ? triangle(d) : first_pair_ + strip_pairs<T>;
        n_pairs_ = end - first_pair_;
        n_runs_ = 0;
        index i = 0;
        while (triangle_row(d, i + 1) <= first_pair_) ++i;
        for (index pair = first_pair_; pair < end; ++i) {
            const index row_end = triangle_row(d, i + 1) < end ? triangle_row(d, i + 1) : end;
            runs_[n_runs_++] = {i, i + pair - triangle_row(d, i), pair - first_pair_, row_end - pair};
            pair = row_end;
        }
    }

    // The products of all pairs, run by run. Whole packs: what is too much is overwritten by the next run, and behind
    // the last one there is room for it.
    void multiply_out(const SquarePanel<T>& panel, index first, index count) noexcept {
        for (const Run* run = runs_; run < runs_ + n_runs_; ++run)
            multiply_run<square_packs>((run->length + pack_size<T> - 1) / pack_size<T>, panel, first, count, *run);
    }
    template <int N>
    void multiply_run(index packs, const SquarePanel<T>& panel, index first, index count, const Run& run) noexcept {
        if constexpr (N > 1)
            if (packs < N) return multiply_run<N - 1>(packs, panel, first, count, run);
        const T* __restrict u = panel.vector(first);
        T* __restrict out = products_.data() + run.first;
        for (index l = 0; l < count; ++l, u += panel.vector_stride(), out += product_stride) {
            const Pack<T> factor = broadcast(u[run.i]);
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) store<T>(out + n * pack_size<T>, factor * load(u + run.k + n * pack_size<T>));
        }
    }

    // From the sizes at run time to the kernel.
    template <int R, int N>
    void add_block(index rows, index packs, const T* weights, index count, double* sums) noexcept {
        if (rows == R && packs == N) {
            multiply_add_block<R, N>(weights, products_.data(), count, sums);
        } else if (rows == R) {
            if constexpr (N > 1) add_block<R, N - 1>(rows, packs, weights, count, sums);
        } else {
            if constexpr (R > 1) add_block<R - 1, N>(rows, packs, weights, count, sums);
        }
    }

    template <int R, int N>
    [[gnu::noinline]] static void multiply_add_block(const T* weights, const T* products, index count,
                                                     double* sums) noexcept {
        Pack<T> sum[R][N];
        SCOREMATCH_UNROLL
        for (int r = 0; r < R; ++r) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) sum[r][n] = Pack<T>{};
        }
        for (index l = 0; l < count; ++l, weights += R, products += product_stride) {
            Pack<T> product[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) product[n] = in_register<T>(load(products + n * pack_size<T>));
            SCOREMATCH_UNROLL
            for (int r = 0; r < R; ++r) {
                const Pack<T> weight = broadcast(weights[r]);
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) sum[r][n] = multiply_add<T>(weight, product[n], sum[r][n]);
            }
        }
        SCOREMATCH_UNROLL
        for (int r = 0; r < R; ++r) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                double* const target = sums + r * strip_pairs<T> + n * pack_size<T>;
                if constexpr (sizeof(T) == sizeof(double)) {
                    store<T>(target, load(target) + sum[r][n]);
                } else {
                    T lanes[pack_size<T>];
                    store<T>(lanes, sum[r][n]);
                    for (index i = 0; i < pack_size<T>; ++i) target[i] += static_cast<double>(lanes[i]);
                }
            }
        }
    }

    Buffer<T> products_;
    Buffer<double> sums_;
    index n_weights_ = 0, first_pair_ = 0, n_pairs_ = 0, n_runs_ = 0;
    Run runs_[strip_pairs<T>] = {};
};

// From the upper triangle, row by row, to a multiple of the whole symmetric matrix, which may begin where the triangle
// does.
inline void expand_triangle(const double* packed, index d, double factor, double* matrix) noexcept {
    for (index i = d - 1; i >= 0; --i)
        for (index k = d - 1; k >= i; --k) matrix[i * d + k] = factor * packed[triangle_row(d, i) + k - i];
    mirror(matrix, d);
}

SCOREMATCH_END_LEVEL
