"""NumPy: derivatives by hand, vectorised over the rows."""

from __future__ import annotations

import numpy as np
from workloads import Floats, Workload

from peers import Evaluation, formulas


def plain(workload: Workload, X: Floats) -> Evaluation:
    """On whole arrays."""
    return _evaluation(formulas.plain(np, workload), X, len(X))


def tuned(workload: Workload, X: Floats) -> Evaluation:
    """In blocks of rows that stay in the cache."""
    steps = formulas.tuned(np, workload)
    return _evaluation(steps, X, steps.rows_per_block(steps.widest()))


def _evaluation(steps: formulas.Formulas, X: Floats, rows: int) -> Evaluation:
    blocks = [X[first : first + rows] for first in range(0, len(X), rows)]

    def evaluate(theta: Floats) -> tuple[float, Floats]:
        parameters = steps.prepare(theta)
        as_data = tuple(parameter.astype(X.dtype) for parameter in parameters)
        totals = steps.sums(as_data, blocks[0])
        for block in blocks[1:]:
            totals = tuple(total + more for total, more in zip(totals, steps.sums(as_data, block), strict=True))
        return steps.finish(parameters, tuple(total / len(X) for total in totals))

    return evaluate
