"""Limits on weights: the optimum against cvxpy, the certificate against any weights."""

from __future__ import annotations

from dataclasses import replace

import cvxpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import program as made_up
from scipy.optimize import linprog

from appraise.errors import SolverError
from appraise.numerics.explanation import explain_program
from appraise.numerics.kmm import solve_program
from appraise.numerics.limits import Limits, cheapest, limits, violation
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, checked_program, optimality

N = 14
OWNERS = [f"o{i % 4}" for i in range(N)]
CASES = [
    {"cap": 0.2}, {"owner_cap": 0.25}, {"total": 1.0}, {"cap": 0.15, "total": 1.0},
    {"cap": 0.1, "owner_cap": 0.15}, {"owner_cap": 0.4, "total": 1.0},
    {"cap": 0.12, "owner_cap": 0.3, "total": 1.0}, {"cap": 1 / N, "total": 1.0},
]  # fmt: skip


def problem(seed: int, n: int = N, d: int = 60, **asked: float) -> tuple[Program, float]:
    K, c, tau = made_up(n, d, seed)
    p = np.random.default_rng(seed).uniform(0.5, 2, n)
    free = checked_program(K, c, tau, p)
    owners = [f"o{i % 4}" for i in range(n)]
    return replace(free, limits=limits(owners, **asked)), 0.1 * free.lambda_max()


@pytest.mark.parametrize("asked", CASES, ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_the_optimum_is_that_of_cvxpy(seed: int, asked: dict[str, float]) -> None:
    of, lam = problem(seed, **asked)
    found = solve_program(of, lam, 1e-8)
    w = cvxpy.Variable(N, nonneg=True)
    bounds = [w <= asked["cap"]] if "cap" in asked else []
    if "total" in asked:
        bounds.append(cvxpy.sum(w) == asked["total"])
    for owner in set(OWNERS) if "owner_cap" in asked else ():
        own = [i for i in range(N) if OWNERS[i] == owner]
        bounds.append(cvxpy.sum(w[own]) <= asked["owner_cap"])
    objective = cvxpy.quad_form(w, cvxpy.psd_wrap(of.K)) / 2 - (of.c - lam * of.penalties) @ w
    best = cvxpy.Problem(cvxpy.Minimize(objective), bounds).solve(solver=cvxpy.CLARABEL)
    assert found.certificate.primal - of.tau / 2 == pytest.approx(best, abs=1e-8)
    assert found.certificate.relative_error < 1e-9
    assert found.certificate.gap >= -1e-14


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(CASES), st.floats(0.0, 1.0))
def test_no_weights_within_the_limits_are_below_their_bound(
    seed: int, asked: dict[str, float], mix: float
) -> None:
    of, lam = problem(seed % 50, **asked)
    best, _ = optimum(of, lam)
    rng = np.random.default_rng(seed)
    assert of.limits is not None
    other, _ = optimum(replace(of, c=rng.normal(size=N)), lam)
    weights = mix * best + (1 - mix) * other  # the limits are convex
    found = optimality(of, weights, lam)
    assert found.gap >= -1e-12
    assert found.dual <= optimality(of, best, lam).primal + 1e-10


