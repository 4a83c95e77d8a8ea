// Σ_{i<j} w_i w_j u_ij for many draws of multipliers w, each 1 or −1.
//
// As products of matrices, a draw would take a multiply-add for each pair of points: at a thousand draws ten times the
// time of u itself. But four signs have 16 combinations. For four points and a pack of others, all 16 signed sums of
// the four rows of u are put in a table, an addition each (the "method of four Russians"); then a draw takes one
// look-up and one addition for four rows. The signs of a draw are bits, four of them the place in a table. Tables of
// eight rows would halve the look-ups, but are 16 times as large, and the first-level cache holds so few of them that
// the sums of the draws have to come and go between any two: that took twice as long.
//
// u comes in float32, scaled so that its largest entry is 1. Sums over the rows of a tile are in float32 too, all
// others in double: draws are exact to about 1e-6 of their spread, where p values ask for 1e-2.
#pragma once

#include <cstdint>
#include <cstring>

#include "scorematch/buffer.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/philox.hpp"
#include "scorematch/stein/tiles.hpp"
#include "scorematch/unroll.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace stein {

inline constexpr index signs_in_code = 4, n_codes = 16, signs_in_word = 32, codes_in_word = 8;

// The signs of all draws, tile by tile: for each draw the bits of the tile's points, 32 a word, the first one lowest. A
// bit that is set stands for 1. Draw b has stream b of the generator, and point i its bit i, whatever the tiles.
class Signs {
  public:
    Signs(const Tiles& tiles, index n_draws, std::uint64_t seed)
        : n_draws_(n_draws), words_in_tile_(tiles.lanes() / signs_in_word),
          words_(tiles.count() * n_draws * words_in_tile_) {
        for (index draw = 0; draw < n_draws; ++draw) {
            RandomStream stream(seed, RandomUse::wild_bootstrap, static_cast<std::uint32_t>(draw));
            std::uint64_t both = 0;
            for (index k = 0; k < tiles.count() * words_in_tile_; ++k, both >>= 32) {
                if (k % 2 == 0) both = stream.next();
                const index tile = k / words_in_tile_;
                words_[(tile * n_draws + draw) * words_in_tile_ + k % words_in_tile_] =
                    static_cast<std::uint32_t>(both);
            }
        }
    }
    index n_draws() const noexcept { return n_draws_; }
    index words_in_tile() const noexcept { return words_in_tile_; }
    // The words of the first draw; those of the others follow.
    const std::uint32_t* of_tile(index tile) const noexcept { return words_.data() + tile * n_draws_ * words_in_tile_; }

  private:
    index n_draws_, words_in_tile_;
    Buffer<std::uint32_t> words_;
};

// The draws over a pair of tiles: strips of as many columns as a pack holds, one after the other.
class SignedSums {
  public:
    static constexpr index strip = pack_size<float>;

    void make_room(index n_draws) {
        total_.make_room(n_draws);
        tables_.make_room(most_rows / signs_in_code * n_codes);
    }

    void start(index n_draws) noexcept {
        for (index draw = 0; draw < n_draws; ++draw) total_[draw] = Pack<float>{};
    }

    // A strip of u: so many words of rows of `strip` numbers, one behind the other, from the first row of a tile on;
    // `first_column` is counted in the tile of the columns.
    void add(const Signs& signs, index row_tile, index n_words, index column_tile, index first_column,
             const float* u) noexcept {
        constexpr index together = most_rows / signs_in_word;
        for (index word = 0; word < n_words; word += together) {
            const index count = n_words - word < together ? n_words - word : together;
            fill(u + word * signs_in_word * strip, count * codes_in_word);
            add_rows(signs, signs.of_tile(row_tile) + word, count, signs.of_tile(column_tile), first_column);
        }
    }

    // What the strips have come to since `start`.
    void add_to(double* draws, index n_draws) const noexcept {
        for (index draw = 0; draw < n_draws; ++draw) draws[draw] += static_cast<double>(sum_lanes<float>(total_[draw]));
    }

  private:
    // Rows whose tables a first-level cache of 32 KiB holds.
    static constexpr index most_rows = 32768 / (n_codes * pack_bytes) * signs_in_code;

    // All signed sums of four rows each.
    void fill(const float* u, index n_tables) noexcept {
        Pack<float>* table = tables_.data();
        for (index k = 0; k < n_tables; ++k, u += signs_in_code * strip, table += n_codes) {
            Pack<float> row[signs_in_code];
            for (index i = 0; i < signs_in_code; ++i) row[i] = load(u + i * strip);
            const Pack<float> sums[] = {row[0] + row[1], row[1] - row[0], row[2] + row[3], row[3] - row[2]};
            for (index code = 0; code < n_codes; ++code) {
                const Pack<float> low = code & 2 ? (code & 1 ? sums[0] : sums[1]) : (code & 1 ? -sums[1] : -sums[0]);
                const Pack<float> high = code & 8 ? (code & 4 ? sums[2] : sums[3]) : (code & 4 ? -sums[3] : -sums[2]);
                table[code] = low + high;
            }
        }
    }

    // Looks up `n_words` words of rows, and gives the sums the signs of the columns.
    void add_rows(const Signs& signs, const std::uint32_t* rows, index n_words, const std::uint32_t* columns,
                  index first_column) noexcept {
        const index n_draws = signs.n_draws(), stride = signs.words_in_tile(), shift = first_column % signs_in_word;
        columns += first_column / signs_in_word;
        Integers<float> bit{};
        for (index lane = 0; lane < strip; ++lane) bit[lane] = 1 << lane;
        const char* const tables = reinterpret_cast<const char*>(tables_.data());
        for (index draw = 0; draw < n_draws; ++draw) {
            const std::uint32_t* const codes = rows + draw * stride;
            Pack<float> sum[4] = {};  // several, for one would wait for each of its additions
            for (index k = 0; k < n_words; ++k) {
                // The place in a table in bytes, so that a look-up takes a shift and a mask.
                const std::uint64_t word = std::uint64_t{codes[k]} * pack_bytes;
                const char* const table = tables + k * codes_in_word * n_codes * pack_bytes;
                SCOREMATCH_UNROLL
                for (int code = 0; code < codes_in_word; ++code) {
                    const std::uint64_t place = word >> (code * signs_in_code) & ((n_codes - 1) * pack_bytes);
                    sum[code % 4] += load(reinterpret_cast<const float*>(table + code * n_codes * pack_bytes + place));
                }
            }
            const Pack<float> all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
            const std::int32_t own = static_cast<std::int32_t>(columns[draw * stride] >> shift);
            const Integers<float> is_minus = ((Integers<float>{} + own) & bit) == 0;
            total_[draw] += from_bits<float>(to_bits<float>(all) ^ ((Words<float>)is_minus & sign_bit<float>));
        }
    }

    Buffer<Pack<float>> total_, tables_;
};

}  // namespace stein

SCOREMATCH_END_LEVEL
