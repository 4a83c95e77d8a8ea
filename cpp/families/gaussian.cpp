// Gaussian: log p = −½ xᵀPx + ηᵀx with P the precision and η = Pμ, the natural parameters.
//
//   ψ = η − Px,   ∇ψ = −P
//
// Both are linear in θ, so that the way back is Σ u xᵀ and Σ u.
#include "scorematch/buffer.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/product.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/separable.hpp"
#include "scorematch/symmetric_rows.hpp"

#include <cstring>

SCOREMATCH_BEGIN_LEVEL
namespace {

// Any symmetric P. Sums: Σ (u xᵀ + e v vᵀ), Σ u, and Σ of the diagonal's cotangents.
template <class T>
class FullGaussian final : public Density<T> {
  public:
    FullGaussian(index n_features, const double* theta)
        : d_(n_features), precision_(n_features * n_features), bias_(n_features) {
        for (index i = 0; i < d_; ++i)
            for (index j = i; j < d_; ++j) precision_[i * d_ + j] = precision_[j * d_ + i] = *theta++;
        for (index j = 0; j < d_; ++j) {
            bias_[j] = static_cast<T>(theta[j]);
            trace_ += precision_[j * d_ + j];
        }
        Buffer<double> negative(d_ * d_);
        for (index i = 0; i < d_ * d_; ++i) negative[i] = -precision_[i];
        negative_precision_ = PackedMatrix<T>(negative.data(), d_, d_, d_, 1);
    }

    double cost() const noexcept override { return 4.0 * static_cast<double>(d_ * d_ + d_); }
    index workspace_rows() const noexcept override { return d_; }
    index n_sums() const noexcept override { return d_ * d_ + 2 * d_; }

    void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept override {
        log_density_and_score(tile, {}, out, workspace);
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> /*workspace*/, T* log_density_out,
                               Rows<T> score) const noexcept override {
        // ½ Σ x_j (ψ_j + η_j)
        multiply<T>(negative_precision_, tile.x, tile.lanes, score, bias_.data());
        fill_row<T>(0, tile.lanes, log_density_out);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Pack<T> term = load(tile.x[j] + l) * (load(score[j] + l) + bias_[j]);
                store<T>(log_density_out + l, load(log_density_out + l) + T(0.5) * term);
            }
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                              double* sums) const noexcept override {
        double* const linear_sums = sums + d_ * d_;
        for (index j = 0; j < d_; ++j) {
            linear_sums[j] += dot_rows<T>(cotangent, tile.x[j], tile.lanes);
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(workspace[j] + l, T(0.5) * load(cotangent + l) * load(tile.x[j] + l));
        }
        accumulate_outer<T>(workspace, d_, tile.x, d_, tile.lanes, sums, d_);
    }

    void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept override {
        multiply<T>(negative_precision_, tile.x, tile.lanes, out.score, bias_.data());
        if (out.asked == Curvature::trace) fill_row<T>(static_cast<T>(-trace_), tile.lanes, out.curvature[0]);
        if (out.asked == Curvature::diagonal)
            for (index j = 0; j < d_; ++j)
                fill_row<T>(static_cast<T>(-precision_[j * d_ + j]), tile.lanes, out.curvature[j]);
        if (!out.direction) return;
        multiply<T>(negative_precision_, out.direction, tile.lanes, workspace);
        fill_row<T>(0, tile.lanes, out.directional);
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>)
                store<T>(out.directional + l,
                         load(out.directional + l) + load(workspace[j] + l) * load(out.direction[j] + l));
    }

    void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        double* const linear_sums = sums + d_ * d_;
        double* const diagonal_sums = linear_sums + d_;
        accumulate_outer<T>(cotangents.score, d_, tile.x, d_, tile.lanes, sums, d_);
        for (index j = 0; j < d_; ++j) {
            linear_sums[j] += sum_row<T>(cotangents.score[j], tile.lanes);
            if (const T* const curvature = curvature_row(results, cotangents, j))
                diagonal_sums[j] += sum_row<T>(curvature, tile.lanes);
        }
        if (!results.direction) return;
        scale_directions(tile, results, cotangents, workspace);
        accumulate_outer<T>(workspace, d_, results.direction, d_, tile.lanes, sums, d_);
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void gradient_rows(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        subtract_symmetric<false, T>(cotangents.score, tile.x, d_, tile.lanes, out);
        if (results.direction) {
            scale_directions(tile, results, cotangents, workspace);
            subtract_symmetric<true, T>(workspace, results.direction, d_, tile.lanes, out);
        }
        const Rows<T> linear = out.from(triangle(d_));
        for (index j = 0; j < d_; ++j) {
            T* const diagonal = out[triangle_row(d_, j)];
            const T* const curvature = curvature_row(results, cotangents, j);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                if (curvature != nullptr) store<T>(diagonal + l, load(diagonal + l) - load(curvature + l));
                store<T>(linear[j] + l, load(cotangents.score[j] + l));
            }
        }
    }

    void gradient(const double* sums, double* out) const override {
        const double* const linear_sums = sums + d_ * d_;
        const double* const diagonal_sums = linear_sums + d_;
        for (index i = 0; i < d_; ++i) {
            *out++ = -sums[i * d_ + i] - diagonal_sums[i];
            for (index j = i + 1; j < d_; ++j) *out++ = -sums[i * d_ + j] - sums[j * d_ + i];
        }
        for (index j = 0; j < d_; ++j) *out++ = linear_sums[j];
    }

  private:
    // e v, e the cotangent of vᵀ∇ψv.
    void scale_directions(const Tile<T>& tile, const Derivatives<T>& results, const Cotangents<T>& cotangents,
                          Rows<T> out) const noexcept {
        for (index j = 0; j < d_; ++j) product_row<T>(cotangents.directional, results.direction[j], tile.lanes, out[j]);
    }

    index d_;
    Buffer<double> precision_;
    Buffer<T> bias_;  // η
    double trace_ = 0;
    PackedMatrix<T> negative_precision_;
};

