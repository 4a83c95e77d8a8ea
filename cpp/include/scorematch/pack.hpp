// A pack: as many numbers as one vector register of this level holds, one sample in each lane.
//
// The compilers' vector extension gives arithmetic, comparison and the choice `mask ? a : b` on packs at no cost and on
// every processor, so only what it lacks is written here.
#pragma once

#include <cstdint>
#include <cstring>

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
inline constexpr int pack_bytes = 64;
inline constexpr int n_registers = 32;
#elif defined(__AVX__)
inline constexpr int pack_bytes = 32;
inline constexpr int n_registers = 16;
#elif defined(__aarch64__)
inline constexpr int pack_bytes = 16;
inline constexpr int n_registers = 32;
#else
inline constexpr int pack_bytes = 16;
inline constexpr int n_registers = 16;
#endif

template <class T>
struct PackTypes;
template <>
struct PackTypes<double> {
    typedef double Pack __attribute__((vector_size(pack_bytes)));
    typedef std::int64_t Integers __attribute__((vector_size(pack_bytes)));
};
template <>
struct PackTypes<float> {
    typedef float Pack __attribute__((vector_size(pack_bytes)));
    typedef std::int32_t Integers __attribute__((vector_size(pack_bytes)));
};

// Pack<T>: the numbers. Integers<T>: integers of the same width; comparisons of packs give them (0 or -1 a lane).
template <class T>
using Pack = typename PackTypes<T>::Pack;
template <class T>
using Integers = typename PackTypes<T>::Integers;

template <class T>
inline constexpr index pack_size = pack_bytes / static_cast<index>(sizeof(T));

// Loads and stores are of any alignment: on every level worth having they cost what aligned ones do.
template <class T>
inline Pack<T> load(const T* p) {
    Pack<T> x;
    std::memcpy(&x, p, sizeof x);
    return x;
}
template <class T>
inline void store(T* p, Pack<T> x) {
    std::memcpy(p, &x, sizeof x);
}

template <class T>
inline Pack<T> broadcast(T a) {
    return a - Pack<T>{};  // a - 0 keeps the sign of a zero, which a + 0 does not
}

// The sum of the lanes, always in the same order (halves, then quarters, ...).
template <class T>
inline T sum_lanes(Pack<T> x) {
    T a[pack_size<T>];
    store<T>(a, x);
    for (index width = pack_size<T> / 2; width > 0; width /= 2)
        for (index i = 0; i < width; ++i) a[i] += a[i + width];
    return a[0];
}

template <class T>
inline Pack<T> maximum(Pack<T> a, Pack<T> b) {
    return a > b ? a : b;
}
template <class T>
inline Pack<T> minimum(Pack<T> a, Pack<T> b) {
    return a < b ? a : b;
}

// a·b + c with one rounding where the level has it.
template <class T>
inline Pack<T> multiply_add(Pack<T> a, Pack<T> b, Pack<T> c) {
    return a * b + c;  // contracted: the build sets -ffp-contract=fast
}

SCOREMATCH_END_LEVEL
