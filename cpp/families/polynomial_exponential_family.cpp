// Polynomial exponential family: log p̃ = Σ_α θ_α y^α over 1 ≤ |α| ≤ degree, in graded order (monomials.hpp), with
// y_j = (x_j − s_j)/c_j. The frame s, c is given and not estimated: in it the numbers are of order 1 however far from
// the origin, and on whatever scale, the data lie.
//
// With the monomials m of less than the degree, and (y^α)′ = α_j y^(α−e_j),
//
//     ψ = B m,    diag ∇ψ = C m,    B_jb = (b_j + 1) θ_(b+e_j) / c_j,    C_jb = (b_j + 1)(b_j + 2) θ_(b+2e_j) / c_j²,
//
// so the way back is Σ u mᵀ and Σ e mᵀ, gathered to θ once a call. Along a direction v, vᵀ∇ψv = vᵀB ṁ with the
// derivatives ṁ = ∇m·v, and its way back is Σ (e v) ṁᵀ, of the same shape as that of ψ. So is that of log p̃, by Euler's
// Σ_j y_j ∂y^α/∂y_j = |α| y^α: what comes back to the monomials of degree t + 1 is Σ (c y/(t + 1)) mᵀ over the m of
// degree t, each y_j freed of the 1/c_j in B.
//
// "powers" has the y_j^k alone: then the sums are over
// one coordinate, and Horner's scheme does.
#include "scorematch/buffer.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/monomials.hpp"
#include "scorematch/product.hpp"
#include "scorematch/registry.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

// y = (x − s)/c; all of space as it is where s and c are null.
template <class T>
class Frame {
  public:
    Frame(index n_features, const double* shift, const double* scale)
        : d_(n_features), shift_(n_features), inverse_(n_features) {
        for (index j = 0; j < d_; ++j) {
            shift_[j] = shift == nullptr ? T(0) : static_cast<T>(shift[j]);
            inverse_[j] = scale == nullptr ? 1.0 : 1.0 / scale[j];
        }
    }
    // ∂y_j/∂x_j
    double inverse(index j) const noexcept { return inverse_[j]; }

    void coordinate(const Tile<T>& tile, index j, T* out) const noexcept {
        const Pack<T> s = broadcast(shift_[j]);
        const T factor = static_cast<T>(inverse_[j]);
        for (index l = 0; l < tile.lanes; l += pack_size<T>) store<T>(out + l, (load(tile.x[j] + l) - s) * factor);
    }

  private:
    index d_;
    Buffer<T> shift_;
    Buffer<double> inverse_;
};

// Functions that are linear in the monomials: `n_rows` of them, the coefficient of the constant 1 apart.
template <class T>
class Expansion {
  public:
    Expansion() noexcept = default;
    // (n_rows, n_monomials), row by row
    Expansion(const double* coefficients, index n_rows, index n_monomials)
        : constant_(n_rows), others_(coefficients + 1, n_rows, n_monomials - 1, n_monomials, 1) {
        for (index j = 0; j < n_rows; ++j) constant_[j] = static_cast<T>(coefficients[j * n_monomials]);
    }
    void operator()(Rows<const T> monomials, index lanes, Rows<T> out) const noexcept {
        if (others_.n_columns() > 0) multiply<T>(others_, monomials, lanes, out, constant_.data());
        else
            for (index j = 0; j < constant_.size(); ++j) fill_row<T>(constant_[j], lanes, out[j]);
    }
    // Of the derivatives of the monomials, say: that of the constant is 0.
    void without_constant(Rows<const T> monomials, index lanes, Rows<T> out) const noexcept {
        if (others_.n_columns() > 0) multiply<T>(others_, monomials, lanes, out);
        else
            for (index j = 0; j < constant_.size(); ++j) fill_row<T>(0, lanes, out[j]);
    }

  private:
    Buffer<T> constant_;
    PackedMatrix<T> others_;
};

