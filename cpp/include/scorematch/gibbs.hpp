// Gibbs sampling of the densities of gibbs_problem.hpp: coordinate after coordinate is drawn from its distribution
// given the others, on the section of the domain.
//
// The lanes of a pack are chains. Some packs are swept together, so that a row of the precision that has been read
// serves all of them, and so that their sums hide each other's latency; entries that are zero are left out. A chain
// depends on its own stream of random numbers alone (lane_random.hpp), and so on no thread and no other chain.
#pragma once

#include "scorematch/buffer.hpp"
#include "scorematch/coordinate_draws.hpp"
#include "scorematch/gibbs_problem.hpp"
#include "scorematch/parallel.hpp"
#include "scorematch/sections.hpp"

SCOREMATCH_BEGIN_LEVEL

namespace gibbs_detail {

// Rows of a symmetric matrix without its diagonal and its zeros.
class Neighbours {
  public:
    explicit Neighbours(const GibbsProblem& problem) : first_(problem.n_features + 1) {
        const index d = problem.n_features;
        for (index j = 0; j < d; ++j) {
            first_[j + 1] = first_[j];
            for (index i = 0; i < d; ++i) first_[j + 1] += i != j && problem.precision[j * d + i] != 0;
        }
        which_ = Buffer<index>(first_[d]);
        value_ = Buffer<double>(first_[d]);
        for (index j = 0, k = 0; j < d; ++j)
            for (index i = 0; i < d; ++i)
                if (i != j && problem.precision[j * d + i] != 0) {
                    which_[k] = i;
                    value_[k++] = problem.precision[j * d + i];
                }
    }
    index begin(index j) const noexcept { return first_[j]; }
    index end(index j) const noexcept { return first_[j + 1]; }
    index which(index k) const noexcept { return which_[k]; }
    double value(index k) const noexcept { return value_[k]; }

  private:
    Buffer<index> first_, which_;
    Buffer<double> value_;
};

inline constexpr index most_packs = 4;

// What a thread needs for the packs that it sweeps together: the states, a coordinate a row, and the rest a pack each.
class Workspace {
  public:
    Workspace(const GibbsProblem& problem, index n_intervals)
        : draw(n_intervals), states(problem.n_features * most_packs * pack_size<double>),
          sections{{problem, n_intervals}, {problem, n_intervals}, {problem, n_intervals}, {problem, n_intervals}} {}

    CoordinateDraws draw;
    Buffer<double> states;
    Sections sections[most_packs];
};

// One for each thread.
class WorkspaceOfEach {
  public:
    WorkspaceOfEach(const GibbsProblem& problem, index n_intervals, int n_threads) : list_(n_threads) {
        for (index i = 0; i < n_threads; ++i) list_[i] = new Workspace(problem, n_intervals);
    }
    WorkspaceOfEach(const WorkspaceOfEach&) = delete;
    WorkspaceOfEach& operator=(const WorkspaceOfEach&) = delete;
    ~WorkspaceOfEach() {
        for (index i = 0; i < list_.size(); ++i) delete list_[i];
    }
    Workspace& of(int worker) noexcept { return *list_[worker]; }

