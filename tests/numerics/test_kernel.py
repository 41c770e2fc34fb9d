from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appraise.errors import SolverError
from appraise.numerics.kernel import (
    inner_products,
    kernel_evidence,
    mean_gradient,
    mean_norm,
    noise_share,
)


def sketches(n: int = 12, m: int = 24, d: int = 4096) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    sizes = 10.0 ** rng.uniform(-6, 3, n)
    return [(s * (rng.normal(size=(m, d)) + 0.3)).astype(np.float32) for s in sizes]


@pytest.mark.parametrize("normalize", ["unit", "none"])
def test_kernel_has_the_same_bits_in_any_order_and_blocking(normalize: str) -> None:
    G = np.array([mean_gradient(rows, normalize) for rows in sketches()])
    K = inner_products(G, G)
    order = np.random.default_rng(1).permutation(len(G))
    np.testing.assert_array_equal(inner_products(G[order], G[order]), K[np.ix_(order, order)])
    one_by_one = np.vstack([inner_products(G[i : i + 1], G) for i in range(len(G))])
    np.testing.assert_array_equal(one_by_one, K)
    shuffled = G[:, np.random.default_rng(2).permutation(G.shape[1])]
    np.testing.assert_array_equal(inner_products(shuffled, shuffled), K)
    blocks = sum(inner_products(G[:, s], G[:, s]) for s in (slice(0, 999), slice(999, None)))
    np.testing.assert_array_equal(blocks, K)
    np.testing.assert_array_equal(K, K.T)


def test_inner_products_are_exact_rational_numbers() -> None:
    a, b = (mean_gradient(rows) for rows in sketches(2, 3, 300))
    exact = sum((Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)), Fraction(0))
    assert Fraction(inner_products(a[None], b[None])[0, 0]) == exact


@pytest.mark.parametrize("normalize", ["unit", "none"])
def test_mean_does_not_depend_on_the_order_of_examples(normalize: str) -> None:
    rows = sketches(1)[0]
    shuffled = rows[np.random.default_rng(1).permutation(len(rows))]
    np.testing.assert_array_equal(
        mean_gradient(rows, normalize), mean_gradient(shuffled, normalize)
    )


@pytest.mark.parametrize("normalize", ["unit", "none"])
def test_grid_is_finer_than_what_anybody_would_notice(normalize: str) -> None:
    for rows in sketches():
        mean = rows.astype(np.float64).mean(axis=0)
        if normalize == "unit":
            mean /= np.linalg.norm(mean)
        error = np.linalg.norm(mean_gradient(rows, normalize) - mean)
        assert error <= 2.0**-26 * np.sqrt(len(mean)) * np.linalg.norm(mean)


@settings(max_examples=30, deadline=None)
@given(st.integers(-60, 60), st.integers(0, 10_000))
def test_unit_vector_does_not_depend_on_scale(exponent: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(5, 20))
    np.testing.assert_array_equal(mean_gradient(rows), mean_gradient(rows * 2.0**exponent))


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e30, 1e300])
def test_tiny_and_huge_gradients_neither_vanish_nor_overflow(scale: float) -> None:
    rows = scale * np.random.default_rng(0).normal(size=(5, 20))
    assert np.linalg.norm(mean_gradient(rows)) == pytest.approx(1)
    np.testing.assert_allclose(mean_gradient(rows, "none"), rows.mean(axis=0), atol=1e-7 * scale)
    assert mean_norm(rows) == pytest.approx(scale * np.linalg.norm(rows.mean(axis=0) / scale))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, np.nan]], r"expected finite gradients, found nan in row 0"),
        ([[1.0, 1.0], [np.inf, 1.0]], r"found inf in row 1"),
        (np.zeros((3, 4)), r"found 3 rows that add up to 0"),
        ([[1.0, 2.0], [-1.0, -2.0]], r"found 2 rows that add up to 0"),
        (np.zeros((0, 4)), r"found shape \(0, 4\)"),
        (np.ones(4), r"found shape \(4,\)"),
    ],
)
def test_bad_rows(rows: object, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        mean_gradient(np.asarray(rows))


def test_noise_share_makes_the_diagonal_unbiased() -> None:
    rng = np.random.default_rng(0)
    true = np.full(50, 0.2)  # squared length 2
    means = [(true + rng.normal(size=(8, 50))) for _ in range(4000)]
    plain = np.array([np.sum(rows.mean(axis=0) ** 2) for rows in means])
    shares = np.array([noise_share(rows) for rows in means])
    assert plain.mean() == pytest.approx(2 + 50 / 8, rel=0.02)
    assert (plain * (1 - shares)).mean() == pytest.approx(2, rel=0.03)
    assert np.isnan(noise_share(np.ones((1, 5))))
    assert noise_share(np.ones((4, 5))) == 0


def test_evidence() -> None:
    found = kernel_evidence(np.array([[2.0, 1.0], [1.0, 2.0]]))
    assert (found.n, found.finite, found.symmetric) == (2, True, True)
    assert (found.min_eigenvalue, found.max_eigenvalue) == pytest.approx((1, 3))
    assert found.condition_number == pytest.approx(3)
    assert kernel_evidence(np.ones((3, 3))).condition_number == np.inf


@pytest.mark.parametrize(
    ("K", "message"),
    [
        (
            np.array([[1.0, np.nan], [np.nan, 1.0]]),
            r"expected finite entries, found nan at \(0, 1\)",
        ),
        (np.array([[1.0, 0.5], [0.4, 1.0]]), r"found a difference of 0\.1 between \(0, 1\)"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), r"expected no eigenvalue below .* found -1"),
        (np.zeros((0, 0)), r"expected a square matrix of at least one dataset"),
        (np.ones((2, 3)), r"found shape \(2, 3\)"),
    ],
)
def test_what_is_no_kernel(K: np.ndarray, message: str) -> None:
    with pytest.raises(SolverError, match=message):
        kernel_evidence(K)
