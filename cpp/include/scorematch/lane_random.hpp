// Philox (philox.hpp) in the lanes of packs: each lane has a stream of its own, and only the lanes that ask go on in
// theirs. So what a lane draws does not depend on its neighbours, nor on how many lanes the level has.
#pragma once

#include "scorematch/philox.hpp"
#include "scorematch/vector_math.hpp"

#if defined(__SSE2__) && !defined(__AVX2__)
#include <emmintrin.h>
#elif defined(__AVX2__) && !defined(__AVX512F__)
#include <immintrin.h>
#endif

SCOREMATCH_BEGIN_LEVEL

using LaneWords = Words<double>;
using LaneMask = Integers<double>;

// The product of the lower halves of 64-bit lanes; compilers do not find the one instruction that x86 has for it.
[[gnu::always_inline]] inline LaneWords multiply_lower_halves(LaneWords a, std::uint32_t b) {
    const LaneWords all = LaneWords{} + std::uint64_t{b};
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    return (LaneWords)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)all);
#elif defined(__AVX2__)
    return (LaneWords)_mm256_mul_epu32((__m256i)a, (__m256i)all);
#elif defined(__SSE2__)
    return (LaneWords)_mm_mul_epu32((__m128i)a, (__m128i)all);
#else
    return (a & 0xffffffff) * all;
#endif
}

// Each word of a block in the lower half of a lane; what stands in the upper halves does not matter.
struct LaneBlock {
    LaneWords word[4];
};
[[gnu::always_inline]] inline LaneBlock philox(LaneBlock c, std::uint64_t key) {
    std::uint32_t low_key = static_cast<std::uint32_t>(key), high_key = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const LaneWords even = multiply_lower_halves(c.word[0], 0xD2511F53);
        const LaneWords odd = multiply_lower_halves(c.word[2], 0xCD9E8D57);
        c = {{(odd >> 32) ^ c.word[1] ^ std::uint64_t{low_key}, odd, (even >> 32) ^ c.word[3] ^ std::uint64_t{high_key},
              even}};
        low_key += 0x9E3779B9;
        high_key += 0xBB67AE85;
    }
    return c;
}

[[gnu::always_inline]] inline bool any(LaneMask mask) {
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
    return _mm512_movepi64_mask((__m512i)mask) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_pd((__m256d)mask) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_pd((__m128d)mask) != 0;
#else
    std::int64_t lanes[pack_size<double>], all = 0;
    std::memcpy(lanes, &mask, sizeof mask);
    for (index i = 0; i < pack_size<double>; ++i) all |= lanes[i];
    return all != 0;
#endif
}

struct TwoUniforms {
    Pack<double> first, second;
};

class LaneRandom {
  public:
    LaneRandom(std::uint64_t seed, RandomUse use, LaneWords stream, LaneWords position) noexcept
        : seed_(seed), use_(static_cast<std::uint32_t>(use)), stream_(stream), position_(position) {}

    // Two numbers a lane, never 0 or 1: the midpoints of 2⁵² equal parts. Lanes outside `active` stay where they are.
    [[gnu::always_inline]] TwoUniforms next(LaneMask active) noexcept {
        const LaneBlock block = next_block(active);
        return {uniform(block.word[0], block.word[1]), uniform(block.word[2], block.word[3])};
    }

    // The words of a block as they are.
    [[gnu::always_inline]] LaneBlock next_block(LaneMask active) noexcept {
        const LaneBlock block =
            philox(LaneBlock{{position_, position_ >> 32, stream_, LaneWords{} + std::uint64_t{use_}}}, seed_);
        position_ -= (LaneWords)active;  // a mask is −1
        return block;
    }

    LaneWords position() const noexcept { return position_; }

  private:
    [[gnu::always_inline]] static Pack<double> uniform(LaneWords low, LaneWords high) {
        const LaneWords word = (low & 0xffffffff) | (high << 32);
        return (from_bits<double>((word >> 12) | bits_of_one<double>) - 1) + 0x1p-53;
    }

    std::uint64_t seed_;
    std::uint32_t use_;
    LaneWords stream_, position_;
};

SCOREMATCH_END_LEVEL
