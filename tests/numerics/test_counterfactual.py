"""What other prices, places and money would buy: checked by buying again."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from programs import program

from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import (
    Point,
    bought_probability,
    changes,
    frontier,
    shadow_prices,
    walk_away_price,
)
from appraise.numerics.kmm import solve_program
from appraise.numerics.lots import lots_of
from appraise.numerics.program import checked_program
from appraise.numerics.selection import (
    Choose,
    Given,
    Purchase,
    select,
    select_by_objective,
)
from appraise.numerics.subsets import best, refit

N = 10
IDS = tuple(f"d{i:02d}" for i in range(N))


def by_value(given: Given) -> Purchase:
    assert given.values is not None
    return select(given.ids, given.values, given.limits, "sum")


def by_objective(given: Given) -> Purchase:
    assert given.program is not None
    assert given.lam is not None
    return select_by_objective(given.ids, given.program, given.lam, given.limits, best)


each_choice = pytest.mark.parametrize("choose", [by_value, by_objective])


def at(choose: Choose, given: Given, k: int | None, budget: float | None) -> tuple[int, ...]:
    """What is bought with so many places and so much money."""
    return choose(replace(given, limits=replace(given.limits, k=k, budget=budget))).chosen


def at_price(choose: Choose, given: Given, i: int, price: float) -> bool:
    """Whether dataset i is bought at this price."""
    prices = given.limits.prices.copy()
    prices[i] = price
    return i in choose(replace(given, limits=given.limits.at(prices))).chosen


def solved(
    seed: int, bundles: tuple = (), k: int | None = None, budget: float | None = None
) -> Given:
    """A pool's optimal weights, and the program that they solve."""
    K, c, tau = program(N, 60, seed)
    prices = np.random.default_rng(seed).integers(5, 50, N).astype(float)
    of = checked_program(K, c, tau)
    lam = 0.05 * of.lambda_max()
    asked = buyer_limits(N, prices, k=k, budget=budget, lots=lots_of(N, bundles))
    return Given(IDS, asked, solve_program(of, lam).weights, program=of, lam=lam)


@each_choice
@pytest.mark.parametrize("bundles", [(), ((0, 3), (5, 1))])
@pytest.mark.parametrize("seed", range(4))
def test_the_frontier_is_what_every_budget_buys(seed: int, bundles: tuple, choose: Choose) -> None:
    given = solved(seed, bundles, k=3)
    points = frontier(choose, given)
    assert points[0].chosen == ()
    assert points[-1].chosen == at(choose, given, 3, None)
    for budget in np.linspace(0.5, given.limits.prices.sum() + 1, 80):
        point = max((p for p in points if p.budget <= budget), key=lambda p: p.budget)
        assert set(point.chosen) == set(at(choose, given, 3, budget))
    for point in points:
        on = sorted(point.chosen)
        assert point.budget == point.cost == given.limits.prices[on].sum()
        objective, weights = refit(given.program, given.lam, on)
        assert point.objective == pytest.approx(objective)
        G = np.linalg.cholesky(np.block(  # vectors that have these inner products
            [[given.program.K, given.program.c[:, None]], [given.program.c, given.program.tau]]
        ) + 1e-12 * np.eye(N + 1))  # fmt: skip
        left = ((G[-1] - weights @ G[:-1]) ** 2).sum() / given.program.tau
        assert point.matched == pytest.approx(1 - left, abs=1e-8)


def test_the_frontier_of_the_best_sets_falls() -> None:
    for seed in range(4):
        objectives = [point.objective for point in frontier(by_objective, solved(seed, k=3))]
        assert all(a > b for a, b in itertools.pairwise(objectives))


@each_choice
@pytest.mark.parametrize(("k", "budget"), [(2, None), (3, 40.0), (None, 60.0)])
@pytest.mark.parametrize("bundles", [(), ((0, 3),)])
@pytest.mark.parametrize("seed", [0, 1, 3])  # of which more are useful than are bought
def test_each_change_gets_the_dataset_bought_and_a_little_less_does_not(
    seed: int, bundles: tuple, k: int | None, budget: float | None, choose: Choose
) -> None:
    given = solved(seed, bundles, k=k, budget=budget)
    refused = changes(choose, given, frontier(choose, given))
    bought = set(choose(given).chosen)
    assert {change.index for change in refused} == set(range(N)) - bought
    checked = 0
    for change in refused:
        i = change.index
        if change.price is not None:
            checked += 1
            assert budget is not None, "only a budget makes a price matter"
            for part in (0, 0.5, 1):
                assert at_price(choose, given, i, part * change.price)
            for more in (1e-6, 1.0, 10.0, 100.0):
                assert not at_price(choose, given, i, change.price + more)
        else:
            assert not at_price(choose, given, i, 0.0)
        if change.k is not None:
            assert k is not None
            checked += 1
            assert i in at(choose, given, change.k, budget)
            assert i not in at(choose, given, change.k - 1, budget)
        elif k is not None:
            assert all(i not in at(choose, given, more, budget) for more in range(k, N + 1))
        if change.budget is not None:
            assert budget is not None
            checked += 1
            assert i in at(choose, given, k, change.budget)
            assert i not in at(choose, given, k, change.budget * (1 - 1e-6))
        elif budget is not None:
            dearest = given.limits.prices.sum()
            assert all(
                i not in at(choose, given, k, more) for more in np.linspace(budget, dearest, 30)
            )
    assert checked > 0


