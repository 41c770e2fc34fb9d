"""The solver against independent oracles, its certificate against a recomputation by hand."""

from __future__ import annotations

import math

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import certify, lambda_max, penalties, program, solve, vectors
from scipy.optimize import nnls
from sklearn.linear_model import Lasso

from appraise.errors import SolverError
from appraise.numerics.optimum import ALL_ZERO, NOTHING_SERVES

SIZES = [(1, 8), (2, 50), (16, 4096), (40, 12), (60, 60)]  # 40 in 12 dimensions: K is singular
seeds = st.integers(0, 100_000)
shares = st.floats(0.01, 0.99)


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_objective_is_that_of_cvxpy(n: int, d: int, ridge: float, nonnegative: bool) -> None:
    K, c, tau = program(n, d, seed=n)
    p = penalties(n, n)
    lam = 0.2 * lambda_max(c, p, nonnegative)
    found = solve(K, c, tau, lam=lam, penalties=p, ridge=ridge, nonnegative=nonnegative)
    w = cvxpy.Variable(n, nonneg=nonnegative)
    objective = (
        cvxpy.quad_form(w, cvxpy.psd_wrap(K + ridge * np.eye(n))) / 2
        - c @ w
        + lam * p @ cvxpy.abs(w)
    )
    best = cvxpy.Problem(cvxpy.Minimize(objective)).solve(solver=cvxpy.CLARABEL)
    assert found.certificate.primal - tau / 2 == pytest.approx(best, abs=1e-8)
    assert abs(found.certificate.gap) < 1e-12


def test_closed_form_of_one_dataset() -> None:
    # w = max(c − λ, 0) / (K + γ)
    K, c = np.array([[4.0]]), np.array([3.0])
    found = solve(K, c, 9.0, lam=1.0, ridge=0.5)
    assert found.weights[0] == pytest.approx(2 / 4.5, abs=1e-15)
    assert found.margins[0] == pytest.approx(1, abs=1e-15)
    against = solve(K, -c, 9.0, lam=1.0, nonnegative=False)
    assert against.weights[0] == pytest.approx(-0.5, abs=1e-15)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_closed_form_of_orthogonal_datasets(nonnegative: bool) -> None:
    c = np.array([0.9, 0.3, 0.1, 0.0, -0.2, -0.7]) / 2
    p = np.array([1.0, 2.0, 1.0, 1.0, 1.0, 3.0])
    found = solve(np.eye(6), c, 1.0, lam=0.05, penalties=p, nonnegative=nonnegative).weights
    shrunk = np.sign(c) * np.maximum(np.abs(c) - 0.05 * p, 0)
    expected = np.maximum(shrunk, 0) if nonnegative else shrunk
    np.testing.assert_allclose(found, expected, atol=1e-14)
    assert (found[expected == 0] == 0).all(), "outside the support weights are exactly 0"


def test_small_lambda_is_nnls() -> None:
    G, g = vectors(10, 200, seed=3)
    found = solve(G @ G.T, G @ g, float(g @ g), lam=1e-6)
    np.testing.assert_allclose(found.weights, nnls(G.T, g)[0], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_signed_weights_are_those_of_the_lasso(seed: int) -> None:
    G, g = vectors(20, 100, seed)
    K, c = G @ G.T, G @ g
    lam = 0.1 * lambda_max(c, nonnegative=False)
    found = solve(K, c, float(g @ g), lam=lam, nonnegative=False)
    lasso = Lasso(alpha=lam / 100, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(G.T, g)
    np.testing.assert_allclose(found.weights, lasso.coef_, atol=1e-7)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.sampled_from([6, 64]), seeds, shares, st.booleans())
def test_certificate_holds_and_says_what_a_recomputation_says(
    n: int, d: int, seed: int, share: float, nonnegative: bool
) -> None:
    K, c, tau = program(n, d, seed)
    p = penalties(n, seed)
    top = lambda_max(c, p, nonnegative)
    if top == 0:
        return
    lam = share * top
    found = solve(K, c, tau, lam=lam, penalties=p, nonnegative=nonnegative)
    w, m = found.weights, c - K @ found.weights
    size = np.maximum(m, 0) if nonnegative else np.abs(m)
    s = min(1.0, float(np.min(lam * p[size > 0] / size[size > 0], initial=1.0)))
    rho2 = tau - 2 * c @ w + w @ K @ w
    primal = rho2 / 2 + lam * p @ np.abs(w)
    dual = s * (tau - c @ w) - s**2 * rho2 / 2
    assert found.certificate.primal == pytest.approx(primal, abs=1e-12)
    assert found.certificate.dual == pytest.approx(dual, abs=1e-11)
    assert found.certificate.residual_norm == pytest.approx(rho2, abs=1e-12)
    assert abs(found.certificate.gap) < 1e-10
    assert (np.abs(m[w != 0] - lam * p[w != 0] * np.sign(w[w != 0])) < 1e-10).all()
    assert (size[w == 0] <= lam * p[w == 0] + 1e-10).all()
    assert certify(K, c, tau, w, lam, p, 0.0, nonnegative) == found.certificate


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 20), seeds, st.randoms(use_true_random=False), st.booleans())
def test_order_of_datasets_does_not_matter(n: int, seed: int, random, nonnegative: bool) -> None:
    K, c, tau = program(n, 50, seed)
    lam = 0.2 * lambda_max(c, None, nonnegative)
    if lam == 0:
        return
    order = np.array(random.sample(range(n), n))
    found = solve(K, c, tau, lam=lam, nonnegative=nonnegative).weights
    shuffled = solve(K[np.ix_(order, order)], c[order], tau, lam=lam, nonnegative=nonnegative)
    np.testing.assert_allclose(shuffled.weights, found[order], atol=1e-10)
    np.testing.assert_array_equal(shuffled.weights == 0, found[order] == 0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), seeds, st.floats(-8, 8))
