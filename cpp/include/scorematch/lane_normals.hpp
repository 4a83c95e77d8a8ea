// Normal random numbers in lanes, by the transformation of Box and Muller (1958): two of a Philox block and lane.
//
// Nothing is rejected and nothing branches, so that a number is a function of (seed, use, stream, position) and each
// costs the same. The uniform numbers have 52 bits: the normals reach to ±8.57, beyond which lie fewer than one in
// 10¹⁷.
#pragma once

#include "scorematch/lane_random.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/tile.hpp"

SCOREMATCH_BEGIN_LEVEL

struct TwoNormals {
    Pack<double> first, second;
};

// √(−2 log u) cos 2πv and √(−2 log u) sin 2πv.
[[gnu::always_inline]] inline TwoNormals normals_of(TwoUniforms u) {
    const Pack<double> radius = sqrt<double>(-2 * log_of_normal<double>(u.first));
    const SineAndCosine<double> angle = sine_and_cosine_of_turns<double>(u.second);
    return {radius * angle.cosine, radius * angle.sine};
}

// The numbers of consecutive streams, one a lane.
[[gnu::always_inline]] inline LaneWords streams_from(index first) {
    LaneWords lanes{};
    for (index lane = 0; lane < pack_size<double>; ++lane) lanes[lane] = static_cast<std::uint64_t>(lane);
    return lanes + static_cast<std::uint64_t>(first);
}

// Block number `block` of such streams.
[[gnu::always_inline]] inline TwoUniforms lane_uniforms(std::uint64_t seed, RandomUse use, LaneWords streams,
                                                        std::uint64_t block) {
    return LaneRandom(seed, use, streams, LaneWords{} + block).next(LaneMask{});
}

// Normals of consecutive streams, one a lane, in rows: 2·n_blocks of them, from block number `block` on.
inline void lane_normals(std::uint64_t seed, RandomUse use, index first_stream, std::uint64_t block, index n_blocks,
                         index lanes, Rows<double> out) noexcept {
    // Several packs together: each waits for its multiplications, its division and its root.
    constexpr int together = n_registers >= 32 ? 4 : 2;
    for (index i = 0; i < n_blocks; ++i)
        for_each_block<1, together, double>(1, lanes, [&]<int B, int N>(index, index l) noexcept {
            constexpr index width = pack_size<double>;
            TwoUniforms u[N];
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n)
                u[n] = lane_uniforms(seed, use, streams_from(first_stream + l + n * width),
                                     block + static_cast<std::uint64_t>(i));
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const TwoNormals z = normals_of(u[n]);
                store<double>(out[2 * i] + l + n * width, z.first);
                store<double>(out[2 * i + 1] + l + n * width, z.second);
            }
        });
}

SCOREMATCH_END_LEVEL
