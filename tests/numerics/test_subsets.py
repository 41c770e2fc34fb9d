"""Forward selection and the best subset against enumeration and against the whole program."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import solve

from appraise.numerics import subsets
from appraise.numerics.buying import BuyerLimits, buyer_limits
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.subsets import best, forward


def program(n: int, seed: int, d: int = 30) -> Program:
    rng = np.random.default_rng(seed)
    G = rng.normal(size=(n, d)) + 0.7 * rng.normal(size=d)
    G /= np.linalg.norm(G, axis=1, keepdims=True)
    target = G[: max(1, n // 3)].sum(axis=0) + 0.5 * rng.normal(size=d)
    target /= np.linalg.norm(target)
    K = G @ G.T
    return Program((K + K.T) / 2, G @ target, 1.0, rng.uniform(0.5, 1.5, size=n))


def limits(of: Program, k: int | None = None, **more: object) -> BuyerLimits:
    return buyer_limits(len(of.c), k=k, **more)


def objective(of: Program, weights: Floats, lam: float) -> float:
    quadratic = 0.5 * weights @ of.K @ weights - of.c @ weights
    return float(quadratic + lam * of.penalties @ np.abs(weights) + 0.5 * of.tau)


def by_hand(of: Program, lam: float, k: int) -> float:
    """The lowest objective over all sets of k, each solved by the solver of the whole program."""
    found = []
    for one in itertools.combinations(range(len(of.c)), k):
        on = list(one)
        K, c, p = of.K[np.ix_(on, on)], of.c[on], of.penalties[on]
        weights = solve(K, c, of.tau, lam=lam, penalties=p).weights
        found.append(objective(Program(K, c, of.tau, p), weights, lam))
    return min(found)


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 7), st.integers(1, 3), st.integers(0, 10_000))
def test_the_best_is_the_best(n: int, k: int, seed: int) -> None:
    of = program(n, seed)
    lam = 0.2 * of.lambda_max()
    found = best(of, lam, limits(of, min(k, n)))
    assert len(found.chosen) <= k
    assert found.objective == pytest.approx(objective(of, found.weights, lam), abs=1e-10)
    assert found.objective == pytest.approx(by_hand(of, lam, min(k, n)), abs=1e-9)
    assert found.bound <= found.objective + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_forward_is_between_the_bound_and_nothing(n: int, k: int, seed: int) -> None:
    of = program(n, seed)
    lam = 0.2 * of.lambda_max()
    found = forward(of, lam, limits(of, k))
    assert found.bound - 1e-12 <= best(of, lam, limits(of, k)).objective <= found.objective + 1e-12
    assert found.objective <= 0.5 * of.tau
    assert found.objective == pytest.approx(objective(of, found.weights, lam), abs=1e-10)
    taken = [found.gains[i] for i in found.chosen]
    assert sum(taken) == pytest.approx(0.5 * of.tau - found.objective, abs=1e-10)


def test_without_limits_both_are_the_whole_program() -> None:
    of = program(8, 3)
    lam = 0.3 * of.lambda_max()
    whole = solve(of.K, of.c, of.tau, lam=lam, penalties=of.penalties).weights
    for found in (best(of, lam, limits(of)), forward(of, lam, limits(of))):
        np.testing.assert_allclose(found.weights, whole, atol=1e-7)
        assert found.objective == pytest.approx(found.bound, abs=1e-9)
        assert found.exact


def test_a_budget_is_obeyed_and_what_is_too_dear_is_skipped() -> None:
    of = program(6, 5)
    lam, prices = 0.1 * of.lambda_max(), np.array([50.0, 10, 10, 10, 10, 10])
    for choose in (best, forward):
        found = choose(of, lam, limits(of, 3, prices=prices, budget=25.0))
        assert 0 < len(found.chosen) <= 2
        assert 0 not in found.chosen


def test_of_copies_one_is_taken() -> None:
    of = program(4, 2)
    index = [0, 0, 1, 2, 3]
    twice = Program(of.K[np.ix_(index, index)], of.c[index], 1.0, of.penalties[index])
    for choose in (best, forward):
        assert not {0, 1} <= set(choose(twice, 0.1 * of.lambda_max(), limits(twice, 3)).chosen)


@pytest.mark.parametrize("seed", range(6))
def test_the_mixed_integer_program_finds_what_enumeration_finds(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = program(10, seed)
    lam, prices = 0.1 * of.lambda_max(), np.random.default_rng(seed).uniform(1, 9, 10)
    sold = lots_of(10, [(0, 4), (1, 2, 7)], [(0, 3), (5, 6)])
    for asked in (
        limits(of, 3),
        limits(of, 4, prices=prices, budget=14.0),
        limits(of, 5, prices=prices, budget=20.0, lots=sold),
    ):
        tried = best(of, lam, asked)
        with monkeypatch.context() as patch:
            patch.setattr(subsets, "MOST_SUBSETS", 0)
            solved = best(of, lam, asked)
        assert (tried.method, solved.method) == ("enumeration", "mixed-integer")
        assert solved.objective == pytest.approx(tried.objective, abs=1e-7)
        assert solved.bound <= tried.objective + 1e-9
        assert solved.exact
        assert solved.gap < 1e-6


def test_forty_datasets_are_no_enumeration() -> None:
    of = program(40, 1, d=80)
    found = best(of, 0.05 * of.lambda_max(), limits(of, 5))
    assert found.method == "mixed-integer"
    assert found.exact
    assert found.objective <= forward(of, 0.05 * of.lambda_max(), limits(of, 5)).objective


def test_when_time_is_up_there_is_a_set_and_a_bound() -> None:
    of = program(70, 2, d=40)
    lam = 0.02 * of.lambda_max()
    found = best(of, lam, limits(of, 20), seconds=0.2)
    assert found.bound <= found.objective <= forward(of, lam, limits(of, 20)).objective + 1e-12
    assert 0 < len(found.chosen) <= 20
    assert found.exact == (found.gap <= 1e-6)


def test_lots_are_taken_whole_and_exclusions_kept() -> None:
    of = program(9, 4)
    lam = 0.1 * of.lambda_max()
    free = best(of, lam, limits(of, 3)).chosen
    sold = lots_of(9, [(free[0], 8)], [(free[0], free[1])])
    for choose in (best, forward):
        found = set(choose(of, lam, limits(of, 3, lots=sold)).chosen)
        assert (free[0] in found) == (8 in found)
        assert not {free[0], free[1]} <= found
        assert len(found) <= 3


def test_what_scip_takes_to_be_within_the_budget_is_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = program(8, 7)
    lam, prices = 0.05 * of.lambda_max(), np.full(8, 1e7 / 3 + 0.3)  # three are 0.9 too dear
    asked = limits(of, 4, prices=prices, budget=1e7)
    tried = best(of, lam, asked)
    monkeypatch.setattr(subsets, "MOST_SUBSETS", 0)
    solved = best(of, lam, asked)
    assert len(tried.chosen) == len(solved.chosen) == 2
    assert solved.bound <= tried.objective <= solved.objective + 1e-9
