"""A run from its arguments to its draws: what all samplers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from scorematch._validation import check_count, check_flag, check_parameter, check_positive
from scorematch.samplers._chains import Chains, Kernel, bar_of, room_for
from scorematch.samplers._draws import Draws, SamplerState
from scorematch.samplers._problem import Problem, problem_of
from scorematch.samplers._starts import DEFAULT_CHAINS, found_points, given_points
from scorematch.samplers._supports import always_rejects, check_inside

Doubles = NDArray[np.float64]
Boundary = Literal["reflect", "reject"]

DEFAULT_WARMUP = 1000
# No density has anything beyond.
FARTHEST = 1e100


@dataclass
class Setup:
    """A run before its first iteration."""

    problem: Problem
    points: Doubles
    state: SamplerState | None  # of a run that goes on
    seed: int
    n_warmup: int
    n_samples: int
    thin: int
    step_sizes: Doubles | None  # where they are given
    scale: Doubles
    learn_scale: bool
    reflect: bool
    random: np.random.RandomState

    @property
    def n_chains(self) -> int:
        return len(self.points)

    @property
    def rejects(self) -> bool:
        """Whether steps that leave the domain are refused."""
        problem = self.problem
        on_intervals = not self.reflect and problem.domain is not None and not problem.on_sphere
        return on_intervals or always_rejects(problem.domain, problem.n_features)

    @property
    def iteration(self) -> int:
        return 0 if self.state is None else self.state.iteration


def set_up(
    method: str,
    model_or_score: Any,
    n_chains: int | None,
    n_samples: int,
    n_warmup: int | None,
    thin: int,
    step_size: ArrayLike | None,
    initial: ArrayLike | SamplerState | None,
    random_state: Any,
    n_jobs: int | None,
    *,
    log_density: Any,
    domain: Any,
    boundary: str,
    scale: Any,
    needs_log_density: bool,
) -> Setup:
    """Everything checked that can be before chains move."""
    check_count("n_samples", n_samples)
    check_count("thin", thin)
    if n_chains is not None:
        check_count("n_chains", n_chains)
    check_boundary(boundary)
    state, points = None, None
    if isinstance(initial, SamplerState):
        state, points = initial, initial.points.copy()
        check_state(method, state, n_chains, n_warmup, step_size, random_state, scale)
    elif initial is not None:
        points = given_points(initial, n_chains)
    problem = problem_of(
        model_or_score,
        None if points is None else points.shape[1],
        log_density=log_density,
        domain=domain,
        n_jobs=n_jobs,
        needs_log_density=needs_log_density,
    )
    random = check_random_state(random_state)
    if points is None:
        points, _ = found_points(problem, n_chains or DEFAULT_CHAINS, random)
    elif state is None:
        points = check_inside(points, problem.domain)
    warmup = 0
    if state is None:
        warmup = DEFAULT_WARMUP if n_warmup is None else check_count("n_warmup", n_warmup, 0)
    learn_scale = isinstance(scale, str)
    if learn_scale and scale != "auto":
        raise ValueError(f"scale must be None, 'auto' or an array of numbers; got {scale!r}")
    d = problem.n_features
    own_scale = np.ones(d) if scale is None or learn_scale else _checked_scale(scale, d)
    if problem.on_sphere and (learn_scale or (own_scale != 1).any()):
        raise ValueError("scale has no place on the sphere, where coordinates are not free; leave scale=None")
    if learn_scale and warmup == 0:
        raise ValueError("scale='auto' is learnt in the warm-up: it needs n_warmup > 0")
    step_sizes = None if step_size is None else _checked_steps(step_size, len(points))
    if state is not None:
        seed, step_sizes, own_scale = state.seed, state.step_sizes.copy(), state.scale.copy()
    else:
        seed = int(random.randint(2**63 - 1, dtype=np.int64))
    return Setup(
        problem,
        np.ascontiguousarray(points),
        state,
        seed,
        warmup,
        int(n_samples),
        int(thin),
        step_sizes,
        own_scale,
        learn_scale,
        boundary == "reflect",
        random,
    )


def check_boundary(boundary: object) -> None:
    """One of the two."""
    if boundary not in ("reflect", "reject"):
        raise ValueError(f"boundary must be 'reflect' or 'reject'; got {boundary!r}")


def check_state(
    method: str,
    state: SamplerState,
    n_chains: int | None,
    n_warmup: int | None,
    step_size: Any,
    random_state: Any,
    scale: Any,
) -> None:
    """An error where a state is another sampler's, or comes with what it holds itself."""
    if state.method != method:
        raise ValueError(f"initial is a state of {state.method}, and {method} cannot go on with it")
    if n_chains not in (None, len(state.points)):
        raise ValueError(f"n_chains is {len(state.points)} in the state that initial is; got {n_chains}")
    for name, value in (("step_size", step_size), ("random_state", random_state), ("scale", scale)):
        if value is not None:
            raise ValueError(f"{name} is held by the state that initial is; leave {name}=None")
    if n_warmup not in (None, 0):
        raise ValueError(f"a run that goes on has no warm-up; leave n_warmup=None. Got {n_warmup}")


def _checked_scale(scale: ArrayLike, d: int) -> Doubles:
    shape = () if np.ndim(scale) == 0 else (d,)
    return np.array(np.broadcast_to(check_positive("scale", check_parameter("scale", scale, shape)), (d,)))


def _checked_steps(step_size: ArrayLike, n_chains: int) -> Doubles:
    shape = () if np.ndim(step_size) == 0 else (n_chains,)
    steps = check_positive("step_size", check_parameter("step_size", step_size, shape))
    return np.array(np.broadcast_to(steps, (n_chains,)))


def run(
    method: str,
    setup: Setup,
    kernel: Kernel,
    warm_up: Callable[[Chains], None],
    progress: bool,
) -> tuple[Doubles, Chains]:
    """Warm up, then draw."""
    check_flag("progress", progress)
    out = room_for(setup.n_chains, setup.n_samples, setup.problem.n_features)
    total = setup.n_warmup + setup.n_samples * setup.thin
    bar = bar_of(progress, method, total)
    chains = Chains(kernel, setup.points, setup.iteration, bar)
    try:
        warm_up(chains)
        chains.draw(out, setup.thin)
    finally:
        if bar is not None:
            bar.close()
    far = ~(np.abs(chains.points) < FARTHEST).all(axis=1)
    if far.any():
        raise ValueError(
            f"chain {int(np.argmax(far))} runs to infinity: this log density has no finite integral, or the step size "
            "is too large"
        )
    return out, chains


def result_of(
    method: str,
    setup: Setup,
    out: Doubles,
    chains: Chains,
    acceptance: Doubles,
    divergences: NDArray[np.int64],
    step_sizes: Doubles,
    scale: Doubles,
) -> Draws:
    """The draws and the state behind them."""
    state = SamplerState(method, chains.points.copy(), step_sizes.copy(), scale.copy(), setup.seed, chains.iteration)
    n_iterations = setup.n_samples * setup.thin
    return Draws(
        out, method, acceptance / n_iterations, step_sizes, scale, divergences, setup.n_warmup, setup.thin, state
    )


def explained(error: ValueError, problem: Problem, length: str) -> ValueError:
    """A chain that ran away with the length of its steps and a remedy; other errors as they are."""
    of_function = problem.watch is not None and problem.watch.raised
    if of_function or "became infinite" not in str(error):
        return error
    return ValueError(f"{error} ({length}). Pass a smaller step_size, or begin nearer to where the density is")