// All monomials. Sums: Σ u mᵀ, then Σ e mᵀ a coordinate and, behind it, where only the trace was asked for.
template <class T>
class Polynomial final : public Density<T> {
  public:
    Polynomial(index n_features, index degree, Frame<T>&& frame, const double* theta)
        : d_(n_features), monomials_(n_features, degree), products_(monomials_), n_slope_(products_.size()),
          n_curvature_(monomials_.end(degree - 2)), frame_(static_cast<Frame<T>&&>(frame)) {
        // The constant, number 0, has no coefficient.
        const auto coefficient = [theta](index number) { return theta[number - 1]; };
        Buffer<double> slope(d_ * n_slope_), curvature(d_ * n_curvature_), trace(n_curvature_), tails(d_ * n_slope_);
        for (index j = 0; j < d_; ++j)
            for (index b = 0; b < n_slope_; ++b)
                slope[j * n_slope_ + b] = slope_factor(b, j) * coefficient(products_.product(b, j));
        for (index j = 0; j < d_; ++j)
            for (index b = 0; b < n_curvature_; ++b) {
                const double value = curvature_factor(b, j) * coefficient(twice(b, j));
                curvature[j * n_curvature_ + b] = value;
                trace[b] += value;
            }
        // log p̃ = Σ_k y_k · (what is left of the monomials that begin with y_k)
        for (index t = 0; t < degree; ++t)
            for (index k = 0; k < d_; ++k)
                for (index b = monomials_.first(t, k); b < monomials_.end(t); ++b)
                    tails[k * n_slope_ + b] = coefficient(products_.product(b, k));
        slope_ = Expansion<T>(slope.data(), d_, n_slope_);
        tails_ = Expansion<T>(tails.data(), d_, n_slope_);
        if (n_curvature_ == 0) return;
        curvature_ = Expansion<T>(curvature.data(), d_, n_curvature_);
        trace_ = Expansion<T>(trace.data(), 1, n_curvature_);
    }

