"""The graph of an interaction matrix."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import networkx


class InteractionGraph:
    """Base, beside another, of models with an interaction matrix whose zeros say which columns do not interact."""

    interaction_: NDArray[np.float64]

    @property
    def adjacency_(self) -> NDArray[np.bool_]:
        """Which columns interact: True where ``interaction_`` is not 0, False on the diagonal; (d, d)."""
        self._check_is_fitted()  # type: ignore[attr-defined]
        adjacency = np.asarray(self.interaction_ != 0)
        np.fill_diagonal(adjacency, False)
        return adjacency

    def to_networkx(self) -> networkx.Graph[Any]:
        """The graph, for networkx, which must be installed (``pip install scorematch[graph]``).

        Returns
        -------
        networkx.Graph
            A node for each column, by name where the data had names, else by number; an edge for each pair that
            interacts, with the attribute ``weight``, the entry of ``interaction_``. A negative weight pulls two
            columns to the same side, as in a precision matrix.
        """
        try:
            import networkx
        except ImportError as error:
            raise ImportError("to_networkx() needs networkx: pip install 'scorematch[graph]'") from error
        adjacency = self.adjacency_
        names = getattr(self, "feature_names_in_", None)
        nodes = list(range(len(adjacency))) if names is None else [str(name) for name in names]
        graph = networkx.Graph()
        graph.add_nodes_from(nodes)
        for i, j in zip(*np.nonzero(np.triu(adjacency)), strict=True):
            graph.add_edge(nodes[i], nodes[j], weight=float(self.interaction_[i, j]))
        return graph

    def to_graphml(self, path: str | PathLike[str]) -> None:
        """Write the graph to a file in GraphML, which Cytoscape, Gephi and igraph read.

        Parameters
        ----------
        path : str or path-like
            The file; it is replaced if it exists.
        """
        graph = self.to_networkx()
        import networkx

        networkx.write_graphml(graph, path)
