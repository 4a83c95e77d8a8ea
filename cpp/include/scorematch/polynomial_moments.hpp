// Moments of all monomials, from which the closed form of a polynomial family follows: Γ is made of E[h_j y^(α+β−2e_j)]
// alone, so that p² products a sample come down to one multiplication and one addition for each monomial of up to
// 2·degree − 2.
//
// They are sums of doubles whatever the float type of the samples: a system of moments magnifies rounding errors by its
// condition.
#pragma once

#include "scorematch/engine.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/monomials.hpp"
#include "scorematch/outer.hpp"
#include "scorematch/unroll.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace polynomial_moments_detail {

// Packs of lanes that monomials are worked out for at a time: few enough for all of them to stay in a first-level
// cache.
inline constexpr int strip_packs = 8;

// total[i] += Σ y·tails_i for rows of N packs each; the products themselves are kept where they are used again.
template <int N, bool keep>
inline void multiply_and_add(const double* tails, index n_rows, const double* variable, double* products,
                             double* totals) noexcept {
    constexpr index width = pack_size<double>;
    Pack<double> y[N];
    SCOREMATCH_UNROLL
    for (int n = 0; n < N; ++n) y[n] = load(variable + n * width);
    for (index row = 0; row < n_rows; ++row, tails += N * width, totals += width) {
        Pack<double> total = load(totals);
        SCOREMATCH_UNROLL
        for (int n = 0; n < N; ++n) {
            if constexpr (keep) {
                const Pack<double> product = load(tails + n * width) * y[n];
                store<double>(products + n * width, product);
                total += product;
            } else {
                total = multiply_add<double>(load(tails + n * width), y[n], total);
            }
        }
        store<double>(totals, total);
        if constexpr (keep) products += N * width;
    }
}

// Σ start·y^γ over lanes, for all monomials of a table, in its order; in memory of the caller's, zeros at first.
class MonomialSums {
  public:
    // How many doubles it needs.
    static index memory(const Monomials& monomials) noexcept {
        return (monomials.count() + pack_size<double>)*pack_size<double> +
               monomials.end(last_kept(monomials)) * strip_packs * pack_size<double>;
    }
    MonomialSums(const Monomials& monomials, double* memory) noexcept
        : monomials_(monomials), totals_(memory),
          kept_(memory + (monomials.count() + pack_size<double>)*pack_size<double>) {}

    // Adds a tile, rows y and one row of start.
    void add(Rows<const double> y, const double* start, index lanes) noexcept {
        constexpr int N = strip_packs;
        index lane = 0;
        for (; lane + N * pack_size<double> <= lanes; lane += N * pack_size<double>)
            add_strip<N>({y.data + lane, y.stride}, start + lane);
        for (; lane < lanes; lane += pack_size<double>) add_strip<1>({y.data + lane, y.stride}, start + lane);
    }

    // Adds the sums to `out`, and starts anew.
    void flush(double* out) noexcept {
        constexpr index width = pack_size<double>;
        for (index i = 0; i < monomials_.count(); i += width) {
            Pack<double> group[width];
            for (index n = 0; n < width; ++n) {  // there are zeros behind the last one
                group[n] = load(totals_ + (i + n) * width);
                store<double>(totals_ + (i + n) * width, Pack<double>{});
            }
            const Pack<double> sums = sum_lanes_transposed<double>(group);
            const index left = monomials_.count() - i;
            if (left >= width) store<double>(out + i, load(out + i) + sums);
            else
                for (index n = 0; n < left; ++n) out[i + n] += sums[n];
        }
    }

  private:
    // Stores are the bottleneck. Monomials of the highest degree have no use but their sums; and if they are made as
    // (y_k y_l)·tail, neither have those of the second highest.
    static index last_kept(const Monomials& monomials) noexcept {
        const index degree = monomials.degree();
        return degree >= 4 ? degree - 2 : degree > 0 ? degree - 1 : 0;
    }

