"""Swersky, Ranzato, Buchman, Marlin and de Freitas (2011): score matching of an RBM is a regularised autoencoder.

For the restricted Boltzmann machine with Gaussian visible units v, of variance σ² given the binary hidden ones, let
h(v) = sigmoid(c + Wv/σ²) be the code and r(v) = b + Wᵀh(v) the reconstruction. Then ψ = (r − v)/σ², and the objective

    ½‖ψ‖² + tr ∇ψ = [ ½‖r(v) − v‖² + Σ_k h_k(1 − h_k) ‖w_k‖² − dσ² ] / σ⁴

is the squared error of an autoencoder with tied weights, plus a regulariser: hidden units should be decided, or have
small weights. The experiment holds the library's objective against this form, learns filters of handwritten digits,
and classifies the digits by the hidden units, beside as many principal components.

Pixels that have 17 grey levels, and many of which are hardly ever anything but 0, have no density. So the machine
learns from copies of the digits with noise added; the codes that are classified are those of the digits as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._mosaic import draw_mosaic
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, ORANGE, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

NOISE = 0.3  # standard deviation of what is added to pixels from 0 to 1
# Copies of the digits and iterations, for machines that classify and for the one whose weights are shown.
LESSON, QUICK_LESSON = (5, 200), (3, 100)
LONG_LESSON, QUICK_LONG_LESSON = (20, 1000), (5, 200)
SIZES, QUICK_SIZES = (16, 32, 64), (16, 32)  # numbers of hidden units
FOLDS, QUICK_FOLDS = 10, 5
INVERSE_PENALTY = 10.0  # of the logistic regression: scikit-learn's C, near the best for either kind of features
MACHINES = ((5, 3, 1.0), (20, 50, 0.3), (64, 10, 4.0), (100, 200, 1.0))  # columns, hidden units, σ²
TOLERANCE = 1e-10
WORSE = 0.015  # what the accuracy may lack of that of principal components


def experiment(seed: int, quick: bool) -> Findings:
    from sklearn.datasets import load_digits

    lesson, long_lesson = (QUICK_LESSON, QUICK_LONG_LESSON) if quick else (LESSON, LONG_LESSON)
    sizes, folds = (QUICK_SIZES, QUICK_FOLDS) if quick else (SIZES, FOLDS)
    pixels, labels = load_digits(return_X_y=True)
    digits = pixels / 16

    rng = np.random.default_rng(seed)
    learnt = learn(digits, sizes[-1], long_lesson, seed)
    pairs = {
        f"random, d = {d}, m = {m}, σ² = {variance:g}": random_machine(d, m, variance, rng)
        for d, m, variance in MACHINES
    }
    pairs[f"learnt from the digits, m = {sizes[-1]}"] = learnt, digits
    objectives = [(model.hyvarinen_score(V), autoencoder_objective(model, V)) for model, V in pairs.values()]
    differences = [float(np.abs(ours - theirs).max() / np.abs(ours).max()) for ours, theirs in objectives]
    accuracies = [compare_features(size, digits, labels, lesson, folds, seed) for size in sizes]

    tables = [
        Table(
            "mean objective, and the largest relative difference of a sample",
            {
                "machine": list(pairs),
                "score matching": [float(ours.mean()) for ours, _ in objectives],
                "autoencoder": [float(theirs.mean()) for _, theirs in objectives],
                "difference": differences,
            },
            {"score matching": ".6f", "autoencoder": ".6f", "difference": ".1e"},
        ),
        accuracy_table(accuracies, folds),
    ]
    claims = [
        Claim.at_most(
            "both forms of the objective are equal, largest relative difference", max(differences), TOLERANCE
        ),
        *(one.claim() for one in accuracies),
    ]

    def draw(figure: Figure) -> None:
        prepare(figure, 11, 5.4)
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
        draw_mosaic(left, learnt.components_, 8)
        left.set_title(f"weights of the {sizes[-1]} hidden units, 8 × 8 pixels each", fontsize="medium")
        draw_accuracies(right, accuracies)

    return Findings(tables, claims, draw)


def learn(digits: Doubles, size: int, lesson: tuple[int, int], seed: int) -> Any:
    """A machine that has learnt from noisy copies."""
    copies, iterations = lesson
    noise = np.random.default_rng([seed, size]).standard_normal((copies, *digits.shape))
    noisy = (digits + NOISE * noise).reshape(-1, digits.shape[1]).astype(np.float32)
    model = scorematch.GaussianBernoulliRBM(size, max_iter=iterations, random_state=seed, n_jobs=1)
    with warnings.catch_warnings():
        # By then weights hardly change, though the gradient is not zero yet.
        warnings.filterwarnings("ignore", "GaussianBernoulliRBM did not converge")
        return model.fit(noisy)


def autoencoder_objective(model: Any, V: Doubles) -> Doubles:
    """The objective of each row by the formula above."""
    W, b, c = model.components_, model.intercept_visible_, model.intercept_hidden_
    variance = model.noise_variance_
    h = 1 / (1 + np.exp(-(c + V @ W.T / variance)))
    squared_error = ((b + h @ W - V) ** 2).sum(axis=1)
    regulariser = (h * (1 - h)) @ (W**2).sum(axis=1)
    return np.asarray((squared_error / 2 + regulariser - V.shape[1] * variance) / variance**2)


def random_machine(d: int, m: int, variance: float, rng: np.random.Generator) -> tuple[Any, Doubles]:
    """A machine with random parameters, and samples to look at."""
    model = scorematch.GaussianBernoulliRBM.from_params(
        components=rng.standard_normal((m, d)) * variance / np.sqrt(d),
        intercept_hidden=rng.standard_normal(m),
        intercept_visible=rng.standard_normal(d),
        noise_variance=variance,
    )
    return model, 2 * rng.standard_normal((500, d))


@dataclass(frozen=True)
class Accuracies:
    """Of classification by hidden units and by as many principal components, fold by fold."""

    size: int
    hidden: Doubles
    principal: Doubles

    def claim(self) -> Claim:
        return Claim.at_least(
            f"{self.size} hidden units are about as good as {self.size} principal components, accuracy less theirs",
            float((self.hidden - self.principal).mean()),
            -WORSE,
        )


def compare_features(
    size: int, digits: Doubles, labels: Doubles, lesson: tuple[int, int], folds: int, seed: int
) -> Accuracies:
    """Cross-validated: both kinds of features, too, are learnt from the other folds alone."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    hidden: list[float] = []
    principal: list[float] = []
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(digits, labels):
        transforms = learn(digits[train], size, lesson, seed), PCA(size, random_state=seed).fit(digits[train])
        for transform, found in zip(transforms, (hidden, principal), strict=True):
            classifier = LogisticRegression(C=INVERSE_PENALTY, max_iter=5000)
            classifier.fit(transform.transform(digits[train]), labels[train])
            found.append(classifier.score(transform.transform(digits[test]), labels[test]))
    return Accuracies(size, np.array(hidden), np.array(principal))


