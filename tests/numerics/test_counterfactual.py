"""What other prices, places and money would buy: checked by buying again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from programs import program

from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import (
    Point,
    changes,
    frontier,
    shadow_prices,
)
from appraise.numerics.kmm import price_penalties, solve_program
from appraise.numerics.limits import limits
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program, checked_program
from appraise.numerics.selection import Given, Purchase, select
from appraise.numerics.subsets import refit

N = 12
IDS = tuple(f"d{i:02d}" for i in range(N))


def choose(given: Given) -> Purchase:
    assert given.values is not None
    return select(given.ids, given.values, given.limits, "sum")


def at(given: Given, k: int | None, budget: float | None) -> tuple[int, ...]:
    """What is bought with so many places and so much money."""
    return choose(replace(given, limits=replace(given.limits, k=k, budget=budget))).chosen


def solved(
    seed: int, part: float = 0.05, bundles: tuple = (), k: int | None = None,
    budget: float | None = None,
) -> tuple[Given, Program, float]:  # fmt: skip
    K, c, tau = program(N, 60, seed)
    prices = np.random.default_rng(seed).integers(5, 50, N).astype(float)
    penalties, scale = price_penalties(prices)
    of = checked_program(K, c, tau, penalties)
    lam = part * of.lambda_max()
    asked = buyer_limits(N, prices, k=k, budget=budget, lots=lots_of(N, bundles))
    given = Given(IDS, asked, solve_program(of, lam).weights, program=of, lam=lam)
    return given, of, scale


def without_program(given: Given) -> Given:
    return replace(given, program=None, lam=None)


@pytest.mark.parametrize("bundles", [(), ((0, 3), (5, 1))])
@pytest.mark.parametrize("seed", range(4))
def test_the_frontier_is_what_every_budget_buys(seed: int, bundles: tuple) -> None:
    given, of, _ = solved(seed, bundles=bundles, k=3)
    points = frontier(choose, given)
    assert points[0].chosen == ()
    assert points[-1].chosen == at(given, 3, None)
    for budget in np.linspace(0.5, given.limits.prices.sum() + 1, 150):
        point = max((p for p in points if p.budget <= budget), key=lambda p: p.budget)
        assert set(point.chosen) == set(at(given, 3, budget))
    for point in points:
        assert point.cost <= point.budget
        assert point.objective == pytest.approx(refit(of, given.lam, sorted(point.chosen))[0])
        assert -1e-12 <= point.matched <= 1


@pytest.mark.parametrize(("k", "budget"), [(2, None), (3, 40.0), (None, 60.0)])
@pytest.mark.parametrize("seed", range(4))
def test_each_change_gets_the_dataset_bought_and_a_little_less_does_not(
    seed: int, k: int | None, budget: float | None
) -> None:
    given, of, scale = solved(seed, k=k, budget=budget)
    prices = given.limits.prices
    refused = changes(choose, given, frontier(choose, given), scale)
    bought = set(choose(given).chosen)
    assert {change.index for change in refused} == set(range(N)) - bought

    def at_price(i: int, price: float) -> bool:
        asked, penalties = prices.copy(), of.penalties.copy()
        asked[i], penalties[i] = price, price / scale
        weights = solve_program(of.priced(penalties), given.lam).weights
        return i in choose(replace(given, values=weights, limits=given.limits.at(asked))).chosen

    checked = 0
    for change in refused:
        if change.price is not None:
            checked += 1
            assert at_price(change.index, change.price)
            assert not at_price(change.index, change.price + prices[change.index] / 200)
        else:
            assert not at_price(change.index, 0.01 * prices[change.index])
        if change.k is not None and k is not None:
            checked += 1
            assert change.index in at(given, change.k, budget)
            assert change.index not in at(given, change.k - 1, budget)
        if change.budget is not None and budget is not None:
            checked += 1
            assert change.index in at(given, k, change.budget)
            assert change.index not in at(given, k, change.budget * (1 - 1e-6))
    assert checked > 0


@pytest.mark.parametrize(("k", "budget"), [(2, None), (3, 40.0), (None, 60.0)])
@pytest.mark.parametrize("seed", range(4))
def test_without_a_program_prices_matter_by_what_can_be_afforded(
    seed: int, k: int | None, budget: float | None
) -> None:
    given = without_program(solved(seed, k=k, budget=budget)[0])
    prices = given.limits.prices
    points = frontier(choose, given)
    assert {(point.objective, point.matched) for point in points} == {(None, None)}
    assert shadow_prices(points, given.limits) is None
    for change in changes(choose, given, points, penalty_scale=1.0):
        i = change.index
        cheap, just_below = prices.copy(), prices.copy()
        cheap[i] = 0.01 * prices[i]
        if change.price is None:
            assert i not in choose(replace(given, limits=given.limits.at(cheap))).chosen
        else:
            assert budget is not None, "only a budget makes a price matter"
            just_below[i] = change.price
            assert i in choose(replace(given, limits=given.limits.at(just_below))).chosen
        if change.k is not None:
            assert i in at(given, change.k, budget)
        if change.budget is not None:
            assert i in at(given, k, change.budget)


def test_what_costs_nothing_is_bought_with_any_budget() -> None:
    given, _, _ = solved(2, k=4)
    first = choose(given).chosen[1]
    prices = given.limits.prices.copy()
    prices[first] = 0.0
    points = frontier(choose, replace(given, limits=given.limits.at(prices)))
    assert (points[0].budget, points[0].cost, points[0].chosen) == (0.0, 0.0, (first,))
    assert all(first in point.chosen for point in points)


def test_more_places_are_counted_in_datasets_and_not_in_lots() -> None:
    values = np.array([0.5, 0.4, 0.0, 0.0])
    asked = buyer_limits(4, np.ones(4), k=1, lots=lots_of(4, [(1, 2, 3)]))
    refused = changes(choose, Given(tuple("abcd"), asked, values))
    assert [(change.index, change.k) for change in refused] == [(1, 4), (2, 4), (3, 4)]


def test_under_a_fixed_sum_a_lower_price_may_buy_what_had_a_negative_margin() -> None:
    """All weights are 1 in all: what is left of an alignment may be below 0 for all of them."""
    K, c = np.eye(3), np.array([0.2, 0.1, 0.1])
    of = replace(checked_program(K, c, 1.0), limits=limits("abc", total=4.0))
    lam = 0.5
    given = Given(tuple("abc"), buyer_limits(3, np.ones(3), k=1), solve_program(of, lam).weights,
                  program=of, lam=lam)  # fmt: skip
    assert (of.margins(given.values) < 0).all()
    assert choose(given).chosen == (0,)
    price = changes(choose, given, penalty_scale=1.0)[0].price
    assert price is not None
    cheaper = of.priced(np.array([1.0, price, 1.0]))
    assert choose(replace(given, values=solve_program(cheaper, lam).weights)).chosen == (1,)


def test_shadow_prices_are_the_slopes_of_the_frontier() -> None:
    points = [
        Point(0, (), 0, 0.5, 0), Point(10, (0,), 10, 0.3, 0.4), Point(30, (0, 1), 30, 0.2, 0.6)
    ]  # fmt: skip
    with_money = buyer_limits(2, budget=20)
    assert shadow_prices(points, with_money) == (pytest.approx(0.1 / 10), pytest.approx(0.2 / 10))
    assert shadow_prices(points, buyer_limits(2, budget=5)) == (pytest.approx(0.2 / 5), 0)
    assert shadow_prices(points, buyer_limits(2)) == (0, pytest.approx(0.1 / 20))


def test_uniform_penalties_leave_prices_out_unless_there_is_a_budget() -> None:
    given, _, _ = solved(1, k=2)
    assert all(change.price is None for change in changes(choose, given))
