"""Samplers: many Markov chains at once, driven by the score function of a model or by one of your own.

===============================  ========================================================================
:func:`langevin`                 unadjusted Langevin dynamics: cheap, and biased by the length of its step
:func:`mala`                     Langevin with a Metropolis correction: exact in the limit of long chains
:func:`hmc`                      Hamiltonian Monte Carlo: the same with moves that reach further
:func:`gibbs`                    block Gibbs sampling of restricted Boltzmann machines
:func:`annealed_langevin`        Langevin dynamics down a ladder of noise levels (Song and Ermon 2019)
===============================  ========================================================================

Fitted models run in the compiled core, chains over threads, and give the same bits on any number of threads; functions
of your own are called from it with all chains at once. To have independent draws of a model, and no thought of chains,
use its own ``sample``.
"""

from scorematch.samplers._annealed import annealed_langevin
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._gibbs import gibbs
from scorematch.samplers._hamiltonian import hmc, mala
from scorematch.samplers._langevin import langevin

__all__ = ["Draws", "SamplerState", "annealed_langevin", "gibbs", "hmc", "langevin", "mala"]
