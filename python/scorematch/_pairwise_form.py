"""The quadratic form of the pairwise interaction model, column by column of the interaction matrix."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scorematch._quadratic import QuadraticForm

Doubles = NDArray[np.float64]


class PairwiseForm(NamedTuple):
    r"""The objective as a quadratic form in the columns K_j of the interaction matrix and the entries of η.

    .. math:: J = \sum_j \tfrac12 K_j^\top \mathrm{blocks}_j K_j - \mathrm{g\_interaction}_{\cdot j}^\top K_j
        + \eta_j \mathrm{cross}_{\cdot j}^\top K_j + \tfrac12 \mathrm{linear}_j \eta_j^2 - \mathrm{g\_linear}_j \eta_j

    All are means over samples. It holds for every K, symmetric or not: row j of K, which the score function of
    coordinate j sees, is taken as column j. Without η, what belongs to it is 0.
    """

    blocks: Doubles  # (d, d, d), block j multiplies column j of K
    cross: Doubles  # (d, d), column j couples K_j with η_j
    linear: Doubles  # (d,)
    g_interaction: Doubles  # (d, d), column j belongs to K_j
    g_linear: Doubles  # (d,)

    def value(self, interaction: Doubles, linear: Doubles | None = None) -> float:
        """J at an interaction matrix (d, d) and linear coefficients (d,), 0 where None."""
        return value(self, interaction, linear)

    def assembled(self, fit_linear: bool = True) -> QuadraticForm:
        """Γ and g in the upper triangle of a symmetric K, row by row, and η: d⁴/4 numbers, so for few columns."""
        return assembled(self, fit_linear)


class SimplexForm(NamedTuple):
    r"""The same on the simplex, where every column is coupled with the last one.

    To the sum of :class:`PairwiseForm` it adds :math:`\sum_{j<d} c_j^\top \mathrm{coupling}_j c_d`, where
    :math:`c_j = (K_j, \eta_j)`, or :math:`K_j` where there is no η.
    """

    blocks: Doubles
    cross: Doubles
    linear: Doubles
    g_interaction: Doubles
    g_linear: Doubles
    coupling: Doubles  # (d − 1, d + 1, d + 1), or (d − 1, d, d) without η

    def value(self, interaction: Doubles, linear: Doubles | None = None) -> float:
        """J at an interaction matrix (d, d) and linear coefficients (d,), 0 where None."""
        return value(self, interaction, linear)

    def assembled(self, fit_linear: bool = True) -> QuadraticForm:
        """Γ and g in the upper triangle of a symmetric K, row by row, and η: d⁴/4 numbers, so for few columns."""
        return assembled(self, fit_linear)


def value(form: PairwiseForm | SimplexForm, interaction: Doubles, linear: Doubles | None) -> float:
    """The form at any K and η."""
    columns = np.ascontiguousarray(interaction.T)
    eta = np.zeros(len(columns)) if linear is None else linear
    product = (form.blocks @ columns[:, :, None])[:, :, 0] / 2 + form.cross.T * eta[:, None] - form.g_interaction.T
    total = float(np.vdot(columns, product)) + float(eta @ (form.linear * eta / 2 - form.g_linear))
    if isinstance(form, SimplexForm):
        joined = np.column_stack([columns, eta])[:, : form.coupling.shape[1]]
        total += float(np.vdot(joined[:-1], form.coupling @ joined[-1]))
    return total


def assembled(form: PairwiseForm | SimplexForm, fit_linear: bool) -> QuadraticForm:
    """The form in θ."""
    d = len(form.linear)
    n_pairs = d * (d + 1) // 2
    index = symmetric_index(d)
    if fit_linear:
        index = np.column_stack([index, n_pairs + np.arange(d)])
    size = index.shape[1]
    n_params = n_pairs + (d if fit_linear else 0)
    gamma, g = np.zeros((n_params, n_params)), np.zeros(n_params)
    for j, where in enumerate(index):
        block = np.empty((d + 1, d + 1))
        block[:d, :d], block[d, d] = form.blocks[j], form.linear[j]
        block[:d, d] = block[d, :d] = form.cross[:, j]
        np.add.at(gamma, np.ix_(where, where), block[:size, :size])
        np.add.at(g, where, np.append(form.g_interaction[:, j], form.g_linear[j])[:size])
        if isinstance(form, SimplexForm) and j < d - 1:
            np.add.at(gamma, np.ix_(where, index[-1]), form.coupling[j])
            np.add.at(gamma, np.ix_(index[-1], where), form.coupling[j].T)
    return QuadraticForm((gamma + gamma.T) / 2, g)


def symmetric_index(d: int) -> NDArray[np.intp]:
    """Where entry (i, j) of a symmetric matrix stands among those of its upper triangle, row by row: (d, d)."""
    index = np.zeros((d, d), dtype=np.intp)
    index[np.triu_indices(d)] = np.arange(d * (d + 1) // 2)
    return np.maximum(index, index.T)
