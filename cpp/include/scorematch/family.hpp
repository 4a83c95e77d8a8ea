// The contract of a family: read this first.
//
// Every objective of the library is, for one sample,
//
//     ρ = ½ ψᵀAψ + tr(A ∇ψ) + bᵀψ,        A = diag(a) + c v vᵀ,
//
// with ψ = ∇ₓ log p the score function, or an estimate of its mean. Four parts work it out, and none knows the others'
// business:
//
//   family (here)    ψ and what is asked of ∇ψ at a tile of samples, and the way back: given the cotangents of ψ and
//                    ∇ψ, the gradient with respect to θ. No weights, no domain, no objective, no threads.
//   field            a, b, c, v at a tile (field.hpp). No family.
//   objective        ρ and its cotangents, from what the two give (objectives/): exact, sliced, denoising …
//   engine           the loop over tiles, the threads, the sums (engine.hpp). No formula.
//
// A Density is a family at one θ. Its constructor does all that needs doing once a call (factorise, invert, take
// norms); afterwards it is immutable, so that threads share it. The way back adds to a vector of `n_sums` sums that
// suit the family, in double, and `gradient` turns the finished sums into the gradient once, at the end: a mixture of
// Gaussians sums outer products a tile and pays for its Cholesky factors once a call.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"
#include "scorematch/tile.hpp"

SCOREMATCH_BEGIN_LEVEL

// What a field asks of ∇ψ: its trace where all a_j are equal, else its diagonal; nothing where a direction is enough.
enum class Curvature { none, trace, diagonal };

inline index rows_of(Curvature asked, index n_features) noexcept {
    return asked == Curvature::none ? 0 : asked == Curvature::trace ? 1 : n_features;
}

// Forward results. `curvature` has `rows_of` rows; where that is none, it is not to be touched, nor work done for it.
// Where `direction` (v) is given, the family also fills `directional` with vᵀ∇ψ v.
template <class T>
struct Derivatives {
    Rows<T> score;
    Curvature asked = Curvature::trace;
    Rows<T> curvature;
    Rows<const T> direction;
    T* directional = nullptr;
};

// The objective's derivatives with respect to the forward results, the sample weight included. Same shapes.
template <class T>
struct Cotangents {
    Rows<const T> score;
    Rows<const T> curvature;
    const T* directional = nullptr;
};

// The cotangents of the j-th diagonal entry of ∇ψ: all are those of the trace where that was asked for, none are there
// where nothing was.
template <class T>
inline const T* curvature_row(const Derivatives<T>& results, const Cotangents<T>& cotangents, index j) noexcept {
    return results.asked == Curvature::none ? nullptr : cotangents.curvature[results.asked == Curvature::trace ? 0 : j];
}

template <class T>
class Density {
  public:
    Density() = default;
    Density(const Density&) = delete;
    Density& operator=(const Density&) = delete;
    virtual ~Density() {}

    // Optional: a point near the data, from where the density sees them. All its tiles then hold x − centre, which
    // costs nothing while samples are turned to lanes.
    virtual const double* centre() const noexcept { return nullptr; }

    // Optional: a family whose work takes little longer than loading calls tile.ahead.ask for the lanes that it is at,
    // and says so here: the next tile then arrives while this one is worked on. For others the engine asks for all of
    // it at once, while it loads.
    virtual bool asks_ahead() const noexcept { return false; }

    // Rows of scratch that forward and backward share: what forward leaves there, backward finds.
    virtual index workspace_rows() const noexcept { return 0; }

    // Floating-point operations a sample, roughly: the engine keeps small problems on one thread by it.
    virtual double cost() const noexcept = 0;

    // log p̃(x), up to the same constant for all x.
    virtual void log_density(const Tile<T>& tile, Rows<T> workspace, T* out) const noexcept = 0;

    virtual void forward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& out) const noexcept = 0;

    // Adds the tile's share to `sums`; always called after forward on the same tile and workspace, with its results.
    virtual void backward(const Tile<T>& tile, Rows<T> workspace, const Derivatives<T>& results,
                          const Cotangents<T>& cotangents, double* sums) const noexcept = 0;

    virtual index n_sums() const noexcept = 0;

    // The chain rule from the finished sums to θ. It may allocate, and throw where there is no memory.
    virtual void gradient(const double* sums, double* gradient) const = 0;

    // log p̃ and ψ at once, as samplers need them: for families that share work between the two.
    virtual void log_density_and_score(const Tile<T>& tile, Rows<T> workspace, T* log_density_out,
                                       Rows<T> score) const noexcept {
        log_density(tile, workspace, log_density_out);
        forward(tile, workspace, {score, Curvature::none, {}, {}, nullptr});
    }

    // Adds Σ cotangent·∂log p̃/∂θ over the lanes to the sums that `gradient` takes. Needs no forward before it. The
    // cotangents add up to 0 over all calls, so that what is the same for all x does not count here either.
    virtual void log_density_backward(const Tile<T>& tile, Rows<T> workspace, const T* cotangent,
                                      double* sums) const noexcept = 0;

    // Optional: on ℝᵈ (A = I, b = 0) some families reach ρ and its gradient with fewer products than ψ takes. Writes
    // ½‖ψ‖² and tr ∇ψ; adds the way back of Σ weight·ρ to `sums` unless that is null.
    virtual bool has_euclidean_shortcut() const noexcept { return false; }
    virtual index euclidean_rows() const noexcept { return workspace_rows(); }
    virtual void euclidean(const Tile<T>& /*tile*/, const T* /*weight*/, Rows<T> /*workspace*/, T* /*norm_term*/,
                           T* /*hessian_term*/, double* /*sums*/) const noexcept {}

    // Optional: the way back of each sample apart, for uncertainty. Writes the gradient with respect to θ of every lane
    // (n_params rows of lanes, which are no part of the workspace) from what `backward` gets, and after a forward as
    // that is. Without it the engine goes forward and backward for one sample at a time: right, and slow.
    virtual bool has_gradient_rows() const noexcept { return false; }
    virtual void gradient_rows(const Tile<T>& /*tile*/, Rows<T> /*workspace*/, const Derivatives<T>& /*results*/,
                               const Cotangents<T>& /*cotangents*/, Rows<T> /*out*/) const noexcept {}
    // What only `gradient_rows` needs is made here, once, before the loop over tiles; it may allocate.
    virtual void prepare_gradient_rows(Curvature /*asked*/) {}
    // The rows of scratch of a forward that `gradient_rows` follows on; asked for when all is prepared.
    virtual index gradient_workspace_rows() const noexcept { return workspace_rows(); }
};

// A family before θ is known: one for each (variant, number of features and of components, float type).
template <class T>
class Family {
  public:
    virtual ~Family() {}
    virtual index n_params() const noexcept = 0;
    virtual void describe(LayoutVisitor& visitor) const = 0;  // the blocks of θ, in order
    virtual Density<T>* at(const double* theta) const = 0;    // the caller deletes it
};

SCOREMATCH_END_LEVEL
