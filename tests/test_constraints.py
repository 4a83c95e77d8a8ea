"""Constraints for optimisers that know of none: what they make of free variables, and the way back of gradients."""

import numpy as np
import pytest
from scorematch._constraints import constrained, orthonormal_rows, unit_rows

SHAPES = [(1, 1), (1, 4), (3, 3), (3, 5)]
SEED = 4


def generic(shape):
    return np.random.default_rng(SEED).normal(size=shape)


@pytest.mark.parametrize("shape", [*SHAPES, (7, 3)])
def test_unit_rows(shape):
    rows = generic(shape)
    unit, _ = unit_rows(rows)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1)
    np.testing.assert_allclose(unit * np.linalg.norm(rows, axis=1)[:, None], rows)


@pytest.mark.parametrize("shape", SHAPES)
def test_orthonormal_rows(shape):
    rows = generic(shape)
    polar, _ = orthonormal_rows(rows)
    np.testing.assert_allclose(polar @ polar.T, np.eye(shape[0]), atol=1e-14)
    root = rows @ polar.T  # the other factor: symmetric and positive
    np.testing.assert_allclose(root, root.T, atol=1e-13)
    assert np.linalg.eigvalsh(root)[0] > 0
    np.testing.assert_allclose(root @ polar, rows, atol=1e-13)
    np.testing.assert_allclose(orthonormal_rows(polar)[0], polar, atol=1e-14)


@pytest.mark.parametrize("constraint", [unit_rows, orthonormal_rows])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_is_a_finite_difference(constraint, shape):
    """Of a function of everything, rows on scales of their own, with numbers in the middle and positive ones behind."""
    random = np.random.default_rng(SEED + 1)
    size = shape[0] * shape[1] + 2 + 3
    curvature, slope = random.normal(size=(size, size)), random.normal(size=size)

    def loss(theta):
        value = theta @ curvature @ theta / 2 + slope @ theta
        return value, (curvature + curvature.T) @ theta / 2 + slope

    variables = constrained(constraint, random.uniform(0.5, 2, shape), 3)
    free, step = random.normal(size=size), 1e-4
    value, gradient = variables.loss(loss)(free)
    assert value == pytest.approx(loss(variables.theta(free))[0])

    def along(direction, t):
        return variables.loss(loss)(free + t * direction)[0]

    differences = [
        (8 * (along(e, step) - along(e, -step)) - along(e, 2 * step) + along(e, -2 * step)) / (12 * step)
        for e in np.eye(size)
    ]
    np.testing.assert_allclose(gradient, differences, atol=1e-8 * np.abs(gradient).max())


@pytest.mark.parametrize("constraint", [unit_rows, orthonormal_rows])
def test_there_and_back(constraint):
    scale = np.random.default_rng(SEED).uniform(0.5, 2, (3, 4))
    variables = constrained(constraint, scale, 2)
    theta = np.concatenate([(constraint(generic((3, 4)))[0] * scale).ravel(), [7.0], [0.5, 20.0]])
    np.testing.assert_allclose(variables.theta(variables.of(theta)), theta, rtol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_at_orthonormal_rows_is_that_on_the_manifold(shape):
    rows, gradient = orthonormal_rows(generic(shape))[0], np.random.default_rng(1).normal(size=shape)
    _, pull_back = orthonormal_rows(rows)
    along = gradient @ rows.T
    tangent = gradient - (along + along.T) @ rows / 2
    np.testing.assert_allclose(pull_back(gradient), tangent, atol=1e-13)
