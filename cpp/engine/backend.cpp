// The table of functions of one level. Compiled once a level.
#include "scorematch/backend.hpp"

#include "scorematch/elementwise.hpp"
#include "scorematch/engine.hpp"
#include "scorematch/gibbs.hpp"
#include "scorematch/interaction_kernels.hpp"
#include "scorematch/kernel_stein.hpp"
#include "scorematch/make_family.hpp"
#include "scorematch/minibatches.hpp"
#include "scorematch/moments.hpp"
#include "scorematch/pairwise_moments.hpp"
#include "scorematch/peak.hpp"
#include "scorematch/polynomial_moments.hpp"
#include "scorematch/registry.hpp"
#include "scorematch/sample_gradients.hpp"
#include "scorematch/samplers/rbm_gibbs.hpp"
#include "scorematch/samplers/run.hpp"
#include "scorematch/weights.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace {

constexpr const char* family_names[] = {
#define SCOREMATCH_FAMILY(family) #family,
#include "families.inc"
#undef SCOREMATCH_FAMILY
    nullptr};

bool describe(const FamilySpec& spec, LayoutVisitor& visitor) {
    const Owner<Family<double>> family(make_family<double>(spec));
    if (family.get() == nullptr) return false;
    family->describe(visitor);
    return true;
}

template <class T>
void evaluate(const FamilySpec& spec, const double* theta, const Samples<T>& samples, const FieldSpec& field,
              const Outputs<T>& outputs, int n_threads) {
    const Owner<Family<T>> family(make_family<T>(spec));
    evaluate(*family, theta, samples, field, outputs, n_threads);
}

template <class T>
double loss_and_gradient(const FamilySpec& spec, const double* theta, const Samples<T>& samples,
                         const double* sample_weight, const FieldSpec& field, double* gradient, int n_threads) {
    const Owner<Family<T>> family(make_family<T>(spec));
    return loss_and_gradient(*family, theta, samples, sample_weight, field, gradient, n_threads);
}

template <class T>
void loss_gradients(const FamilySpec& spec, const double* theta, const Samples<T>& samples, const FieldSpec& field,
                    double* out, int n_threads) {
    const Owner<Family<T>> family(make_family<T>(spec));
    loss_gradients(*family, theta, samples, field, out, n_threads);
}

template <class T>
double gradient_products(const FamilySpec& spec, const double* theta, const Samples<T>& samples,
                         const double* sample_weight, const FieldSpec& field, double* gradient, double* products,
                         int n_threads) {
    const Owner<Family<T>> family(make_family<T>(spec));
    return gradient_products(*family, theta, samples, sample_weight, field, gradient, products, n_threads);
}

template <class T>
double minibatch_epoch(const FamilySpec& spec, const Samples<T>& samples, const double* sample_weight,
                       const FieldSpec& field, double first_rate, double last_rate, Minibatches& minibatches,
                       int n_threads) {
    const Owner<Family<T>> family(make_family<T>(spec));
    return minibatch_epoch(*family, samples, sample_weight, field, first_rate, last_rate, minibatches, n_threads);
}

template <class T>
double fma_peak() noexcept {
    return fma_peak_gflops<T>();
}

template <class T>
constexpr Functions<T> functions{evaluate<T>,         loss_and_gradient<T>, loss_gradients<T>,    gradient_products<T>,
                                 minibatch_epoch<T>,  moments<T>,           weighted_moments<T>,  polynomial_moments<T>,
                                 pairwise_moments<T>, kernel_stein<T>,      apply_elementwise<T>, fma_peak<T>};

}  // namespace

// Constant-initialised: no code of this level runs before the level is chosen.
extern constinit const Backend backend{SCOREMATCH_NAME(SCOREMATCH_LEVEL),
                                       8 * pack_bytes,
                                       describe,
                                       weight_by_name,
                                       family_names,
                                       random_vectors,
                                       gibbs,
                                       langevin,
                                       hamiltonian,
                                       reasonable_step_sizes,
                                       rbm_gibbs,
                                       functions<float>,
                                       functions<double>,
                                       {interaction::sweep, interaction::apply, interaction::combine}};

SCOREMATCH_END_LEVEL
