"""Hamiltonian Monte Carlo, and Langevin with a Metropolis correction, which is the same with one step."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorematch import _core
from scorematch._user_functions import RowFunction
from scorematch._validation import check_count
from scorematch._warnings import warn
from scorematch.samplers._chains import Chains, Kernel
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._run import Boundary, Setup, explained, result_of, run, set_up
from scorematch.samplers._scale import learn_scale

Doubles = NDArray[np.float64]

# Acceptance to aim at; "rejecting" where the boundary takes its share of the steps, however exactly they are followed.
TARGETS = {"mala": 0.574, "hmc": 0.8, "rejecting": 0.4}
# Where acceptance is this far below what was aimed at, or below this anyway, say so; and where such a share of the
# chains accept so little, or of the trajectories diverge.
MISSED_BY, LOW_ACCEPTANCE, MANY = 0.15, 0.1, 0.01
# Iterations, of a chain or of all, from which a rate of acceptance can be told.
ENOUGH_ITERATIONS = 200
# Of the warm-up, steps adapt so long: while they follow where chains are, these do not have the distribution that is
# wanted, and must come back to it.
ADAPTING_SHARE = 0.8
# So short a warm-up does not find a step.
LEAST_ADAPTATION = 20


class HamiltonianKernel(Kernel):
    """Iterations of the compiled sampler; steps adapt while `target_acceptance` is not 0."""

    def __init__(self, setup: Setup, n_leapfrog: int, jitter: float) -> None:
        self._setup, self._n_leapfrog, self._jitter = setup, n_leapfrog, jitter
        self._target, self._support = setup.problem.target, setup.problem.support
        self.scale = setup.scale
        self.lengths = np.ones(setup.n_chains)  # of leapfrog steps
        self.target_acceptance = 0.0
        # An integral in place of a log density begins where an iteration does.
        self.most_iterations = None if setup.problem.quadrature is None else 1
        self.forget()

    def forget(self) -> None:
        """Begin to count anew."""
        n = self._setup.n_chains
        self.acceptance, self.divergences = np.zeros(n), np.zeros(n, dtype=np.int64)

    def begin_to_adapt(self, points: Doubles, target_acceptance: float) -> None:
        """From a step that is of the right size where the chains are."""
        problem = self._setup.problem
        if problem.quadrature is not None:
            problem.quadrature.begin(trials=True)
        self.lengths = _core.reasonable_step_sizes(
            self._target, self._support, points, self.scale, self._setup.seed, problem.n_threads
        )
        self._adaptation = np.zeros((len(points), 4))
        self.target_acceptance = target_acceptance

    def end_of_adaptation(self) -> None:
        """The same step for all chains: what suits the typical one, whatever single ones have met."""
        self.lengths = np.full_like(self.lengths, np.exp(np.median(self._adaptation[:, 1])))
        self.target_acceptance = 0.0

    def advance(self, points: Doubles, iteration: int, n_iterations: int, thin: int) -> tuple[Doubles, Doubles]:
        setup = self._setup
        if setup.problem.quadrature is not None:
            setup.problem.quadrature.begin()
        try:
            found = _core.run_hamiltonian(
                self._target,
                self._support,
                points,
                self.lengths,
                self.scale,
                self._adaptation if self.target_acceptance else np.zeros((len(points), 4)),
                setup.seed,
                iteration,
                n_iterations,
                thin,
                setup.reflect,
                self._n_leapfrog,
                self._jitter,
                self.target_acceptance,
                setup.problem.n_threads,
            )
        except ValueError as error:
            raise explained(error, setup.problem, f"leapfrog steps of {np.median(self.lengths):.6g}") from error
        if self.target_acceptance:
            self.lengths, self._adaptation = found["step_sizes"], found["adaptation"]
        self.acceptance += found["acceptance"]
        self.divergences += found["divergent"].astype(np.int64)
        return found["points"], found["draws"]


def mala(
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
    log_density: RowFunction | None = None,
    domain: Any = None,
    boundary: Boundary = "reflect",
    scale: Any = None,
    target_accept: float | None = None,
    progress: bool = False,
) -> Draws:
    r"""Langevin dynamics with a Metropolis correction (MALA).

    The proposal is the step of :func:`langevin`, and it is accepted with the probability that leaves the density as it
    is, exactly.

    Parameters
    ----------
    model_or_score : fitted model or callable
        A model of the library; or a function that gives ψ at an array of points, (n, n_features) both, which is called
        with all chains, on one thread. Models run in the compiled core, some ten to a hundred times as fast; so do not
        wrap their ``score_function``.
    n_chains : int, optional
        Number of chains; where None, as many as `initial` has rows, else 4.
    n_samples : int, default=1000
        Draws of each chain. All draws together take 8·n_chains·n_samples·n_features bytes.
    n_warmup : int, optional
        Iterations before the first draw, in the first four fifths of which the step adapts; 1000 where None, and none
        for a run that goes on.
    thin : int, default=1
        Iterations from one draw to the next.
    step_size : float or array_like of shape (n_chains,), optional
        The step, as that of :func:`langevin`. Where None, each chain finds one in the warm-up by dual averaging
        (Hoffman and Gelman 2014), and the median of these is the step of all chains from then on.
    initial : array_like of shape (n_features,) or (n_chains, n_features), or SamplerState, optional
        Where chains begin, as for :func:`langevin`; a function needs it. The ``state`` of earlier draws: go on with
        these.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads; None means that of the model, and for it None and -1 all processors that the process may
        use. Results do not depend on it.
    log_density : callable, optional
        With a function: log p at an array of points, (n,), up to a constant. Where None, differences of it are worked
        out by Gauss–Legendre quadrature of the score with 8 nodes along the straight line between the two points, which
        is exact where the score is a polynomial of degree 15 or less along it. For a smooth density that bias is far
        below the Monte Carlo error; where the score jumps or has corners, give the density. It takes nine times as many
        evaluations of the score, and rejects steps that pass outside the domain.
    domain : Domain, optional
        With a function: where it is a density, as for :func:`langevin`.
    boundary : {"reflect", "reject"}, default="reflect"
        Whether steps are reflected at the ends of a product of intervals, which leaves the density as it is as well, or
        rejected. Where there are several intervals, only "reject" lets a chain pass from one to another, of a
        function only with its `log_density`. On other domains with a boundary they are always rejected.
    scale : array_like of shape (n_features,), float or "auto", optional
        By what the coordinates' steps are multiplied, as for :func:`langevin`; ones where None. With "auto" the step
        adapts anew, from the middle of the warm-up on.
    target_accept : float, optional
        The mean probability of acceptance that the step is adapted to. Where None, 0.574, which is best for many
        dimensions; 0.4 where steps that leave the domain are rejected, since only short ones never do.
    progress : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Returns
    -------
    Draws
        With the rates of acceptance behind the warm-up.

    Raises
    ------
    ValueError
        Where an argument is not as above, and where chains begin outside the domain or where the density is not finite.

    Warns
    -----
    UserWarning
        Where acceptance is far below what was aimed at.

    References
    ----------
    Roberts and Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete approximations",
    Bernoulli 2; Roberts and Rosenthal (1998), "Optimal scaling of discrete approximations to Langevin diffusions",
    JRSS B 60: the acceptance to aim at.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.PolynomialExponentialFamily.from_params(coef=[1.0, -0.25], powers=[[2], [4]])
    >>> result = scorematch.samplers.mala(model, n_chains=20, random_state=0)
    >>> bool(abs(result.flatten().mean()) < 0.2)
    True
    """
    return _sample(
        "mala",
        model_or_score,
        n_chains,
        n_samples,
        n_warmup,
        thin,
        step_size,
        initial,
        random_state,
        n_jobs,
        log_density=log_density,
        domain=domain,
        boundary=boundary,
        scale=scale,
        n_leapfrog=1,
        jitter=0.0,
        target_accept=target_accept,
        progress=progress,
    )


def hmc(
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
    log_density: RowFunction | None = None,
    domain: Any = None,
    boundary: Boundary = "reflect",
    scale: Any = None,
    n_leapfrog: int = 10,
    jitter: float = 0.2,
    target_accept: float | None = None,
    progress: bool = False,
) -> Draws:
    r"""Hamiltonian Monte Carlo with trajectories of a given number of leapfrog steps.

    Each iteration draws a momentum, follows the energy :math:`\tfrac12\|p\|^2 - \log p(x)` for `n_leapfrog` steps, and
    accepts the end with the probability that leaves the density as it is, exactly. It goes further than :func:`mala`
    for each evaluation of the score, the more so the more dimensions there are.

    Parameters
    ----------
    model_or_score : fitted model or callable
        A model of the library; or a function that gives ψ at an array of points, (n, n_features) both, which is called
        with all chains, on one thread. Models run in the compiled core, some ten to a hundred times as fast; so do not
        wrap their ``score_function``.
    n_chains : int, optional
        Number of chains; where None, as many as `initial` has rows, else 4.
    n_samples : int, default=1000
        Draws of each chain. All draws together take 8·n_chains·n_samples·n_features bytes.
    n_warmup : int, optional
        Iterations before the first draw, in the first four fifths of which the step adapts; 1000 where None, and none
        for a run that goes on.
    thin : int, default=1
        Iterations from one draw to the next.
    step_size : float or array_like of shape (n_chains,), optional
        Length of a leapfrog step. Where None, each chain finds one in the warm-up by dual averaging (Hoffman and Gelman
        2014), and the median of these is the step of all chains from then on.
    initial : array_like of shape (n_features,) or (n_chains, n_features), or SamplerState, optional
        Where chains begin, as for :func:`langevin`; a function needs it. The ``state`` of earlier draws: go on with
        these.
    random_state : int, RandomState or None
        Seed or generator.
    n_jobs : int, optional
        Number of threads; None means that of the model, and for it None and -1 all processors that the process may
        use. Results do not depend on it.
    log_density : callable, optional
        With a function: log p at an array of points, (n,), up to a constant. Where None, its differences are worked out
        from the score as for :func:`mala`, from each point of the trajectory to the next.
    domain : Domain, optional
        With a function: where it is a density, as for :func:`langevin`.
    boundary : {"reflect", "reject"}, default="reflect"
        Whether trajectories are reflected at the ends of a product of intervals, which leaves the density as it is as
        well, or rejected. Where there are several intervals, only "reject" lets a chain pass from one to another, of
        a function only with its `log_density`. On other domains with a boundary they are always rejected.
    scale : array_like of shape (n_features,), float or "auto", optional
        By what the coordinates' steps are multiplied, as for :func:`langevin`; ones where None. With "auto" the step
        adapts anew, from the middle of the warm-up on.
    n_leapfrog : int, default=10
        Steps of a trajectory.
    jitter : float, default=0.2
        The step of each iteration is the length times a number that is uniform in [1 − jitter, 1 + jitter], so that
        trajectories do not close.
    target_accept : float, optional
        The mean probability of acceptance that the step is adapted to. Where None, 0.8; 0.4 where trajectories that
        leave the domain are rejected, since only short ones never do.
    progress : bool, default=False
        Whether to show a progress bar, if tqdm is installed.

    Returns
    -------
    Draws
        With the rates of acceptance behind the warm-up, and the trajectories that diverged.

    Raises
    ------
    ValueError
        Where an argument is not as above, and where chains begin outside the domain or where the density is not finite.

    Warns
    -----
    UserWarning
        Where acceptance is far below what was aimed at, or more than 1 % of the trajectories diverge.

    References
    ----------
    Neal (2011), "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo.
    Hoffman and Gelman (2014), "The No-U-Turn sampler", JMLR 15, section 3.2: adaptation of the step.
    Byrne and Girolami (2013), "Geodesic Monte Carlo on embedded manifolds", Scandinavian Journal of Statistics 40: the
    sphere.

    Examples
    --------
    >>> import scorematch
    >>> model = scorematch.StudentT.from_params(location=[0.0, 5.0], scale=[[1.0, 0.0], [0.0, 4.0]], df=8)
    >>> result = scorematch.samplers.hmc(model, n_chains=20, random_state=0)
    >>> bool(abs(result.flatten().mean(axis=0) - [0, 5]).max() < 0.2)
    True
    """
    check_count("n_leapfrog", n_leapfrog)
    return _sample(
        "hmc",
        model_or_score,
        n_chains,
        n_samples,
        n_warmup,
        thin,
        step_size,
        initial,
        random_state,
        n_jobs,
        log_density=log_density,
        domain=domain,
        boundary=boundary,
        scale=scale,
        n_leapfrog=n_leapfrog,
        jitter=_share("jitter", jitter, 0.0),
        target_accept=target_accept,
        progress=progress,
    )


def _sample(
    method: str,
    *arguments: Any,
    n_leapfrog: int,
    jitter: float,
    target_accept: float | None,
    progress: bool,
    **options: Any,
) -> Draws:
    if target_accept is not None:
        _share("target_accept", target_accept, np.nextafter(0, 1))
    setup = set_up(method, *arguments, **options, needs_log_density=True)
    target = TARGETS["rejecting" if setup.rejects else method] if target_accept is None else float(target_accept)
    kernel = HamiltonianKernel(setup, n_leapfrog, jitter)
    # A step of MALA has the length √step.
    power = 0.5 if method == "mala" else 1.0
    adapts = setup.step_sizes is None
    if setup.step_sizes is not None:
        kernel.lengths = setup.step_sizes**power
    elif setup.n_warmup < LEAST_ADAPTATION:
        raise ValueError(
            f"step_size is needed where n_warmup is below {LEAST_ADAPTATION}: it is found in the warm-up. Got "
            f"n_warmup={setup.n_warmup}"
        )

    def warm_up(chains: Chains) -> None:
        if setup.state is not None:
            return
        for learns in (True, False) if setup.learn_scale else (False,):
            if adapts:
                kernel.begin_to_adapt(chains.points, target)
            if learns:
                kernel.scale = learn_scale(chains, setup.n_warmup)
        if adapts:
            chains.skip(int(ADAPTING_SHARE * setup.n_warmup) - chains.iteration)
            kernel.end_of_adaptation()
        chains.skip(setup.n_warmup - chains.iteration)
        kernel.forget()

    out, chains = run(method, setup, kernel, warm_up, progress)
    steps = setup.step_sizes if setup.step_sizes is not None else kernel.lengths ** (1 / power)
    result = result_of(method, setup, out, chains, kernel.acceptance, kernel.divergences, steps, kernel.scale)
    _warn_of(result, target if adapts else None)
    return result


def _share(name: str, value: Any, lowest: float) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not lowest <= float(value) < 1:
        raise ValueError(f"{name} must be a number {'from' if lowest == 0 else 'above'} 0 and below 1; got {value!r}")
    return float(value)


def _warn_of(result: Draws, target: float | None) -> None:
    """Say what is wrong with a run, and what to do."""
    rate, smallest = float(result.acceptance_rate), float(result.acceptance_rates.min())
    share_stuck = np.mean(result.acceptance_rates < LOW_ACCEPTANCE)
    n_of_each = result.draws.shape[1] * result.thin
    n_iterations = result.draws.shape[0] * n_of_each
    remedy = "a smaller step_size" if target is None else "a larger target_accept"
    if result.method == "hmc" and result.n_divergent > MANY * n_iterations:
        warn(
            f"{result.method}: {result.n_divergent} of {n_iterations} trajectories diverged, and places where the "
            f"density bends sharply are missed. Try {remedy}"
        )
    elif n_iterations < ENOUGH_ITERATIONS:
        return
    elif target is not None and rate < target - MISSED_BY:
        warn(
            f"{result.method}: {rate:.0%} of the proposals are accepted, and {target:.0%} were aimed at: the step that "
            f"{result.n_warmup} iterations found does not suit all of the density. Try a longer n_warmup, "
            "scale='auto', or points nearer to where the density is"
        )
    elif rate < LOW_ACCEPTANCE or (n_of_each >= ENOUGH_ITERATIONS and share_stuck > MANY):
        warn(
            f"{result.method}: chain {int(result.acceptance_rates.argmin())} accepts {smallest:.0%} of its proposals "
            f"and hardly moves. Try {remedy}, or a longer n_warmup"
        )
