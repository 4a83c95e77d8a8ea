// What a way back begins with.
#pragma once

#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// The ways back: with u = cψ; with any u and no c, one c, or one c a coordinate.
enum class Way { euclidean, score_alone, general, by_coordinate };

template <class T>
struct Pullback {
    Rows<const T> score, u, c, direction;
    const T* g;  // null without a direction
    Pullback from(index lane) const noexcept {
        return {lanes_from(score, lane), lanes_from(u, lane), lanes_from(c, lane), lanes_from(direction, lane),
                g == nullptr ? nullptr : g + lane};
    }
};

// body<way>(back) with what a family is given to go back from.
template <class T, class Body>
inline void with_way(const Derivatives<T>& results, const Cotangents<T>& cotangents, const Body& body) noexcept {
    Pullback<T> back{results.score, cotangents.score, cotangents.curvature, results.direction,
                     results.direction ? cotangents.directional : nullptr};
    switch (results.asked) {
        case Curvature::none: body.template operator()<Way::score_alone>(back); break;
        case Curvature::trace:
            back.c.stride = 0;  // one row, the same for all coordinates
            body.template operator()<Way::general>(back);
            break;
        case Curvature::diagonal: body.template operator()<Way::by_coordinate>(back); break;
    }
}

}  // namespace
SCOREMATCH_END_LEVEL
