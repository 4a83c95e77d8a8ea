// The sums that the quadratic objective of the pairwise interaction model is made of, see PairwiseMoments in
// backend.hpp; pairwise_powers.hpp has the model's formulas.
//
// With c_j = (K_j, η_j), column j of K and an entry of η, a coordinate's ∂_j log p = D_jᵀc_j is linear in them:
// D_j = (−p_j u, q_j) with u = xᵃ, p = x^(a−1), q = x^(b−1). So under ½ h_j ψ_j² + h_j ∂_jψ_j + h_j′ψ_j a coordinate
// has the quadratic form Σ h_j D_jD_jᵀ, whose large part, Σ h_j p_j² u uᵀ, is weighted_squares.hpp's.
//
// On the simplex ψ_j = D_jᵀc_j − D_dᵀc_d for j < d. The last coordinate then has the weight Σ_j h_j and −Σ_j h_j′ for
// its derivative, and what couples column j with the last one, −Σ h_j D_jD_dᵀ, is further sums of the same kind.
#pragma once

#include "scorematch/engine.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/pairwise_powers.hpp"
#include "scorematch/product.hpp"
#include "scorematch/weighted_squares.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace pairwise_moments_detail {

// Beyond so many coordinates, threads share the pairs and not the samples: sums of their own would take too much
// memory.
inline constexpr index few_coordinates = 32;
// A panel of samples is turned to the product's order before threads take their pairs: the longer it is, the less often
// they wait for each other.
inline constexpr index panel_bytes = 4 * 1024 * 1024;
// Lanes that are turned into a share of a panel at a time; pairs that are a task; and bytes of weights that stay in a
// second-level cache while all of these pairs pass.
inline constexpr index panel_tile = 64, task_strips = 4, stretch_bytes = 512 * 1024;

inline index smaller(index a, index b) noexcept { return a < b ? a : b; }

// A tile of samples, turned into what is summed.
template <class T>
class PairwiseTile {
  public:
    PairwiseTile(const PairwiseMoments& out, const Field<T>* field, index n_features)
        : out_(out), field_(field), n_features_(n_features), d_(out.on_simplex ? n_features + 1 : n_features),
          n_coupled_(out.on_simplex ? n_features : 0),
          shared_(field != nullptr && field->curvature() == Curvature::trace) {}

    index d() const noexcept { return d_; }
    // One weight serves all columns where the field has one and p = 1.
    bool one_square() const noexcept { return !out_.on_simplex && out_.a == 1 && (shared_ || field_ == nullptr); }
    index n_squares() const noexcept { return one_square() ? 1 : d_ + n_coupled_; }

    // Sums that are no squares: of the weights times u, and of what has a number for each coordinate.
    index n_products() const noexcept { return (out_.has_linear ? 2 * d_ + 2 * n_coupled_ : d_) * d_; }
    index n_numbers() const noexcept { return 3 * d_ + 2 * n_coupled_; }

    struct Places {
        Rows<T> u;         // d, less the shift
        Rows<T> squares;   // the weights: d, then those that couple
        Rows<T> products;  // d of g, then of cross; those that couple K_j with η_d, and η_j with K_d
        Rows<T> numbers;   // d of linear, d of g_linear, those that couple η_j with η_d
    };
    index rows() const noexcept {
        return index_of_rest() + (field_ == nullptr ? 0 : field_->workspace_rows(n_features_));
    }

