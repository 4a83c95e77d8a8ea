// The shuffles of which reductions and transpositions are made.
#pragma once

#include <utility>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

// The lanes of a pack, as a list for the functions below.
template <class T>
using AllLanes = std::make_integer_sequence<int, static_cast<int>(pack_size<T>)>;

// Lane i of the result of every_other comes from this lane of the two packs, those of the second counted on from
// `width`.
constexpr int every_other_lane(int i, int parity, int chunk, int region, int width) {
    const int half = region / 2;
    const int position = i % half;
    return i / region * region + (position / chunk * 2 + parity) * chunk + position % chunk +
           (i % region < half ? 0 : width);
}

// Within each region of lanes: the even chunks of a (parity 0) or the odd ones (1), then those of b. Lanes within 16
// bytes and 16 bytes within a pack, the patterns used for whole packs, are single instructions on every level.
template <int parity, int chunk, int region, class T, int... lane>
[[gnu::always_inline]] inline Pack<T> every_other(Pack<T> a, Pack<T> b, std::integer_sequence<int, lane...>) {
    constexpr int width = sizeof...(lane);
    return __builtin_shufflevector(a, b, every_other_lane(lane, parity, chunk, region, width)...);
}

// The chunks and regions of a butterfly of `size` lanes: first the lanes within 16 bytes, then the 16 bytes.
template <class T, int stage, int size>
struct Butterfly {
    static constexpr int short_width = 16 / static_cast<int>(sizeof(T));
    static constexpr bool within = (2 << stage) <= short_width;
    static constexpr int chunk = within ? 1 : short_width;
    static constexpr int region = within && short_width < size ? short_width : size;
};

SCOREMATCH_END_LEVEL