def test_units_do_not_matter(n: int, seed: int, exponent: float) -> None:
    K, c, tau = program(n, 40, seed, normalize="none")
    lam, unit = 0.2 * lambda_max(c), 10.0**exponent
    if lam == 0:
        return
    found = solve(K, c, tau, lam=lam)
    scaled = solve(unit**2 * K, unit * c, tau, lam=unit * lam)  # every gradient × unit
    np.testing.assert_allclose(unit * scaled.weights, found.weights, rtol=1e-8, atol=1e-10)
    both = solve(unit**2 * K, unit**2 * c, unit**2 * tau, lam=unit**2 * lam)
    np.testing.assert_allclose(both.weights, found.weights, rtol=1e-8, atol=1e-10)
    assert both.certificate.relative_error < 1e-10


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10), seeds, st.integers(2, 4))
def test_of_copies_the_first_has_all_the_weight(n: int, seed: int, copies: int) -> None:
    K, c, tau = program(n, 40, seed)
    lam = 0.2 * lambda_max(c)
    if lam == 0:
        return
    alone = solve(K, c, tau, lam=lam).weights
    best = int(alone.argmax())
    index = np.r_[np.arange(n), np.full(copies - 1, best)]
    index = index[np.random.default_rng(seed).permutation(len(index))]
    found = solve(K[np.ix_(index, index)], c[index], tau, lam=lam)
    first, *later = np.flatnonzero(index == best)
    assert found.weights[first] == pytest.approx(alone[best], abs=1e-9)
    assert not found.weights[later].any()
    others = index != best
    np.testing.assert_allclose(found.weights[others], alone[index[others]], atol=1e-9)


def test_of_copies_at_different_penalties_the_lightest_comes_first() -> None:
    K, c, tau = program(5, 40, 1)
    best = int(solve(K, c, tau, lam=0.2 * lambda_max(c)).weights.argmax())
    index = np.r_[np.arange(5), best, best]
    p = np.array([1.0, 1, 1, 1, 1, 0.9, 0.9])
    K, c = K[np.ix_(index, index)], c[index]
    found = solve(K, c, tau, lam=0.2 * lambda_max(c, p), penalties=p)
    assert found.weights[best] == found.weights[6] == 0
    assert found.weights[5] > 0


def test_a_ridge_makes_copies_profitable() -> None:
    K, c, tau = program(8, 60, 4)
    lam = 0.2 * lambda_max(c)
    alone = solve(K, c, tau, lam=lam, ridge=0.2).weights
    best = int(alone.argmax())
    index = np.r_[np.arange(8), best]
    found = solve(K[np.ix_(index, index)], c[index], tau, lam=lam, ridge=0.2).weights
    assert found[index == best].sum() > 1.01 * alone[best]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), seeds, st.floats(1, 3), st.booleans())
def test_from_lambda_max_on_all_is_zero(n: int, seed: int, times: float, nonnegative: bool) -> None:
    K, c, tau = program(n, 40, seed)
    top = lambda_max(c, None, nonnegative)
    found = solve(K, c, tau, lam=times * top, nonnegative=nonnegative)
    assert not found.weights.any()
    assert found.run.status == (ALL_ZERO if top > 0 else NOTHING_SERVES)
    assert found.certificate.gap == pytest.approx(0, abs=1e-15)
    if top > 0:
        below = solve(K, c, tau, lam=0.999 * top, nonnegative=nonnegative)
        assert below.weights.any(), "λ_max is not the smallest"


