"""Independent component analysis."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh, qr
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from scorematch import _core
from scorematch._base import ScoreMatchingEstimator
from scorematch._moments import Moments
from scorematch._optimize import Settings, check_count, check_flag, minimise, warn_unless_converged
from scorematch._validation import Floats, check_parameter

Doubles = NDArray[np.float64]
NONLINEARITIES = ("logcosh", "logistic")


class ICA(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ScoreMatchingEstimator):
    r"""Independent component analysis as an unnormalised density, fitted by score matching.

    .. math:: \log p(x) = \sum_k \alpha_k\, G(w_k^\top (x - m)) + \text{const}

    with :math:`G(s) = -\log\cosh s` ("logcosh") or :math:`G(s) = -2\log\cosh\frac{\pi s}{2\sqrt3}` ("logistic", the
    logistic density of unit variance). With :math:`u = W(x-m)` the score function is
    :math:`W^\top(\alpha\circ G'(u))` and the Hessian trace :math:`\sum_k \alpha_k G''(u_k)\|w_k\|^2`. The determinant
    of W, which maximum likelihood needs and which does not exist where there are more components than dimensions, does
    not enter.

    Parameters
    ----------
    n_components : int, optional
        Number of components m; as many as there are columns where None, or, with `whiten` and linearly dependent
        columns, as many as their rank, with a warning. With `whiten` and fewer components than columns, the data are
        reduced to their first principal components.
    nonlinearity : {"logcosh", "logistic"}, default="logcosh"
        The log density G of a component.
    fit_coefficients : bool, default=False
        Whether to estimate the coefficients :math:`\alpha`; all 1 where False.
    whiten : bool, default=True
        Whether to fit to centred and whitened data. Score matching is not invariant to linear maps, and whitened data
        are where it does best. Results are given on the data's own scale all the same. Where False, the data are taken
        as they are, with m = 0.
    n_init : int, default=1
        Number of random starts, of which the best is kept.
    tol : float, default=1e-6
        The gradient at which to stop, in units of the data's scale.
    max_iter : int, default=1000
        Limit of the iterations of one start.
    n_jobs : int, optional
        Number of threads; None and -1 mean all processors that the process may use. Results do not depend on it.
    random_state : int, RandomState or None
        Seed of the starts.
    verbose : int, default=0
        1 prints the progress.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The separating matrix W, for data on their own scale.
    coefficients_ : ndarray of shape (n_components,)
        The coefficients :math:`\alpha`.
    mean_ : ndarray of shape (n_features,)
        The centre m: the mean of the data with `whiten`, else 0.
    theta_ : ndarray of shape (n_params,)
        W row by row, then :math:`\alpha` with `fit_coefficients`.
    theta_names_ : list of str
        Names of the entries of ``theta_``.
    params_ : dict
        ``components``, ``coefficients`` and ``mean``, the arguments of :meth:`from_params`; the last two may be left
        out there and are then 1 and 0.
    objective_ : float
        The objective on the data's own scale. With `whiten` the one minimised is that of the whitened data.
    converged_ : bool
        Whether the best start converged.
    n_iter_ : int
        Its number of iterations.
    n_features_in_ : int
        Number of columns seen by ``fit``.

    Notes
    -----
    The objective has no lower bound where more than about a third of the rows agree in one direction, as when there
    are hardly more rows than columns: a component with ever longer :math:`w_k` then sends it to minus infinity. Where
    every start runs into that, a warning says so, and the best start is returned.

    References
    ----------
    Hyvärinen (2005), "Estimation of non-normalized statistical models by score matching", JMLR 6, sections 3.2, 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> import scorematch
    >>> rng = np.random.default_rng(0)
    >>> sources = rng.logistic(scale=np.sqrt(3) / np.pi, size=(5000, 2))
    >>> mixing = np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> model = scorematch.ICA(nonlinearity="logistic", random_state=0).fit(sources @ mixing.T)
    >>> unmixed = np.abs(model.components_ @ mixing)  # a signed permutation, if all is well
    >>> bool(np.allclose(np.sort(unmixed, axis=1), [[0, 1], [0, 1]], atol=0.15))
    True
    """

    _family: ClassVar[str] = "ica"
    _required_params: ClassVar[tuple[str, ...]] = ("components",)
    _optional_params: ClassVar[tuple[str, ...]] = ("coefficients", "mean")
    _state: ClassVar[tuple[str, ...]] = ("coefficients_", "mean_")

    components_: Doubles
    coefficients_: Doubles
    mean_: Doubles

    def __init__(
        self,
        n_components: int | None = None,
        *,
        nonlinearity: Literal["logcosh", "logistic"] = "logcosh",
        fit_coefficients: bool = False,
        whiten: bool = True,
        n_init: int = 1,
        tol: float = 1e-6,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.nonlinearity = nonlinearity
        self.fit_coefficients = fit_coefficients
        self.whiten = whiten
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def transform(self, X: ArrayLike) -> Floats:
        """Components of the data, W(x − m).

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            Of the float type of `X`.
        """
        self._check_is_fitted()
        X = self._check_samples(X)
        return np.asarray((X - self.mean_.astype(X.dtype)) @ self.components_.T.astype(X.dtype))

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Doubles:
        r"""Draw from the fitted distribution.

        Parameters
        ----------
        n_samples : int, default=1
            How many rows.
        random_state : int, RandomState or None
            Seed or generator.

        Returns
        -------
        ndarray of shape (n_samples, n_features)
            Exact, independent draws. Only for as many components as columns, where components are independent with
            density proportional to :math:`\exp(\alpha_k G)`; an error otherwise.
        """
        from scorematch._sampling import check_sample_arguments

        self._check_is_fitted()
        random = check_sample_arguments(n_samples, random_state)
        m, d = self.components_.shape
        if m != d or np.linalg.matrix_rank(self.components_) < d or (self.coefficients_ <= 0).any():
            raise ValueError(
                "an exact sampler of ICA needs as many independent components as columns, and positive coefficients; "
                f"components_ is of shape ({m}, {d})"
            )
        # If y ~ Beta(a, a), then ½ log(y / (1 − y)) has a density proportional to cosh(s)^(−2a).
        power, rate = (1.0, 1.0) if self.nonlinearity == "logcosh" else (2.0, np.pi / (2 * np.sqrt(3)))
        y, complement = random.standard_gamma(power * self.coefficients_ / 2, size=(2, n_samples, m))
        sources = (np.log(y) - np.log(complement)) / (2 * rate)
        return np.asarray(self.mean_ + np.linalg.solve(self.components_, sources.T).T)

    # -- what the base asks for ----------------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def _variant(self) -> str:
        return self.nonlinearity + ("+coefficients" if self.fit_coefficients else "")

    def _size(self) -> int:
        return len(self.coefficients_)

    def _constants(self) -> list[float]:
        return [] if self.fit_coefficients else self.coefficients_.tolist()

    def _origin(self) -> Doubles | None:
        return self.mean_ if self.mean_.any() else None

    def _check_options(self) -> None:
        if self.nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity must be one of {NONLINEARITIES}; got {self.nonlinearity!r}")
        if self.n_components is not None:
            check_count("n_components", self.n_components)
        check_count("n_init", self.n_init)
        check_flag("fit_coefficients", self.fit_coefficients)
        check_flag("whiten", self.whiten)

    def _theta_from_params(self, params: dict[str, Any]) -> tuple[int, Doubles]:
        components = check_parameter("components", params["components"], (None, None))
        m, d = components.shape
        if m == 0 or d == 0:
            raise ValueError(f"components must not be empty; got shape {components.shape}")
        self.n_components = m
        self._check_options()
        coefficients, mean = params.get("coefficients"), params.get("mean")
        self.coefficients_ = np.ones(m) if coefficients is None else check_parameter("coefficients", coefficients, (m,))
        self.mean_ = np.zeros(d) if mean is None else check_parameter("mean", mean, (d,))
        return d, self._pack(components)

    def _pack(self, components: Doubles) -> Doubles:
        return np.concatenate([components.ravel(), self.coefficients_ if self.fit_coefficients else np.empty(0)])

    def _set_params_from_theta(self) -> None:
        m, d = len(self.coefficients_), self.n_features_in_
        self.components_ = self.theta_[: m * d].reshape(m, d)
        if self.fit_coefficients:
            self.coefficients_ = self.theta_[m * d :]
        self.params_ = {"components": self.components_, "coefficients": self.coefficients_, "mean": self.mean_}

    # -- fitting -------------------------------------------------------------------------------------------------

    def _fit(self, X: Floats, sample_weight: Doubles | None) -> None:
        self._check_options()
        settings = Settings(self.tol, self.max_iter, self.verbose)
        if len(X) < 2:
            raise ValueError("ICA needs at least 2 samples; got n_samples = 1")
        moments = Moments.of(X, sample_weight, diagonal=False, n_threads=self._threads())
        if self.whiten:
            whitening = self._whitening(moments)
            self.mean_ = moments.mean
            data = (X - self.mean_.astype(X.dtype)) @ whitening.T.astype(X.dtype)
            scales = np.ones(len(whitening))
        else:
            _check_full_rank(moments.second_about_zero, moments)
            self.mean_ = np.zeros(X.shape[1])
            whitening, data = np.eye(X.shape[1]), X
            scales = np.sqrt(np.diagonal(moments.second_about_zero))

        r = len(scales)
        m = r if self.n_components is None else self.n_components
        self.coefficients_ = np.ones(m)
        second = np.eye(r) if self.whiten else moments.second_about_zero
        family = _core.Family(self._family, self._variant(), r, m, self._constants())
        minimum = minimise(
            _core.Loss(family, data, sample_weight, self._field(), self._threads()),
            self._starts(m, scales),
            scale=self._pack(np.broadcast_to(1 / scales, (m, r))),
            unit=float(np.sum(scales**-2.0)),
            eps=float(np.finfo(X.dtype).eps),
            settings=settings,
            fault=lambda theta: _collapse(theta[: m * r].reshape(m, r), second),
        )
        components = minimum.theta[: m * r].reshape(m, r) @ whitening
        self.theta_ = np.concatenate([components.ravel(), minimum.theta[m * r :]])
        self.converged_, self.n_iter_ = minimum.converged, minimum.n_iter
        if self.fit_coefficients:
            self.coefficients_ = minimum.theta[m * r :]
        self.objective_ = self._loss(X, sample_weight)(self.theta_)[0]
        if minimum.fault:
            warnings.warn(
                f"{minimum.fault}, and so from every start: too many rows agree in one direction, and there the "
                "objective has no lower bound. What is returned is the best start itself, a random rotation. Try fewer "
                "components (n_components), more rows, or more starts (n_init); look for duplicated or rounded values",
                UserWarning,
                stacklevel=3,
            )
            return
        warn_unless_converged("ICA", minimum, "a larger max_iter, whiten=True, or more starts (n_init)")

    def _whitening(self, moments: Moments) -> Doubles:
        """The matrix that makes the covariance of the first principal components the identity."""
        covariance = moments.covariance
        eigenvalues, vectors = eigh(covariance)
        eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
        # Signs that rounding cannot turn, so that the starts depend on the data alone.
        vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(len(vectors))])
        rank, d = _rank(covariance, moments), len(covariance)
        if rank == 0:
            raise ValueError("X has no variation: every column is constant")
        wanted = d if self.n_components is None else min(self.n_components, d)
        if wanted > rank and self.n_components is not None:
            raise ValueError(
                f"X cannot be whitened to {wanted} dimensions: its columns are linearly dependent, or there are too "
                f"few rows; its rank is {rank}. Pass n_components={rank}, or drop columns"
            )
        if wanted > rank:
            warnings.warn(
                f"the {d} columns of X are linearly dependent, or there are too few rows: its rank is {rank}, and as "
                f"many components are fitted. Pass n_components={rank} to say that this is meant",
                UserWarning,
                stacklevel=5,
            )
        kept = min(wanted, rank)
        return np.asarray((vectors[:, :kept] / np.sqrt(eigenvalues[:kept])).T)

    def _starts(self, m: int, scales: Doubles) -> Iterator[Doubles]:
        """Random orthonormal rows (as far as there can be), for data of unit variance."""
        random = check_random_state(self.random_state)
        r = len(scales)
        for _ in range(self.n_init):
            rows = [qr(random.standard_normal((r, r)))[0] for _ in range(-(-m // r))]
            yield self._pack(np.concatenate(rows)[:m] / scales)


def _rank(second: Doubles, moments: Moments) -> int:
    """How many dimensions the data span, to working precision."""
    eigenvalues = np.linalg.eigvalsh(second)
    return int(np.count_nonzero(eigenvalues > len(second) * moments.eps * eigenvalues[-1]))


def _check_full_rank(second: Doubles, moments: Moments) -> None:
    rank, d = _rank(second, moments), len(second)
    if rank < d:
        raise ValueError(
            f"the objective has no lower bound: the {d} columns of X are linearly dependent, or there are too few "
            f"rows; the rank is {rank}. Pass whiten=True with n_components={max(rank, 1)}, or drop columns"
        )


def _collapse(components: Doubles, second: Doubles) -> str:
    """Which component is about to run off to infinity, in words; empty where none does."""
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.sqrt(np.einsum("ki,ij,kj->k", components, second, components))
    # Sources that fit the model have a spread of 1 or so, those with heavy tails one of some hundreds.
    k = int(np.argmax(np.nan_to_num(spread, nan=np.inf)))
    return "" if spread[k] < 1e4 else f"component {k} collapses"
