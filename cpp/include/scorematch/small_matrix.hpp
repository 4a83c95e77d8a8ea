// Dense algebra on small matrices in double, once a call: products, Cholesky factors, inverses.
//
// Every loop adds multiples of rows to a row, whose sums stay in registers: memory is read with unit stride, and no sum
// runs along a row, which a compiler that keeps to the order of additions could not turn into vector code.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/multiply.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// A stack of square matrices. Rows are a multiple of the pack size long, so that a matrix is also a tile; what is
// behind the last column is zero.
class SquareMatrices {
  public:
    SquareMatrices() noexcept = default;
    SquareMatrices(index count, index size)
        : size_(size), stride_((size + pack_size<double> - 1) / pack_size<double> * pack_size<double>) {
        // Rows a power of two apart would all fall into the same few sets of the cache.
        if (stride_ % 64 == 0) stride_ += 64 / static_cast<index>(sizeof(double));
        data_ = Buffer<double>(count * size_ * stride_);
    }
    index size() const noexcept { return size_; }
    Rows<double> operator[](index i) noexcept { return {data_.data() + i * size_ * stride_, stride_}; }
    Rows<const double> operator[](index i) const noexcept { return {data_.data() + i * size_ * stride_, stride_}; }

  private:
    index size_ = 0, stride_ = 0;
    Buffer<double> data_;
};

// A matrix whose rows are a multiple of the pack size long, so that it is also a tile: the right side of a product.
class TileMatrix {
  public:
    TileMatrix(index n_rows, index n_columns)
        : lanes_((n_columns + pack_size<double> - 1) / pack_size<double> * pack_size<double>), data_(n_rows * lanes_) {}

    // A copy; the strides are free, as those of PackedMatrix.
    TileMatrix(const double* source, index n_rows, index n_columns, index row_stride, index column_stride)
        : TileMatrix(n_rows, n_columns) {
        for (index i = 0; i < n_rows; ++i)
            for (index j = 0; j < n_columns; ++j) (*this)[i][j] = source[i * row_stride + j * column_stride];
    }

    index lanes() const noexcept { return lanes_; }
    Rows<double> rows() noexcept { return {data_.data(), lanes_}; }
    double* operator[](index i) noexcept { return data_.data() + i * lanes_; }

  private:
    index lanes_;
    Buffer<double> data_;
};

// Which of the rows to be added are zero before a column: none, or row l behind column l.
enum class RowsAre { full, lower };

// out[first..last) += factor · Σ_l coefficients[l·step] · rows[l][first..last) for begin ≤ l < end, N packs at a time;
// returns where it stopped.
template <RowsAre kind, int N>
inline index add_rows_block(double factor, const double* coefficients, index step, Rows<const double> rows, index begin,
                            index end, index first, index last, double* out) noexcept {
    constexpr index width = pack_size<double>;
    for (; first + N * width <= last; first += N * width) {
        Pack<double> sum[N];
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) sum[n] = Pack<double>{};
        const index start = kind == RowsAre::lower && first > begin ? first : begin;
        for (index l = start; l < end; ++l) {
            const Pack<double> coefficient = broadcast(coefficients[l * step]);
            const double* const row = rows[l] + first;
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) sum[n] = multiply_add<double>(coefficient, load(row + n * width), sum[n]);
        }
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n)
            store<double>(out + first + n * width, load(out + first + n * width) + factor * sum[n]);
    }
    if constexpr (N > 1)
        first = add_rows_block<kind, N / 2>(factor, coefficients, step, rows, begin, end, first, last, out);
    return first;
}

// The same with `first` and `last` moved outwards to the ends of packs, which the rows of SquareMatrices have room for.
template <RowsAre kind = RowsAre::full>
inline void add_rows(double factor, const double* coefficients, index step, Rows<const double> rows, index begin,
                     index end, index first, index last, double* out) noexcept {
    constexpr index width = pack_size<double>;
    add_rows_block<kind, 8>(factor, coefficients, step, rows, begin, end, first / width * width,
                            (last + width - 1) / width * width, out);
}

// The upper triangle of out = upperᵀ·upper + shift·I; what is below is of no use.
inline void gram_of_upper(Rows<const double> upper, double shift, index size, Rows<double> out) noexcept {
    for (index i = 0; i < size; ++i) {
        for (index j = 0; j < size; ++j) out[i][j] = 0;
        add_rows(1, upper.data + i, upper.stride, upper, 0, i + 1, i, size, out[i]);
        out[i][i] += shift;
    }
}

// In place, the upper triangle of A becomes U of A = UᵀU; what is below is of no use. A matrix that is not positive
// definite gives NaN.
inline void cholesky_upper(Rows<double> a, index size) noexcept {
    for (index i = 0; i < size; ++i) {
        add_rows(-1, a.data + i, a.stride, a, 0, i, i, size, a[i]);
        const double scale = 1 / __builtin_sqrt(a[i][i]);
        for (index j = i; j < size; ++j) a[i][j] *= scale;
    }
}

// out = (UᵀU)⁻¹ from the upper triangle of U, by way of `lower`, which becomes U⁻ᵀ. Both must be zero at first.
inline void invert_from_upper(Rows<const double> upper, index size, Rows<double> lower, Rows<double> out) noexcept {
    for (index i = 0; i < size; ++i) {
        const double scale = 1 / upper[i][i];
        add_rows<RowsAre::lower>(-scale, upper.data + i, upper.stride, lower, 0, i, 0, i, lower[i]);
        lower[i][i] = scale;
    }
    for (index i = 0; i < size; ++i) {
        add_rows(1, lower.data + i, lower.stride, lower, i, size, 0, i + 1, out[i]);
        for (index j = 0; j < i; ++j) out[j][i] = out[i][j];
    }
}

// out = a·b. Packing pays once the matrices outgrow the first-level cache.
inline void multiply_square(Rows<const double> a, Rows<const double> b, index size, Rows<double> out) {
    if (size <= 48) {
        for (index i = 0; i < size; ++i) {
            for (index j = 0; j < size; ++j) out[i][j] = 0;
            add_rows(1, a[i], 1, b, 0, size, 0, size, out[i]);
        }
        return;
    }
    const PackedMatrix<double> packed(a.data, size, size, a.stride, 1);
    const index lanes = (size + pack_size<double> - 1) / pack_size<double> * pack_size<double>;
    multiply<double>(packed, b, lanes, out);
}

// out = A·v
inline void multiply_vector(Rows<const double> a, const double* v, index size, double* out) noexcept {
    for (index i = 0; i < size; ++i) {
        double sum = 0;
        for (index j = 0; j < size; ++j) sum += a[i][j] * v[j];
        out[i] = sum;
    }
}

SCOREMATCH_END_LEVEL