@pytest.mark.parametrize("asked", [{}, {"total": 1.0}, {"owner_cap": 0.3, "total": 1.0}], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_each_dataset_may_have_a_cap_of_its_own(seed: int, asked: dict[str, float]) -> None:
    of, lam = problem(seed)
    caps = np.random.default_rng(seed).uniform(0.05, 0.4, N)
    caps[::3] = np.inf
    of = replace(of, limits=limits(OWNERS, list(caps), **asked))
    found = solve_program(of, lam, 1e-8)
    w = cvxpy.Variable(N, nonneg=True)
    finite = np.isfinite(caps)
    bounds = [w[finite] <= caps[finite]]
    if "total" in asked:
        bounds.append(cvxpy.sum(w) == 1)
    for owner in set(OWNERS) if "owner_cap" in asked else ():
        own = [i for i in range(N) if OWNERS[i] == owner]
        bounds.append(cvxpy.sum(w[own]) <= 0.3)
    objective = cvxpy.quad_form(w, cvxpy.psd_wrap(of.K)) / 2 - (of.c - lam * of.penalties) @ w
    best = cvxpy.Problem(cvxpy.Minimize(objective), bounds).solve(solver=cvxpy.CLARABEL)
    assert found.certificate.primal - of.tau / 2 == pytest.approx(best, abs=1e-8)
    assert found.certificate.relative_error < 1e-9


def test_limits_that_do_not_bind_change_nothing() -> None:
    free, lam = problem(3)
    wide, _ = problem(3, cap=50.0, owner_cap=99.0)
    np.testing.assert_allclose(optimum(wide, lam)[0], optimum(free, lam)[0], atol=1e-9)


def test_shares_need_no_lambda_and_do_not_feel_a_uniform_one() -> None:
    of, _ = problem(2, total=1.0)
    of = of.priced(np.ones(N))
    without = solve_program(of, 0.0).weights
    assert without.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(solve_program(of, 0.3).weights, without, atol=1e-7)


def test_copies_one_dataset_and_order() -> None:
    of, lam = problem(5, cap=0.2, total=1.0)
    index = np.r_[0, np.arange(N)]
    twice = replace(
        of, K=of.K[np.ix_(index, index)], c=of.c[index], penalties=of.penalties[index],
        limits=limits(["x", *OWNERS], cap=0.2, total=1.0),
    )  # fmt: skip
    assert solve_program(twice, lam).certificate.relative_error < 1e-8
    alone = replace(checked_program(np.ones((1, 1)), np.ones(1), 1.0), limits=limits(["a"], 0.3))
    assert solve_program(alone, 0.1).weights == pytest.approx([0.3])
    straight = optimum(of, lam)[0]
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(N)
        mixed = of.among(order)
        np.testing.assert_allclose(optimum(mixed, lam)[0], straight[order], atol=1e-12)


def test_of_copies_the_first_has_what_the_limits_allow() -> None:
    K, c, tau = made_up(6, 60, 2)
    index = np.r_[np.arange(6), [int(c.argmax())] * 2]
    K, c = K[np.ix_(index, index)], c[index]
    free = checked_program(K, c, tau)
    lam, best = 0.2 * free.lambda_max(), int(c[:6].argmax())
    alone = optimum(free, lam)[0]
    wide = optimum(replace(free, limits=limits("abcdefgh", cap=9.0)), lam)[0]
    np.testing.assert_allclose(wide, alone, atol=1e-9)
    assert wide[best] > 0 == wide[6] == wide[7]
    cap = 0.6 * alone[best]
    held = optimum(replace(free, limits=limits("abcdefgh", cap=cap)), lam)[0]
    assert held[best] == pytest.approx(cap)
    assert held[6] == pytest.approx(alone[best] - cap)
    assert held[7] == 0
    owned = optimum(replace(free, limits=limits("aaaaaaab", owner_cap=0.3)), lam)[0]
    assert owned[:7].sum() == pytest.approx(0.3)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_of_gradients_do_not_matter(unit: float) -> None:
    of, lam = problem(4, cap=0.15, total=1.0)
    other = replace(of, K=of.K * unit, c=of.c * unit, tau=of.tau * unit, evidence=None)
    found = solve_program(other, lam * unit)
    np.testing.assert_allclose(found.weights, solve_program(of, lam).weights, atol=1e-9)


def test_an_owner_for_each_dataset() -> None:
    of, lam = problem(0)
    with pytest.raises(SolverError, match="an owner for each of 14 datasets, found 2"):
        solve_program(replace(of, limits=limits("ab", cap=0.2)), lam)


def test_a_capped_dataset_is_explained() -> None:
    of, lam = problem(1, cap=0.15)
    solution = solve_program(of, lam)
    found = explain_program(of, solution)
    capped = [one for one in found if one.weight > 0.15 - 1e-9]
    assert capped
    for one in capped:
        assert one.margin >= one.threshold - 1e-12
        assert one.value > 0
    sole = replace(checked_program(np.ones((1, 1)), np.ones(1), 1.0), limits=limits(["a"], total=1))
    (only,) = explain_program(sole, solve_program(sole, 0.1))
    assert np.isnan(only.value), "without it there is no mixture at all"


@pytest.mark.parametrize("owners", [2, 9, 150])
@pytest.mark.parametrize("total", [None, 0.7])
@pytest.mark.parametrize("owner_cap", [None, 0.4])
def test_no_prices_are_cheaper(owners: int, total: float | None, owner_cap: float | None) -> None:
    # min νT + Σ η_o U + Σ μ_i u_i with ν + η_o(i) + μ_i ≥ e_i, as a linear program
    rng, n = np.random.default_rng(owners), 150
    limits = Limits(np.arange(n) % owners, rng.uniform(0.01, 0.1, n), owner_cap, total)
    e = rng.normal(size=n)
    found = cheapest(limits, e)
    of = np.eye(owners)[limits.owners]
    A = np.hstack([np.full((n, 1), float(total is not None)), of, np.eye(n)])
    cost = np.concatenate([[total or 0.0], np.full(owners, owner_cap or 1e3), limits.cap])
    bounds = [(None, None)] + [(0, None)] * (owners + n)
    best = linprog(cost, -A, -e, bounds=bounds)
    assert found.cost == pytest.approx(best.fun, abs=1e-8)
    assert (found.surcharge + found.cap >= e - 1e-12).all()


def test_a_hundred_thousand_owners_take_no_longer_than_their_datasets() -> None:
    rng, n = np.random.default_rng(0), 100_000
    many = limits([str(i) for i in range(n)], 0.01, 0.05, 1.0)
    assert many is not None
    assert many.room(np.arange(30)) == pytest.approx(0.3)
    weights = np.zeros(n)
    weights[:100] = 0.01
    assert violation(many, weights) < 1e-12  # no table of owners × datasets, 80 GB, is made
    assert np.isfinite(cheapest(many, rng.normal(size=n)).cost)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cap": 0.0}, "cap: expected a number above 0, found 0"),
        ({"owner_cap": -1.0}, "owner_cap: expected a number above 0, found -1"),
        ({"total": np.nan}, "total: expected a number above 0, found nan"),
        ({"cap": 0.05, "total": 1.0}, "caps that allow 0.7 for 14 datasets of 4 owners"),
        ({"owner_cap": 0.2, "total": 1.0}, "caps that allow 0.8 for 14 datasets"),
    ],
)
def test_what_cannot_be(asked: dict[str, float], message: str) -> None:
    with pytest.raises(SolverError, match=message):
        limits(OWNERS, **asked)
