"""Known graphs, and data drawn from models on them.

``make_chain_graph`` and its kin give an interaction matrix whose nonzero entries off the diagonal are the edges;
``make_pairwise_data`` draws from the pairwise interaction model with it. ``sample_truncated_gaussian`` and
``sample_pairwise`` are the samplers themselves.
"""

from scorematch._truncated_sampling import sample_pairwise, sample_truncated_gaussian
from scorematch.datasets._graphs import make_block_graph, make_chain_graph, make_erdos_renyi_graph, make_lattice_graph
from scorematch.datasets._pairwise import make_pairwise_data

__all__ = [
    "make_block_graph",
    "make_chain_graph",
    "make_erdos_renyi_graph",
    "make_lattice_graph",
    "make_pairwise_data",
    "sample_pairwise",
    "sample_truncated_gaussian",
]