    double cost() const noexcept override {
        return static_cast<double>(2 * n_slope_ * (1 + 2 * d_) + 4 * n_curvature_ * d_);
    }
    // The monomials but the constant, or ṁ in their place, and a row a feature; y itself even where the degree is 1.
    index workspace_rows() const noexcept override { return (n_slope_ > d_ ? n_slope_ : d_) + d_; }
    index n_sums() const noexcept override { return d_ * n_slope_ + (d_ + 1) * n_curvature_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        add_up_log_density(expand(tile, workspace), tile.lanes, spare(workspace), out);
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        const Rows<const T> y = expand(tile, workspace);
        add_up_log_density(y, tile.lanes, spare(workspace), log_density_out);
        slope_(y, tile.lanes, score);
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        const Rows<const T> y = expand(tile, workspace);
        const Rows<T> share = spare(workspace);
        for (index t = 0; t < monomials_.degree(); ++t) {
            const index begin = monomials_.end(t - 1), end = monomials_.end(t);
            for (index j = 0; j < d_; ++j) {
                const T factor = static_cast<T>(1 / (frame_.inverse(j) * static_cast<double>(t + 1)));
                for (index l = 0; l < tile.lanes; l += pack_size<T>)
                    store<T>(share[j] + l, factor * load(cotangent + l) * load(y[j] + l));
            }
            accumulate(share, d_, y, begin, end, tile.lanes, sums, n_slope_);
        }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const Rows<const T> y = expand(tile, workspace);
        slope_(y, tile.lanes, out.score);
        const index n_rows = rows_of(out.asked, d_);
        if (n_curvature_ == 0)
            for (index j = 0; j < n_rows; ++j) fill_row<T>(0, tile.lanes, out.curvature[j]);
        else if (n_rows > 0) (out.asked == Curvature::trace ? trace_ : curvature_)(y, tile.lanes, out.curvature);
        if (!out.direction) return;
        const Rows<T> product = spare(workspace);
        differentiate(out.direction, tile.lanes, workspace);
        slope_.without_constant(workspace, tile.lanes, product);
        fill_row<T>(0, tile.lanes, out.directional);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(out.directional + l,
                         load(out.directional + l) + load(out.direction[j] + l) * load(product[j] + l));
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        if (results.direction) expand(tile, workspace);  // forward has left ṁ
        accumulate(cotangents.score, d_, workspace, 0, n_slope_, tile.lanes, sums, n_slope_);
        double* const curvature = sums + d_ * n_slope_;
        double* const trace = curvature + d_ * n_curvature_;
        if (results.asked != Curvature::none)
            accumulate(cotangents.curvature, rows_of(results.asked, d_), workspace, 0, n_curvature_, tile.lanes,
                       results.asked == Curvature::trace ? trace : curvature, n_curvature_);
        if (!results.direction) return;
        differentiate_for_backward(tile, workspace, results, cotangents);
        accumulate_outer<T>(spare(workspace), d_, workspace, n_slope_ - 1, tile.lanes, sums + 1, n_slope_);
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        if (results.direction) expand(tile, workspace);
        for (index i = 0; i < monomials_.count() - 1; ++i) fill_row<T>(0, tile.lanes, out[i]);
        for (index j = 0; j < d_; ++j) {
            for (index b = 0; b < n_slope_; ++b)
                add_multiple(slope_factor(b, j), cotangents.score[j], workspace, b, tile.lanes,
                             out[products_.product(b, j) - 1]);
            if (const T* const e = curvature_row(results, cotangents, j))
                for (index b = 0; b < n_curvature_; ++b)
                    add_multiple(curvature_factor(b, j), e, workspace, b, tile.lanes, out[twice(b, j) - 1]);
        }
        if (!results.direction) return;
        differentiate_for_backward(tile, workspace, results, cotangents);
        for (index j = 0; j < d_; ++j)
            for (index b = 1; b < n_slope_; ++b)
                add_multiple(slope_factor(b, j), spare(workspace)[j], workspace, b, tile.lanes,
                             out[products_.product(b, j) - 1]);
    }

    void gradient(const double* sums, double* out) const override {
        for (index i = 0; i < monomials_.count() - 1; ++i) out[i] = 0;  // the constant, number 0, has no place in θ
        const double* const curvature = sums + d_ * n_slope_;
        const double* const trace = curvature + d_ * n_curvature_;
        for (index j = 0; j < d_; ++j) {
            for (index b = 0; b < n_slope_; ++b)
                out[products_.product(b, j) - 1] += slope_factor(b, j) * sums[j * n_slope_ + b];
            for (index b = 0; b < n_curvature_; ++b)
                out[twice(b, j) - 1] += curvature_factor(b, j) * (curvature[j * n_curvature_ + b] + trace[b]);
        }
    }

  private:
    // Number of y_j² y^b, and what ∂/∂x_j and ∂²/∂x_j² bring to the front of y_j y^b and of it.
    index twice(index b, index j) const noexcept { return products_.product(products_.product(b, j), j); }
    double slope_factor(index b, index j) const noexcept {
        return static_cast<double>(products_.power(b, j)) * frame_.inverse(j);
    }
    double curvature_factor(index b, index j) const noexcept {
        const double power = static_cast<double>(products_.power(b, j));
        return power * (power + 1) * frame_.inverse(j) * frame_.inverse(j);
    }

    Rows<const T> expand(const Tile<T>& tile, Rows<T> rows) const noexcept {
        for (index j = 0; j < d_; ++j) frame_.coordinate(tile, j, rows[j]);
        multiply_out<T>(monomials_, monomials_.degree() - 1, tile.lanes, rows);
        return rows;
    }

    Rows<T> spare(Rows<T> workspace) const noexcept { return workspace.from(workspace_rows() - d_); }

