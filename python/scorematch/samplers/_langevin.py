"""Unadjusted Langevin dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch._warnings import warn
from scorematch.samplers._chains import Chains, Kernel
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._run import Boundary, Setup, explained, result_of, run, set_up
from scorematch.samplers._scale import learn_scale
from scorematch.samplers._starts import PILOT, finest_scale, found_points

Doubles = NDArray[np.float64]

# The square of the step's length over the finest scale, where the step is chosen: the variance of a Gaussian comes out
# too large by a quarter of that.
STEP_SHARE = 0.1
LEAST_ACCEPTANCE = 0.5


class LangevinKernel(Kernel):
    """Iterations of the compiled sampler."""

    def __init__(self, setup: Setup, step_sizes: Doubles, target: _core.Target | None = None) -> None:
        self._setup, self.step_sizes, self.scale = setup, step_sizes, setup.scale
        self._target = setup.problem.target if target is None else target
        self._support = setup.problem.support
        self.accepted = np.zeros(setup.n_chains)

    def advance(self, points: Doubles, iteration: int, n_iterations: int, thin: int) -> tuple[Doubles, Doubles]:
        setup = self._setup
        try:
            found = _core.run_langevin(
                self._target,
                self._support,
                points,
                self.step_sizes,
                self.scale,
                setup.seed,
                iteration,
                n_iterations,
                thin,
                setup.reflect,
                setup.problem.n_threads,
            )
        except ValueError as error:
            raise explained(error, setup.problem, f"step_size={np.median(self.step_sizes):.6g}") from error
        self.accepted += found["accepted"]
        return found["points"], found["draws"]


def langevin(
    model_or_score: Any,
    n_chains: int | None = None,
    n_samples: int = 1000,
    n_warmup: int | None = None,
    thin: int = 1,
    step_size: ArrayLike | None = None,
    initial: ArrayLike | SamplerState | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    *,
    domain: Any = None,
    boundary: Boundary = "reflect",
    scale: Any = None,
    progress: bool = False,
) -> Draws:
    r"""Unadjusted Langevin dynamics.

    .. math:: x \leftarrow x + \tfrac12\, \text{step}\, s^2 \psi(x) + \sqrt{\text{step}}\, s\, z,
        \qquad z \sim N(0, I)

    with :math:`\psi = \nabla \log p` and the scale s of the coordinates. It needs no density, only its score, and one
    evaluation a step. But it draws from a density that is p in the limit of short steps alone: a Gaussian of variance
    v comes out with variance :math:`v / (1 - \text{step}/4v)`. :func:`mala` has no such bias.

    Parameters
    ----------
    model_or_score : fitted model or callable
        A model of the library; or a function that gives ψ at an array of points, (n, n_features) both, which is called
        once an iteration with all chains, on one thread. Models run in the compiled core, some ten to a hundred times
        as fast; so do not wrap their ``score_function``.
    n_chains : int, optional
        Number of chains; where None, as many as `initial` has rows, else 4.
    n_samples : int, default=1000
        Draws of each chain. All draws together take 8·n_chains·n_samples·n_features bytes.
    n_warmup : int, optional
        Iterations before the first draw; 1000 where None, and none for a run that goes on.
    thin : int, default=1
        Iterations from one draw to the next.
    step_size : float or array_like of shape (n_chains,), optional
        The step. Where None, 0.1 of the variance in the narrowest direction, by which the variance of a Gaussian comes
        out 2.5 % too large there: one over the largest eigenvalue of :math:`\mathrm{E}[\psi\psi^\top]` (in units of
        `scale`; on a domain no more than the variance itself) at 1000 exact draws or rows of the training data.
        For a function, and a model that has neither, it must be given.
    initial : array_like of shape (n_features,) or (n_chains, n_features), or SamplerState, optional
        Where chains begin. Where None, at exact draws of the model; where it has no exact sampler, at rows of the data
        that it was fitted to; where it does not hold those, at overdispersed points, uniform on a domain of finite
        volume and else normal about 0, or near the ends of intervals, of a size such that their score is that of twice
        a Gaussian's standard deviation. A function needs it. The ``state`` of earlier draws: go on with these.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads; None means that of the model, and for it None and -1 all processors that the process may
        use. Results do not depend on it.
    domain : Domain, optional
        With a function: where it is a density, one of :mod:`scorematch.domains` or an object with ``contains``; all of
        space where None. The function is called inside it alone. A model brings its own. On the sphere steps follow
        great circles.
    boundary : {"reflect", "reject"}, default="reflect"
        What becomes of steps that leave a product of intervals, as the orthant and boxes are: they are reflected at the
        ends, so that a chain never leaves its interval, or it stays where it is. On other domains with a boundary it
        always stays.
    scale : array_like of shape (n_features,), float or "auto", optional
        By what the coordinates' steps are multiplied; ones where None. "auto" takes the standard deviation of each
        coordinate over chains and the second quarter of the warm-up. (The step is then in units of that scale.)
    progress : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Returns
    -------
    Draws
        ``acceptance_rate`` is the share of steps that stayed in the domain.

    Raises
    ------
    ValueError
        Where an argument is not as above, and where a chain becomes infinite, as with too large a step.

    References
    ----------
    Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete approximations",
    Bernoulli 2.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.Gaussian.from_params(mean=[3.0, 0.0], covariance=[[1.0, 0.5], [0.5, 1.0]])
    >>> result = scorematch.samplers.langevin(model, n_chains=100, random_state=0)
    >>> bool(abs(result.flatten().mean(axis=0) - [3, 0]).max() < 0.2)
    True
    >>> scorematch.samplers.langevin(lambda x: -x, initial=[0.0], step_size=0.1, random_state=0).draws.shape
    (4, 1000, 1)
    """
    setup = set_up(
        "langevin",
        model_or_score,
        n_chains,
        n_samples,
        n_warmup,
        thin,
        step_size,
        initial,
        random_state,
        n_jobs,
        log_density=None,
        domain=domain,
        boundary=boundary,
        scale=scale,
        needs_log_density=False,
    )
    kernel = LangevinKernel(setup, _chosen_steps(setup) if setup.step_sizes is None else setup.step_sizes)

    def warm_up(chains: Chains) -> None:
        if setup.state is not None:
            return
        if setup.learn_scale:
            kernel.scale = learn_scale(chains, setup.n_warmup)
        chains.skip(setup.n_warmup - chains.iteration)
        kernel.accepted[:] = 0

    out, chains = run("langevin", setup, kernel, warm_up, progress)
    divergences = np.zeros(setup.n_chains, dtype=np.int64)
    result = result_of("langevin", setup, out, chains, kernel.accepted, divergences, kernel.step_sizes, kernel.scale)
    if result.acceptance_rate < LEAST_ACCEPTANCE:
        warn(
            f"langevin: {1 - result.acceptance_rate:.0%} of the steps left {setup.problem.domain!r} and were refused; "
            "take a smaller step_size"
        )
    return result


def _chosen_steps(setup: Setup) -> Doubles:
    problem = setup.problem
    finest = np.nan
    if problem.model is not None and not setup.learn_scale:
        points, representative = found_points(problem, PILOT, setup.random)
        if representative:
            finest = finest_scale(problem, points, setup.scale, cap=problem.domain is not None)
    if not np.isfinite(finest):
        raise ValueError(
            "step_size is needed: nothing tells the scale of this density before chains have moved, and too large a "
            "step gives another density. Try a tenth of its variance in the narrowest direction, or mala, which finds "
            "its step and has no bias"
        )
    return np.full(setup.n_chains, STEP_SHARE * finest**2)
