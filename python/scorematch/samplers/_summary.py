"""Draws as a table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scorematch._tables import Layout, ShownAsTable, decimals_for, number
from scorematch.samplers._draws import has_arviz

if TYPE_CHECKING:
    from scorematch.samplers._draws import Draws

QUANTILES = (0.05, 0.5, 0.95)


class DrawsSummary(ShownAsTable):
    """Moments, quantiles and diagnostics of each coordinate of draws."""

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    @property
    def _row_names(self) -> Sequence[str]:
        return [f"x{j}" for j in range(self._draws.draws.shape[2])]

    @cached_property
    def _table(self) -> dict[str, Any]:
        rows = self._draws.flatten()
        table: dict[str, Any] = {"mean": rows.mean(axis=0), "sd": rows.std(axis=0)}
        for level, values in zip(QUANTILES, np.quantile(rows, QUANTILES, axis=0), strict=True):
            table[f"{100 * level:g}%"] = values
        if self._draws.draws.shape[1] >= 4 and has_arviz():
            table["ess"] = self._draws.ess()
            if len(self._draws.draws) > 1:
                table["rhat"] = self._draws.rhat()
        return table

    def _columns(self) -> dict[str, Any]:
        return self._table

    def _layout(self) -> Layout:
        decimals = [decimals_for(float(sd), 3) for sd in self._table["sd"]]
        fixed = {"ess": 0, "rhat": 3}
        cells = [
            [number(float(value), fixed.get(name, own)) for value, own in zip(values, decimals, strict=True)]
            for name, values in self._table.items()
        ]
        draws = self._draws
        n_chains, n_draws, _ = draws.draws.shape
        head = {
            "chains": str(n_chains),
            "draws a chain": str(n_draws),
            "warm-up": str(draws.n_warmup),
            "thin": str(draws.thin),
            "acceptance": f"{draws.acceptance_rate:.3f}",
            "step size": f"{draws.step_size:.4g}",
            "divergent": str(draws.n_divergent),
        }
        notes = []
        if "ess" not in self._table:
            notes = ["ess and rhat need ArviZ, and at least 4 draws a chain"]
        elif "rhat" not in self._table:
            notes = ["rhat needs at least 2 chains"]
        return Layout(
            f"Draws by {draws.method}", head, list(self._table), self._row_names, cells, {}, notes, "features"
        )
