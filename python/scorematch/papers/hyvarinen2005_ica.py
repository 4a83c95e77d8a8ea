"""Hyvärinen (2005), section 3.2: independent component analysis, score matching against maximum likelihood.

Data x = As (8) with n = 4 independent logistic sources and a random A; the model is

    log p(x) = Σ_k G(w_kᵀx) + Z,        G(s) = −2 log cosh(πs/(2√3)) − log 4,                            (7)

where Z = log |det W| is known, so that there is a maximum likelihood estimate to compare with. The error is the squared
error of the separating matrix, ‖ŴA − I‖², after the rows of ŴA have been put in order and given the right signs; and,
as in the paper, the *crosstalk*: rows of ŴA divided by their largest entry, sum of all squares less 4. Figure 2 of the
paper has sources of another density than the model's, which leaves the scales of the rows undetermined; there the
crosstalk is the error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

D = 4
SIZES, REPEATS = (500, 1000, 2000, 4000, 8000, 16000), 11
QUICK_SIZES, QUICK_REPEATS = (500, 2000, 8000), 6
LARGE = 2000  # from here on errors are what asymptotic theory says
FACTOR = 1.6  # by which score matching may be worse than maximum likelihood there
METHODS = ("score matching", "maximum likelihood")
# G(s) = −power · log cosh(rate · s): the logistic density of unit variance, and that of the hyperbolic secant.
NONLINEARITIES = {"logistic": (2.0, np.pi / (2 * np.sqrt(3))), "logcosh": (1.0, 1.0)}


@dataclass(frozen=True)
class Setting:
    """Sources, and the model that is fitted to their mixtures."""

    title: str
    sources: Literal["logistic", "Laplace"]
    nonlinearity: Literal["logistic", "logcosh"]

    def draw(self, rng: np.random.Generator, n: int) -> Doubles:
        """Sources of unit variance."""
        if self.sources == "logistic":
            return rng.logistic(scale=np.sqrt(3) / np.pi, size=(n, D))
        return rng.laplace(scale=np.sqrt(0.5), size=(n, D))


SETTINGS = (
    Setting("logistic sources and model", "logistic", "logistic"),
    Setting("logistic sources, logcosh model", "logistic", "logcosh"),
    Setting("Laplace sources, logistic model", "Laplace", "logistic"),
)


@dataclass(frozen=True)
class Errors:
    """Errors in one setting by one measure: `values` is (sizes, repeats, methods)."""

    title: str
    measure: str
    sizes: Sequence[int]
    values: Doubles

    def table(self) -> Table:
        medians = np.median(self.values, axis=1)
        return Table(
            f"{self.title}: {self.measure}, median of {self.values.shape[1]} samples; ratio, geometric mean",
            {"n": self.sizes, **dict(zip(METHODS, medians.T, strict=True)), "ratio": self.ratios()},
            {**dict.fromkeys(METHODS, ".5f"), "ratio": ".2f"},
        )

    def ratios(self) -> Doubles:
        """Score matching over maximum likelihood, sample by sample: the geometric mean for each size."""
        logs = np.log(self.values)
        return np.asarray(np.exp((logs[..., 0] - logs[..., 1]).mean(axis=1)))

    def slopes(self) -> Iterator[Claim]:
        """That the error falls as 1/n: the slope of its logarithm, by least squares."""
        sizes, values = self._large()
        x = np.repeat(np.log(sizes), values.shape[1])
        x -= x.mean()
        for method, y in zip(METHODS, np.log(values).reshape(-1, len(METHODS)).T, strict=True):
            slope = x @ y / (x @ x)
            residuals = y - y.mean() - slope * x
            standard_error = np.sqrt(residuals @ residuals / (len(x) - 2) / (x @ x))
            sentence = f"{self.title}: the {self.measure} of {method} falls as 1/n, slope of its log"
            yield Claim.estimated(sentence, slope, -1, standard_error)

    def factor(self) -> Claim:
        """That score matching is nearly as good as maximum likelihood."""
        ratios = self.ratios()[np.asarray(self.sizes) >= LARGE]
        sentence = f"{self.title}: {self.measure} over that of maximum likelihood, largest ratio for n ≥ {LARGE}"
        return Claim.at_most(sentence, ratios.max(), FACTOR)

    def constants(self, limits: Doubles) -> Iterator[Claim]:
        """That n times the mean error is what asymptotic theory says."""
        sizes, values = self._large()
        scaled = (sizes[:, None, None] * values).reshape(-1, len(METHODS))
        errors = scaled.std(axis=0, ddof=1) / np.sqrt(len(scaled))
        for method, mean, error, limit in zip(METHODS, scaled.mean(axis=0), errors, limits, strict=True):
            sentence = f"{self.title}: n times the mean {self.measure} of {method} is its limit by theory"
            yield Claim.estimated(sentence, mean, limit, error)

    def _large(self) -> tuple[Doubles, Doubles]:
        kept = np.asarray(self.sizes) >= LARGE
        return np.asarray(self.sizes, dtype=np.float64)[kept], self.values[kept]


def experiment(seed: int, quick: bool) -> Findings:
    sizes, repeats = (QUICK_SIZES, QUICK_REPEATS) if quick else (SIZES, REPEATS)
    products = np.empty((len(SETTINGS), len(sizes), repeats, len(METHODS), D, D))
    for number, size, repeat in np.ndindex(products.shape[:3]):
        rng = np.random.default_rng([seed, number, sizes[size], repeat])
        products[number, size, repeat] = estimate(SETTINGS[number], sizes[size], rng)

    crosstalks = [
        Errors(setting.title, "crosstalk", sizes, each(crosstalk, found))
        for setting, found in zip(SETTINGS, products, strict=True)
    ]
    squared = Errors(SETTINGS[0].title, "squared error", sizes, each(squared_error, products[0]))
    pair, scale = asymptotic_variances()
    claims = [
        *squared.slopes(),
        squared.factor(),
        *squared.constants(D * (D - 1) * pair + D * scale),
        crosstalks[0].factor(),
        *(claim for errors in crosstalks for claim in errors.slopes()),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 12, 4.6)
        axes = figure.subplots(1, len(SETTINGS), sharey=True)
        for ax, errors in zip(axes, crosstalks, strict=True):
            draw_errors(ax, errors)
        grid = np.array([sizes[0], sizes[-1]])
        for limit, colour in zip(D * (D - 1) * pair, (BLUE, ORANGE), strict=True):
            axes[0].plot(grid, limit / grid, color=colour, lw=1, ls=":")
        axes[0].plot([], [], color=INK, lw=1, ls=":", label="theory, n → ∞")
        axes[0].legend(frameon=False, fontsize="small")
        axes[0].set_ylabel("crosstalk: rows of ŴA scaled, Σ squares − 4")

    return Findings([squared.table(), *(errors.table() for errors in crosstalks)], claims, draw)


def estimate(setting: Setting, n: int, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """ŴA of both methods, for one sample and one A."""
    A = rng.standard_normal((D, D))
    X = setting.draw(rng, n) @ A.T
    # A fit this small is over before further threads would have helped.
    model = scorematch.ICA(nonlinearity=setting.nonlinearity, random_state=int(rng.integers(2**31)), n_jobs=1).fit(X)
    return model.components_ @ A, maximum_likelihood(X, setting.nonlinearity, rng) @ A


def maximum_likelihood(X: Doubles, nonlinearity: str, rng: np.random.Generator) -> Doubles:
    """The W that maximises the mean of (7) for centred data, from a random rotation of the whitened data."""
    from scipy.optimize import minimize

    power, rate = NONLINEARITIES[nonlinearity]
    X = X - X.mean(axis=0)
    variances, vectors = np.linalg.eigh(X.T @ X / len(X))
    whitening = (vectors / np.sqrt(variances)).T
    Z = X @ whitening.T

    def negative(flat: Doubles) -> tuple[float, Doubles]:
        W = flat.reshape(D, D)
        U = rate * Z @ W.T
        value = power * np.logaddexp(U, -U).sum() / len(Z) - np.linalg.slogdet(W)[1]
        slope = power * rate * np.tanh(U).T @ Z / len(Z) - np.linalg.inv(W).T
        return float(value), slope.ravel()

    start, _ = np.linalg.qr(rng.standard_normal((D, D)))
    return np.asarray(minimize(negative, start.ravel(), jac=True, method="BFGS").x.reshape(D, D) @ whitening)


def each(measure: Callable[[Doubles], float], products: Doubles) -> Doubles:
    """A measure of each of an array of matrices."""
    leading = products.shape[:-2]
    return np.array([measure(products[index]) for index in np.ndindex(leading)]).reshape(leading)


def crosstalk(product: Doubles) -> float:
    """The paper's measure: squares of ŴA, each row divided by its largest entry, less as many as there are rows."""
    scaled = product / np.abs(product).max(axis=1, keepdims=True)
    return float((scaled**2).sum() - len(product))