    void add_up_log_density(Rows<const T> y, index lanes, Rows<T> tails, T* out) const noexcept {
        tails_(y, lanes, tails);
        fill_row<T>(0, lanes, out);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < lanes; l += pack_size<T>)
                store<T>(out + l, load(out + l) + load(y[j] + l) * load(tails[j] + l));
    }

    // ṁ in the place of m. Degree t needs the monomials of degree t − 1 alone, so that it goes down: of each of these,
    // y^b, the derivative of y_j y^b gets its power of y_j times ẏ_j y^b.
    void differentiate(Rows<const T> direction, index lanes, Rows<T> monomials) const noexcept {
        for (index t = monomials_.degree() - 1; t > 0; --t) {
            for (index b = monomials_.end(t - 1); b < monomials_.end(t); ++b) fill_row<T>(0, lanes, monomials[b - 1]);
            for (index j = 0; j < d_; ++j)
                for (index b = monomials_.end(t - 2); b < monomials_.end(t - 1); ++b)
                    add_multiple(slope_factor(b, j), direction[j], monomials, b, lanes,
                                 monomials[products_.product(b, j) - 1]);
        }
    }

    // ṁ, and e v in the spare rows.
    void differentiate_for_backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                                    const Cotangents<T>& cotangents) const noexcept {
        differentiate(results.direction, tile.lanes, workspace);
        for (index j = 0; j < d_; ++j)
            product_row<T>(cotangents.directional, results.direction[j], tile.lanes, spare(workspace)[j]);
    }

    // out += factor · a m_b
    static void add_multiple(double factor, const T* a, Rows<const T> monomials, index b, index lanes,
                             T* out) noexcept {
        const T f = static_cast<T>(factor);
        if (b == 0)
            for (index l = 0; l < lanes; l += pack_size<T>) store<T>(out + l, load(out + l) + f * load(a + l));
        else
            for (index l = 0; l < lanes; l += pack_size<T>)
                store<T>(out + l, load(out + l) + f * load(a + l) * load(monomials[b - 1] + l));
    }

    // sums[i, b] += Σ a_i m_b for the monomials from `begin` to `end`, the constant perhaps among them; rows of the
    // sums are `n_columns` apart.
    static void accumulate(Rows<const T> a, index n_rows, Rows<const T> monomials, index begin, index end, index lanes,
                           double* sums, index n_columns) noexcept {
        if (begin == 0 && end > 0)
            for (index i = 0; i < n_rows; ++i) sums[i * n_columns] += sum_row<T>(a[i], lanes);
        const index first = begin > 0 ? begin : 1;
        if (first < end)
            accumulate_outer<T>(a, n_rows, monomials.from(first - 1), end - first, lanes, sums + first, n_columns);
    }

    index d_;
    Monomials monomials_;
    MonomialProducts products_;
    index n_slope_, n_curvature_;  // monomials of less than the degree, and of less than that
    Frame<T> frame_;
    Expansion<T> slope_, curvature_, trace_, tails_;
};

// The y_j^k alone. θ and sums: power after power, each for all coordinates: (degree, n_features).
template <class T>
class Powers final : public Density<T> {
  public:
    Powers(index n_features, index degree, Frame<T>&& frame, const double* theta)
        : d_(n_features), degree_(degree), frame_(static_cast<Frame<T>&&>(frame)), theta_(degree * n_features) {
        for (index i = 0; i < theta_.size(); ++i) theta_[i] = static_cast<T>(theta[i]);
    }

