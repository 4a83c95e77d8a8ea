"""Annealed Langevin dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from scorematch._base import ScoreMatchingEstimator
from scorematch._validation import check_count, check_flag, check_parameter, check_positive
from scorematch.samplers._chains import Chains, bar_of, room_for
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._langevin import LangevinKernel
from scorematch.samplers._problem import Problem, problem_of
from scorematch.samplers._run import Boundary, Setup, check_boundary
from scorematch.samplers._supports import check_inside

Doubles = NDArray[np.float64]


def annealed_langevin(
    score: Callable[[Doubles, float], ArrayLike] | Sequence[Any],
    sigmas: ArrayLike,
    initial: ArrayLike,
    step_size: float,
    n_steps: int = 100,
    random_state: Any = None,
    n_jobs: int | None = None,
    *,
    domain: Any = None,
    boundary: Boundary = "reflect",
    keep_levels: bool = False,
    final_denoising: bool = False,
    progress: bool = False,
) -> Draws:
    r"""Langevin dynamics down a ladder of noise levels.

    At each level, from the largest :math:`\sigma_1` to the smallest :math:`\sigma_L`, `n_steps` steps

    .. math:: x \leftarrow x + \tfrac12 \alpha_i \psi(x, \sigma_i) + \sqrt{\alpha_i}\, z, \qquad
        \alpha_i = \text{step\_size}\; \sigma_i^2 / \sigma_L^2

    Much noise joins modes that are far apart, so that chains come to each of them with about its weight, which plain
    Langevin dynamics do not.

    Parameters
    ----------
    score : callable or sequence of fitted models
        A function of points (n, n_features) and a level σ, which gives :math:`\psi(x, \sigma)` as (n, n_features), and
        is called with all chains on one thread; or a model for each level, which run in the compiled core.
    sigmas : array_like of shape (n_levels,)
        The levels, positive and decreasing.
    initial : array_like of shape (n_chains, n_features)
        Where chains begin, a row for each.
    step_size : float
        The step at the last level.
    n_steps : int, default=100
        Steps at each level.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads for models; None means that of the first model, and for it None and -1 all processors that the
        process may use. Results do not depend on it.
    domain : Domain, optional
        With a function: where it is a density; models bring their own, the same for all.
    boundary : {"reflect", "reject"}, default="reflect"
        What becomes of steps that leave the domain, as for :func:`langevin`.
    keep_levels : bool, default=False
        Whether to give the points after each level, and not only after the last.
    final_denoising : bool, default=False
        Whether to replace the last points by :math:`x + \sigma_L^2 \psi(x, \sigma_L)`, the mean of what they were
        before noise of the last level came to them (Tweedie's formula). On all of space only.
    progress : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Returns
    -------
    Draws
        Of shape (n_chains, 1, n_features), or with `keep_levels` (n_chains, n_levels, n_features). The step sizes are
        those of the last level.

    Raises
    ------
    ValueError
        Where an argument is not as above, and where a chain becomes infinite, as with too large a step.

    References
    ----------
    Song and Ermon (2019), "Generative modeling by estimating gradients of the data distribution", NeurIPS 32,
    algorithm 1.
    Jolicoeur-Martineau, Piché-Taillefer, Tachet des Combes and Mitliagkas (2021), "Adversarial score matching and
    improved sampling for image generation", ICLR: the denoising of the last points.

    Examples
    --------
    Two modes, and which share of the chains comes to the smaller one:

    >>> import numpy as np
    >>> import scorematch
    >>> sigmas = np.geomspace(20.0, 1.0, 10)
    >>> def noisy(sigma):
    ...     return scorematch.GaussianMixture.from_params(
    ...         weights=[0.8, 0.2], means=[[5.0, 5.0], [-5.0, -5.0]], covariances=[sigma**2 * np.eye(2)] * 2
    ...     )
    >>> initial = np.random.default_rng(0).uniform(-8, 8, size=(2000, 2))
    >>> result = scorematch.samplers.annealed_langevin(
    ...     [noisy(sigma) for sigma in sigmas], sigmas, initial, step_size=0.1, random_state=0
    ... )
    >>> bool(abs(np.mean(result.flatten()[:, 0] < 0) - 0.2) < 0.05)
    True
    """
    levels = check_positive("sigmas", check_parameter("sigmas", sigmas, (None,)))
    if (np.diff(levels) >= 0).any():
        level = int(np.argmax(np.diff(levels) >= 0))
        raise ValueError(f"sigmas must decrease; entries {level} and {level + 1} are {levels[level : level + 2]}")
    check_boundary(boundary)
    for name, flag in (("keep_levels", keep_levels), ("final_denoising", final_denoising), ("progress", progress)):
        check_flag(name, flag)
    check_count("n_steps", n_steps)
    step = float(check_positive("step_size", check_parameter("step_size", step_size, ())))
    if isinstance(initial, SamplerState):
        raise TypeError(f"initial must be points, such as the state's: pass initial=state.points. Got {initial!r}")
    points = check_parameter("initial", initial, (None, None))
    problems = _problems(score, levels, points.shape[1], domain, n_jobs)
    last = problems[-1]
    if final_denoising and last.domain is not None and getattr(last.domain, "has_boundary", True):
        raise ValueError(f"final_denoising is for all of space, and not for {last.domain!r}")
    if final_denoising and last.on_sphere:
        raise ValueError("final_denoising is for all of space, and not for the sphere")
    points = check_inside(points, last.domain)
    random = check_random_state(random_state)
    seed = int(random.randint(2**63 - 1, dtype=np.int64))
    n_chains, d = points.shape
    total = len(levels) * n_steps
    setup = Setup(last, points, None, seed, 0, 1, total, None, np.ones(d), False, boundary == "reflect", random)
    out = room_for(n_chains, len(levels) if keep_levels else 1, d)
    accepted = np.zeros(n_chains)
    bar = bar_of(progress, "annealed Langevin", total)
    chains: Chains | None = None
    try:
        for level, problem in enumerate(problems):
            steps = np.full(n_chains, step * (levels[level] / levels[-1]) ** 2)
            kernel = LangevinKernel(replace(setup, problem=problem), steps)
            start = points if chains is None else chains.points
            chains = Chains(kernel, start, level * n_steps, bar)
            chains.skip(n_steps)
            accepted += kernel.accepted
            if keep_levels or level == len(levels) - 1:
                out[:, level if keep_levels else 0] = chains.points
    finally:
        if bar is not None:
            bar.close()
    assert chains is not None
    if final_denoising:
        out[:, -1] += levels[-1] ** 2 * last.score(chains.points)
    state = SamplerState("annealed_langevin", chains.points.copy(), steps, np.ones(d), seed, total)
    divergences = np.zeros(n_chains, dtype=np.int64)
    thin = n_steps if keep_levels else total
    return Draws(out, "annealed_langevin", accepted / total, steps, np.ones(d), divergences, 0, thin, state)


def _problems(score: Any, levels: Doubles, n_features: int, domain: Any, n_jobs: int | None) -> list[Problem]:
    """What is sampled at each level."""

    def problem(one: Any, own_domain: Any) -> Problem:
        return problem_of(one, n_features, log_density=None, domain=own_domain, n_jobs=n_jobs, needs_log_density=False)

    if callable(score) and not isinstance(score, type):
        return [problem(_at_level(score, float(sigma)), domain) for sigma in levels]
    if not isinstance(score, Sequence) or not all(isinstance(one, ScoreMatchingEstimator) for one in score):
        raise TypeError(
            "score must be a function of points and a level, or a sequence of fitted models, one for each level; got "
            f"{score!r}"
        )
    if len(score) != len(levels):
        raise ValueError(f"score must hold a model for each of the {len(levels)} levels; got {len(score)}")
    if domain is not None:
        raise ValueError("domain goes with a score function of your own; models have theirs")
    problems = [problem(model, None) for model in score]
    for level, one in enumerate(problems):
        if one.domain != problems[0].domain:
            raise ValueError(
                f"all models must live on the same domain; that of level {level} is {one.domain!r}, and the first "
                f"{problems[0].domain!r}"
            )
    return problems


def _at_level(score: Callable[[Doubles, float], ArrayLike], sigma: float) -> Callable[[Doubles], ArrayLike]:
    return lambda points: score(points, sigma)