    template <int N>
    void add_strip(Rows<const double> y, const double* start) noexcept {
        constexpr index width = pack_size<double>, strip = N * width;
        Pack<double> total = load(totals_);
        for (index n = 0; n < N; ++n) {
            const Pack<double> value = load(start + n * width);
            store<double>(kept_ + n * width, value);
            total += value;
        }
        store<double>(totals_, total);
        const Monomials& m = monomials_;
        const index d = m.n_variables(), last = last_kept(m);
        for (index t = 1; t <= last; ++t)
            for (index k = 0; k < d; ++k) {
                const index tail = m.first(t - 1, k), first = m.first(t, k);
                multiply_and_add<N, true>(kept_ + tail * strip, m.end(t - 1) - tail, y[k], kept_ + first * strip,
                                          totals_ + first * width);
            }
        if (last == m.degree()) return;
        for (index k = 0; k < d; ++k) {
            const index tail = m.first(last, k);
            multiply_and_add<N, false>(kept_ + tail * strip, m.end(last) - tail, y[k], nullptr,
                                       totals_ + m.first(last + 1, k) * width);
        }
        if (last + 1 == m.degree()) return;
        double pair[strip];
        for (index k = 0; k < d; ++k)
            for (index l = k; l < d; ++l) {
                product_row<double>(y[k], y[l], strip, pair);
                const index tail = m.first(last, l);
                const index first = m.first(last + 2, k) + m.first(last + 1, l) - m.first(last + 1, k);
                multiply_and_add<N, false>(kept_ + tail * strip, m.end(last) - tail, pair, nullptr,
                                           totals_ + first * width);
            }
    }

    const Monomials& monomials_;
    double* totals_;  // a pack of each
    double* kept_;    // a strip of each, N packs a row
};

// A tile in doubles: y, and the weights, those of the samples alone or w h_j and w h_j′.
struct WeightedTile {
    Rows<double> y;
    const double* weight;
    Rows<double> h, dh;
    index lanes;
    Rows<double> rest;  // scratch
};

// The loop of engine.hpp for sums alone: body(tile, worker, sums) once a tile.
template <class T, class Body>
void for_each_weighted_tile(const Samples<T>& samples, const double* sample_weight, const Field<double>* field,
                            const PolynomialMoments& moments, index rest_rows, Buffer<double>& sums, index n_sums,
                            int n_threads, const Body& body) {
    const index d = samples.n_features;
    const bool shared = field != nullptr && field->curvature() == Curvature::trace;
    const index double_rows = 4 * d + 1 + rest_rows;  // x, y, h, h′, w and the rest
    const index rows = d + double_rows * static_cast<index>(sizeof(double) / sizeof(T));
    const Partition partition = Partition::of<T>(samples.n_samples, rows, n_sums);
    Workspaces<T> workspaces(partition, d, n_threads);
    Workspaces<double> wide_workspaces(partition, double_rows, n_threads);
    sums = Buffer<double>(n_sums * partition.n_chunks);
    auto run_chunk = [&](index chunk, int worker) noexcept {
        const Rows<T> own = workspaces.of(worker);
        const Rows<double> x = wide_workspaces.of(worker), y = x.from(d), h = x.from(2 * d);
        const Rows<double> dh = h.from(shared ? 1 : d);
        double* const weight = x[4 * d];
        const index lanes = partition.lanes;
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            const index first = partition.first_sample(t), count = partition.samples_in(t);
            load_tile(samples, first, count, lanes, own);
            load_weights(sample_weight, first, count, lanes, weight);
            for (index j = 0; j < d; ++j) {
                const double s = moments.shift[j], inverse = 1.0 / moments.scale[j];
                for (index l = 0; l < lanes; ++l) {
                    x[j][l] = static_cast<double>(own[j][l]);
                    y[j][l] = (x[j][l] - s) * inverse;
                }
            }
            if (field != nullptr) {
                field->at({x, d, lanes, {}, first, count}, h);  // fills the rows h and h′
                for (index j = 0; j < (shared ? 1 : d); ++j) product_row<double>(weight, h[j], lanes, h[j]);
                for (index j = 0; j < d; ++j) product_row<double>(weight, dh[j], lanes, dh[j]);
            }
            body(WeightedTile{y, weight, h, dh, lanes, x.from(4 * d + 1)}, worker, sums.data() + chunk * n_sums);
        }
    };
    for_each_chunk(partition, n_threads, run_chunk);
    add_up_chunks(sums.data(), n_sums, partition.n_chunks);
}