@each_choice
@pytest.mark.parametrize(("k", "budget"), [(2, 60.0), (None, 40.0)])
@pytest.mark.parametrize("seed", range(4))
def test_what_is_bought_is_bought_up_to_its_walk_away_price(
    seed: int, k: int | None, budget: float, choose: Choose
) -> None:
    given = solved(seed, k=k, budget=budget)
    for i in choose(given).chosen:
        price = walk_away_price(choose, given, i)
        assert price is not None
        assert given.limits.prices[i] <= price <= budget
        assert at_price(choose, given, i, price)
        for more in (1e-6, 1.0, 10.0, 100.0):
            assert not at_price(choose, given, i, price + more)


@each_choice
def test_without_a_budget_no_price_keeps_a_dataset_from_being_bought(choose: Choose) -> None:
    given = solved(1, k=2)
    first = choose(given).chosen[0]
    assert walk_away_price(choose, given, first) == math.inf
    assert at_price(choose, given, first, 1e12)
    refused = changes(choose, given)
    assert {change.price for change in refused} == {None}
    assert walk_away_price(choose, given, refused[-1].index) is None


def test_without_a_program_the_frontier_has_no_objective() -> None:
    given = replace(solved(1, k=3, budget=60.0), program=None, lam=None)
    points = frontier(by_value, given)
    assert {(point.objective, point.matched) for point in points} == {(None, None)}
    assert [point.chosen for point in points] == [
        point.chosen for point in frontier(by_value, solved(1, k=3, budget=60.0))
    ]
    assert shadow_prices(points, given.limits) is None


@each_choice
def test_what_costs_nothing_is_bought_with_any_budget(choose: Choose) -> None:
    given = solved(2, k=4)
    first = choose(given).chosen[1]
    prices = given.limits.prices.copy()
    prices[first] = 0.0
    points = frontier(choose, replace(given, limits=given.limits.at(prices)))
    assert (points[0].budget, points[0].cost, points[0].chosen) == (0.0, 0.0, (first,))
    assert all(first in point.chosen for point in points)


def test_more_places_are_counted_in_datasets_and_not_in_lots() -> None:
    values = np.array([0.5, 0.4, 0.0, 0.0])
    asked = buyer_limits(4, np.ones(4), k=1, lots=lots_of(4, [(1, 2, 3)]))
    refused = changes(by_value, Given(tuple("abcd"), asked, values))
    assert [(change.index, change.k) for change in refused] == [(1, 4), (2, 4), (3, 4)]


def test_shadow_prices_are_the_slopes_of_the_frontier() -> None:
    points = [
        Point(0, (), 0, 0.5, 0), Point(10, (0,), 10, 0.3, 0.4), Point(30, (0, 1), 30, 0.2, 0.6)
    ]  # fmt: skip
    with_money = buyer_limits(2, budget=20)
    assert shadow_prices(points, with_money) == (pytest.approx(0.1 / 10), pytest.approx(0.2 / 10))
    assert shadow_prices(points, buyer_limits(2, budget=5)) == (pytest.approx(0.2 / 5), 0)
    assert shadow_prices(points, buyer_limits(2)) == (0, pytest.approx(0.1 / 20))


def test_a_dataset_is_bought_as_often_as_resamples_buy_it() -> None:
    asked = buyer_limits(3, k=1)
    draws = [[0.3, 0.2, 0.1], [0.1, 0.2, 0.0], [0.4, 0.2, 0.1], [0.0, 0.0, 0.0]]
    givens = [Given(tuple("abc"), asked, np.array(values)) for values in draws]
    assert bought_probability(by_value, givens, 5, 3).tolist() == [0.4, 0.2, 0.0]