def standard_error(values: Doubles) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def accuracy_table(accuracies: Sequence[Accuracies], folds: int) -> Table:
    columns: dict[str, Any] = {"features": [one.size for one in accuracies]}
    for name, values in (
        ("hidden units", [one.hidden for one in accuracies]),
        ("principal components", [one.principal for one in accuracies]),
        ("difference", [one.hidden - one.principal for one in accuracies]),
    ):
        columns[name] = [f"{each.mean():7.4f} ± {standard_error(each):.4f}" for each in values]
    return Table(f"accuracy of logistic regression on the digits, {folds} folds, ± standard error", columns)


def draw_accuracies(ax: Axes, accuracies: Sequence[Accuracies]) -> None:
    for name, values, colour, marker, shift in (
        ("hidden units", [one.hidden for one in accuracies], BLUE, "o", 0.97),
        ("principal components", [one.principal for one in accuracies], ORANGE, "s", 1.03),
    ):
        sizes = [shift * one.size for one in accuracies]
        errors = [standard_error(each) for each in values]
        ax.errorbar(sizes, [each.mean() for each in values], errors, color=colour, marker=marker, lw=1.6, label=name)
    ax.set(xscale="log", xlabel="number of features", ylabel="cross-validated accuracy, ± standard error")
    ax.set_xticks([one.size for one in accuracies], [str(one.size) for one in accuracies])
    ax.minorticks_off()
    ax.set_title("logistic regression of the ten digits", fontsize="medium")
    ax.legend(frameon=False, loc="lower right")
    tidy(ax)


PAPER = Paper(
    name="swersky2011-rbm",
    reference='Swersky et al. (2011), "On autoencoders and score matching for energy based models", ICML',
    description="score matching of an RBM is a regularised autoencoder; its hidden units classify digits",
    experiment=experiment,
)
