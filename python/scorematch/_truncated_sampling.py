"""Samplers of truncated models: rejection where it keeps enough, Gibbs sampling elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from sklearn.utils import check_random_state

from scorematch._copositive import grows_without_end
from scorematch._gibbs import Chains, Pairwise, Region, region_of
from scorematch._sampling import PILOT, ChainOptions, Draw, NoSamplerError, keeps_enough, reject
from scorematch._slice_sampling import SliceChains
from scorematch._threads import effective_threads
from scorematch._validation import check_count, check_parameter, check_real, check_symmetric
from scorematch.domains import Domain, NonNegative, RealSpace, Sphere

Doubles = NDArray[np.float64]
Method = Literal["auto", "rejection", "gibbs"]


def sample_truncated_gaussian(
    mean: ArrayLike,
    precision: ArrayLike,
    domain: Domain | None = None,
    n_samples: int = 1,
    random_state: Any = None,
    *,
    method: Method = "auto",
    n_chains: int | None = None,
    burn_in: int = 500,
    thin: int = 10,
    start: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> Doubles:
    r"""Draw from a Gaussian cut off at the boundary of a domain.

    .. math:: \log p(x) = -\tfrac12 (x-\mu)^\top P (x-\mu) + \text{const}, \qquad x \in D

    Parameters
    ----------
    mean : array-like of shape (d,)
        :math:`\mu`, the mean before truncation.
    precision : array-like of shape (d, d)
        P, symmetric. Where truncation alone makes a density of it, it need not be positive definite: on
        ``NonNegative()`` copositive, on a bounded domain anything with a positive diagonal.
    domain : Domain, optional
        ``NonNegative()`` where None.
    n_samples : int, default=1
        How many rows.
    random_state : int, RandomState or None
        Seed or generator.
    method : {"auto", "rejection", "gibbs"}, default="auto"
        See Notes.
    n_chains : int, optional
        Chains of the Gibbs sampler; None means one for each row, which makes the rows independent.
    burn_in : int, default=500
        Sweeps over all coordinates before a chain's first row.
    thin : int, default=10
        Sweeps between two rows of the same chain.
    start : array-like of shape (d,) or (n_chains, d), optional
        Points of the domain where chains begin; found where None.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.

    Returns
    -------
    ndarray of shape (n_samples, d)
        The draws.

    Raises
    ------
    ValueError
        Where an argument is not as above, or the parameters have no density on the domain.

    Notes
    -----
    "rejection" draws from the Gaussian on all of space and keeps what lies in the domain: independent draws, exact.
    "auto" tries 5000 of them and chooses rejection where it keeps 1 of 500 or more. Where the precision is diagonal
    and the domain a product of intervals, it takes one sweep of the Gibbs sampler, which is then exact as well.

    Else a Gibbs sampler draws each coordinate given the others, exactly, on the section of the domain, which may fall
    into several intervals; on domains that are not of this library, which only tell what they contain, slice sampling
    takes its place (Neal 2003). Its draws have the right distribution once the chains have forgotten where
    they began. How long that takes grows with the dependence between the coordinates: of a Gaussian that is hardly
    truncated, a sweep leaves no more than a share of about 1 minus the smallest over the largest eigenvalue of the
    precision, scaled to a unit diagonal. Narrow corridors of a domain are passed slowly, and parts that no move along
    an axis joins are not all visited by one chain.

    References
    ----------
    Geweke (1991), "Efficient simulation from the multivariate normal and Student-t distributions subject to linear
    constraints and the evaluation of constraint probabilities".
    Neal (2003), "Slice sampling", Annals of Statistics 31.

    Examples
    --------
    >>> import numpy as np
    >>> from scorematch.datasets import sample_truncated_gaussian
    >>> X = sample_truncated_gaussian([-1.0, 0.5], [[2.0, 0.8], [0.8, 1.0]], n_samples=5, random_state=0)
    >>> X.shape, bool((X >= 0).all())
    ((5, 2), True)
    """
    mu = check_parameter("mean", mean, (None,))
    d = len(mu)
    matrix = check_symmetric("precision", check_parameter("precision", precision, (d, d)))
    options = _Options.checked(d, domain, n_samples, n_chains, burn_in, thin, n_jobs, method, start)
    return _sample(Pairwise(matrix, matrix @ mu, 1.0, 1.0), "precision", options, check_random_state(random_state))


def sample_pairwise(
    interaction: ArrayLike,
    linear: ArrayLike | None = None,
    a: float = 1.0,
    b: float = 1.0,
    domain: Domain | None = None,
    n_samples: int = 1,
    random_state: Any = None,
    *,
    method: Method = "auto",
    n_chains: int | None = None,
    burn_in: int = 500,
    thin: int = 10,
    start: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> Doubles:
    r"""Draw from a pairwise interaction model.

    .. math:: \log p(x) = -\tfrac1{2a} (x^a)^\top K x^a + \tfrac1b \eta^\top x^b + \text{const}, \qquad x \in D

    Parameters
    ----------
    interaction : array-like of shape (d, d)
        K, symmetric, with a positive diagonal.
    linear : array-like of shape (d,), optional
        :math:`\eta`; zeros where None.
    a, b : float, default=1
        Powers, not negative; 0 stands for the logarithm, with factor 1 in place of 1/a or 1/b.
    domain : Domain, optional
        ``NonNegative()`` where None. Unless a = b = 1 it must lie in the non-negative orthant.
    n_samples : int, default=1
        How many rows.
    random_state : int, RandomState or None
        Seed or generator.
    method : {"auto", "rejection", "gibbs"}, default="auto"
        As for :func:`sample_truncated_gaussian`; rejection is there for a = b = 1.
    n_chains : int, optional
        Chains of the Gibbs sampler; None means one for each row, which makes the rows independent.
    burn_in : int, default=500
        Sweeps over all coordinates before a chain's first row.
    thin : int, default=10
        Sweeps between two rows of the same chain.
    start : array-like of shape (d,) or (n_chains, d), optional
        Points of the domain where chains begin; found where None.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.

    Returns
    -------
    ndarray of shape (n_samples, d)
        The draws.

    Raises
    ------
    ValueError
        Where an argument is not as above, or the parameters have no density on the domain.

    Notes
    -----
    The sampler works in y = xᵃ (log x where a = 0), coordinate by coordinate. The draw of a coordinate given the
    others is exact where its density is that of a normal times a power of y that is not negative: for a = b or b = 2a
    with a <= 1, for b = 0 with :math:`\eta_j \ge a - 1`, and for a = b = 0. Elsewhere it is one step of slice sampling
    (Neal 2003), which keeps the distribution as it is but moves less far. On what else counts, see
    :func:`sample_truncated_gaussian`.

    References
    ----------
    Neal (2003), "Slice sampling", Annals of Statistics 31.
    Yu, Drton and Shojaie (2019), "Generalized score matching for non-negative data", JMLR 20, section 2.2.

    Examples
    --------
    >>> from scorematch.datasets import make_chain_graph, sample_pairwise
    >>> K = make_chain_graph(3, random_state=0)
    >>> sample_pairwise(K, [1.0, 1.0, 1.0], n_samples=4, random_state=0).shape
    (4, 3)
    """
    matrix = check_parameter("interaction", interaction, (None, None))
    d = len(matrix)
    matrix = check_symmetric("interaction", check_parameter("interaction", matrix, (d, d)))
    eta = np.zeros(d) if linear is None else check_parameter("linear", linear, (d,))
    model = Pairwise(matrix, eta, check_real("a", a, 0.0), check_real("b", b, 0.0))
    options = _Options.checked(d, domain, n_samples, n_chains, burn_in, thin, n_jobs, method, start)
    return _sample(model, "interaction", options, check_random_state(random_state))


@dataclass(frozen=True)
class _Options:
    """What both samplers take besides the model."""

    domain: Any
    n_samples: int
    n_chains: int
    burn_in: int
    thin: int
    n_threads: int
    method: Method
    start: Doubles | None

    @classmethod
    def checked(
        cls,
        d: int,
        domain: Any,
        n_samples: int,
        n_chains: int | None,
        burn_in: int,
        thin: int,
        n_jobs: int | None,
        method: Method,
        start: ArrayLike | None,
    ) -> _Options:
        domain = NonNegative() if domain is None else domain
        if not callable(getattr(domain, "contains", None)):
            raise TypeError(f"domain must be a domain, with a method contains; got {domain!r}")
        if isinstance(domain, Sphere):
            raise ValueError(f"domain must have a volume; {domain!r} has none")
        width = getattr(domain, "n_features", None)
        if width not in (None, d):
            raise ValueError(f"domain has {width} columns and the parameters have {d}")
        if method not in ("auto", "rejection", "gibbs"):
            raise ValueError(f"method must be 'auto', 'rejection' or 'gibbs'; got {method!r}")
        n_samples = check_count("n_samples", n_samples)
        n_chains = n_samples if n_chains is None else min(check_count("n_chains", n_chains), n_samples)
        begin = None if start is None else _checked_start(start, domain, n_chains, d)
        check_count("burn_in", burn_in, 0)
        check_count("thin", thin)
        return cls(domain, n_samples, n_chains, burn_in, thin, effective_threads(n_jobs), method, begin)


def _checked_start(start: ArrayLike, domain: Any, n_chains: int, d: int) -> Doubles:
    points = np.asarray(start, dtype=np.float64)
    if points.shape not in ((d,), (n_chains, d)):
        raise ValueError(f"start must have shape ({d},) or ({n_chains}, {d}); got {points.shape}")
    points = np.array(np.broadcast_to(points, (n_chains, d)))
    outside = ~domain.contains(points)
    if outside.any():
        raise ValueError(f"start must lie in {domain!r}; row {int(np.argmax(outside))} is outside")
    return points


def _sample(model: Pairwise, name: str, options: _Options, random: np.random.RandomState) -> Doubles:
    """Draws; `name` is that of the matrix, for errors."""
    region = region_of(options.domain, model.n_features)
    _check_density(model, name, region)
    # Independent coordinates that are drawn exactly need one sweep, and nothing that rejects.
    independent = region is not None and region.is_product and model.has_exact_independent_coordinates
    if independent and options.method == "auto":
        options = replace(options, method="gibbs", n_chains=options.n_samples, burn_in=0, start=None)
    if options.method != "gibbs":
        draw = gaussian_draws(model, random) if model.is_gaussian else None
        if draw is not None and (options.method == "rejection" or keeps_enough(draw, options.domain)):
            return reject(draw, options.domain, options.n_samples)
        if options.method == "rejection":
            raise ValueError("method='rejection' needs a = b = 1 and a positive definite matrix; use method='gibbs'")
    begin = options.start
    if begin is not None and not model.is_gaussian and not (begin > 0).all():
        raise ValueError("start must be positive unless a = b = 1")
    if begin is None:
        begin = _found_start(model, region, options, random)
    chains: Chains | SliceChains
    if region is None:
        steps = 2 / np.sqrt(np.diagonal(model.interaction))
        chains = SliceChains(model.log_density, options.domain, begin, steps, random)
    else:
        chains = Chains(model, region, begin, int(random.randint(2**63 - 1, dtype=np.int64)), options.n_threads)
    return _rows_of(chains, options)


def _rows_of(chains: Chains | SliceChains, options: _Options) -> Doubles:
    rows = [_sweep_within(chains, options.burn_in + 1, options.domain)]
    for _ in range(-(-options.n_samples // options.n_chains) - 1):
        rows.append(_sweep_within(chains, options.thin, options.domain))
    return np.concatenate(rows)[: options.n_samples]


def _sweep_within(chains: Chains | SliceChains, n_sweeps: int, domain: Any) -> Doubles:
    X = chains.sweep(n_sweeps)
    # A draw within rounding of the boundary can come to lie a hair outside; that happens once in very many.
    for _ in range(100):
        if domain.contains(X).all():
            return X
        X = chains.sweep(1)
    raise ValueError(f"draws are so near to the boundary of {domain!r} that rounding carries them over it; rescale")


def gaussian_draws(model: Pairwise, random: np.random.RandomState) -> Callable[[int], Doubles] | None:
    """What draws from the Gaussian on all of space; None where the matrix is not positive definite."""
    try:
        factor = np.linalg.cholesky(model.interaction)
    except np.linalg.LinAlgError:
        return None
    mean = solve_triangular(factor, solve_triangular(factor, model.linear, lower=True), lower=True, trans="T")

    def draw(n: int) -> Doubles:
        noise = random.standard_normal((len(mean), n))
        return np.asarray(mean + solve_triangular(factor, noise, lower=True, trans="T").T)

    return draw


def _check_density(model: Pairwise, name: str, region: Region | None) -> None:
    """An error where the model is not defined, or cannot be normalised."""
    terms = model.in_y()
    diagonal = np.diagonal(terms["precision"])
    if not (diagonal > 0).all():
        j = int(np.argmin(diagonal > 0))
        given = model.interaction[j, j]
        less = f", less what linear takes off as b = 2a: {diagonal[j]:.6g}" if given > 0 else ""
        raise ValueError(f"{name} must be positive on its diagonal; entry ({j},{j}) is {given:.6g}{less}")
    if region is None:
        return
    if not model.is_gaussian and not region.is_nonnegative:
        raise ValueError(
            f"domain must lie in the non-negative orthant for a={model.a:g}, b={model.b:g}: powers and logarithms "
            "need it"
        )
    lower = np.array([ends[0, 0] for ends in region.intervals])
    upper = np.array([ends[-1, 1] for ends in region.intervals])
    at_zero = (lower <= 0) & (model.a > 0) & (model.b == 0) & (model.linear <= -1)
    if at_zero.any():
        j = int(np.argmax(at_zero))
        raise ValueError(
            f"linear must be above -1 where b = 0 and the domain goes to 0; entry {j} is {model.linear[j]:.6g}"
        )
    if region.is_bounded:
        return
    endless = np.isposinf(upper)
    grows = endless & (terms["extra"] > 0) & (model.b > 2 * model.a)
    if grows.any() and region.is_product:
        j = int(np.argmax(grows))
        raise ValueError(
            f"linear must not be positive where b > 2a, or the density grows for ever; entry {j} is "
            f"{model.linear[j]:.6g}"
        )
    downwards = np.isneginf(model.to_y(lower)) if model.a == 0 else np.isneginf(lower)
    if region.is_product and grows_without_end(terms["precision"], downwards, endless) is False:
        raise ValueError(
            f"{name} gives no density on this domain: x'Kx does not grow in every direction that the domain goes on "
            "for ever in (it need not be positive definite on the orthant, but copositive)"
        )


def _found_start(model: Pairwise, region: Region | None, options: _Options, random: np.random.RandomState) -> Doubles:
    """A point of the domain for each chain."""
    n, d = options.n_chains, model.n_features
    spread = 1 / np.sqrt(np.diagonal(model.interaction))
    if region is not None and region.is_product:
        return np.column_stack([within(ends, spread[j], n, random) for j, ends in enumerate(region.intervals)])
    if region is not None and region.constraints is not None:
        return np.tile(_deep_inside(region, float(spread.max())), (n, 1))
    try:
        return np.asarray(options.domain.sample_uniform(n, random_state=random, n_features=d), dtype=np.float64)
    except (AttributeError, TypeError, ValueError):
        return _met_by_chance(model, options, spread, random)


def _met_by_chance(model: Pairwise, options: _Options, spread: Doubles, random: np.random.RandomState) -> Doubles:
    """Points of a domain that has no finite volume, or cannot be sampled."""
    for scale in (1.0, 0.1, 10.0, 100.0):
        points = scale * spread * random.standard_normal((PILOT, model.n_features))
        points = points if model.is_gaussian else np.abs(points)
        points = points[options.domain.contains(points)]
        if len(points):
            return np.asarray(points[random.randint(len(points), size=options.n_chains)])
    raise ValueError(f"start is needed, a point of {options.domain!r}: none was found")


def _deep_inside(region: Region, spread: float) -> Doubles:
    """The centre of the largest ball between the constraints and intervals, of no more than this radius."""
    assert region.constraints is not None
    from scipy.optimize import linprog

    d = len(region.intervals)
    lower, upper = np.array([ends[0] for ends in region.intervals]).T
    rows = [region.constraints, -np.eye(d)[np.isfinite(lower)], np.eye(d)[np.isfinite(upper)]]
    A = np.concatenate(rows)
    b = np.concatenate([region.bounds, -lower[np.isfinite(lower)], upper[np.isfinite(upper)]])
    balls = np.column_stack([A, np.linalg.norm(A, axis=1)])
    found = linprog(np.append(np.zeros(d), -1.0), balls, b, bounds=[(None, None)] * d + [(0, spread)])
    if found.status != 0:
        raise ValueError(f"start is needed, a point of the domain: {found.message}")
    return np.asarray(found.x[:d])


def within(ends: Doubles, spread: float, n: int, random: np.random.RandomState) -> Doubles:
    """Points of intervals, not at their ends, and no further from finite ends than the spread."""
    low, high = ends[random.randint(len(ends), size=n)].T
    width = np.minimum(high - low, spread)
    nearest_end = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - width, -width / 2))
    return np.asarray(nearest_end + random.uniform(0.1, 0.9, size=n) * width)


def independent_sampler(
    model: Pairwise, name: str, domain: Any, random: np.random.RandomState, n_jobs: int | None
) -> Draw | None:
    """What draws coordinates that do not depend on each other, each exactly; None where the model is not so.

    `name` is that of the matrix, for errors.
    """
    region = None if domain is None else region_of(domain, model.n_features)
    if region is None or not region.is_product or not model.has_exact_independent_coordinates:
        return None
    if not (np.diagonal(model.interaction) > 0).all():
        return None

    def draw(n: int) -> Doubles:
        options = _Options.checked(model.n_features, domain, n, None, 0, 1, n_jobs, "auto", None)
        return _sample(model, name, options, random)

    return draw


def gibbs_draws(
    model: Pairwise,
    name: str,
    domain: Any,
    n_samples: int,
    random: np.random.RandomState,
    options: ChainOptions,
    n_jobs: int | None,
) -> Doubles:
    """By Gibbs sampling, a chain a row unless there are to be fewer; `NoSamplerError` where it is not for the model."""
    domain = RealSpace() if domain is None else domain
    region = region_of(domain, model.n_features)
    if not model.is_gaussian and region is not None and not region.is_nonnegative:
        raise NoSamplerError(f"the Gibbs sampler is for a = b = 1, or a domain in the orthant; this is {domain!r}")
    diagonal = np.diagonal(model.in_y()["precision"])
    if (region is None or region.is_bounded) and not (diagonal > 0).all():
        raise NoSamplerError(f"the Gibbs sampler is for a {name} that is positive on its diagonal")
    _, warmup, thin = options.schedule("gibbs", n_samples)
    checked = _Options.checked(
        model.n_features, domain, n_samples, options.n_chains, warmup, thin, n_jobs, "gibbs", None
    )
    return _sample(model, name, checked, random)