    Places operator()(const Tile<T>& tile, const T* weight, Rows<T> workspace) const noexcept {
        const Places at = places(workspace);
        const Rows<const T> x = tile.x;
        const index lanes = tile.lanes;
        const PowerRows<T> u{at.u, workspace.from(index_of_powers()), workspace.from(index_of_powers() + d_)};
        const Rows<T> spare = workspace.from(index_of_powers() + 2 * d_);
        const PowerRows<T> v = PowerRows<T>::in(spare, d_);
        const Rows<T> remainder = spare.from(PowerRows<T>::count(d_)), ends = remainder.from(1);
        const Rows<T> field_rows = workspace.from(index_of_rest());
        const FieldValues<T> field = field_ == nullptr ? FieldValues<T>{} : field_->at(tile, field_rows);

        const T a = static_cast<T>(out_.a), b = static_cast<T>(out_.b);
        fill_powers<T>(x, n_features_, lanes, a, u);
        if (out_.has_linear) fill_powers<T>(x, n_features_, lanes, b, v);
        if (out_.on_simplex) {
            fill_remainder<T>(x, n_features_, lanes, remainder[0]);
            fill_powers<T>(remainder, 1, lanes, a, last(u));
            if (out_.has_linear) fill_powers<T>(remainder, 1, lanes, b, last(v));
            fill_row<T>(0, lanes, ends[0]);
            fill_row<T>(0, lanes, ends[1]);
        }
        const index end = d_ - 1;
        for (index j = 0; j < n_features_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> w = load(weight + l);
                const Pack<T> h = field.a ? w * load(field.a[shared_ ? 0 : j] + l) : w;
                const Pack<T> dh = field.b ? w * load(field.b[j] + l) : Pack<T>{};
                coordinate(at, u, v, j, l, h, dh);
                if (!out_.on_simplex) continue;
                store<T>(ends[0] + l, load(ends[0] + l) + h);
                store<T>(ends[1] + l, load(ends[1] + l) - dh);
                const Pack<T> p = load(u.first[j] + l), p_end = load(u.first[end] + l);
                store<T>(at.squares[d_ + j] + l, h * p * p_end);
                if (!out_.has_linear) continue;
                const Pack<T> q = load(v.first[j] + l), q_end = load(v.first[end] + l);
                store<T>(at.products[2 * d_ + j] + l, h * p * q_end);
                store<T>(at.products[2 * d_ + n_coupled_ + j] + l, h * q * p_end);
                store<T>(at.numbers[2 * d_ + j] + l, h * q * q_end);
            }
        if (out_.on_simplex)
            for (index l = 0; l < lanes; l += pack_size<T>)
                coordinate(at, u, v, end, l, load(ends[0] + l), load(ends[1] + l));
        for (index i = 0; i < d_; ++i) {
            const Pack<T> s = broadcast(static_cast<T>(out_.shift[i]));
            for (index l = 0; l < lanes; l += pack_size<T>) store<T>(at.u[i] + l, load(at.u[i] + l) - s);
        }
        return at;
    }

    // Adds to n_products() and n_numbers() sums.
    void add(const Places& at, index lanes, double* products, double* numbers) const noexcept {
        accumulate_outer<T>(at.products, n_products() / d_, at.u, d_, lanes, products, d_);
        add_row_sums<T>(at.squares, d_ + n_coupled_, lanes, numbers);
        if (out_.has_linear) add_row_sums<T>(at.numbers, 2 * d_ + n_coupled_, lanes, numbers + d_ + n_coupled_);
    }

    // From the sums to the means that were asked for, the squares apart.
    void write(const double* products, const double* numbers) const noexcept {
        const double share = 1 / out_.total_weight, factor = (out_.a > 0 ? out_.a : 1) * share;
        const double* const squares = numbers;
        for (index i = 0; i < d_ * d_; ++i) out_.g_interaction[i] = share * products[i];
        for (index j = 0; j < d_; ++j) out_.g_interaction[j * d_ + j] += factor * squares[j];
        for (index j = 0; j < n_coupled_; ++j) {
            out_.g_interaction[j * d_ + d_ - 1] -= factor * squares[d_ + j];
            out_.g_interaction[(d_ - 1) * d_ + j] -= factor * squares[d_ + j];
        }
        if (!out_.has_linear) return;
        const double* const cross = products + d_ * d_;
        const double* const linear = squares + d_ + n_coupled_;
        for (index i = 0; i < d_ * d_; ++i) out_.cross[i] = -share * cross[i];
        for (index j = 0; j < d_; ++j) {
            out_.linear[j] = share * linear[j];
            out_.g_linear[j] = -share * linear[d_ + j];
        }
        const double* const coupling = cross + d_ * d_;
        for (index i = 0; i < 2 * n_coupled_ * d_; ++i) out_.coupling_cross[i] = share * coupling[i];
        for (index j = 0; j < n_coupled_; ++j) out_.coupling_linear[j] = -share * linear[2 * d_ + j];
    }