def squared_error(product: Doubles) -> float:
    """‖ŴA − I‖², the rows in the order and with the signs that fit best."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(-np.abs(product))
    matched = np.empty_like(product)
    matched[columns] = product[rows] * np.sign(product[rows, columns])[:, None]
    return float(((matched - np.eye(len(product))) ** 2).sum())


def asymptotic_variances() -> tuple[Doubles, Doubles]:
    """Variance, times n, of an entry of ŴA off the diagonal and of one on it, by both methods, for logistic sources.

    At W = I the gradient of (10) with respect to w_ki is s_i r(s_k) + g(s_i) g(s_k) off the diagonal, where
    r = g″ + g g′, and (ki) is coupled with (ik) alone. Expectations of products are products of expectations, since
    sources are independent; the variance is that of the sandwich H⁻¹SH⁻¹.
    """
    from scipy.integrate import quad

    _, c = NONLINEARITIES["logistic"]

    def mean(f: Callable[[float], float]) -> float:
        """E f(s) of an even f."""
        return float(2 * quad(lambda s: f(s) * c / 2 / np.cosh(c * s) ** 2, 0, 60, epsabs=1e-12)[0])

    def g(s: float) -> float:
        return float(-2 * c * np.tanh(c * s))

    def g1(s: float) -> float:
        return float(-2 * c**2 / np.cosh(c * s) ** 2)

    def r(s: float) -> float:
        return float(-2 * c * np.tanh(c * s) * g1(s)) + g(s) * g1(s)

    fisher, curvature = mean(lambda s: g(s) ** 2), mean(lambda s: g1(s) ** 2)
    along = 2 * mean(lambda s: r(s) * g(s)) * mean(lambda s: s * g(s)) + fisher**2
    hessian = np.array([[curvature + fisher, 2 * fisher], [2 * fisher, curvature + fisher]])
    spread = np.full((2, 2), mean(lambda s: r(s) * s) ** 2 + along)
    np.fill_diagonal(spread, mean(lambda s: r(s) ** 2) + along)
    pair = np.linalg.solve(hessian, np.linalg.solve(hessian, spread).T)[0, 0]
    # A scale: ρ = w²(g′ + ½g²) at ws, whose second derivative in w has the mean E[(g + s g′)²].
    slope = mean(lambda s: (2 * g1(s) + g(s) ** 2 + s * r(s)) ** 2)
    scale = slope / mean(lambda s: (g(s) + s * g1(s)) ** 2) ** 2
    likely_pair = fisher / (fisher**2 - 1)
    likely_scale = 1 / mean(lambda s: (1 + s * g(s)) ** 2)
    return np.array([pair, likely_pair]), np.array([scale, likely_scale])


def draw_errors(ax: Axes, errors: Errors) -> None:
    for method, values, colour, marker, shift in zip(
        METHODS, np.moveaxis(errors.values, 2, 0), (BLUE, ORANGE), "ox", (0.97, 1.03), strict=True
    ):
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
        n = shift * np.asarray(errors.sizes)
        bars = [median - low, high - median]
        ax.errorbar(n, median, bars, color=colour, marker=marker, ms=6, lw=1.6, elinewidth=1, label=method)
    ax.set(xscale="log", yscale="log", xlabel="sample size n")
    ax.set_xticks(errors.sizes, [str(size) for size in errors.sizes])
    ax.minorticks_off()
    ax.set_title(errors.title, fontsize="medium")
    tidy(ax)


PAPER = Paper(
    name="hyvarinen2005-ica",
    reference="Hyvärinen (2005), JMLR 6, section 3.2",
    description="ICA of four logistic sources, score matching against maximum likelihood as samples grow",
    experiment=experiment,
)
