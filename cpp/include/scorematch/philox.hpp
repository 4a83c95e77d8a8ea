// Random numbers without a state: Philox 4x32-10 of Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as
// easy as 1, 2, 3".
//
// A block of four words is a function of a key and a counter, and nothing is carried from one block to the next. So
// what is drawn depends on the seed and on what it is drawn for, and neither on the thread that draws it nor on what
// was drawn before.
#pragma once

#include <cstdint>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

struct RandomBlock {
    std::uint32_t word[4];
};

inline RandomBlock philox(RandomBlock counter, std::uint64_t key) noexcept {
    std::uint32_t low_key = static_cast<std::uint32_t>(key), high_key = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint32_t* const c = counter.word;
        const std::uint64_t even = std::uint64_t{0xD2511F53} * c[0], odd = std::uint64_t{0xCD9E8D57} * c[2];
        counter = {{static_cast<std::uint32_t>(odd >> 32) ^ c[1] ^ low_key, static_cast<std::uint32_t>(odd),
                    static_cast<std::uint32_t>(even >> 32) ^ c[3] ^ high_key, static_cast<std::uint32_t>(even)}};
        low_key += 0x9E3779B9;
        high_key += 0xBB67AE85;
    }
    return counter;
}

// What numbers are drawn for: streams of different uses never meet.
enum class RandomUse : std::uint32_t {
    order_of_rows,
    gibbs,
    wild_bootstrap,
    langevin,
    hamiltonian,
    projections,
    noise,
    rbm_gibbs,
    acceptance,
    first_step_sizes
};

// Stream number `stream` of a use: a sequence of 64-bit integers, as long as anybody can count.
class RandomStream {
  public:
    RandomStream(std::uint64_t seed, RandomUse use, std::uint32_t stream) noexcept
        : seed_(seed), use_(static_cast<std::uint32_t>(use)), stream_(stream) {}

    std::uint64_t next() noexcept {
        const int half = static_cast<int>(position_ & 1);
        if (half == 0) {
            const std::uint64_t block = position_ >> 1;
            block_ = philox(
                {{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), stream_, use_}}, seed_);
        }
        ++position_;
        return block_.word[2 * half] | static_cast<std::uint64_t>(block_.word[2 * half + 1]) << 32;
    }

    // An integer from 0 to bound − 1: the upper half of bound·next(). Their chances differ by 2⁻⁶⁴ at most.
    std::uint64_t below(std::uint64_t bound) noexcept {
        __extension__ typedef unsigned __int128 Product;
        return static_cast<std::uint64_t>(static_cast<Product>(bound) * next() >> 64);
    }

  private:
    std::uint64_t seed_;
    std::uint32_t use_, stream_;
    std::uint64_t position_ = 0;
    RandomBlock block_{};
};

// All orders are equally likely (Fisher and Yates).
inline void shuffle(index* values, index n, RandomStream& random) noexcept {
    for (index i = n - 1; i > 0; --i) {
        const index j = static_cast<index>(random.below(static_cast<std::uint64_t>(i) + 1));
        const index kept = values[i];
        values[i] = values[j];
        values[j] = kept;
    }
}

SCOREMATCH_END_LEVEL
