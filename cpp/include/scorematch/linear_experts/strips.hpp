// What linear experts do to the rows of a strip between products, on ℝᵈ. linear_experts.hpp explains the symbols.
//
// A strip is as many lanes of a tile as stay in the first-level cache with all that is done to them. Within it, N packs
// at a time go through all components, so that what is summed over components stays in registers; and what is summed
// over lanes, for each component, is reduced for a group of components at once.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/linear_experts/model.hpp"
#include "scorematch/linear_experts/sums.hpp"
#include "scorematch/outer.hpp"
#include "scorematch/pack.hpp"
#include "scorematch/tile.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

// Numbers for each component or feature, of the samples' type.
template <class T>
struct ExpertConstants {
    ExpertConstants(const ExpertParameters& at, const Buffer<double>& norms, index n_features, index n_components)
        : d(n_features), m(n_components), coefficients(m), squared_norms(m), scales(m), offsets(m), minus_precision(d),
          precision(static_cast<T>(at.precision)) {
        for (index k = 0; k < m; ++k) {
            double offset = at.offsets[k];
            for (index j = 0; j < d; ++j) offset += at.filters[k * d + j] * at.centre[j];
            coefficients[k] = static_cast<T>(at.coefficients[k]);
            squared_norms[k] = static_cast<T>(norms[k]);
            scales[k] = static_cast<T>(at.coefficients[k] * norms[k]);
            offsets[k] = static_cast<T>(offset);
        }
        for (index j = 0; j < d; ++j) minus_precision[j] = -precision;
    }
    index d, m;
    Buffer<T> coefficients;     // α
    Buffer<T> squared_norms;    // ‖v_k‖²
    Buffer<T> scales;           // α_k ‖v_k‖²
    Buffer<T> offsets;          // c + Vb
    Buffer<T> minus_precision;  // −p once for each feature
    T precision;                // p
};

template <class T>
struct Strip {
    index lanes;
    Rows<const T> x;  // δ
    const T* weight;
    const T* root_weight;  // by K
    Rows<T> first, key;    // g′ and the keys, in the end what products are taken of: √weight·g′ by K, and h
    Rows<T> score;         // by ψ: ψ, then y
    Rows<T> z;             // by K q, by ψ z
    T* norm_term;
    T* hessian_term;
};

// How q or z is come by: from K, or from ψ.
enum class Way { by_gram, by_score };

template <class T, class Model, Way way>
class StripSteps {
  public:
    StripSteps(const ExpertConstants<T>& at, const ExpertSums<double>& in) noexcept : at_(at), in_(in) {}

    // From u to g′ and the keys. By K, where there is a base: e in the place of the norm term, and what q starts from.
    void open(const Strip<T>& strip) const noexcept { open<widest>(strip, 0); }

    // By ψ, from ψ: the norm term, and y in the place of ψ.
    void weigh(const Strip<T>& strip) const noexcept { weigh<widest>(strip, 0); }

    // From q or z: the terms of ρ that are still missing, and h in the place of the keys.
    void close(const Strip<T>& strip) const noexcept { close<widest>(strip, 0); }

  private:
    static constexpr int widest = n_registers >= 32 ? 4 : 2;
    static constexpr int group = ExpertSums<double>::group;
    static constexpr index width = pack_size<T>;
    static constexpr bool by_gram = way == Way::by_gram;
    static constexpr bool base_in_open = by_gram && Model::has_base;

