// Pairwise interactions of powers: log p = −(1/2a) (xᵃ)ᵀK xᵃ + (1/b) ηᵀxᵇ, see pairwise_powers.hpp for the formulas.
//
// All is linear in K and η, so that the way back is Σ t uᵀ with u = xᵃ and t what comes back to each (Ku)_j. Along a
// direction v, with u′ = xᵃ⁻¹ and w = v∘u′,
//
//     vᵀ∇ψv = Σ_j v_j² [∂_j² f + a′K_jj u′_j²] − a′ wᵀKw,
//
// to which belongs Σ e w wᵀ.
//
// On the simplex the last of d coordinates is what the others leave, x_d = 1 − Σ x. A free coordinate moves it too, so
// with f the log density in all d
//
//     ψ_j = ∂_j f − ∂_d f,    ∂_jψ_j = ∂_j² f − 2 ∂_j∂_d f + ∂_d² f,    j < d,
//
// and v_d = −Σ_{j<d} v_j.
#include "scorematch/buffer.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/pairwise_powers.hpp"
#include "scorematch/product.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/symmetric_rows.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

struct PairwiseShape {
    index n_coordinates;  // d
    double a, b;
    bool has_linear, on_simplex;

    index n_free() const noexcept { return on_simplex ? n_coordinates - 1 : n_coordinates; }
    index n_pairs() const noexcept { return triangle(n_coordinates); }
};

// Sums: Σ t uᵀ, then of each coordinate those of K_jj and η_j, then on the simplex those of the K_jd.
template <class T>
class PairwiseInteraction final : public Density<T> {
  public:
    PairwiseInteraction(const PairwiseShape& shape, const double* theta)
        : shape_(shape), d_(shape.n_coordinates), diagonal_(d_), linear_(d_), last_(d_) {
        Buffer<double> negative(d_ * d_);
        for (index i = 0; i < d_; ++i)
            for (index j = i; j < d_; ++j) negative[i * d_ + j] = negative[j * d_ + i] = -*theta++;
        for (index j = 0; j < d_; ++j) {
            diagonal_[j] = static_cast<T>(-negative[j * d_ + j] * slope_factor());
            last_[j] = static_cast<T>(-negative[j * d_ + d_ - 1] * slope_factor());
            linear_[j] = shape.has_linear ? static_cast<T>(theta[j]) : T(0);
        }
        negative_interaction_ = PackedMatrix<T>(negative.data(), d_, d_, d_, 1);
    }