    double cost() const noexcept override { return 10.0 * static_cast<double>(theta_.size()); }
    // y, two of its powers, and the cotangents of the second derivatives where they have to be made.
    index workspace_rows() const noexcept override { return d_ + 3; }
    index n_sums() const noexcept override { return theta_.size(); }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        fill_row<T>(0, tile.lanes, out);
        for (index j = 0; j < d_; ++j) {
            frame_.coordinate(tile, j, workspace[0]);
            add_log_density(workspace[0], j, tile.lanes, out);
        }
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                               Rows<T> score) const noexcept override {
        fill_row<T>(0, tile.lanes, log_density_out);
        for (index j = 0; j < d_; ++j) {
            frame_.coordinate(tile, j, workspace[0]);
            add_log_density(workspace[0], j, tile.lanes, log_density_out);
            find_score(workspace[0], j, tile.lanes, score[j]);
        }
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        T* const power = workspace[d_];
        for (index j = 0; j < d_; ++j) {
            frame_.coordinate(tile, j, workspace[0]);
            product_row<T>(cotangent, workspace[0], tile.lanes, power);  // c y^k
            for (index k = 1; k <= degree_; ++k) {
                sums[(k - 1) * d_ + j] += sum_row<T>(power, tile.lanes);
                product_row<T>(power, workspace[0], tile.lanes, power);
            }
        }
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        const bool bends = out.asked != Curvature::none || out.direction;
        const bool trace = out.asked == Curvature::trace;
        if (trace) fill_row<T>(0, tile.lanes, out.curvature[0]);
        if (out.direction) fill_row<T>(0, tile.lanes, out.directional);
        for (index j = 0; j < d_; ++j) {
            frame_.coordinate(tile, j, workspace[j]);
            if (!bends) {
                find_score(workspace[j], j, tile.lanes, out.score[j]);
                continue;
            }
            const T inverse = static_cast<T>(frame_.inverse(j)), squared = inverse * inverse;
            const T* const all_y = workspace[j];
            T* const score = out.score[j];
            T* const curvature = out.asked == Curvature::none ? nullptr : out.curvature[trace ? 0 : j];
            const T* const direction = out.direction ? out.direction[j] : nullptr;
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> y = load(all_y + l);
                Pack<T> first{}, second{};
                for (index k = degree_; k > 1; --k) {
                    first = first * y + static_cast<T>(k) * theta(k, j);
                    second = second * y + static_cast<T>(k * (k - 1)) * theta(k, j);
                }
                store<T>(score + l, (first * y + theta(1, j)) * inverse);
                const Pack<T> bend = second * squared;
                if (curvature != nullptr) store<T>(curvature + l, trace ? load(curvature + l) + bend : bend);
                if (direction != nullptr) [[unlikely]] {
                    const Pack<T> v = load(direction + l);
                    store<T>(out.directional + l, load(out.directional + l) + v * v * bend);
                }
            }
        }
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        T* const power = workspace[d_];  // y^(k−1), and beside it y^(k−2)
        T* const lower = workspace[d_ + 1];
        for (index j = 0; j < d_; ++j) {
            const T* const u = cotangents.score[j];
            const T* const e = of_second(tile, results, cotangents, j, workspace[d_ + 2]);
            const double inverse = frame_.inverse(j);
            fill_row<T>(1, tile.lanes, power);
            for (index k = 1; k <= degree_; ++k) {
                const double factor = static_cast<double>(k) * inverse;
                double total = factor * dot_rows<T>(u, power, tile.lanes);
                if (k > 1 && e != nullptr)
                    total += factor * static_cast<double>(k - 1) * inverse * dot_rows<T>(e, lower, tile.lanes);
                sums[(k - 1) * d_ + j] += total;
                for (index l = 0; l < tile.lanes; l += pack_size<T>) store<T>(lower + l, load(power + l));
                product_row<T>(lower, workspace[j], tile.lanes, power);
            }
        }
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        for (index j = 0; j < d_; ++j) {
            const T* const u = cotangents.score[j];
            const T* const e = of_second(tile, results, cotangents, j, workspace[d_ + 2]);
            const T inverse = static_cast<T>(frame_.inverse(j));
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> y = load(workspace[j] + l);
                Pack<T> power = broadcast(T(1)), lower{};
                for (index k = 1; k <= degree_; ++k) {
                    Pack<T> share = load(u + l) * power;
                    if (e != nullptr) share += static_cast<T>(k - 1) * inverse * load(e + l) * lower;
                    store<T>(out[(k - 1) * d_ + j] + l, static_cast<T>(k) * inverse * share);
                    lower = power;
                    power *= y;
                }
            }
        }
    }

    void gradient(const double* sums, double* out) const override {
        for (index i = 0; i < theta_.size(); ++i) out[i] = sums[i];
    }

  private:
    T theta(index k, index j) const noexcept { return theta_[(k - 1) * d_ + j]; }

    void add_log_density(const T* y, index j, index lanes, T* out) const noexcept {
        for (index l = 0; l < lanes; l += pack_size<T>) {
            const Pack<T> at = load(y + l);
            Pack<T> value{};
            for (index k = degree_; k > 0; --k) value = (value + theta(k, j)) * at;
            store<T>(out + l, load(out + l) + value);
        }
    }
    void find_score(const T* y, index j, index lanes, T* out) const noexcept {
        const T inverse = static_cast<T>(frame_.inverse(j));
        for (index l = 0; l < lanes; l += pack_size<T>) {
            const Pack<T> at = load(y + l);
            Pack<T> first{};
            for (index k = degree_; k > 1; --k) first = first * at + static_cast<T>(k) * theta(k, j);
            store<T>(out + l, (first * at + theta(1, j)) * inverse);
        }
    }

    // The cotangents of the second derivative along coordinate j, which the direction adds to in a row of its own; null
    // where nothing depends on it.
    static const T* of_second(const Tile<T>& tile, const Derivatives<T>& results, const Cotangents<T>& cotangents,
                              index j, T* own) noexcept {
        const T* const curvature = curvature_row(results, cotangents, j);
        if (!results.direction) return curvature;
        for (index l = 0; l < tile.lanes; l += pack_size<T>) {
            const Pack<T> v = load(results.direction[j] + l), along = load(cotangents.directional + l) * v * v;
            store<T>(own + l, curvature == nullptr ? along : along + load(curvature + l));
        }
        return own;
    }

    index d_, degree_;
    Frame<T> frame_;
    Buffer<T> theta_;
};

