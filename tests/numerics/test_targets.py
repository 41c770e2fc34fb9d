"""Several targets: the worst case against cvxpy, combinations, and the transfer matrix."""

from __future__ import annotations

from typing import Any

import cvxpy
import numpy as np
import pytest
from programs import asked, program, solve, vectors

from appraise.errors import ParamsError
from appraise.numerics.kernel import inner_products
from appraise.numerics.question import Question, question
from appraise.numerics.rule import LambdaRule
from appraise.numerics.targets import Targets, transfer_matrix, worst_case


def several(n: int, count: int, seed: int) -> Targets:
    G, g = vectors(n, 60, seed)
    rng = np.random.default_rng(seed)
    extra = [vectors(n, 60, seed)[0][rng.integers(n)] + 0.2 * rng.normal(size=60) / 60**0.5]
    T = np.array([g, *(extra[0] + 0.05 * rng.normal(size=60) for _ in range(count - 1))])
    T /= np.linalg.norm(T, axis=1, keepdims=True)
    return Targets(inner_products(G, G), T @ G.T, T @ T.T)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("seed", range(4))
def test_worst_case_is_that_of_cvxpy(seed: int, count: int) -> None:
    targets = several(12, count, seed)
    found = worst_case(targets, asked(12, 0.1))
    w = cvxpy.Variable(12, nonneg=True)
    common = cvxpy.quad_form(w, cvxpy.psd_wrap(targets.K)) / 2 + found.lam * cvxpy.sum(w)
    worst = cvxpy.max(np.diag(targets.gram) / 2 - targets.C @ w)
    best = cvxpy.Problem(cvxpy.Minimize(common + worst)).solve(solver=cvxpy.CLARABEL)
    assert found.objectives.max() == pytest.approx(best, abs=1e-7)
    assert -1e-12 <= found.gap <= 1e-7
    assert found.shares.sum() == pytest.approx(1)
    served = found.objectives < found.objectives.max() - 1e-6
    assert not found.shares[served].any(), "only the worst served targets count"


OWNERS = [f"o{i % 4}" for i in range(12)]
LIMITS = [
    {"cap": 0.1}, {"owner_cap": 0.2}, {"total": 1.0}, {"cap": 0.15, "total": 1.0},
    {"cap": 0.1, "caps": {"d1": 0.05, "d2": 0.3}, "owner_cap": 0.3, "total": 1.0},
]  # fmt: skip


@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("limits", LIMITS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_worst_case_within_limits_is_that_of_cvxpy(
    seed: int, limits: dict[str, Any], ridge: float
) -> None:
    targets, ids = several(12, 3, seed), [f"d{i}" for i in range(12)]
    rule = LambdaRule("relative", relative=0.1)
    found = worst_case(targets, question(ids, rule=rule, owners=OWNERS, ridge=ridge, **limits))
    w = cvxpy.Variable(12, nonneg=True)
    cap = limits.get("cap", np.inf)
    caps = np.array([limits.get("caps", {}).get(name, cap) for name in ids])
    bounds = [w[np.isfinite(caps)] <= caps[np.isfinite(caps)]] if np.isfinite(caps).any() else []
    if "total" in limits:
        bounds.append(cvxpy.sum(w) == limits["total"])
    for owner in set(OWNERS) if "owner_cap" in limits else ():
        own = [i for i in range(12) if OWNERS[i] == owner]
        bounds.append(cvxpy.sum(w[own]) <= limits["owner_cap"])
    H = targets.K + ridge * np.eye(12)
    common = cvxpy.quad_form(w, cvxpy.psd_wrap(H)) / 2 + found.lam * cvxpy.sum(w)
    worst = cvxpy.max(np.diag(targets.gram) / 2 - targets.C @ w)
    best = cvxpy.Problem(cvxpy.Minimize(common + worst), bounds).solve(solver=cvxpy.CLARABEL)
    assert found.objectives.max() == pytest.approx(best, abs=1e-7)
    assert -1e-12 <= found.gap <= 1e-7


def test_worst_case_has_no_path_to_count_on() -> None:
    asks = Question(10, LambdaRule("number", number=3))
    with pytest.raises(ParamsError, match=r"worst case: .* found the rule number"):
        worst_case(several(10, 2, 0), asks)


def test_lambda_is_a_part_of_the_even_combination() -> None:
    targets, shares = several(10, 3, 2), np.full(3, 1 / 3)
    tau = shares @ targets.gram @ shares
    absolute = worst_case(targets, Question(10, LambdaRule(absolute=0.07)))
    assert absolute.lam == pytest.approx(0.07 * tau)
    assert worst_case(targets, asked(10, 0.3)).lam == pytest.approx(
        0.3 * (shares @ targets.C).max()
    )
    with pytest.raises(ParamsError, match=r"absolute_lambda: .* found -1"):
        worst_case(targets, Question(10, LambdaRule(absolute=-1.0)))


def test_one_target_is_the_ordinary_program() -> None:
    targets = several(10, 1, 3)
    found = worst_case(targets, asked(10))
    c, tau = targets.C[0], float(targets.gram[0, 0])
    alone = solve(targets.K, c, tau, lam=found.lam)
    np.testing.assert_allclose(found.weights, alone.weights, atol=1e-12)


def test_worst_case_serves_the_worst_better_than_the_even_combination() -> None:
    targets = several(12, 3, 1)
    found = worst_case(targets, asked(12, 0.1))
    even = targets.combined(np.ones(3), asked(12))
    w = solve(even.K, even.c, even.tau, lam=found.lam).weights
    tau = np.diag(targets.gram)
    of_even = 0.5 * tau - targets.C @ w + 0.5 * w @ targets.K @ w + found.lam * w.sum()
    assert found.objectives.max() < of_even.max() - 1e-6


def test_a_combination_is_the_target_of_the_mean_gradient() -> None:
    G, g = vectors(8, 40, 2)
    T = np.array([g, G[0] + 0.1])
    targets = Targets(inner_products(G, G), T @ G.T, T @ T.T)
    mixed = targets.combined(np.array([3.0, 1.0]), asked(8))
    target = 0.75 * T[0] + 0.25 * T[1]
    np.testing.assert_allclose(mixed.c, G @ target, atol=1e-14)
    assert mixed.tau == pytest.approx(target @ target)
    for wrong in ([1.0], [-1.0, 2.0], [0.0, 0.0], [np.nan, 1.0]):
        with pytest.raises(ParamsError, match="targets: expected 2 shares of at least 0"):
            targets.combined(np.array(wrong), asked(8))


def test_transfer_is_the_signed_program_of_each_dataset() -> None:
    K, _, _ = program(9, 30, seed=4)
    found = transfer_matrix(K, 0.1)
    assert np.isnan(np.diag(found)).all()
    for j in range(9):
        keep = np.flatnonzero(np.arange(9) != j)
        c = K[keep, j]
        alone = solve(
            K[np.ix_(keep, keep)], c, K[j, j], lam=0.1 * np.abs(c).max(), nonnegative=False
        )
        np.testing.assert_allclose(found[keep, j], alone.weights, atol=1e-10)


def test_transfer_of_one_dataset_is_empty() -> None:
    assert np.isnan(transfer_matrix(np.ones((1, 1)), 0.2)).all()
