from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from appraise.numerics.active_set import nonnegative_minimum


def problem(n: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(d, n))
    A /= np.linalg.norm(A, axis=0)
    y = rng.normal(size=d) + A @ np.maximum(rng.normal(size=n), 0)
    return A, y, A.T @ A


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("n", "d"), [(1, 5), (12, 40), (40, 40), (30, 6)])
def test_same_as_scipy_nnls(n: int, d: int, seed: int) -> None:
    A, y, H = problem(n, d, seed)
    expected, residual = nnls(A, y)
    found = nonnegative_minimum(H, A.T @ y)
    assert (found >= 0).all()
    assert np.linalg.norm(A @ found - y) == pytest.approx(residual, abs=1e-7)
    if d >= n:
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_any_start_leads_to_the_same_end(seed: int) -> None:
    A, y, H = problem(15, 40, seed)
    b = A.T @ y - 0.1
    start = np.random.default_rng(seed).random(15) < 0.5
    np.testing.assert_allclose(
        nonnegative_minimum(H, b, start), nonnegative_minimum(H, b), atol=1e-8
    )


def test_nothing_to_gain_gives_zeros() -> None:
    assert not nonnegative_minimum(np.eye(3), np.array([-1.0, 0.0, -2.0])).any()
    assert nonnegative_minimum(np.zeros((0, 0)), np.zeros(0)).shape == (0,)


def test_a_step_along_the_null_space_ends_at_a_bound() -> None:
    # Two copies, one cheaper: all weight moves to it although H cannot tell them apart.
    u = nonnegative_minimum(np.ones((2, 2)), np.array([0.5, 0.7]), np.array([True, False]))
    np.testing.assert_allclose(u, [0, 0.7], atol=1e-6)