// sums[i, b] += Σ a_i·m_b over lanes, for d rows a and the first n monomials; the rows hold all but the constant.
inline void accumulate_expansion(Rows<const double> a, index d, Rows<const double> monomials, index n, index lanes,
                                 double* sums, index ld) noexcept {
    for (index i = 0; i < d; ++i) sums[i * ld] += sum_row<double>(a[i], lanes);
    if (n > 1) accumulate_outer<double>(a, d, monomials, n - 1, lanes, sums + 1, ld);
}

}  // namespace polynomial_moments_detail

// See PolynomialMoments in backend.hpp.
template <class T>
void polynomial_moments(const Samples<T>& samples, const double* sample_weight, const FieldSpec& field_spec,
                        const PolynomialMoments& out, int n_threads) {
    using namespace polynomial_moments_detail;
    const index d = samples.n_features, top = 2 * out.degree - 2;
    const Owner<Field<double>> field(make_field<double>(field_spec));
    const bool weighted = field.get() != nullptr;
    const bool shared = weighted && field->curvature() == Curvature::trace;
    // The monomials of all coordinates, or of one alone.
    const Monomials monomials(out.interactions ? d : 1, top), slope_monomials(out.interactions ? d : 1, out.degree - 1);
    const index n = monomials.count(), n_slope = slope_monomials.count();
    const index n_rows = out.interactions && (!weighted || shared) ? 1 : d;
    const index n_sums = n_rows * n + (weighted ? d * n_slope : 0);
    const double cost = 2.0 * static_cast<double>(n_sums) + 10.0 * static_cast<double>(d);
    const int workers = threads_worth(cost * static_cast<double>(samples.n_samples), n_threads);
    Buffer<double> sums;
    if (out.interactions && weighted && !shared && top > 0) {
        // All rows of weights times all monomials: products of matrices. Of the highest degree the factors will do.
        const index n_kept = monomials.end(top - 1);
        for_each_weighted_tile(samples, sample_weight, field.get(), out, d + n_kept, sums, n_sums, workers,
                               [&](const WeightedTile& tile, int, double* own) noexcept {
                                   const Rows<double> scaled = tile.rest, rows = tile.rest.from(d);
                                   for (index k = 0; k < d; ++k)
                                       for (index l = 0; l < tile.lanes; l += pack_size<double>)
                                           store<double>(rows[k] + l, load(tile.y[k] + l));
                                   multiply_out<double>(monomials, top - 1, tile.lanes, rows);
                                   accumulate_expansion(tile.h, d, rows, n_kept, tile.lanes, own, n);
                                   for (index k = 0; k < d; ++k) {
                                       for (index j = 0; j < d; ++j)
                                           product_row<double>(tile.h[j], tile.y[k], tile.lanes, scaled[j]);
                                       const index tail = monomials.first(top - 1, k);
                                       accumulate_outer<double>(scaled, d, rows.from(tail - 1), n_kept - tail,
                                                                tile.lanes, own + monomials.first(top, k), n);
                                   }
                                   accumulate_expansion(tile.dh, d, rows, n_slope, tile.lanes, own + n_rows * n,
                                                        n_slope);
                               });
    } else {
        const index memory = MonomialSums::memory(monomials), slope_memory = MonomialSums::memory(slope_monomials);
        Buffer<double> memories((memory + slope_memory) * workers);
        for_each_weighted_tile(samples, sample_weight, field.get(), out, 0, sums, n_sums, workers,
                               [&](const WeightedTile& tile, int worker, double* own) noexcept {
                                   double* const mine = memories.data() + worker * (memory + slope_memory);
                                   MonomialSums totals(monomials, mine), slope_totals(slope_monomials, mine + memory);
                                   const auto y = [&](index j) noexcept -> Rows<const double> {
                                       return out.interactions ? tile.y : tile.y.from(j);
                                   };
                                   for (index j = 0; j < n_rows; ++j) {
                                       const double* const h = weighted ? tile.h[shared ? 0 : j] : tile.weight;
                                       totals.add(y(j), h, tile.lanes);
                                       totals.flush(own + j * n);
                                   }
                                   for (index j = 0; weighted && j < d; ++j) {
                                       slope_totals.add(y(j), tile.dh[j], tile.lanes);
                                       slope_totals.flush(own + n_rows * n + j * n_slope);
                                   }
                               });
    }
    for (index i = 0; i < n_rows * n; ++i) out.sums[i] = sums[i];
    for (index i = n_rows * n; i < n_sums; ++i) out.slope_sums[i - n_rows * n] = sums[i];
}

SCOREMATCH_END_LEVEL
