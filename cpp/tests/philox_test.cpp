// Philox against the known answers that its authors publish with Random123, and what is drawn with it.
#include "scorematch/philox.hpp"

#include <cstdint>
#include <vector>

#include "check.hpp"

namespace scorematch {
namespace {

void test_known_answers() {
    struct Known {
        RandomBlock counter;
        std::uint64_t key;
        RandomBlock want;
    };
    const Known list[] = {
        {{{0, 0, 0, 0}}, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
        {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
         0xffffffffffffffff,
         {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
        // The digits of π; the first word of the key is its lower half.
        {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
         0x299f31d0a4093822,
         {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
    };
    for (const Known& known : list) {
        const RandomBlock got = philox(known.counter, known.key);
        for (int i = 0; i < 4; ++i) CHECK(got.word[i] == known.want.word[i]);
    }
}

void test_stream() {
    RandomStream stream(0x0123456789abcdef, RandomUse::order_of_rows, 7);
    for (std::uint32_t block = 0; block < 3; ++block) {
        const RandomBlock words = philox({{block, 0, 7, 0}}, 0x0123456789abcdef);
        CHECK(stream.next() == (words.word[0] | static_cast<std::uint64_t>(words.word[1]) << 32));
        CHECK(stream.next() == (words.word[2] | static_cast<std::uint64_t>(words.word[3]) << 32));
    }
    RandomStream one(5, RandomUse::order_of_rows, 0), same(5, RandomUse::order_of_rows, 0);
    RandomStream other(5, RandomUse::order_of_rows, 1);
    bool differ = false;
    for (int i = 0; i < 4; ++i) {
        const std::uint64_t x = one.next();
        CHECK(x == same.next());
        differ |= x != other.next();
    }
    CHECK(differ);
}

void test_below() {
    RandomStream random(1, RandomUse::order_of_rows, 0);
    const int n = 60000, bound = 6;
    int counts[bound] = {};
    for (int i = 0; i < n; ++i) {
        const std::uint64_t x = random.below(bound);
        CHECK(x < bound);
        if (x < bound) ++counts[x];
    }
    double chi_squared = 0;
    for (const int count : counts) chi_squared += (count - n / 6.0) * (count - n / 6.0) / (n / 6.0);
    CHECK(chi_squared < 20.5);  // one of a thousand is above, with 5 degrees of freedom
    CHECK(random.below(1) == 0);
    bool high = false;  // where the bound has more bits than a word
    for (int i = 0; i < 64; ++i) high |= random.below(std::uint64_t{1} << 63) >> 62 != 0;
    CHECK(high);
}

// All six orders of three, as often as each other; and each value once in a long one.
void test_shuffle() {
    const int n = 60000;
    int counts[9] = {};
    for (int i = 0; i < n; ++i) {
        index three[] = {0, 1, 2};
        RandomStream random(3, RandomUse::order_of_rows, static_cast<std::uint32_t>(i));
        shuffle(three, 3, random);
        ++counts[3 * three[0] + three[1]];
    }
    double chi_squared = 0;
    int seen = 0;
    for (const int count : counts)
        if (count > 0) {
            ++seen;
            chi_squared += (count - n / 6.0) * (count - n / 6.0) / (n / 6.0);
        }
    CHECK(seen == 6 && chi_squared < 20.5);

    std::vector<index> many(1000);
    for (index i = 0; i < 1000; ++i) many[static_cast<std::size_t>(i)] = 5 * i;
    RandomStream random(4, RandomUse::order_of_rows, 0);
    shuffle(many.data(), 1000, random);
    std::vector<int> times(1000);
    for (const index value : many) ++times[static_cast<std::size_t>(value / 5)];
    for (const int count : times) CHECK(count == 1);
    index nothing = 9;
    shuffle(&nothing, 0, random);
    shuffle(&nothing, 1, random);
    CHECK(nothing == 9);
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_known_answers();
    scorematch::test_stream();
    scorematch::test_below();
    scorematch::test_shuffle();
    return check_result();
}
