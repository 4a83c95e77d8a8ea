// Separable families: log p̃ = Σ_j t(x_j; θ_j), one coordinate apart from the others. A family writes one coordinate of
// one sample, on packs, and this adapter does the rest:
//
//     struct Term {
//         static constexpr int n_params = 2;                                     // parameters of one coordinate
//         template <class T>
//         static TermValues<T> values(Pack<T> x, const T* theta);                // t, t′, t″ in x
//         template <class T>
//         static TermSlopes<T, n_params> slopes(Pack<T> x, const T* theta);      // ∂t/∂θ, ∂t′/∂θ, ∂t″/∂θ
//     };
//
// Then ψ_j = t′, ∇ψ = diag(t″), and the gradient of θ_j is Σ u_j ∂t′/∂θ + c_j ∂t″/∂θ, that of log p̃ Σ ∂t/∂θ.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/family.hpp"
#include "scorematch/lanes.hpp"
#include "scorematch/level.hpp"
#include "scorematch/pack.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
struct TermValues {
    Pack<T> value, first, second;
};

template <class T, int n_params>
struct TermSlopes {
    Pack<T> value[n_params], first[n_params], second[n_params];
};

// Sums and gradient: parameter after parameter, each for all coordinates: (n_params, n_features).
template <class T, class Term>
class Separable : public Density<T> {
  public:
    // `theta` as (n_params, n_features).
    Separable(index n_features, const double* theta) : d_(n_features), theta_(n_features * Term::n_params) {
        for (index j = 0; j < d_; ++j)
            for (index k = 0; k < Term::n_params; ++k)
                theta_[j * Term::n_params + k] = static_cast<T>(theta[k * d_ + j]);
    }

    double cost() const noexcept override { return 8.0 * static_cast<double>(theta_.size()); }
    index n_sums() const noexcept override { return theta_.size(); }

    void log_density(const Tile<T>& tile, Rows<T> /*workspace*/, T* out) const noexcept override {
        fill_row<T>(0, tile.lanes, out);
        for_each_pack(tile, [&](index j, index l, Pack<T> x) {
            store<T>(out + l, load(out + l) + Term::template values<T>(x, theta(j)).value);
        });
    }

    void log_density_and_score(const Tile<T>& tile, Rows<T> /*workspace*/, T* log_density_out,
                               Rows<T> score) const noexcept override {
        fill_row<T>(0, tile.lanes, log_density_out);
        for_each_pack(tile, [&](index j, index l, Pack<T> x) {
            const TermValues<T> term = Term::template values<T>(x, theta(j));
            store<T>(log_density_out + l, load(log_density_out + l) + term.value);
            store<T>(score[j] + l, term.first);
        });
    }

    void log_density_backward(const Tile<T>& tile, Rows<T> /*workspace*/, const T* cotangent,
                              double* sums) const noexcept override {
        for (index j = 0; j < d_; ++j) {
            Pack<T> total[Term::n_params]{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const TermSlopes<T, Term::n_params> slopes = Term::template slopes<T>(load(tile.x[j] + l), theta(j));
                for (int k = 0; k < Term::n_params; ++k) total[k] += load(cotangent + l) * slopes.value[k];
            }
            add_totals(total, j, sums);
        }
    }

