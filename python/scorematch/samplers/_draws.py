"""What a sampler gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scorematch.samplers._summary import DrawsSummary

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class SamplerState:
    """Where chains stand: all that a sampler needs to go on with them, beside the model and its options.

    Pass it as ``initial`` to the sampler that it comes from, with the same model and options. The draws are then those
    of a run that was never interrupted, to the last bit. It can be pickled, and is as small as one draw of each chain.
    (:func:`annealed_langevin` ends with its ladder: of its state the points alone are of use.)

    Parameters
    ----------
    method : str
        The sampler.
    points : ndarray of shape (n_chains, n_features)
        The last points.
    step_sizes : ndarray of shape (n_chains,)
        Lengths of the steps.
    scale : ndarray of shape (n_features,)
        Scale of the coordinates.
    seed : int
        Seed of the random numbers, which are a function of it, the chain and the iteration.
    iteration : int
        Number of the next iteration.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.Gaussian.from_params(mean=[0.0], covariance=[[1.0]])
    >>> whole = scorematch.samplers.hmc(model, n_samples=20, random_state=0)
    >>> first = scorematch.samplers.hmc(model, n_samples=12, random_state=0)
    >>> rest = scorematch.samplers.hmc(model, n_samples=8, initial=first.state)
    >>> bool((rest.draws == whole.draws[:, 12:]).all())
    True
    """

    method: str
    points: Doubles
    step_sizes: Doubles
    scale: Doubles
    seed: int
    iteration: int

    def __repr__(self) -> str:
        return f"<SamplerState of {self.method}, {len(self.points)} chains after {self.iteration} iterations>"


@dataclass(frozen=True, eq=False, repr=False)
class Draws:
    r"""Draws of many chains, and how they came about.

    Parameters
    ----------
    draws : ndarray of shape (n_chains, n_draws, n_features)
        The draws; each takes 8 bytes a coordinate.
    method : str
        The sampler.
    acceptance_rates : ndarray of shape (n_chains,)
        Mean probability of acceptance of each chain behind the warm-up; for unadjusted Langevin the share of the moves
        that stayed in the domain.
    step_sizes : ndarray of shape (n_chains,)
        Length of each chain's step: of :func:`hmc` that of a leapfrog step, of the others the `step` in
        :math:`x + \tfrac12\,\text{step}\,\psi + \sqrt{\text{step}}\,z`.
    scale : ndarray of shape (n_features,)
        The scale of the coordinates by which steps are multiplied.
    divergences : ndarray of shape (n_chains,)
        How many trajectories of each chain ended where the energy is off by more than 1000, or is not finite.
    n_warmup : int
        Iterations before the first draw.
    thin : int
        Iterations from one draw to the next.
    state : SamplerState
        Pass it as ``initial`` to go on.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.Gaussian.from_params(mean=[0.0, 1.0], covariance=[[1.0, 0.5], [0.5, 2.0]])
    >>> result = scorematch.samplers.hmc(model, n_chains=4, n_samples=500, random_state=0)
    >>> result.draws.shape, result.flatten().shape
    ((4, 500, 2), (2000, 2))
    """

    draws: Doubles
    method: str
    acceptance_rates: Doubles
    step_sizes: Doubles
    scale: Doubles
    divergences: NDArray[np.int64]
    n_warmup: int
    thin: int
    state: SamplerState

    @property
    def acceptance_rate(self) -> np.float64:
        """The mean of the chains' rates of acceptance."""
        return np.float64(self.acceptance_rates.mean())

    @property
    def step_size(self) -> np.float64:
        """The median of the chains' step sizes, which are all the same unless they were given."""
        return np.float64(np.median(self.step_sizes))

    @property
    def n_divergent(self) -> int:
        """How many trajectories diverged, in all chains."""
        return int(self.divergences.sum())

    def flatten(self) -> Doubles:
        """All draws as rows, chain after chain.

        Returns
        -------
        ndarray of shape (n_chains * n_draws, n_features)
            A view where memory allows.
        """
        return self.draws.reshape(-1, self.draws.shape[2])

    def to_arviz(self) -> Any:
        """The draws as ArviZ has them, for its diagnostics and plots.

        Returns
        -------
        arviz.InferenceData
            With the group ``posterior`` and in it the variable ``x``, of dimensions chain, draw and feature. (A
            ``DataTree`` with ArviZ 1.0 or later.)

        Raises
        ------
        ImportError
            Where ArviZ is not installed.
        """
        az, x = _arviz(), {"x": self.draws}
        options = {"dims": {"x": ["feature"]}}
        # ArviZ 1.0 takes a dict of groups.
        return az.from_dict(posterior=x, **options) if _is_old(az) else az.from_dict({"posterior": x}, **options)

    def ess(self) -> Doubles:
        """Effective sample size of each coordinate: bulk, rank-normalised (Vehtari et al. 2021).

        Returns
        -------
        ndarray of shape (n_features,)
            How many independent draws would tell as much of the middle of the distribution. Needs ArviZ, and at least
            4 draws a chain.
        """
        return self._each("ess", method="bulk")

    def rhat(self) -> Doubles:
        """Rank-normalised split R-hat of each coordinate (Vehtari et al. 2021).

        Returns
        -------
        ndarray of shape (n_features,)
            1 where chains agree; above 1.01 they have not yet forgotten where they began. Needs ArviZ, two chains, and
            at least 4 draws a chain.
        """
        if len(self.draws) < 2:
            raise ValueError("rhat compares chains, and needs at least 2; got 1")
        return self._each("rhat", method="rank")

    def _each(self, name: str, method: str) -> Doubles:
        if self.draws.shape[1] < 4:
            raise ValueError(f"{name} needs at least 4 draws a chain; got {self.draws.shape[1]}")
        found = getattr(_arviz(), name)(self.to_arviz(), method=method)
        return np.asarray(found["x"].values, dtype=np.float64)

    def summary(self) -> DrawsSummary:
        """How the run went, and moments and quantiles of each coordinate.

        Returns
        -------
        DrawsSummary
            A table, which prints as text, shows as HTML in notebooks, and has ``to_latex()`` and ``to_frame()``: mean,
            standard deviation, the quantiles of 5, 50 and 95 %, and with ArviZ the effective sample size and R-hat.
        """
        from scorematch.samplers._summary import DrawsSummary

        return DrawsSummary(self)

    def _headline(self) -> str:
        n_chains, n_draws, d = self.draws.shape
        thinned = f", thin {self.thin}" if self.thin > 1 else ""
        run = f"{self.method}: {n_chains} chains of {n_draws} draws of {d} features (warm-up {self.n_warmup}{thinned})"
        how = f"acceptance {self.acceptance_rate:.3f}, step size {self.step_size:.4g}"
        return f"{run}; {how}" + (f", {self.n_divergent} divergent" if self.n_divergent else "")

    def __repr__(self) -> str:
        return f"<Draws by {self._headline()}>"


def has_arviz() -> bool:
    """Whether it is installed; it takes seconds to import."""
    from importlib.util import find_spec

    return find_spec("arviz") is not None


def _arviz() -> Any:
    try:
        import arviz
    except ImportError:
        raise ImportError('this needs ArviZ: pip install "scorematch[arviz]"') from None
    return arviz


def _is_old(arviz: Any) -> bool:
    return int(arviz.__version__.split(".")[0]) < 1