    template <int N>
    void open(const Strip<T>& strip, index l) const noexcept {
        for (; l + N * width <= strip.lanes; l += N * width) {
            Pack<T> energy[N]{};
            if constexpr (base_in_open) sum_base<N>(strip, l, energy);
            for (index k = 0; k < at_.m; ++k) {
                T* const __restrict first = strip.first[k] + l;
                T* const __restrict key = strip.key[k] + l;
                T* const __restrict q = strip.z[k] + l;
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> u = load(first + n * width);
                    const Slope<T> slope = Model::template slope<T>(u);
                    store<T>(first + n * width, slope.first);
                    store<T>(key + n * width, slope.key);
                    if constexpr (base_in_open) {
                        const Pack<T> s = u - at_.offsets[k];
                        energy[n] -= at_.coefficients[k] * slope.first * s;
                        store<T>(q + n * width, -at_.precision * s);
                    }
                }
            }
            if constexpr (base_in_open) {
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) store<T>(strip.norm_term + l + n * width, energy[n]);
            }
        }
        if constexpr (N > 1) {
            if (l < strip.lanes) open<N / 2>(strip, l);
        }
    }

    // p ‖δ‖² onto `energy`, and −p Σ weight·δ.
    template <int N>
    void sum_base(const Strip<T>& strip, index l, Pack<T>* energy) const noexcept {
        for (index begin = 0; begin < at_.d; begin += group) {
            Pack<T> score[group]{};
            for (index j = begin; j < begin + group && j < at_.d; ++j) {
                const T* const __restrict x = strip.x[j] + l;
                SCOREMATCH_UNROLL
                for (int n = 0; n < N; ++n) {
                    const Pack<T> delta = load(x + n * width), pull = at_.precision * delta;
                    energy[n] += delta * pull;
                    score[j - begin] -= load(strip.weight + l + n * width) * pull;
                }
            }
            add_lane_sums<group, T>(in_.score + begin, score);
        }
    }

    template <int N>
    void weigh(const Strip<T>& strip, index l) const noexcept {
        for (; l + N * width <= strip.lanes; l += N * width) {
            Pack<T> norm[N]{}, weight[N], precision{};
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) weight[n] = load(strip.weight + l + n * width);
            for (index begin = 0; begin < at_.d; begin += group) {
                Pack<T> score[group]{};
                for (index j = begin; j < begin + group && j < at_.d; ++j) {
                    T* const __restrict psi = strip.score[j] + l;
                    SCOREMATCH_UNROLL
                    for (int n = 0; n < N; ++n) {
                        const Pack<T> at = load(psi + n * width), y = weight[n] * at;
                        norm[n] += at * at;
                        store<T>(psi + n * width, y);
                        if constexpr (Model::has_base) {
                            score[j - begin] += y;
                            precision -= y * load(strip.x[j] + l + n * width);
                        }
                    }
                }
                if constexpr (Model::has_base) add_lane_sums<group, T>(in_.score + begin, score);
            }
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                store<T>(strip.norm_term + l + n * width, T(0.5) * norm[n]);
                precision -= static_cast<T>(at_.d) * weight[n];
            }
            if constexpr (Model::has_base) *in_.precision += static_cast<double>(sum_lanes<T>(precision));
        }
        if constexpr (N > 1) {
            if (l < strip.lanes) weigh<N / 2>(strip, l);
        }
    }

    template <int N>
    void close(const Strip<T>& strip, index l) const noexcept {
        const T trace = -at_.precision * static_cast<T>(at_.d);
        for (; l + N * width <= strip.lanes; l += N * width) {
            Terms<N> terms;
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                terms.weight[n] = load(strip.weight + l + n * width);
                if constexpr (by_gram) terms.root_weight[n] = load(strip.root_weight + l + n * width);
                terms.norm[n] = Pack<T>{};
                terms.hessian[n] = broadcast(trace);
            }
            if constexpr (base_in_open) start_from_energy<N>(strip, l, terms);
            for (index begin = 0; begin < at_.m; begin += group) close_group<N>(strip, l, begin, terms);
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                if constexpr (by_gram) store<T>(strip.norm_term + l + n * width, T(0.5) * terms.norm[n]);
                store<T>(strip.hessian_term + l + n * width, terms.hessian[n]);
            }
        }
        if constexpr (N > 1) {
            if (l < strip.lanes) close<N / 2>(strip, l);
        }
    }

    template <int N>
    struct Terms {
        Pack<T> weight[N], root_weight[N], norm[N], hessian[N];
    };

    template <int N>
    void start_from_energy(const Strip<T>& strip, index l, Terms<N>& terms) const noexcept {
        Pack<T> precision{};
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            const Pack<T> energy = load(strip.norm_term + l + n * width);
            terms.norm[n] = at_.precision * energy;
            precision += terms.weight[n] * (energy - static_cast<T>(at_.d));
        }
        *in_.precision += static_cast<double>(sum_lanes<T>(precision));
    }

    template <int N>
    [[gnu::always_inline]] void close_group(const Strip<T>& strip, index l, index begin,
                                            Terms<N>& terms) const noexcept {
        Pack<T> curvature[group]{}, coefficients[group]{}, offsets[group]{}, firsts[group]{};
        for (index k = begin; k < begin + group && k < at_.m; ++k) {
            T* const __restrict first = strip.first[k] + l;
            T* const __restrict key = strip.key[k] + l;
            const T* const __restrict z = strip.z[k] + l;
            Pack<T> sum{}, along{}, offset{}, total{};
            SCOREMATCH_UNROLL
            for (int n = 0; n < N; ++n) {
                const Pack<T> weight = terms.weight[n];
                const Slope<T> slope{load(first + n * width), load(key + n * width)};
                const Pack<T> second = Model::template second<T>(slope), third = Model::template third<T>(slope);
                terms.hessian[n] += at_.scales[k] * second;
                sum += weight * second;
                if constexpr (by_gram) {
                    const Pack<T> q = load(z + n * width), weighted = weight * slope.first;
                    const Pack<T> h = weight * (q * second + at_.squared_norms[k] * third);
                    terms.norm[n] += (at_.coefficients[k] * slope.first) * q;
                    along += weighted * q;
                    offset += h;
                    total += weighted;
                    store<T>(first + n * width, terms.root_weight[n] * slope.first);
                    store<T>(key + n * width, Model::has_base ? h - at_.precision * weighted : h);
                } else {
                    const Pack<T> along_filter = load(z + n * width);
                    const Pack<T> h = along_filter * second + (weight * at_.squared_norms[k]) * third;
                    along += along_filter * slope.first;
                    offset += h;
                    store<T>(key + n * width, h);
                }
            }
            curvature[k - begin] = sum;
            coefficients[k - begin] = along;
            offsets[k - begin] = offset;
            firsts[k - begin] = total;
        }
        add_lane_sums<group, T>(in_.curvature + begin, curvature);
        if constexpr (Model::estimates_coefficients) add_lane_sums<group, T>(in_.coefficients + begin, coefficients);
        if constexpr (Model::has_base) add_lane_sums<group, T>(in_.offsets + begin, offsets);
        if constexpr (base_in_open) add_lane_sums<group, T>(in_.first + begin, firsts);
    }

    const ExpertConstants<T>& at_;
    const ExpertSums<double>& in_;
};

SCOREMATCH_END_LEVEL
