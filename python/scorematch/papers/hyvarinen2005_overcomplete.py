"""Hyvärinen (2005), section 3.3: an overcomplete basis of natural images.

Data x are patches of 8 × 8 pixels of photographs, less their means, whitened to 63 dimensions. The model

    log p(x) = Σ_k α_k G(w_kᵀx) + Z,        k = 1, …, 200,        ‖w_k‖ = 1,

has more filters than dimensions, and a normaliser Z(W, α) that nobody can compute; score matching needs none. G is that
of a logistic density.

As in the paper, all coefficients are needed, and no two filters are alike: with 200 of them, none is thrown away. And
they look like the receptive fields of simple cells in the visual cortex: each lives in a part of the patch, and has an
orientation. Both are measured here, and held against random features of the same covariance: by the participation ratio
(Σ e)² / (n Σ e²) of the energies e of n pixels, which is 1 where all have the same and 1/n where one has it all; and by
the coherence (λ₁ − λ₂)/(λ₁ + λ₂) of the structure tensor, the second moments of the gradients of the image, which is 1
where all of them are parallel and 0 where no direction is preferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import scorematch
from scorematch.papers._mosaic import draw_mosaic
from scorematch.papers._paper import Claim, Findings, Paper, Table
from scorematch.plotting._drawing import BLUE, INK, prepare, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Doubles = NDArray[np.float64]

SIDE = 8
N_FILTERS = 200
# Patches, and passes over them at most.
LESSON, QUICK_LESSON = (50_000, 100), (20_000, 150)
BATCH_SIZE = 500
# Of the mean coefficient, what the smallest must have. They are positive by construction, so 0 is what it is held
# against: a filter of which the model makes no use.
LEAST_COEFFICIENT = 0.2
# The cosine of 30°, the largest that two filters may have. Two that had become one would have a cosine of 1.
MOST_ALIKE = float(np.cos(np.radians(30)))
# What the participation ratio and the coherence must be, as a share of those of random features.
MOST_SPREAD, LEAST_ORIENTED = 0.6, 2.0


def experiment(seed: int, quick: bool) -> Findings:
    n_patches, max_epochs = QUICK_LESSON if quick else LESSON
    random = np.random.default_rng(seed)
    patches = draw_patches(n_patches, random)
    # Patches of mean zero span all but one dimension.
    basis = np.linalg.svd(np.ones((1, SIDE**2)))[2][1:]
    X = patches @ basis.T
    model = scorematch.ICA(
        N_FILTERS,
        nonlinearity="logistic",
        fit_coefficients=True,
        batch_size=BATCH_SIZE,
        max_epochs=max_epochs,
        random_state=seed,
    ).fit(X)

    variances, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    root = axes * np.sqrt(variances)
    filters = model.components_ @ root  # of whitened data
    cosines = np.abs(unit(filters) @ unit(filters).T)
    np.fill_diagonal(cosines, 0)
    alpha = model.coefficients_
    features = filters @ root.T @ basis  # what a filter responds to most, in pixels: columns of the mixing
    chance = random.standard_normal(filters.shape) @ root.T @ basis
    spread = [float(np.median(participation(each))) for each in (features, chance)]
    oriented = [float(np.median(coherence(each))) for each in (features, chance)]

    tables = [
        Table(
            f"{N_FILTERS} filters of {n_patches} patches in {X.shape[1]} dimensions",
            {
                "": ["coefficient α", "largest cosine with another filter"],
                "smallest": [alpha.min(), cosines.max(axis=1).min()],
                "median": [np.median(alpha), np.median(cosines.max(axis=1))],
                "largest": [alpha.max(), cosines.max()],
            },
            dict.fromkeys(("smallest", "median", "largest"), ".3f"),
        ),
        Table(
            "what a filter responds to, medians",
            {
                "": ["participation ratio of pixels", "coherence of gradients"],
                "features": [spread[0], oriented[0]],
                "random features": [spread[1], oriented[1]],
            },
            {"features": ".3f", "random features": ".3f"},
        ),
    ]
    claims = [
        Claim.at_least("all coefficients are positive, and none is near 0: the smallest over their mean",
                       alpha.min() / alpha.mean(), LEAST_COEFFICIENT),
        Claim.at_most("no two filters are nearly equal, largest cosine", cosines.max(), MOST_ALIKE),
        Claim.at_most("features are local, participation ratio of their pixels over that of random ones",
                      spread[0] / spread[1], MOST_SPREAD),
        Claim.at_least("features have an orientation, coherence of their gradients over that of random ones",
                       oriented[0] / oriented[1], LEAST_ORIENTED),
    ]  # fmt: skip

    def draw(figure: Figure) -> None:
        prepare(figure, 12, 5.6)
        left, right = figure.subplots(1, 2, width_ratios=(2.1, 1))
        draw_mosaic(left, features[np.argsort(-alpha)], 20)
        left.set_title(f"what the {N_FILTERS} filters respond to, {SIDE} × {SIDE} pixels each, by falling coefficient",
                       fontsize="medium")  # fmt: skip
        draw_coefficients(right, alpha)

    return Findings(tables, claims, draw)


def draw_patches(n: int, random: np.random.Generator) -> Doubles:
    """Grey patches of the two photographs that scikit-learn ships, from anywhere in them, each less its mean."""
    from sklearn.datasets import load_sample_images

    windows = np.concatenate(
        [
            np.lib.stride_tricks.sliding_window_view(image.mean(axis=2) / 255, (SIDE, SIDE)).reshape(-1, SIDE**2)
            for image in load_sample_images().images
        ]
    )
    patches = windows[random.choice(len(windows), n, replace=False)]
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


def unit(rows: Doubles) -> Doubles:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def participation(features: Doubles) -> Doubles:
    energies = features**2
    return np.asarray(energies.sum(axis=1) ** 2 / (energies.shape[1] * (energies**2).sum(axis=1)))


def coherence(features: Doubles) -> Doubles:
    images = features.reshape(-1, SIDE, SIDE)
    gradients = np.stack([np.gradient(images, axis=axis) for axis in (1, 2)])
    tensor = np.einsum("aijk,bijk->iab", gradients, gradients)
    lengths = np.linalg.eigvalsh(tensor)
    smaller, larger = lengths[:, 0], lengths[:, 1]
    return np.asarray((larger - smaller) / (larger + smaller))


def draw_coefficients(ax: Axes, alpha: Doubles) -> None:
    ax.hist(alpha, bins=24, color=BLUE)
    ax.axvline(0, color=INK, lw=0.8)
    ax.set(xlabel="coefficient α", ylabel="number of filters")
    ax.set_xlim(left=min(0.0, 1.1 * alpha.min()))
    ax.set_title("all filters are used", fontsize="medium")
    tidy(ax)


PAPER = Paper(
    name="hyvarinen2005-overcomplete",
    reference="Hyvärinen (2005), JMLR 6, section 3.3",
    description="an overcomplete basis of natural images, which has no normaliser that anybody could compute",
    experiment=experiment,
)