@pytest.mark.parametrize("nonnegative", [True, False])
def test_a_target_orthogonal_to_everything(nonnegative: bool) -> None:
    assert lambda_max(np.zeros(3), None, nonnegative) == 0
    found = solve(np.eye(3), np.zeros(3), 1.0, lam=0.0, nonnegative=nonnegative)
    assert not found.weights.any()
    assert (found.certificate.primal, found.certificate.dual) == (0.5, 0.5)


def test_only_datasets_that_point_away() -> None:
    c = np.array([-0.3, -0.1])
    assert lambda_max(c) == 0
    assert not solve(np.eye(2), c, 1.0, lam=0.0).weights.any()
    assert (solve(np.eye(2), c, 1.0, lam=0.05, nonnegative=False).weights < 0).all()


def test_all_gradients_equal() -> None:
    found = solve(np.ones((5, 5)), np.full(5, 0.5), 1.0, lam=0.1)
    np.testing.assert_allclose(found.weights, [0.4, 0, 0, 0, 0], atol=1e-12)
    assert math.isinf(found.certificate.condition_number)
    assert found.as_json()["condition_number"] is None


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    for nonnegative in (True, False):  # no bound is active: OSQP has something to say
        solve(np.eye(3), np.full(3, 0.5), 1.0, lam=0.1, nonnegative=nonnegative)
    assert capfd.readouterr() == ("", "")


def test_a_copy_with_a_larger_penalty_gets_nothing() -> None:
    found = solve(np.ones((2, 2)), np.full(2, 0.5), 1.0, lam=0.1, penalties=np.array([2.0, 1.0]))
    assert found.weights[0] == 0
    assert found.weights[1] == pytest.approx(0.4)


def test_warm_start_gives_the_same_without_osqp() -> None:
    K, c, tau = program(30, 200, 1)
    lam = 0.2 * lambda_max(c)
    cold = solve(K, c, tau, lam=lam)
    warm = solve(K, c, tau, lam=lam, warm_start=cold.weights)
    assert warm.run.status == "active set"
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-9)


@pytest.mark.parametrize("nonnegative", [True, False])
def test_certificate_of_wrong_weights_says_so(nonnegative: bool) -> None:
    K, c, tau = program(6, 40, 2)
    lam = 0.2 * lambda_max(c)
    right = solve(K, c, tau, lam=lam, nonnegative=nonnegative).weights
    for wrong in (right + 1e-3, np.zeros(6), -right, 2 * right):
        certificate = certify(K, c, tau, wrong, lam, None, 0.0, nonnegative)
        assert certificate.gap > 1e-7
        assert certificate.kkt_violation > 1e-7
        assert certificate.dual <= certify(K, c, tau, right, lam, None, 0.0, nonnegative).primal


def test_an_answer_beyond_the_tolerance_is_an_error() -> None:
    K, c, tau = program(6, 40, 2)
    with pytest.raises(SolverError, match=r"expected an error within 1e-30, found a duality gap"):
        solve(K, c, tau, lam=0.2 * lambda_max(c), tolerance=1e-30)


GOOD = {"K": np.eye(2), "c": np.full(2, 0.5), "tau": 1.0, "lam": 0.1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lam": 0.0}, r"lambda: expected a number above 0, found 0\.0; .* lambda_max = 0\.5"),
        ({"lam": -1.0}, r"lambda: expected"),
        ({"lam": math.nan}, r"lambda: expected"),
        ({"K": np.array([[1.0, 0.2], [0.1, 1.0]])}, r"expected a symmetric matrix"),
        ({"K": np.array([[1.0, np.nan], [np.nan, 1.0]])}, r"expected finite entries"),
        ({"K": np.array([[1.0, 3.0], [3.0, 1.0]])}, r"expected no eigenvalue below"),
        ({"K": np.zeros((0, 0)), "c": np.zeros(0)}, r"at least one dataset"),
        ({"c": np.full(3, 0.5)}, r"alignment c: expected 2 finite numbers, found shape \(3,\)"),
        ({"c": np.array([np.nan, 0.5])}, r"alignment c: .* found NaN"),
        ({"tau": 0.0}, r"tau: expected the target's squared norm, above 0, found 0\.0"),
        ({"penalties": np.array([1.0, 0.0])}, r"penalties: .* found 0 for dataset 1"),
        ({"penalties": np.array([1.0, -2.0])}, r"penalties: .* found -2 for dataset 1"),
        ({"ridge": -0.1}, r"ridge: expected a number ≥ 0"),
        ({"tau": 0.01}, r"expected a squared distance"),
        ({"K": np.zeros((2, 2))}, r"inner products of the same vectors"),
    ],
)
def test_ill_posed_programs(change: dict, message: str) -> None:
    arguments = GOOD | change
    K, c, tau = (arguments.pop(name) for name in ("K", "c", "tau"))
    with pytest.raises(SolverError, match=message):
        solve(K, c, tau, **arguments)
