// A small dense matrix times a tile: out = w · x, where x and out are rows of lanes.
#pragma once

#include <type_traits>

#include "scorematch/blocks.hpp"
#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// The register block of `rows` rows by `multiply_packs(rows)` packs of lanes: its sums, one pack of x for each pack of
// lanes, and one entry of w broadcast. 6·4 + 4 + 1 = 29 of 32 registers with 10 loads for 24 multiply-adds, or
// 6·2 + 2 + 1 = 15 of 16 with 8 loads for 12. Four and two packs divide the usual tiles, three would not. Short blocks
// are made wider where the registers allow it: eight sums at least must be under way to fill two units of latency four.
inline constexpr int multiply_rows = 6;
constexpr int multiply_packs(int rows) { return n_registers >= 32 || rows <= 2 ? 4 : 2; }

// What of a tile one pass of all rows works on, in bytes: half of a first-level cache, so that x is fetched once.
inline constexpr index multiply_strip_bytes = 16384;

// A matrix in the order in which the kernel reads it: row blocks one after the other, each by columns. Nothing is
// padded. Built once, then only read, by any number of threads.
template <class T>
class PackedMatrix {
  public:
    PackedMatrix() noexcept = default;

    // The strides are free: swap them (and the sizes) for the transpose.
    template <class Source>
    PackedMatrix(const Source* source, index n_rows, index n_columns, index row_stride, index column_stride)
        : data_(n_rows * n_columns), n_rows_(n_rows), n_columns_(n_columns), blocks_(n_rows, multiply_rows) {
        T* packed = data_.data();
        for (index block = 0; block < blocks_.count(); ++block)
            for (index j = 0; j < n_columns; ++j)
                for (index i = blocks_.begin(block); i < blocks_.begin(block + 1); ++i)
                    *packed++ = static_cast<T>(source[i * row_stride + j * column_stride]);
        constexpr index step = multiply_packs(1) * pack_size<T>;  // no block is wider
        const index n_steps = multiply_strip_bytes / (n_columns * step * static_cast<index>(sizeof(T)) + 1);
        strip_lanes_ = (n_steps > 1 ? n_steps : 1) * step;
    }

    index n_rows() const noexcept { return n_rows_; }
    index n_columns() const noexcept { return n_columns_; }
    const Blocks& blocks() const noexcept { return blocks_; }
    index strip_lanes() const noexcept { return strip_lanes_; }
    // The block that begins with this row: n_columns columns of as many numbers as the block has rows.
    const T* block_from(index row) const noexcept { return data_.data() + row * n_columns_; }

  private:
    Buffer<T> data_;
    index n_rows_ = 0;
    index n_columns_ = 0;
    index strip_lanes_ = 0;
    Blocks blocks_;
};

// What a product starts from.
enum class Start { zero, bias, out };

// R rows of the product, N packs of lanes at a time, and what is left of the lanes N/2, ..., 1 packs at a time.
// Not inlined: the register allocation of the caller is no concern of its loop.
template <Start start, int R, int N, class T>
[[gnu::noinline]] inline void multiply_block(const T* w, index n_columns, Rows<const T> x, index lanes, const T* bias,
                                             Rows<T> out) noexcept {
    constexpr index width = pack_size<T>;
    index lane = 0;
    for (; lane + N * width <= lanes; lane += N * width) {
        Pack<T> sum[R][N];
        SCOREMATCH_UNROLL
        for (int r = 0; r < R; ++r) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                if constexpr (start == Start::zero) sum[r][n] = Pack<T>{};
                if constexpr (start == Start::bias) sum[r][n] = broadcast(bias[r]);
                if constexpr (start == Start::out) sum[r][n] = load(out[r] + lane + n * width);
            }
        }
        const T* __restrict wj = w;
        const T* __restrict xj = x.data + lane;
        for (index j = 0; j < n_columns; ++j, wj += R, xj += x.stride) {
            Pack<T> x_pack[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) x_pack[n] = R > 1 ? in_register<T>(load(xj + n * width)) : load(xj + n * width);
            SCOREMATCH_UNROLL
            for (int r = 0; r < R; ++r) {
                const Pack<T> w_pack = broadcast(wj[r]);
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) sum[r][n] = multiply_add<T>(w_pack, x_pack[n], sum[r][n]);
            }
        }
        SCOREMATCH_UNROLL
        for (int r = 0; r < R; ++r) {
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) store<T>(out[r] + lane + n * width, sum[r][n]);
        }
    }
    if constexpr (N > 1) {
        if (lane < lanes)
            multiply_block<start, R, N / 2, T>(w, n_columns, {x.data + lane, x.stride}, lanes - lane, bias,
                                               {out.data + lane, out.stride});
    }
}

// From the number of rows at run time to the kernel.
template <Start start, int R, class T>
inline void multiply_block_of(index rows, const T* w, index n_columns, Rows<const T> x, index lanes, const T* bias,
                              Rows<T> out) noexcept {
    if (rows == R) {
        multiply_block<start, R, multiply_packs(R), T>(w, n_columns, x, lanes, bias, out);
    } else if constexpr (R > 1) {
        multiply_block_of<start, R - 1, T>(rows, w, n_columns, x, lanes, bias, out);
    }
}

template <Start start, class T>
inline void multiply_from(const PackedMatrix<T>& w, Rows<const T> x, index lanes, const T* bias, Rows<T> out) noexcept {
    const Blocks& blocks = w.blocks();
    for (index lane = 0; lane < lanes; lane += w.strip_lanes()) {
        const index strip = lanes - lane < w.strip_lanes() ? lanes - lane : w.strip_lanes();
        for (index block = 0; block < blocks.count(); ++block) {
            const index row = blocks.begin(block);
            multiply_block_of<start, multiply_rows, T>(blocks.size(block), w.block_from(row), w.n_columns(),
                                                       {x.data + lane, x.stride}, strip, bias ? bias + row : nullptr,
                                                       {out[row] + lane, out.stride});
        }
    }
}

// out = w · x. Here and below x has w.n_columns() rows and out, which must not overlap it, w.n_rows(); `lanes` is any
// multiple of the pack size.
template <class T>
inline void multiply(const PackedMatrix<T>& w, std::type_identity_t<Rows<const T>> x, index lanes,
                     std::type_identity_t<Rows<T>> out) noexcept {
    multiply_from<Start::zero, T>(w, x, lanes, nullptr, out);
}

// out = w · x + bias, one number for each row of w, the same in all lanes.
template <class T>
inline void multiply(const PackedMatrix<T>& w, std::type_identity_t<Rows<const T>> x, index lanes,
                     std::type_identity_t<Rows<T>> out, const std::type_identity_t<T>* bias) noexcept {
    multiply_from<Start::bias, T>(w, x, lanes, bias, out);
}

// out += w · x
template <class T>
inline void multiply_onto(const PackedMatrix<T>& w, std::type_identity_t<Rows<const T>> x, index lanes,
                          std::type_identity_t<Rows<T>> out) noexcept {
    multiply_from<Start::out, T>(w, x, lanes, nullptr, out);
}

SCOREMATCH_END_LEVEL
