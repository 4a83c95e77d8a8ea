"""Peers for bounded domains, in NumPy on whole arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def polytope_coordinate_distance(A: Doubles, b: Doubles, X: Doubles) -> tuple[Doubles, Doubles]:
    """Of points x with Ax <= b: along coordinate j, side i is (b_i − a_iᵀx)/a_ij away, upwards if that is positive."""
    slack = b - X @ A.T
    distance, slope = np.empty(X.shape), np.empty(X.shape)
    for j in range(X.shape[1]):
        upwards, downwards = A[:, j] > 0, A[:, j] < 0
        above = (slack[:, upwards] / A[upwards, j]).min(axis=1, initial=np.inf)
        below = (slack[:, downwards] / -A[downwards, j]).min(axis=1, initial=np.inf)
        distance[:, j], slope[:, j] = _nearer(above, below)
    return distance, slope


def polygon_coordinate_distance(vertices: Doubles, X: Doubles) -> tuple[Doubles, Doubles]:
    """Of points inside: to the nearest edge that the horizontal, and the vertical, through the point meets."""
    distance, slope = np.empty(X.shape), np.empty(X.shape)
    for j in range(2):
        along, across = X[:, j], X[:, 1 - j]
        above, below = np.full(len(X), np.inf), np.full(len(X), np.inf)
        for start, end in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
            low, high = sorted((start[1 - j], end[1 - j]))
            if low == high:  # parallel
                continue
            where = start[j] + (across - start[1 - j]) * ((end[j] - start[j]) / (end[1 - j] - start[1 - j]))
            away = where - along
            away[(across < low) | (across > high)] = np.nan  # which fmin passes over
            above = np.fmin(above, np.where(away >= 0, away, np.nan))
            below = np.fmin(below, np.where(away <= 0, -away, np.nan))
        distance[:, j], slope[:, j] = _nearer(above, below)
    return distance, slope


def _nearer(above: Doubles, below: Doubles) -> tuple[Doubles, Doubles]:
    """The lesser of two distances, and how it changes as the coordinate grows."""
    distance = np.minimum(above, below)
    return distance, np.where(np.isfinite(distance), np.where(above < below, -1.0, 1.0), 0.0)


def polygon_distance(vertices: Doubles, X: Doubles) -> tuple[Doubles, Doubles]:
    """Of points inside: to the nearest point of an edge, and the direction away from that."""
    least, away = np.full(len(X), np.inf), np.empty(X.shape)
    for start, end in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        edge = end - start
        share = np.clip((X - start) @ edge / (edge @ edge), 0, 1)
        offset = X - (start + share[:, None] * edge)
        square = (offset * offset).sum(axis=1)
        nearer = square < least
        least[nearer], away[nearer] = square[nearer], offset[nearer]
    distance = np.sqrt(least)
    return distance, away / distance[:, None]


def gaussian_on_polygon(vertices: Doubles, X: Doubles) -> tuple[Doubles, Doubles]:
    """Mean and precision by the definition of the closed form, ψ = Dᵀθ with θ = (P₁₁, P₁₂, P₂₂, η₁, η₂)."""
    g, slope = polygon_distance(vertices, X)
    n, (x, y) = len(X), X.T
    D = np.zeros((2, n, 5))
    D[0, :, 0], D[0, :, 1], D[0, :, 3] = -x, -y, 1
    D[1, :, 1], D[1, :, 2], D[1, :, 4] = -x, -y, 1
    gamma = sum(each.T @ (each * g[:, None]) for each in D) / n
    linear = -sum(each.T @ row for each, row in zip(D, slope.T, strict=True)) / n
    linear[[0, 2]] += g.mean()  # −E[g tr ∇²t]
    p11, p12, p22, *eta = np.linalg.solve(gamma, linear)
    precision = np.array([[p11, p12], [p12, p22]])
    return np.linalg.solve(precision, eta), precision
