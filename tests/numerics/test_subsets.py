"""Forward selection and the best subset against enumeration and against the whole program."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import solve

from appraise.numerics.buying import BuyerLimits, buyer_limits
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.subsets import best, forward, refit

AS_THEY_ARE = range(100)  # the order of the datasets


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


def of_set(of: Program, lam: float, one: Iterable[int]) -> float:
    """The objective of a set, solved by the solver of the whole program."""
    on = sorted(one)
    if not on:
        return 0.5 * of.tau
    K, c, p = of.K[np.ix_(on, on)], of.c[on], of.penalties[on]
    weights = solve(K, c, of.tau, lam=lam, penalties=p).weights
    return objective(Program(K, c, of.tau, p), weights, lam)


def by_hand(of: Program, lam: float, k: int) -> float:
    """The lowest objective over all sets of k."""
    return min(of_set(of, lam, one) for one in itertools.combinations(range(len(of.c)), k))


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 7), st.integers(1, 3), st.integers(0, 10_000))
def test_the_best_is_the_best(n: int, k: int, seed: int) -> None:
    of = program(n, seed)
    lam = 0.2 * of.lambda_max()
    found = best(of, lam, limits(of, min(k, n)), AS_THEY_ARE)
    assert len(found.chosen) <= k
    assert found.objective == pytest.approx(objective(of, found.weights, lam), abs=1e-10)
    assert found.objective == pytest.approx(by_hand(of, lam, min(k, n)), abs=1e-9)
    assert found.bound <= found.objective + 1e-12
    assert found.exact
    for i in range(n):
        other = of_set(of, lam, set(found.chosen) ^ {i})
        assert found.gains[i] == pytest.approx(abs(other - found.objective), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 10_000))
def test_forward_is_between_the_bound_and_nothing(n: int, k: int, seed: int) -> None:
    of = program(n, seed)
    lam = 0.2 * of.lambda_max()
    found = forward(of, lam, limits(of, k), AS_THEY_ARE)
    lowest = best(of, lam, limits(of, k), AS_THEY_ARE).objective
    assert found.bound - 1e-12 <= lowest <= found.objective + 1e-12
    assert found.objective <= 0.5 * of.tau
    assert found.objective == pytest.approx(objective(of, found.weights, lam), abs=1e-10)
    taken = [found.gains[i] for i in found.chosen]
    assert sum(taken) == pytest.approx(0.5 * of.tau - found.objective, abs=1e-10)


def test_without_limits_both_are_the_whole_program() -> None:
    of = program(8, 3)
    lam = 0.3 * of.lambda_max()
    whole = solve(of.K, of.c, of.tau, lam=lam, penalties=of.penalties).weights
    for choose in (best, forward):
        found = choose(of, lam, limits(of), AS_THEY_ARE)
        np.testing.assert_allclose(found.weights, whole, atol=1e-7)
        assert found.objective == pytest.approx(found.bound, abs=1e-9)
        assert found.exact


def test_a_budget_is_obeyed_and_what_is_too_dear_is_skipped() -> None:
    of = program(6, 5)
    lam, prices = 0.1 * of.lambda_max(), np.array([50.0, 10, 10, 10, 10, 10])
    for choose in (best, forward):
        found = choose(of, lam, limits(of, 3, prices=prices, budget=25.0), AS_THEY_ARE)
        assert 0 < len(found.chosen) <= 2
        assert 0 not in found.chosen


def test_of_copies_one_is_taken() -> None:
    of = program(4, 2)
    index = [0, 0, 1, 2, 3]
    twice = Program(of.K[np.ix_(index, index)], of.c[index], 1.0, of.penalties[index])
    lam = 0.1 * of.lambda_max()
    for choose in (best, forward):
        taken = set(choose(twice, lam, limits(twice, 3), AS_THEY_ARE).chosen)
        assert taken & {0, 1} == {0}, "the first"
        turned = set(choose(twice, lam, limits(twice, 3), AS_THEY_ARE[4::-1]).chosen)
        assert turned == taken ^ {0, 1}, "the first in the order that is given"


def test_of_copies_the_best_set_has_the_cheapest() -> None:
    of = program(4, 2)
    index = [0, 0, 1, 2, 3]
    twice = Program(of.K[np.ix_(index, index)], of.c[index], 1.0, of.penalties[index])
    asked = limits(twice, 3, prices=np.array([2.0, 1.5, 1.0, 1.0, 1.0]))
    assert set(best(twice, 0.1 * of.lambda_max(), asked, AS_THEY_ARE).chosen) & {0, 1} == {1}


@pytest.mark.parametrize("sold", [False, True], ids=["each by itself", "in lots"])
@pytest.mark.parametrize("seed", range(4))
def test_of_all_sets_that_the_limits_allow_it_is_the_best(seed: int, sold: bool) -> None:
    of = program(9, seed)
    lam, prices = 0.1 * of.lambda_max(), np.random.default_rng(seed).uniform(1, 9, 9)
    bundles, pairs = ([(0, 4), (1, 2, 7)], [(0, 3), (5, 6)]) if sold else ([], [])
    found = {
        one: of_set(of, lam, one)
        for size in range(6)
        for one in itertools.combinations(range(9), size)
        if all(len(set(lot) & set(one)) in (0, len(lot)) for lot in bundles)
        and not any(set(pair) <= set(one) for pair in pairs)
    }
    for k, budget in ((3, math.inf), (4, 14.0), (5, 20.0), (5, 9.0)):
        allowed = {
            one: value
            for one, value in found.items()
            if len(one) <= k and prices[list(one)].sum() <= budget
        }
        asked = limits(of, k, prices=prices, budget=budget, lots=lots_of(9, bundles, pairs))
        chosen = best(of, lam, asked, AS_THEY_ARE)
        assert tuple(sorted(chosen.chosen)) in allowed
        assert chosen.objective == pytest.approx(min(allowed.values()), abs=1e-9)
        assert chosen.bound <= min(allowed.values()) + 1e-9
        assert chosen.exact


def test_when_the_nodes_are_spent_there_is_a_set_and_a_bound() -> None:
    of = program(40, 2, d=30)
    lam = 0.02 * of.lambda_max()
    whole = best(of, lam, limits(of, 8), AS_THEY_ARE)
    assert whole.exact
    before = np.inf
    for nodes in (1, 5, 50):
        found = best(of, lam, limits(of, 8), AS_THEY_ARE, nodes)
        assert found.bound <= whole.objective + 1e-9
        assert whole.objective - 1e-9 <= found.objective <= before
        assert found.exact == (found.gap <= 1e-8)
        assert 0 < len(found.chosen) <= 8
        assert found.objective == pytest.approx(of_set(of, lam, found.chosen), abs=1e-9)
        before = found.objective
    assert not best(of, lam, limits(of, 8), AS_THEY_ARE, 1).exact


def test_lots_are_taken_whole_and_exclusions_kept() -> None:
    of = program(9, 4)
    lam = 0.1 * of.lambda_max()
    free = best(of, lam, limits(of, 3), AS_THEY_ARE).chosen
    sold = lots_of(9, [(free[0], 8)], [(free[0], free[1])])
    for choose in (best, forward):
        found = set(choose(of, lam, limits(of, 3, lots=sold), AS_THEY_ARE).chosen)
        assert (free[0] in found) == (8 in found)
        assert not {free[0], free[1]} <= found
        assert len(found) <= 3


def test_a_sum_that_is_a_hair_above_a_large_budget_is_above_it() -> None:
    of = program(8, 7)
    lam, prices = 0.05 * of.lambda_max(), np.full(8, 1e7 / 3 + 0.3)  # three are 0.9 too dear
    for choose in (best, forward):
        found = choose(of, lam, limits(of, 4, prices=prices, budget=1e7), AS_THEY_ARE)
        assert len(found.chosen) == 2


def test_a_set_without_a_dataset_is_nothing() -> None:
    of = program(5, 1)
    value, weights = refit(of, 0.1, ())
    assert (value, weights.tolist()) == (0.5 * of.tau, [0.0] * 5)
    for choose in (best, forward):
        found = choose(of, 2 * of.lambda_max(), limits(of, 3), AS_THEY_ARE)
        assert (found.chosen, found.objective, found.bound) == ((), 0.5, 0.5)
        assert found.exact
