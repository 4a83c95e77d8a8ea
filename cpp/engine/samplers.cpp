// The samplers. Compiled once a level.
#include "scorematch/make_family.hpp"
#include "scorematch/owner.hpp"
#include "scorematch/samplers/first_step_sizes.hpp"
#include "scorematch/samplers/hamiltonian.hpp"
#include "scorematch/samplers/langevin.hpp"
#include "scorematch/samplers/run.hpp"

SCOREMATCH_BEGIN_LEVEL
namespace {

// Where one tile holds all chains a function of the caller's sees all of them at once, and is called from this thread.
// `n_scores` are those of a chain in the whole run.
template <class Sampler, class Run>
RunResult run_sampler(const Run& run, const TargetSpec& spec, const SupportSpec& support_spec, const Chains& chains,
                      double n_scores, int n_threads) {
    const index n = chains.n_chains, d = chains.n_features;
    Support support(support_spec, n, d, chains.reflect);
    if (spec.family == nullptr) {
        FunctionTarget target(spec, n, d);
        return run_tiles<Sampler>(run, n, target, support, /*together=*/true, 1);
    }
    const Owner<Family<double>> family(make_family<double>(*spec.family));
    const Owner<Density<double>> density(family->at(spec.theta));
    DensityTarget target(*density, d, spec.origin);
    if (support_spec.kind == SupportKind::function)
        return run_tiles<Sampler>(run, n, target, support, /*together=*/true, 1);
    const double normals = 20 * static_cast<double>(d);
    const double work = static_cast<double>(n) * n_scores * (density->cost() + normals);
    return run_tiles<Sampler>(run, n, target, support, /*together=*/false, threads_worth(work, n_threads));
}

}  // namespace

RunResult langevin(const TargetSpec& target, const SupportSpec& support, const LangevinRun& run, int n_threads) {
    const double n_scores = static_cast<double>(run.chains.n_iterations);
    return run_sampler<LangevinTile>(run, target, support, run.chains, n_scores, n_threads);
}

RunResult hamiltonian(const TargetSpec& target, const SupportSpec& support, const HamiltonianRun& run, int n_threads) {
    const double n_scores = static_cast<double>(run.chains.n_iterations) * static_cast<double>(run.n_leapfrog);
    return run_sampler<HamiltonianTile>(run, target, support, run.chains, n_scores, n_threads);
}

RunResult reasonable_step_sizes(const TargetSpec& target, const SupportSpec& support, const Chains& chains,
                                int n_threads) {
    const double n_scores = 10;  // or so
    return run_sampler<FirstStepSizesTile>(chains, target, support, chains, n_scores, n_threads);
}

SCOREMATCH_END_LEVEL
