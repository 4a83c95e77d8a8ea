"""The picture of a sampler's chains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch.plotting._display import Display
from scorematch.plotting._drawing import CYCLE, tidy
from scorematch.plotting._names import check_names, column_position, numbered, shortened
from scorematch.plotting._panels import MAX_FEATURES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

Doubles = NDArray[np.float64]

# Chains beyond this many are not told apart by colour.
MOST_CHAINS = len(CYCLE)
MOST_STEPS = 4000


class TraceDisplay(Display):
    r"""The traces of a sampler's chains, and the histogram of each.

    Chains that have forgotten where they began look alike, and so do their histograms. In numbers: the split-chain
    :math:`\hat R`, which compares the variance between halves of chains with that within, is next to 1. Make it with
    :meth:`from_draws`.

    Parameters
    ----------
    draws : array_like of shape (n_chains, n_draws, n_features)
        The draws of each chain, in order.
    names : sequence of str
        Names of the columns.
    title, caption : str
        The two lines above the picture.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure.
    axes_ : ndarray of matplotlib Axes, shape (n_features, 2)
        The panels: for each column its trace and its histograms.
    ax_ : matplotlib Axes
        The first of them.
    r_hat : ndarray of shape (n_features,)
        The split-chain R̂ of each column; NaN where there are fewer than 4 draws.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, 3rd edition, section 11.4.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import numpy as np
    >>> from scorematch.plotting import TraceDisplay
    >>> draws = np.random.default_rng(0).normal(size=(4, 500, 2))
    >>> display = TraceDisplay.from_draws(draws, feature_names=["height", "weight"])
    >>> display.r_hat.round(1)
    array([1., 1.])
    """

    _single: ClassVar[bool] = False

    def __init__(
        self, draws: ArrayLike, names: Sequence[str], *, title: str = "Traces of the sampler", caption: str = ""
    ) -> None:
        self.draws = np.asarray(draws, dtype=np.float64)
        if self.draws.ndim != 3 or not self.draws.size:
            raise ValueError(f"draws must have shape (n_chains, n_draws, n_features); got {self.draws.shape}")
        if not np.isfinite(self.draws).all():
            chain, step, column = np.argwhere(~np.isfinite(self.draws))[0]
            raise ValueError(f"draws must be finite; chain {chain}, draw {step}, column {column} is not")
        self.names = check_names(names, self.draws.shape[2], "names")
        self.r_hat = np.array([_split_r_hat(self.draws[:, :, column]) for column in range(len(self.names))])
        self.title = title
        self.caption = caption

    @classmethod
    def from_draws(
        cls,
        draws: ArrayLike,
        *,
        features: Sequence[int | str] | None = None,
        feature_names: Sequence[str] | None = None,
        title: str | None = None,
        figure: Figure | SubFigure | None = None,
    ) -> Self:
        """Draw the chains of a sampler.

        Parameters
        ----------
        draws : array_like of shape (n_chains, n_draws, n_features) or (n_draws, n_features)
            The draws of each chain, in order, or of one.
        features : sequence of int or str, optional
            The columns to show, at most five; the first five where None.
        feature_names : sequence of str, optional
            Names of the columns; ``x0``, ``x1``, ... where None.
        title : str, optional
            The title.
        figure : matplotlib Figure or SubFigure, optional
            Where to draw; a new figure of pyplot's where None.

        Returns
        -------
        TraceDisplay
            The display, drawn.
        """
        draws = np.asarray(draws, dtype=np.float64)
        if draws.ndim == 2:
            draws = draws[None]
        if draws.ndim != 3:
            raise ValueError(
                "draws must have shape (n_chains, n_draws, n_features) or (n_draws, n_features); "
                f"got {draws.shape}"
            )  # fmt: skip
        n_chains, n_draws, d = draws.shape
        names = numbered(d) if feature_names is None else check_names(feature_names, d)
        chosen = [
            column_position(feature, names)
            for feature in (range(min(d, MAX_FEATURES)) if features is None else features)
        ]
        if not 1 <= len(chosen) <= MAX_FEATURES:
            raise ValueError(f"features must be 1 to {MAX_FEATURES} columns; got {len(chosen)}")
        caption = f"{n_chains} chain{'s' * (n_chains > 1)} of {n_draws} draws"
        if len(chosen) < d:
            caption += f"; features {len(chosen)} of {d} shown"
        display = cls(
            draws[:, :, chosen], [names[c] for c in chosen], title=title or "Traces of the sampler", caption=caption
        )
        return display.plot(figure=figure)

    def _size(self) -> tuple[float, float]:
        return 8.4, 1.1 + 1.6 * len(self.names)

    def _subplots(self, figure: Figure | SubFigure) -> NDArray[Any]:
        n = len(self.names)
        return np.asarray(figure.subplots(n, 2, sharex="col", sharey="row", width_ratios=(3.2, 1), squeeze=False))

    def _draw(self, axes: list[Axes]) -> None:
        n_chains, n_draws, _ = self.draws.shape
        step = -(-n_draws // MOST_STEPS)
        colours = [CYCLE[chain] if n_chains <= MOST_CHAINS else "#4D4D4D" for chain in range(n_chains)]
        opacity = 0.75 if n_chains <= MOST_CHAINS else max(0.08, 3 / n_chains)
        for column, (trace, marginal) in enumerate(zip(axes[::2], axes[1::2], strict=True)):
            values = self.draws[:, :, column]
            bins = np.histogram_bin_edges(values, min(60, max(10, int(values.size ** (1 / 3)))))
            for chain, colour in enumerate(colours):
                trace.plot(
                    np.arange(0, n_draws, step), values[chain, ::step], color=colour, lw=0.7, alpha=opacity,
                    label=f"chain {chain}",
                )  # fmt: skip
                marginal.hist(
                    values[chain], bins=bins.tolist(), density=True, orientation="horizontal", histtype="step",
                    color=colour, lw=1.2, alpha=opacity,
                )  # fmt: skip
            trace.set_ylabel(shortened(self.names[column], 18))
            trace.set_xlim(0, max(1, n_draws - 1))
            if np.isfinite(self.r_hat[column]):
                marginal.set_title(rf"$\hat R$ = {self.r_hat[column]:.3f}", fontsize="small", loc="right", pad=2)
            marginal.tick_params(labelleft=False)
            for ax in (trace, marginal):
                ax.tick_params(labelsize="small")
                tidy(ax)
        axes[-2].set_xlabel("draw")
        axes[-1].set_xlabel("density")
        if 1 < n_chains <= MOST_CHAINS:
            from matplotlib.lines import Line2D

            self.figure_.legend(
                handles=[Line2D([], [], color=colour, lw=2, label=f"chain {i}") for i, colour in enumerate(colours)],
                loc="outside lower center", ncols=n_chains, frameon=False, fontsize="small",
            )  # fmt: skip


def _split_r_hat(draws: Doubles) -> float:
    """R̂ of chains (n_chains, n_draws) that are cut in halves."""
    half = draws.shape[1] // 2
    if half < 2:
        return np.nan
    halves = np.concatenate([draws[:, :half], draws[:, -half:]])
    within = float(halves.var(axis=1, ddof=1).mean())
    between = half * float(halves.mean(axis=1).var(ddof=1))
    if within == 0:
        return 1.0 if between == 0 else np.inf
    return float(np.sqrt((half - 1) / half + between / (half * within)))