    double cost() const noexcept override {
        return 4.0 * static_cast<double>(d_ * d_) +
               (shape_.a == 1 && shape_.b == 1 ? 8.0 : 80.0) * static_cast<double>(d_);
    }
    // x_d, the powers, −Ku, and the cotangents of all coordinates.
    index workspace_rows() const noexcept override { return 1 + 2 * PowerRows<T>::count(d_) + 3 * d_; }
    index n_sums() const noexcept override { return d_ * d_ + 3 * d_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        const Places at = places(workspace);
        expand(tile, at, Powers::first);
        add_up_log_density(at, tile.lanes, out);
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        const Places at = places(workspace);
        expand(tile, at, Powers::first);
        add_up_log_density(at, tile.lanes, log_density_out);
        find_derivatives(at, tile.lanes, {score, Curvature::none, {}, {}, nullptr});
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        const Places at = places(workspace);
        double* const linear_sums = sums + d_ * d_ + d_;
        fill_all_powers(tile, at, Powers::first);
        const T quadratic = static_cast<T>(0.5 / slope_factor());
        for (index j = 0; j < d_; ++j) {
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(at.t[j] + l, quadratic * load(cotangent + l) * load(at.u.value[j] + l));
            if (shape_.has_linear)
                linear_sums[j] += dot_rows<T>(cotangent, at.v.value[j], tile.lanes) / linear_factor();
        }
        accumulate_outer<T>(at.t, d_, at.u.value, d_, tile.lanes, sums, d_);
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const Places at = places(workspace);
        const bool bends = out.asked != Curvature::none || out.direction;
        expand(tile, at, bends ? Powers::second : Powers::first);
        find_derivatives(at, tile.lanes, out);
        if (out.direction) find_directional(at, tile.lanes, out);
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        const Places at = places(workspace);
        double* const diagonal_sums = sums + d_ * d_;
        double* const linear_sums = diagonal_sums + d_;
        double* const last_sums = linear_sums + d_;
        back(at, tile.lanes, results, cotangents);
        accumulate_outer<T>(at.t, d_, at.u.value, d_, tile.lanes, sums, d_);
        if (shape_.has_linear) add_row_sums<T>(at.v.first, d_, tile.lanes, linear_sums);
        if (results.asked != Curvature::none) {
            add_row_sums<T>(at.of_diagonal, d_, tile.lanes, diagonal_sums);
            if (shape_.on_simplex) add_row_sums<T>(at.spare, shape_.n_free(), tile.lanes, last_sums);
        }
        if (!results.direction) return;
        back_along(at, tile.lanes, results, cotangents);
        accumulate_outer<T>(at.t, d_, at.spare, d_, tile.lanes, sums, d_);
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        const Places at = places(workspace);
        back(at, tile.lanes, results, cotangents);
        subtract_symmetric<false, T>(at.t, at.u.value, d_, tile.lanes, out);
        const T factor = static_cast<T>(slope_factor());
        const bool has_curvature = results.asked != Curvature::none;
        const Rows<T> linear = out.from(shape_.n_pairs());
        for (index j = 0; j < d_; ++j) {
            T* const diagonal = out[triangle_row(d_, j)];
            T* const last = diagonal + (d_ - 1 - j) * out.stride;
            const bool has_last = has_curvature && shape_.on_simplex && j < d_ - 1;
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                if (has_curvature) store<T>(diagonal + l, load(diagonal + l) - factor * load(at.of_diagonal[j] + l));
                if (has_last) store<T>(last + l, load(last + l) + 2 * factor * load(at.spare[j] + l));
                if (shape_.has_linear) store<T>(linear[j] + l, load(at.v.first[j] + l));
            }
        }
        if (!results.direction) return;
        back_along(at, tile.lanes, results, cotangents);
        subtract_symmetric<true, T>(at.t, at.spare, d_, tile.lanes, out);
    }

    void gradient(const double* sums, double* out) const override {
        const double* const diagonal_sums = sums + d_ * d_;
        const double* const linear_sums = diagonal_sums + d_;
        const double* const last_sums = linear_sums + d_;
        for (index i = 0; i < d_; ++i) {
            *out++ = -sums[i * d_ + i] - slope_factor() * diagonal_sums[i];
            for (index j = i + 1; j < d_; ++j) {
                *out = -sums[i * d_ + j] - sums[j * d_ + i];
                if (shape_.on_simplex && j == d_ - 1) *out += 2 * slope_factor() * last_sums[i];
                ++out;
            }
        }
        if (shape_.has_linear)
            for (index j = 0; j < d_; ++j) *out++ = linear_sums[j];
    }

  private:
    // What forward and backward keep in the workspace: u and v = xᵇ with their slopes, −Ku; backward overwrites slopes
    // with cotangents that they enter.
    struct Places {
        Rows<T> all;  // x_d alone, on the simplex
        PowerRows<T> u, v;
        Rows<T> product, t, spare;
        Rows<T> of_diagonal;
    };
    // Up to which derivative powers are needed.
    enum class Powers { first, second };
    struct Slopes {
        Pack<T> first, second;
    };

    double slope_factor() const noexcept { return shape_.a > 0 ? shape_.a : 1; }
    double linear_factor() const noexcept { return shape_.b > 0 ? shape_.b : 1; }

    Places places(Rows<T> workspace) const noexcept {
        const index powers = PowerRows<T>::count(d_);
        const Rows<T> u = workspace.from(1), v = u.from(powers), product = v.from(powers);
        Places at{workspace, PowerRows<T>::in(u, d_), PowerRows<T>::in(v, d_),
                  product,   product.from(d_),        product.from(2 * d_),
                  product};
        return at;
    }

    void fill_all_powers(const Tile<T>& tile, const Places& at, Powers which) const noexcept {
        const T a = static_cast<T>(shape_.a), b = static_cast<T>(shape_.b);
        const index n_free = shape_.n_free();
        const auto rows = [which](const PowerRows<T>& all, index from) noexcept {
            return PowerRows<T>{all.value.from(from), all.first.from(from),
                                which == Powers::second ? all.second.from(from) : Rows<T>{}};
        };
        fill_powers<T>(tile.x, n_free, tile.lanes, a, rows(at.u, 0));
        if (shape_.has_linear) fill_powers<T>(tile.x, n_free, tile.lanes, b, rows(at.v, 0));
        if (!shape_.on_simplex) return;
        fill_remainder<T>(tile.x, n_free, tile.lanes, at.all[0]);
        fill_powers<T>(at.all, 1, tile.lanes, a, rows(at.u, n_free));
        if (shape_.has_linear) fill_powers<T>(at.all, 1, tile.lanes, b, rows(at.v, n_free));
    }

    void expand(const Tile<T>& tile, const Places& at, Powers which) const noexcept {
        fill_all_powers(tile, at, which);
        multiply<T>(negative_interaction_, at.u.value, tile.lanes, at.product);
    }

    void add_up_log_density(const Places& at, index lanes, T* out) const noexcept {
        const T quadratic = static_cast<T>(0.5 / slope_factor()), straight = static_cast<T>(1 / linear_factor());
        fill_row<T>(0, lanes, out);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                Pack<T> term = quadratic * load(at.u.value[j] + l) * load(at.product[j] + l);
                if (shape_.has_linear) term += straight * linear_[j] * load(at.v.value[j] + l);
                store<T>(out + l, load(out + l) + term);
            }
    }

    // ψ and what is asked of the diagonal of ∇ψ.
    void find_derivatives(const Places& at, index lanes, const Derivatives<T>& out) const noexcept {
        const bool trace = out.asked == Curvature::trace;
        const index n_free = shape_.n_free(), last = d_ - 1;
        if (out.asked == Curvature::none) {
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> end = shape_.on_simplex ? slope(at, last, l) : Pack<T>{};
                for (index j = 0; j < n_free; ++j) store<T>(out.score[j] + l, slope(at, j, l) - end);
            }
            return;
        }
        if (trace) fill_row<T>(0, lanes, out.curvature[0]);
        for (index l = 0; l < lanes; l += pack_size<T>) {
            Slopes end{};
            Pack<T> end_first{};
            if (shape_.on_simplex) {
                end = slopes(at, last, l);
                end_first = load(at.u.first[last] + l);
            }
            for (index j = 0; j < n_free; ++j) {
                Slopes own = slopes(at, j, l);
                if (shape_.on_simplex) {
                    own.first -= end.first;
                    own.second += end.second + 2 * last_[j] * load(at.u.first[j] + l) * end_first;
                }
                store<T>(out.score[j] + l, own.first);
                if (trace) own.second += load(out.curvature[0] + l);
                store<T>(out.curvature[trace ? 0 : j] + l, own.second);
            }
        }
    }

    // ∂_j f; ∂_j² f but for the term in K_jj; both, and whole.
    Pack<T> slope(const Places& at, index j, index l) const noexcept {
        const Pack<T> slope = load(at.u.first[j] + l) * load(at.product[j] + l);
        return shape_.has_linear ? slope + linear_[j] * load(at.v.first[j] + l) : slope;
    }
    Pack<T> bend(const Places& at, index j, index l) const noexcept {
        const Pack<T> bend = load(at.u.second[j] + l) * load(at.product[j] + l);
        return shape_.has_linear ? bend + linear_[j] * load(at.v.second[j] + l) : bend;
    }
    Slopes slopes(const Places& at, index j, index l) const noexcept {
        const Pack<T> first = load(at.u.first[j] + l);
        return {slope(at, j, l), bend(at, j, l) - diagonal_[j] * first * first};
    }

    // v_j
    Pack<T> step(Rows<const T> direction, index j, index l) const noexcept {
        if (j < shape_.n_free()) return load(direction[j] + l);
        Pack<T> rest{};
        for (index i = 0; i < shape_.n_free(); ++i) rest -= load(direction[i] + l);
        return rest;
    }

    // w
    void weigh_direction(const Places& at, Rows<const T> direction, index lanes, Rows<T> out) const noexcept {
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>)
                store<T>(out[j] + l, step(direction, j, l) * load(at.u.first[j] + l));
    }

    void find_directional(const Places& at, index lanes, const Derivatives<T>& out) const noexcept {
        const Rows<T> w = at.t, product = at.spare;
        weigh_direction(at, out.direction, lanes, w);
        multiply<T>(negative_interaction_, w, lanes, product);
        fill_row<T>(0, lanes, out.directional);
        const T factor = static_cast<T>(slope_factor());
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>) {
                const Pack<T> v = step(out.direction, j, l);
                const Pack<T> term = v * v * bend(at, j, l) + factor * load(w[j] + l) * load(product[j] + l);
                store<T>(out.directional + l, load(out.directional + l) + term);
            }
    }

    // Cotangents of ∂_j f, of the term of ∂_j² f in K_jj, and of the others.
    struct Pulls {
        Pack<T> score, curvature, bend;
    };

    // From the cotangents of ψ, ∇ψ and vᵀ∇ψv to those of −Ku, of the K_jj, of η and, on the simplex, of the K_jd; of
    // vᵀ∇ψv only what does not come by w. `results` and `cotangents` are copies, since the compiler must think that
    // what is stored on the way may change anything that it has the address of.
    void back(const Places& at, index lanes, const Derivatives<T> results,
              const Cotangents<T> cotangents) const noexcept {
        const index n_free = shape_.n_free(), last = d_ - 1;
        const bool has_curvature = results.asked != Curvature::none, trace = results.asked == Curvature::trace;
        const bool has_direction = static_cast<bool>(results.direction), bends = has_curvature || has_direction;
        // From these of one coordinate to those of −(Ku)_j, of K_jj and of η_j.
        const auto back_one = [&](index j, index l, Pulls pulls) noexcept {
            const Pack<T> first = load(at.u.first[j] + l);
            if (has_direction) {
                const Pack<T> v = step(results.direction, j, l);
                pulls.bend += load(cotangents.directional + l) * v * v;
            }
            const auto sum = [&](const PowerRows<T>& powers) noexcept {
                const Pack<T> by_score = pulls.score * load(powers.first[j] + l);
                return bends ? by_score + pulls.bend * load(powers.second[j] + l) : by_score;
            };
            store<T>(at.t[j] + l, sum(at.u));
            if (has_curvature) store<T>(at.of_diagonal[j] + l, pulls.curvature * first * first);
            if (shape_.has_linear) store<T>(at.v.first[j] + l, sum(at.v));
        };
        for (index l = 0; l < lanes; l += pack_size<T>) {
            Pulls end{};  // of ∂_d f and ∂_d² f, which all free coordinates share
            for (index j = 0; j < n_free; ++j) {
                Pulls own{load(cotangents.score[j] + l), {}, {}};
                if (has_curvature) own.curvature = own.bend = load(cotangents.curvature[trace ? 0 : j] + l);
                back_one(j, l, own);
                end.score -= own.score;
                end.curvature += own.curvature;
                if (has_curvature && shape_.on_simplex)
                    store<T>(at.spare[j] + l, own.curvature * load(at.u.first[j] + l) * load(at.u.first[last] + l));
            }
            end.bend = end.curvature;
            if (shape_.on_simplex) back_one(last, l, end);
        }
    }

    // The rest of vᵀ∇ψv: w in the spare rows, and a′ e w in those of t.
    void back_along(const Places& at, index lanes, const Derivatives<T>& results,
                    const Cotangents<T>& cotangents) const noexcept {
        weigh_direction(at, results.direction, lanes, at.spare);
        const T factor = static_cast<T>(slope_factor());
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>)
                store<T>(at.t[j] + l, factor * load(cotangents.directional + l) * load(at.spare[j] + l));
    }

    PairwiseShape shape_;
    index d_;
    Buffer<T> diagonal_, linear_, last_;  // a′K_jj, η_j, a′K_jd
    PackedMatrix<T> negative_interaction_;
};

