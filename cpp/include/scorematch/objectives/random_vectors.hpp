// The random vectors of the objectives that need some: v with E[vvᵀ] = I.
//
// Those of a row of the data are a function of the seed and of the number of the row: the same at every step of an
// optimiser, in every order of the rows and on any number of threads.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/lane_normals.hpp"
#include "scorematch/lane_random.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/tile.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class RandomVectors {
  public:
    RandomVectors(const ObjectiveSpec& spec, index n_features) noexcept
        : seed_(spec.seed), projection_(spec.projection), rows_(spec.rows), first_row_(spec.first_row), d_(n_features) {
    }

    // Writes vector number `number` of each sample of a tile; lanes behind the last sample repeat it.
    void operator()(const Tile<T>& tile, index number, Rows<T> out) const noexcept {
        constexpr index width = pack_size<double>;
        for (index l = 0; l < tile.lanes; l += width) {
            LaneWords stream{};
            for (index i = 0; i < width; ++i)
                stream[i] = static_cast<std::uint64_t>(row(tile.first + (l + i < tile.count ? l + i : tile.count - 1)));
            if (projection_ == Projection::rademacher) signs(stream, number, l, out);
            else normals(stream, number, l, out);
        }
        if (projection_ == Projection::sphere) to_sphere(tile.lanes, out);
    }

  private:
    static constexpr index signs_a_block = 128;

    index row(index sample) const noexcept { return rows_ != nullptr ? rows_[sample] : first_row_ + sample; }

    static void put(Pack<double> values, T* out) noexcept {
        for (index i = 0; i < pack_size<double>; ++i) out[i] = static_cast<T>(values[i]);
    }

    LaneRandom random(LaneWords stream, index position) const noexcept {
        return {seed_, RandomUse::projections, stream, LaneWords{} + static_cast<std::uint64_t>(position)};
    }

    // A bit for each.
    void signs(LaneWords stream, index number, index lane, Rows<T> out) const noexcept {
        LaneRandom bits = random(stream, number * ((d_ + signs_a_block - 1) / signs_a_block));
        for (index first = 0; first < d_; first += signs_a_block) {
            const LaneBlock block = bits.next_block(~LaneMask{});
            const index end = first + signs_a_block < d_ ? first + signs_a_block : d_;
            for (index j = first; j < end; ++j) {
                const LaneWords word = block.word[(j - first) / 32] >> ((j - first) % 32);
                put(from_bits<double>((word << 63) | bits_of_one<double>), out[j] + lane);
            }
        }
    }

    void normals(LaneWords stream, index number, index lane, Rows<T> out) const noexcept {
        LaneRandom uniforms = random(stream, number * ((d_ + 1) / 2));
        for (index j = 0; j < d_; j += 2) {
            const TwoNormals normal = normals_of(uniforms.next(~LaneMask{}));
            put(normal.first, out[j] + lane);
            if (j + 1 < d_) put(normal.second, out[j + 1] + lane);
        }
    }

    // To length √d.
    void to_sphere(index lanes, Rows<T> out) const noexcept {
        for (index l = 0; l < lanes; l += pack_size<T>) {
            Pack<T> square{};
            for (index j = 0; j < d_; ++j) square += load(out[j] + l) * load(out[j] + l);
            const Pack<T> factor = sqrt<T>(static_cast<T>(d_) / square);
            for (index j = 0; j < d_; ++j) store<T>(out[j] + l, factor * load(out[j] + l));
        }
    }

    std::uint64_t seed_;
    Projection projection_;
    const index* rows_;
    index first_row_, d_;
};

// The first vectors of each row: (n_samples, n_vectors, n_features).
inline void random_vectors(const ObjectiveSpec& spec, index n_samples, index n_features, index n_vectors, double* out) {
    constexpr index lanes = pack_size<double>;
    const RandomVectors<double> vectors(spec, n_features);
    Buffer<double> memory(lanes * n_features);
    const Rows<double> rows{memory.data(), lanes};
    Tile<double> tile;
    tile.n_features = n_features;
    tile.lanes = lanes;
    for (index first = 0; first < n_samples; first += lanes) {
        tile.first = first;
        tile.count = n_samples - first < lanes ? n_samples - first : lanes;
        for (index number = 0; number < n_vectors; ++number) {
            vectors(tile, number, rows);
            for (index l = 0; l < tile.count; ++l)
                for (index j = 0; j < n_features; ++j)
                    out[((first + l) * n_vectors + number) * n_features + j] = rows[j][l];
        }
    }
}

SCOREMATCH_END_LEVEL