  private:
    Buffer<Workspace*> list_;
};

// Σ_i P_ji y_i over the neighbours of j. Two sums, for a single pack to be less bound by latency; the same for any
// number of packs, so that this number does not show.
template <index n_packs>
[[gnu::always_inline]] inline void sum_neighbours(const Neighbours& neighbours, index j, const double* states,
                                                  Pack<double> (&sum)[n_packs]) {
    constexpr index stride = n_packs * pack_size<double>;
    Pack<double> odd[n_packs] = {};
    for (index p = 0; p < n_packs; ++p) sum[p] = Pack<double>{};
    index k = neighbours.begin(j);
    const index end = neighbours.end(j);
    for (; k + 1 < end; k += 2) {
        const double* const y = states + neighbours.which(k) * stride;
        const double* const z = states + neighbours.which(k + 1) * stride;
        const Pack<double> a = broadcast(neighbours.value(k)), b = broadcast(neighbours.value(k + 1));
        for (index p = 0; p < n_packs; ++p) {
            sum[p] = multiply_add<double>(a, load(y + p * pack_size<double>), sum[p]);
            odd[p] = multiply_add<double>(b, load(z + p * pack_size<double>), odd[p]);
        }
    }
    if (k < end) {
        const double* const y = states + neighbours.which(k) * stride;
        const Pack<double> a = broadcast(neighbours.value(k));
        for (index p = 0; p < n_packs; ++p) sum[p] = multiply_add<double>(a, load(y + p * pack_size<double>), sum[p]);
    }
    for (index p = 0; p < n_packs; ++p) sum[p] += odd[p];
}

template <index n_packs>
void sweep(const GibbsProblem& problem, const Neighbours& neighbours, Workspace& workspace,
           LaneRandom* random) noexcept {
    constexpr index width = pack_size<double>, stride = n_packs * width;
    double* const states = workspace.states.data();
    for (index p = 0; p < n_packs; ++p) workspace.sections[p].renew(states + p * width, stride);
    for (index j = 0; j < problem.n_features; ++j) {
        Pack<double> sum[n_packs];
        sum_neighbours<n_packs>(neighbours, j, states, sum);
        const double curvature = problem.precision[j * problem.n_features + j];
        CoordinateDensity density{curvature,
                                  {},
                                  problem.log_factor[j],
                                  problem.extra[j],
                                  problem.exponent,
                                  problem.exponential,
                                  __builtin_sqrt(2 / curvature)};
        for (index p = 0; p < n_packs; ++p) {
            Sections& sections = workspace.sections[p];
            double* const own = states + j * stride + p * width;
            const Pack<double> before = load(own);
            const index n = sections.find(j, states + p * width, stride);
            density.linear = problem.linear[j] - sum[p];
            const Pack<double> after = workspace.draw(density, sections.intervals(), n, before, random[p]);
            store<double>(own, after);
            sections.moved(j, before, after);
        }
    }
}

// `n_packs` packs of chains from number `first` on; lanes behind the last chain run along as copies of it.
template <index n_packs>
void run_group(const GibbsProblem& problem, const Neighbours& neighbours, const GibbsChains& chains, index first,
               index n_sweeps, Workspace& workspace) noexcept {
    constexpr index width = pack_size<double>, lanes = n_packs * width;
    const index d = problem.n_features;
    const auto chain_of = [&](index lane) noexcept {
        return first + lane < chains.n_chains ? first + lane : chains.n_chains - 1;
    };
    for (index lane = 0; lane < lanes; ++lane)
        for (index j = 0; j < d; ++j) workspace.states[j * lanes + lane] = chains.states[chain_of(lane) * d + j];
    const auto random_of = [&](index p) noexcept {
        LaneWords stream{}, position{};
        for (index lane = 0; lane < width; ++lane) {
            const index chain = chain_of(p * width + lane);
            stream[lane] = static_cast<std::uint64_t>(chain);
            position[lane] = chains.positions[chain];
        }
        return LaneRandom(chains.seed, RandomUse::gibbs, stream, position);
    };
    static_assert(most_packs == 4);
    LaneRandom random[most_packs] = {random_of(0), random_of(1 % n_packs), random_of(2 % n_packs),
                                     random_of(3 % n_packs)};
    for (index s = 0; s < n_sweeps; ++s) sweep<n_packs>(problem, neighbours, workspace, random);
    for (index lane = 0; lane < lanes && first + lane < chains.n_chains; ++lane) {
        const index chain = first + lane;
        for (index j = 0; j < d; ++j) chains.states[chain * d + j] = workspace.states[j * lanes + lane];
        chains.positions[chain] = random[lane / width].position()[lane % width];
    }
}

}  // namespace gibbs_detail

// So many sweeps of every chain.
inline void gibbs(const GibbsProblem& problem, const GibbsChains& chains, index n_sweeps, int n_threads) {
    using namespace gibbs_detail;
    const Neighbours neighbours(problem);
    const index n_intervals = most_intervals(problem);
    // Several packs together, unless threads would be left without any.
    const index n_packs = (chains.n_chains + pack_size<double> - 1) / pack_size<double>;
    const index together = n_packs / most_packs >= 2 * n_threads ? most_packs : 1;
    const index n_groups = n_packs / together, n_rest = n_packs - n_groups * together;
    WorkspaceOfEach workspaces(problem, n_intervals, n_threads);
    auto run = [&](index task, int worker) noexcept {
        Workspace& workspace = workspaces.of(worker);
        if (task < n_groups && together == most_packs)
            return run_group<most_packs>(problem, neighbours, chains, task * most_packs * pack_size<double>, n_sweeps,
                                         workspace);
        const index pack = task < n_groups ? task : n_groups * together + (task - n_groups);
        run_group<1>(problem, neighbours, chains, pack * pack_size<double>, n_sweeps, workspace);
    };
    using Body = decltype(run);
    parallel_for(
        n_groups + n_rest, n_threads,
        [](void* context, index task, int worker) { (*static_cast<Body*>(context))(task, worker); }, &run);
}

SCOREMATCH_END_LEVEL