    void forward(const Tile<T>& tile, Rows<T> /*workspace*/, const Derivatives<T>& out) const noexcept override {
        if (out.asked == Curvature::none && !out.direction) {
            for_each_pack(tile, [&](index j, index l, Pack<T> x) {
                store<T>(out.score[j] + l, Term::template values<T>(x, theta(j)).first);
            });
            return;
        }
        const bool trace = out.asked == Curvature::trace;
        if (trace) fill_row<T>(0, tile.lanes, out.curvature[0]);
        if (out.direction) fill_row<T>(0, tile.lanes, out.directional);
        for (index j = 0; j < d_; ++j) {
            T* const curvature = out.asked == Curvature::none ? nullptr : out.curvature[trace ? 0 : j];
            const T* const direction = out.direction ? out.direction[j] : nullptr;
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const TermValues<T> term = Term::template values<T>(load(tile.x[j] + l), theta(j));
                store<T>(out.score[j] + l, term.first);
                if (curvature != nullptr)
                    store<T>(curvature + l, trace ? load(curvature + l) + term.second : term.second);
                if (direction == nullptr) continue;
                const Pack<T> v = load(direction + l);
                store<T>(out.directional + l, load(out.directional + l) + v * v * term.second);
            }
        }
    }

    void backward(const Tile<T>& tile, Rows<T> /*workspace*/, const Derivatives<T>& results,
                  const Cotangents<T>& cotangents, double* sums) const noexcept override {
        for (index j = 0; j < d_; ++j) {
            const WayBack way = way_back(tile, results, cotangents, j);
            Pack<T> total[Term::n_params]{};
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Share share = way(l);
                for (int k = 0; k < Term::n_params; ++k) total[k] += share.of[k];
            }
            add_totals(total, j, sums);
        }
    }

    void gradient(const double* sums, double* out) const override {
        for (index i = 0; i < theta_.size(); ++i) out[i] = sums[i];
    }

    bool has_gradient_rows() const noexcept override { return true; }
    void gradient_rows(const Tile<T>& tile, Rows<T> /*workspace*/, const Derivatives<T>& results,
                       const Cotangents<T>& cotangents, Rows<T> out) const noexcept override {
        for (index j = 0; j < d_; ++j) {
            const WayBack way = way_back(tile, results, cotangents, j);
            for (index l = 0; l < tile.lanes; l += pack_size<T>) {
                const Share share = way(l);
                for (int k = 0; k < Term::n_params; ++k) store<T>(out[k * d_ + j] + l, share.of[k]);
            }
        }
    }

  protected:
    index n_features() const noexcept { return d_; }

    // The way back of one coordinate: from a pack of lanes to the gradient of each of its parameters. It holds all that
    // it reads, since the compiler must think that what is stored in between may change anything else.
    struct Share {
        Pack<T> of[Term::n_params];
    };
    struct WayBack {
        const T* x;
        const T* score;
        const T* curvature;  // null where there is none
        const T* direction;  // the same
        const T* directional;
        T theta[Term::n_params];

        [[gnu::always_inline]] Share operator()(index l) const noexcept {
            const TermSlopes<T, Term::n_params> slopes = Term::template slopes<T>(load(x + l), theta);
            Pack<T> second{};
            if (curvature != nullptr) second = load(curvature + l);
            if (direction != nullptr) second += load(directional + l) * load(direction + l) * load(direction + l);
            Share share;
            for (int k = 0; k < Term::n_params; ++k)
                share.of[k] = load(score + l) * slopes.first[k] + second * slopes.second[k];
            return share;
        }
    };
    WayBack way_back(const Tile<T>& tile, const Derivatives<T>& results, const Cotangents<T>& cotangents,
                     index j) const noexcept {
        WayBack way{tile.x[j],
                    cotangents.score[j],
                    curvature_row(results, cotangents, j),
                    results.direction ? results.direction[j] : nullptr,
                    cotangents.directional,
                    {}};
        for (int k = 0; k < Term::n_params; ++k) way.theta[k] = theta(j)[k];
        return way;
    }

  private:
    void add_totals(const Pack<T>* total, index j, double* sums) const noexcept {
        for (int k = 0; k < Term::n_params; ++k) sums[k * d_ + j] += static_cast<double>(sum_lanes<T>(total[k]));
    }

    const T* theta(index j) const noexcept { return theta_.data() + j * Term::n_params; }

    template <class Body>
    void for_each_pack(const Tile<T>& tile, const Body& body) const noexcept {
        for (index j = 0; j < d_; ++j)
            for (index l = 0; l < tile.lanes; l += pack_size<T>) body(j, l, load(tile.x[j] + l));
    }

    index d_;
    Buffer<T> theta_;
};

SCOREMATCH_END_LEVEL