template <class T>
class PolynomialFamily final : public Family<T> {
  public:
    // `constants`: the degree; after it s and c, unless they are 0 and 1.
    PolynomialFamily(const FamilySpec& spec, bool interactions)
        : d_(spec.n_features), degree_(static_cast<index>(spec.constants[0])), interactions_(interactions),
          n_params_(interactions ? Monomials(d_, degree_).count() - 1 : d_ * degree_), frame_(spec.n_constants - 1) {
        for (index i = 0; i < frame_.size(); ++i) frame_[i] = spec.constants[1 + i];
    }

    index n_params() const noexcept override { return n_params_; }
    void describe(LayoutVisitor& visitor) const override { visitor.block("coef", Packing::dense, &n_params_, 1); }
    Density<T>* at(const double* theta) const override {
        const bool given = frame_.size() > 0;
        Frame<T> frame(d_, given ? frame_.data() : nullptr, given ? frame_.data() + d_ : nullptr);
        if (interactions_) return new Polynomial<T>(d_, degree_, static_cast<Frame<T>&&>(frame), theta);
        return new Powers<T>(d_, degree_, static_cast<Frame<T>&&>(frame), theta);
    }

  private:
    index d_, degree_;
    bool interactions_;
    index n_params_;
    Buffer<double> frame_;
};

}  // namespace

template <class T>
Family<T>* make_polynomial_exponential_family(const FamilySpec& spec) {
    if (spec.n_constants != 1 && spec.n_constants != 1 + 2 * spec.n_features) return nullptr;
    if (!(spec.constants[0] >= 1)) return nullptr;
    if (std::strcmp(spec.variant, "interactions") == 0) return new PolynomialFamily<T>(spec, true);
    if (std::strcmp(spec.variant, "powers") == 0) return new PolynomialFamily<T>(spec, false);
    return nullptr;
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(polynomial_exponential_family)
