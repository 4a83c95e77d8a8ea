// The samplers of a level: cpp/engine/samplers.cpp.
#pragma once

#include "scorematch/level.hpp"
#include "scorematch/samplers/chains_problem.hpp"

SCOREMATCH_BEGIN_LEVEL

RunResult langevin(const TargetSpec& target, const SupportSpec& support, const LangevinRun& run, int n_threads);
RunResult hamiltonian(const TargetSpec& target, const SupportSpec& support, const HamiltonianRun& run, int n_threads);
RunResult reasonable_step_sizes(const TargetSpec& target, const SupportSpec& support, const Chains& chains,
                                int n_threads);

SCOREMATCH_END_LEVEL
