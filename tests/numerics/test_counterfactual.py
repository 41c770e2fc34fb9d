"""What other prices, places and money would buy: checked by buying again."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from programs import program

from appraise.numerics.counterfactual import (
    Point,
    changes,
    frontier,
    shadow_prices,
)
from appraise.numerics.kernel import Floats
from appraise.numerics.kmm import price_penalties, solve_program
from appraise.numerics.lots import lots
from appraise.numerics.program import checked_program
from appraise.numerics.selection import Selection, select
from appraise.numerics.subsets import refit

N = 12
IDS = [f"d{i:02d}" for i in range(N)]


def rule(
    weights: Floats, prices: Floats, k: int | None, budget: float | None, bundles: tuple = ()
) -> Selection:
    sold = lots(N, bundles)
    return select(
        "kmm",
        ids=IDS,
        weights=weights,
        alignment=weights,
        prices=prices,
        k=k,
        budget=budget,
        lots=sold,
    )


def solved(seed: int, part: float = 0.05) -> tuple:
    K, c, tau = program(N, 60, seed)
    prices = np.random.default_rng(seed).integers(5, 50, N).astype(float)
    penalties, scale = price_penalties(prices)
    of = checked_program(K, c, tau, penalties)
    lam = part * of.lambda_max()
    return of, lam, solve_program(of, lam).weights, prices, scale


@pytest.mark.parametrize("bundles", [(), ((0, 3), (5, 1))])
@pytest.mark.parametrize("seed", range(4))
def test_the_frontier_is_what_every_budget_buys(seed: int, bundles: tuple) -> None:
    of, lam, w, prices, _ = solved(seed)
    asked = functools.partial(rule, bundles=bundles)
    points = frontier(of, lam, w, prices, 3, asked)
    assert points[0].chosen == ()
    assert points[-1].chosen == asked(w, prices, 3, None).chosen
    for budget in np.linspace(0.5, prices.sum() + 1, 150):
        at = max((p for p in points if p.budget <= budget), key=lambda p: p.budget)
        assert set(at.chosen) == set(asked(w, prices, 3, budget).chosen)
    for point in points:
        assert point.cost <= point.budget
        assert point.objective == pytest.approx(refit(of, lam, sorted(point.chosen))[0])
        assert -1e-12 <= point.matched <= 1


@pytest.mark.parametrize(("k", "budget"), [(2, None), (3, 40.0), (None, 60.0)])
@pytest.mark.parametrize("seed", range(4))
def test_each_change_gets_the_dataset_bought_and_a_little_less_does_not(
    seed: int, k: int | None, budget: float | None
) -> None:
    of, lam, w, prices, scale = solved(seed)
    points = frontier(of, lam, w, prices, k, rule)
    found = changes(of, lam, w, prices, k, budget, rule, scale, points)
    bought = set(rule(w, prices, k, budget).chosen)
    assert {one.index for one in found} == set(range(N)) - bought

    def at_price(i: int, price: float) -> bool:
        asked, penalties = prices.copy(), of.penalties.copy()
        asked[i], penalties[i] = price, price / scale
        weights = solve_program(of.priced(penalties), lam).weights
        return i in rule(weights, asked, k, budget).chosen

    told = 0
    for one in found:
        if one.price is not None:
            told += 1
            assert at_price(one.index, one.price)
            assert not at_price(one.index, one.price + prices[one.index] / 200)
        else:
            assert not at_price(one.index, 0.01 * prices[one.index])
        if one.k is not None and k is not None:
            told += 1
            assert one.index in rule(w, prices, one.k, budget).chosen
            assert one.index not in rule(w, prices, one.k - 1, budget).chosen
        if one.budget is not None and budget is not None:
            told += 1
            assert one.index in rule(w, prices, k, one.budget).chosen
            assert one.index not in rule(w, prices, k, one.budget * (1 - 1e-6)).chosen
    assert told > 0


def test_shadow_prices_are_the_slopes_of_the_frontier() -> None:
    points = [
        Point(0, (), 0, 0.5, 0), Point(10, (0,), 10, 0.3, 0.4), Point(30, (0, 1), 30, 0.2, 0.6)
    ]  # fmt: skip
    assert shadow_prices(points, 20) == (pytest.approx(0.1 / 10), pytest.approx(0.2 / 10))
    assert shadow_prices(points, 5) == (pytest.approx(0.2 / 5), 0)
    assert shadow_prices(points, None) == (0, pytest.approx(0.1 / 20))


def test_uniform_penalties_leave_prices_out_unless_there_is_a_budget() -> None:
    of, lam, w, prices, _ = solved(1)
    found = changes(of, lam, w, prices, 2, None, rule, None)
    assert all(one.price is None for one in found)