    // The squares are in the first of d·d numbers each, packed sums. Those that couple count as negative.
    void write_squares() const noexcept {
        const index size = d_ * d_;
        for (index j = 0; j < n_squares(); ++j)
            expand_triangle(square(j), d_, (j < d_ ? 1 : -1) / out_.total_weight, square(j));
        for (index j = n_squares(); j < d_; ++j)
            for (index i = 0; i < size; ++i) square(j)[i] = square(0)[i];
    }
    double* square(index j) const noexcept { return out_.squares + j * d_ * d_; }

  private:
    index index_of_powers() const noexcept {
        return d_ + (d_ + n_coupled_) + n_products() / d_ + (2 * d_ + n_coupled_);
    }
    index index_of_rest() const noexcept { return index_of_powers() + 2 * d_ + PowerRows<T>::count(d_) + 3; }
    Places places(Rows<T> workspace) const noexcept {
        const Rows<T> squares = workspace.from(d_), products = squares.from(d_ + n_coupled_);
        return {workspace, squares, products, products.from(n_products() / d_)};
    }
    PowerRows<T> last(const PowerRows<T>& rows) const noexcept {
        return {rows.value.from(d_ - 1), rows.first.from(d_ - 1), rows.second.from(d_ - 1)};
    }

    void coordinate(const Places& at, const PowerRows<T>& u, const PowerRows<T>& v, index j, index l, Pack<T> h,
                    Pack<T> dh) const noexcept {
        const Pack<T> p = load(u.first[j] + l);
        store<T>(at.squares[j] + l, h * p * p);
        store<T>(at.products[j] + l, h * load(u.second[j] + l) + dh * p);
        if (!out_.has_linear) return;
        const Pack<T> q = load(v.first[j] + l);
        store<T>(at.products[d_ + j] + l, h * p * q);
        store<T>(at.numbers[j] + l, h * q * q);
        store<T>(at.numbers[d_ + j] + l, h * load(v.second[j] + l) + dh * q);
    }

    const PairwiseMoments& out_;
    const Field<T>* field_;
    index n_features_, d_, n_coupled_;
    bool shared_;
};

// All sums with the samples shared among threads: for few coordinates, or for all but the squares.
template <class T>
void sum_over_samples(const PairwiseTile<T>& pairwise, const Samples<T>& samples, const double* sample_weight,
                      bool with_squares, int n_threads) {
    const index d = pairwise.d(), n_features = samples.n_features, n_squares = with_squares ? pairwise.n_squares() : 0;
    const index n_first = pairwise.n_products() + pairwise.n_numbers();
    const index n_sums = n_first + n_squares * triangle(d), rows = n_features + 1 + pairwise.rows();
    const Partition partition = Partition::of<T>(samples.n_samples, rows, n_sums);
    const double cost = static_cast<double>(2 * n_first + 2 * n_squares * triangle(d) + 100 * d);
    const int workers = threads_worth(cost * static_cast<double>(samples.n_samples), n_threads);
    Workspaces<T> workspaces(partition, rows, workers);
    Buffer<double> sums(n_sums * partition.n_chunks);
    const OwnerOfMany<SquarePanel<T>> panels(workers);
    const OwnerOfMany<SquareStrip<T>> strips(workers);
    for (int worker = 0; with_squares && worker < workers; ++worker) {
        panels[worker] = SquarePanel<T>(n_squares, d, partition.lanes);
        strips[worker] = SquareStrip<T>(n_squares);
    }
    auto run_chunk = [&](index chunk, int worker) noexcept {
        const Rows<T> x = workspaces.of(worker), weight = x.from(n_features), rest = weight.from(1);
        double* const products = sums.data() + chunk * n_sums;
        double* const numbers = products + pairwise.n_products();
        for (index t = partition.first_tile(chunk); t < partition.first_tile(chunk + 1); ++t) {
            const index first = partition.first_sample(t), count = partition.samples_in(t);
            load_tile(samples, first, count, partition.lanes, x, ahead_of(samples, first, count));
            load_weights(sample_weight, first, count, partition.lanes, weight[0]);
            const auto at = pairwise({x, n_features, partition.lanes, {}, first, count}, weight[0], rest);
            pairwise.add(at, partition.lanes, products, numbers);
            if (!with_squares) continue;
            panels[worker].fill(0, count, at.u, at.squares);
            for (index strip = 0; strip < square_strips<T>(d); ++strip)
                strips[worker].accumulate(panels[worker], 0, count, strip, numbers + pairwise.n_numbers(), triangle(d));
        }
    };
    for_each_chunk(partition, workers, run_chunk);
    add_up_chunks(sums.data(), n_sums, partition.n_chunks);
    pairwise.write(sums.data(), sums.data() + pairwise.n_products());
    for (index j = 0; j < n_squares; ++j)
        for (index pair = 0; pair < triangle(d); ++pair)
            pairwise.square(j)[pair] = sums[n_first + j * triangle(d) + pair];
}

