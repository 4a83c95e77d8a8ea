// A tile: a few dozen to a few hundred samples, turned so that a row holds one feature of all of them.
//
// Samples lie in lanes, so that every kernel is written as if for one sample and runs on a pack of them. All that is
// computed from a tile (scores, cotangents, workspaces) has the same shape: rows of `lanes` numbers.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

// Rows of lanes. Row i begins at data + i·stride; the stride is a little more than the number of lanes, since rows a
// power of two apart would all fall into the same few sets of the cache.
template <class T>
struct Rows {
    T* data = nullptr;
    index stride = 0;

    T* operator[](index i) const { return data + i * stride; }
    Rows from(index i) const { return {data + i * stride, stride}; }
    explicit operator bool() const { return data != nullptr; }
    operator Rows<const T>() const { return {data, stride}; }
};

// The samples of the tile that comes next, where they lie one behind the other in memory.
template <class T>
struct Ahead {
    const T* samples = nullptr;
    index per_lane = 0;

    // Asks for the share of some lanes to be brought near. There may be nothing there.
    void ask(index lane, index lanes) const noexcept {
        constexpr index line = 64 / static_cast<index>(sizeof(T));
        if (samples == nullptr) return;
        for (index i = lane * per_lane; i < (lane + lanes) * per_lane; i += line) __builtin_prefetch(samples + i, 0, 2);
    }
};

template <class T>
struct Tile {
    Rows<const T> x;  // (n_features, lanes)
    index n_features = 0;
    index lanes = 0;  // a multiple of the pack size; lanes behind the last sample repeat it and have weight zero
    Ahead<T> ahead = {};
    index first = 0;  // which samples they are: so many from here on
    index count = 0;
};

SCOREMATCH_END_LEVEL