template <class T>
class PairwiseInteractionFamily final : public Family<T> {
  public:
    explicit PairwiseInteractionFamily(const PairwiseShape& shape) : shape_(shape) {}

    index n_params() const noexcept override {
        return shape_.n_pairs() + (shape_.has_linear ? shape_.n_coordinates : 0);
    }
    void describe(LayoutVisitor& visitor) const override {
        const index square[] = {shape_.n_coordinates, shape_.n_coordinates};
        visitor.block("interaction", Packing::symmetric, square, 2);
        if (shape_.has_linear) visitor.block("linear", Packing::dense, square, 1);
    }
    Density<T>* at(const double* theta) const override { return new PairwiseInteraction<T>(shape_, theta); }

  private:
    PairwiseShape shape_;
};

}  // namespace

// `constants`: a and b. Variants: "linear", "interaction" without η; the same on the simplex, whose last coordinate is
// not among the features: "simplex linear", "simplex interaction".
template <class T>
Family<T>* make_pairwise_interaction(const FamilySpec& spec) {
    if (spec.n_constants != 2 || !(spec.constants[0] >= 0) || !(spec.constants[1] >= 0)) return nullptr;
    const bool on_simplex = std::strncmp(spec.variant, "simplex ", 8) == 0;
    const char* const terms = spec.variant + (on_simplex ? 8 : 0);
    const bool has_linear = std::strcmp(terms, "linear") == 0;
    if (!has_linear && std::strcmp(terms, "interaction") != 0) return nullptr;
    const index d = spec.n_features + (on_simplex ? 1 : 0);
    return new PairwiseInteractionFamily<T>({d, spec.constants[0], spec.constants[1], has_linear, on_simplex});
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(pairwise_interaction)
