// Philox in lanes gives what Philox gives, lane by lane, whichever lanes ask.
#include "scorematch/lane_random.hpp"

#include "check.hpp"

namespace scorematch {
namespace {

double as_uniform(std::uint32_t low, std::uint32_t high) {
    const std::uint64_t word = low | static_cast<std::uint64_t>(high) << 32;
    return (static_cast<double>(word >> 12) + 0.5) * 0x1p-52;
}

void test_lanes() {
    const std::uint64_t seed = 0x0123456789abcdef;
    constexpr index width = pack_size<double>;
    LaneWords stream{}, position{};
    for (index lane = 0; lane < width; ++lane) {
        stream[lane] = static_cast<std::uint64_t>(5 * lane + 1);
        position[lane] = 0xfffffffe + static_cast<std::uint64_t>(lane);  // goes over from word to word
    }
    LaneRandom random(seed, RandomUse::gibbs, stream, position);
    std::uint64_t want_position[width];
    for (index lane = 0; lane < width; ++lane) want_position[lane] = position[lane];
    for (int draw = 0; draw < 6; ++draw) {
        LaneMask active{};
        for (index lane = 0; lane < width; ++lane) active[lane] = (draw + lane) % 3 == 0 ? 0 : -1;
        const TwoUniforms u = random.next(active);
        for (index lane = 0; lane < width; ++lane) {
            const std::uint64_t at = want_position[lane];
            const RandomBlock block = philox(
                RandomBlock{{static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at >> 32),
                             static_cast<std::uint32_t>(stream[lane]), static_cast<std::uint32_t>(RandomUse::gibbs)}},
                seed);
            CHECK(u.first[lane] == as_uniform(block.word[0], block.word[1]));
            CHECK(u.second[lane] == as_uniform(block.word[2], block.word[3]));
            if (active[lane] != 0) ++want_position[lane];
            CHECK(random.position()[lane] == want_position[lane]);
        }
    }
}

void test_any() {
    LaneMask mask{};
    CHECK(!any(mask));
    for (index lane = 0; lane < pack_size<double>; ++lane) {
        mask = LaneMask{};
        mask[lane] = -1;
        CHECK(any(mask));
    }
}

}  // namespace
}  // namespace scorematch

int main() {
    if (!processor_has_level()) return skipped;
    scorematch::test_lanes();
    scorematch::test_any();
    return check_result();
}
