// Moves on the unit sphere: along great circles.
#pragma once

#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/vector_math.hpp"

SCOREMATCH_BEGIN_LEVEL

// v −= x xᵀv, for the pack of lanes from `lane` on.
inline void project_to_tangent(Rows<const double> x, index d, index lane, Rows<double> v) noexcept {
    Pack<double> along{};
    for (index j = 0; j < d; ++j) along += load(x[j] + lane) * load(v[j] + lane);
    for (index j = 0; j < d; ++j) store<double>(v[j] + lane, load(v[j] + lane) - along * load(x[j] + lane));
}

// From x with the velocity v, tangential, for a time: x ← x cos(at) + v sin(at)/a, v ← v cos(at) − x a sin(at), with
// a = ‖v‖. Rounding takes x off the sphere and v off its tangent; both are put back.
inline void move_on_great_circle(Rows<double> x, Rows<double> v, index d, index lane, Pack<double> time) noexcept {
    constexpr double one_turn = 6.283185307179586;
    Pack<double> square{};
    for (index j = 0; j < d; ++j) square += load(v[j] + lane) * load(v[j] + lane);
    const Pack<double> speed = sqrt<double>(square);
    const SineAndCosine<double> angle = sine_and_cosine_of_turns<double>(speed * time * (1 / one_turn));
    const Pack<double> forth = square > 0 ? angle.sine / speed : time;
    Pack<double> length{};
    for (index j = 0; j < d; ++j) {
        const Pack<double> from = load(x[j] + lane), velocity = load(v[j] + lane);
        const Pack<double> to = from * angle.cosine + velocity * forth;
        store<double>(v[j] + lane, velocity * angle.cosine - from * (speed * angle.sine));
        store<double>(x[j] + lane, to);
        length += to * to;
    }
    const Pack<double> unit = 1 / sqrt<double>(length);
    for (index j = 0; j < d; ++j) store<double>(x[j] + lane, load(x[j] + lane) * unit);
    project_to_tangent(x, d, lane, v);
}

SCOREMATCH_END_LEVEL