// P = diag(p): coordinate j has p_j and η_j.
struct DiagonalTerm {
    static constexpr int n_params = 2;
    template <class T>
    static TermValues<T> values(Pack<T> x, const T* theta) {
        const Pack<T> score = theta[1] - theta[0] * x;
        return {T(0.5) * x * (score + theta[1]), score, broadcast(-theta[0])};
    }
    template <class T>
    static TermSlopes<T, n_params> slopes(Pack<T> x, const T* /*theta*/) {
        return {{T(-0.5) * x * x, x}, {-x, broadcast(T(1))}, {broadcast(T(-1)), Pack<T>{}}};
    }
};

// P = p·I: the same with one p for all coordinates.
template <class T>
class SphericalGaussian final : public Separable<T, DiagonalTerm> {
  public:
    SphericalGaussian(index n_features, const double* theta)
        : Separable<T, DiagonalTerm>(n_features, spread(n_features, theta).data()) {}

    void gradient(const double* sums, double* out) const override {
        const index d = this->n_features();
        out[0] = 0;
        for (index j = 0; j < d; ++j) {
            out[0] += sums[j];
            out[1 + j] = sums[d + j];
        }
    }

    void gradient_rows(const Tile<T>& tile, Rows<T> /*workspace*/, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        fill_row<T>(0, tile.lanes, out[0]);
        for (index j = 0; j < this->n_features(); ++j) {
            const auto way = this->way_back(tile, results, cotangents, j);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const auto share = way(l);
                store<T>(out[0] + l, load(out[0] + l) + share.of[0]);
                store<T>(out[1 + j] + l, share.of[1]);
            }
        }
    }

  private:
    static Buffer<double> spread(index d, const double* theta) {
        Buffer<double> all(2 * d);
        for (index j = 0; j < d; ++j) {
            all[j] = theta[0];
            all[d + j] = theta[1 + j];
        }
        return all;
    }
};

template <class T>
class GaussianFamily final : public Family<T> {
  public:
    enum class Shape { full, diagonal, spherical };
    GaussianFamily(index n_features, Shape shape) : d_(n_features), shape_(shape) {}

    index n_params() const noexcept override {
        return d_ + (shape_ == Shape::full ? d_ * (d_ + 1) / 2 : shape_ == Shape::diagonal ? d_ : 1);
    }
    void describe(LayoutVisitor& visitor) const override {
        const index square[] = {d_, d_};
        if (shape_ == Shape::full) visitor.block("precision", Packing::symmetric, square, 2);
        else visitor.block("precision", Packing::dense, &d_, shape_ == Shape::diagonal ? 1 : 0);
        visitor.block("linear", Packing::dense, &d_, 1);
    }
    Density<T>* at(const double* theta) const override {
        if (shape_ == Shape::full) return new FullGaussian<T>(d_, theta);
        if (shape_ == Shape::spherical) return new SphericalGaussian<T>(d_, theta);
        return new Separable<T, DiagonalTerm>(d_, theta);
    }

  private:
    index d_;
    Shape shape_;
};

}  // namespace

template <class T>
Family<T>* make_gaussian(const FamilySpec& spec) {
    using Shape = typename GaussianFamily<T>::Shape;
    if (std::strcmp(spec.variant, "full") == 0) return new GaussianFamily<T>(spec.n_features, Shape::full);
    if (std::strcmp(spec.variant, "diag") == 0) return new GaussianFamily<T>(spec.n_features, Shape::diagonal);
    if (std::strcmp(spec.variant, "spherical") == 0) return new GaussianFamily<T>(spec.n_features, Shape::spherical);
    return nullptr;
}

SCOREMATCH_END_LEVEL
SCOREMATCH_DEFINE_FAMILY(gaussian)