// The squares, with the pairs shared among threads: where they are added up is where they are to be, so that there is
// no second copy of them.
template <class T>
void sum_squares(const PairwiseTile<T>& pairwise, const Samples<T>& samples, const double* sample_weight,
                 int n_threads) {
    const index d = pairwise.d(), n_features = samples.n_features, n_squares = pairwise.n_squares();
    const index n_strips = square_strips<T>(d);
    const index of_a_sample = static_cast<index>(sizeof(T)) * (d + n_squares);
    const index capacity =
        smaller(panel_bytes / of_a_sample / panel_tile + 1, samples.n_samples / panel_tile + 1) * panel_tile;
    const index stretch = (stretch_bytes / of_a_sample / square_step + 1) * square_step;
    const double work = 2.0 * static_cast<double>(n_squares * triangle(d)) * static_cast<double>(samples.n_samples);
    const int workers = threads_worth(work, n_threads);
    const index rows = n_features + 1 + pairwise.rows(), stride = panel_tile + 64 / static_cast<index>(sizeof(T));
    Buffer<T> workspace(rows * stride * workers);
    SquarePanel<T> panel(n_squares, d, capacity);
    const OwnerOfMany<SquareStrip<T>> strips(workers);
    for (int worker = 0; worker < workers; ++worker) strips[worker] = SquareStrip<T>(n_squares);
    for (index j = 0; j < n_squares; ++j)
        for (index pair = 0; pair < triangle(d); ++pair) pairwise.square(j)[pair] = 0;

    for (index start = 0; start < samples.n_samples; start += capacity) {
        const index count = smaller(samples.n_samples - start, capacity);
        auto fill = [&](index task, int worker) noexcept {
            const Rows<T> x{workspace.data() + worker * rows * stride, stride}, weight = x.from(n_features);
            const index place = task * panel_tile, own = smaller(count - place, panel_tile);
            load_tile(samples, start + place, own, panel_tile, x);
            load_weights(sample_weight, start + place, own, panel_tile, weight[0]);
            const auto at = pairwise({x, n_features, panel_tile, {}, start + place, own}, weight[0], weight.from(1));
            panel.fill(place, own, at.u, at.squares);
        };
        for_each_task((count + panel_tile - 1) / panel_tile, workers, fill);
        auto multiply = [&](index task, int worker) noexcept {
            const index end = smaller((task + 1) * task_strips, n_strips);
            for (index begin = 0; begin < count; begin += stretch)
                for (index strip = task * task_strips; strip < end; ++strip)
                    strips[worker].accumulate(panel, begin, smaller(begin + stretch, count), strip, pairwise.square(0),
                                              d * d);
        };
        for_each_task((n_strips + task_strips - 1) / task_strips, workers, multiply);
    }
}

}  // namespace pairwise_moments_detail

template <class T>
void pairwise_moments(const Samples<T>& samples, const double* sample_weight, const FieldSpec& field_spec,
                      const PairwiseMoments& out, int n_threads) {
    using namespace pairwise_moments_detail;
    const Owner<Field<T>> field(make_field<T>(field_spec));
    const PairwiseTile<T> pairwise(out, field.get(), samples.n_features);
    const bool few = pairwise.d() <= few_coordinates;
    sum_over_samples(pairwise, samples, sample_weight, few, n_threads);
    if (!few) sum_squares(pairwise, samples, sample_weight, n_threads);
    pairwise.write_squares();
}

SCOREMATCH_END_LEVEL
