"""How money enters a purchase: what must hold for any pool, whatever is asked for it."""

from __future__ import annotations

import math
from copy import copy
from typing import Any

import cvxpy as cp
import numpy as np
import pytest

import appraise
from appraise.errors import ParamsError
from appraise.numerics.valuation import Valuation

Gradients = dict[str, np.ndarray]
POOLS = range(6)


class Pool:
    """Datasets that share directions with each other and with the target, at random prices."""

    def __init__(self, seed: int, n: int = 8, rows: int = 0) -> None:
        rng = np.random.default_rng(seed)
        base = rng.normal(size=(4, 30))
        mixed = rng.dirichlet(np.full(4, 0.5), size=n) @ base + 0.4 * rng.normal(size=(n, 30))
        self.ids = [f"d{i}" for i in range(n)]
        self.gradients: Gradients = dict(zip(self.ids, mixed, strict=True))
        if rows:
            self.gradients = {
                name: mean + rng.normal(size=(rows, 30)) for name, mean in self.gradients.items()
            }
        self.target = rng.dirichlet(np.ones(4)) @ base + 0.3 * rng.normal(size=30)
        if rows:
            self.target = self.target + rng.normal(size=(rows, 30))
        self.prices = {name: float(price) for name, price in zip(
            self.ids, rng.choice([20, 50, 60, 100, 150, 200], n), strict=True
        )}  # fmt: skip
        self.k, self.budget = int(rng.integers(1, 5)), float(rng.choice([100, 220, 300, 450]))

    def with_offer(self, name: str, gradient: np.ndarray, price: float) -> Pool:
        """The same pool with one offer more."""
        more = copy(self)
        more.gradients = self.gradients | {name: gradient}
        more.prices = self.prices | {name: price}
        return more

    def bought(self, **changed: Any) -> Valuation:
        """Valued and bought, within k and budget."""
        asked: dict[str, Any] = {"prices": self.prices, "k": self.k, "budget": self.budget}
        return appraise.value(self.gradients, self.target, **asked | changed)


def objective(valuation: Valuation) -> float:
    """What is minimised, of what is bought."""
    assert valuation.selection.proof is not None
    return valuation.selection.proof.objective


def shares(valuation: Valuation) -> dict[str, float]:
    """Weights in the mix of what is bought."""
    assert valuation.selection.proof is not None
    weights = dict(zip(valuation.ids, valuation.selection.proof.weights, strict=True))
    return {name: weights[name] for name in valuation.selected}


@pytest.mark.parametrize("seed", POOLS)
def test_the_weights_are_those_of_the_paper_whatever_is_asked(seed: int) -> None:
    pool = Pool(seed)
    valuation = pool.bought()
    w = cp.Variable(len(pool.ids), nonneg=True)
    G = np.stack([pool.gradients[i] / np.linalg.norm(pool.gradients[i]) for i in pool.ids])
    g = pool.target / np.linalg.norm(pool.target)
    loss = 0.5 * cp.sum_squares(G.T @ w - g) + 0.05 * cp.sum(w)  # Eq. 31 with λ = 0.05 τ
    cp.Problem(cp.Minimize(loss)).solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12)
    assert list(valuation.weights.values()) == pytest.approx(w.value, abs=1e-6)
    dear = {name: 1000 * price + 7 for name, price in pool.prices.items()}
    assert pool.bought(prices=dear).weights == valuation.weights


@pytest.mark.parametrize("seed", POOLS)
def test_at_equal_prices_a_budget_is_a_number_of_places(seed: int) -> None:
    pool = Pool(seed)
    equal = dict.fromkeys(pool.ids, 40.0)
    by_money = pool.bought(prices=equal, k=None, budget=130.0)
    by_places = appraise.value(pool.gradients, pool.target, k=3)
    assert by_money.selected == by_places.selected
    everything = appraise.value(pool.gradients, pool.target, prices=equal)
    assert set(everything.selected) == {i for i, w in everything.weights.items() if w > 0}
    assert shares(everything) == pytest.approx(
        {i: everything.weights[i] for i in shares(everything)}
    )


@pytest.mark.parametrize("factor", [0.01, 0.37, 3.0, 1000.0])
@pytest.mark.parametrize("seed", POOLS)
def test_another_currency_changes_nothing(seed: int, factor: float) -> None:
    pool = Pool(seed)
    prices = {name: factor * price for name, price in pool.prices.items()}
    here, there = pool.bought(), pool.bought(prices=prices, budget=factor * pool.budget)
    assert (there.selected, there.weights) == (here.selected, here.weights)
    for name in pool.ids:
        assert there.walk_away_price(name) == (
            None if here.walk_away_price(name) is None
            else pytest.approx(factor * here.walk_away_price(name), rel=1e-6, abs=1e-6)
        )  # fmt: skip
    rate = {"exchange_rate": 700.0, "budget": None}
    assert pool.bought(prices=prices, **rate | {"exchange_rate": factor * 700.0}).selected == (
        pool.bought(**rate).selected
    ), "a rate in the other currency"


@pytest.mark.parametrize("seed", POOLS)
def test_what_is_free_is_bought_where_it_helps_and_there_is_a_place(seed: int) -> None:
    pool = Pool(seed)
    for name in pool.ids:
        free = pool.bought(prices=pool.prices | {name: 0.0})
        if name in free.selected or len(free.selected) == pool.k:
            continue
        members = [free.ids.index(other) for other in free.selected]
        alone = {i: pool.gradients[free.ids[i]] for i in [*members, free.ids.index(name)]}
        with_it = appraise.value({str(i): g for i, g in alone.items()}, pool.target)
        assert objective(with_it) == pytest.approx(objective(free), abs=1e-9), "it does not help"


def test_where_all_is_free_nothing_but_places_decide() -> None:
    pool = Pool(0)
    free = pool.bought(prices=dict.fromkeys(pool.ids, 0.0), budget=0.0, k=3)
    assert free.selected == appraise.value(pool.gradients, pool.target, k=3).selected
    assert free.selection.cost == 0


@pytest.mark.parametrize("limits", [
    {}, {"budget": None}, {"k": None}, {"budget": None, "exchange_rate": 800.0},
    {"exchange_rate": 500.0},
])  # fmt: skip
@pytest.mark.parametrize("seed", POOLS)
def test_an_offer_that_is_not_bought_changes_nothing_for_the_others(
    seed: int, limits: dict[str, Any]
) -> None:
    pool, rng = Pool(seed), np.random.default_rng(1000 + seed)
    before = pool.bought(**limits)
    offers = {
        "best_of_all": pool.target + 0.05 * rng.normal(size=30),
        "alike": pool.gradients["d0"] + 0.05 * rng.normal(size=30),
        "copy": pool.gradients["d1"],
        "chance": rng.normal(size=30),
        "against": -pool.target,
    }
    for name, gradient in offers.items():
        for price in (0.5, 90.0, 299.0, 10_000.0):
            more = pool.with_offer(name, gradient, price).bought(**limits)
            if name not in more.selected:
                assert more.selected == before.selected, (name, price)
                assert shares(more) == pytest.approx(shares(before), rel=1e-12)
                assert objective(more) == pytest.approx(objective(before), rel=1e-12)


@pytest.mark.parametrize("limits", [{}, {"exchange_rate": 500.0}])
@pytest.mark.parametrize("seed", POOLS)
def test_a_lower_price_never_loses_a_purchase(seed: int, limits: dict[str, Any]) -> None:
    pool = Pool(seed)
    for name in pool.bought(**limits).selected:
        for part in (0.99, 0.5, 0.01, 0.0):
            cheaper = pool.prices | {name: part * pool.prices[name]}
            assert name in pool.bought(prices=cheaper, **limits).selected


@pytest.mark.parametrize("limits", [{}, {"exchange_rate": 500.0}, {"k": None}])
@pytest.mark.parametrize("seed", POOLS)
def test_more_money_never_buys_less(seed: int, limits: dict[str, Any]) -> None:
    pool = Pool(seed)
    reached = [objective(pool.bought(budget=b, **limits)) for b in np.arange(0.0, 700.0, 35.0)]
    assert (np.diff(reached) <= 1e-9).all()


@pytest.mark.parametrize("limits", [
    {}, {"budget": None, "exchange_rate": 900.0}, {"exchange_rate": 700.0},
])  # fmt: skip
@pytest.mark.parametrize("seed", POOLS)
def test_up_to_its_walk_away_price_a_dataset_is_bought(seed: int, limits: dict[str, Any]) -> None:
    pool = Pool(seed)
    now = pool.bought(**limits)
    for name in pool.ids:
        price = now.walk_away_price(name)
        if price is None:
            assert name not in pool.bought(prices=pool.prices | {name: 0.0}, **limits).selected
            continue
        assert (price >= pool.prices[name]) == (name in now.selected) or price == pytest.approx(
            pool.prices[name]
        )
        below, above = price * (1 - 1e-6) - 1e-5, price * (1 + 1e-6) + 1e-5  # nine digits decide
        if below >= 0:
            assert name in pool.bought(prices=pool.prices | {name: below}, **limits).selected
        assert name not in pool.bought(prices=pool.prices | {name: above}, **limits).selected


def test_with_neither_budget_nor_exchange_rate_no_price_is_too_high() -> None:
    pool = Pool(3)
    valuation = appraise.value(pool.gradients, pool.target, prices=pool.prices, k=2)
    assert [valuation.walk_away_price(name) for name in valuation.selected] == [math.inf] * 2


@pytest.mark.parametrize("seed", POOLS)
def test_at_an_exchange_rate_nothing_is_bought_that_adds_less_than_it_costs(seed: int) -> None:
    pool, rate = Pool(seed), 600.0
    bought = pool.bought(budget=None, k=None, exchange_rate=rate)
    worth = {
        i: rate * 2 * gain for i, gain in zip(bought.ids, bought.selection.scores, strict=True)
    }
    for name in pool.ids:
        if name in bought.selected:
            assert worth[name] >= pool.prices[name] - 1e-6
        else:
            assert worth[name] <= pool.prices[name] + 1e-6
            assert bought.selection.reasons[bought.ids.index(name)] in ("no_score", "too_dear")


@pytest.mark.parametrize("cheap", [0.0, 0.01, 0.1, 1.0, 5.0, 50.0])
def test_one_cheap_offer_does_not_shut_out_the_others(cheap: float) -> None:
    """Five datasets within 300, one of them nearly free: with its price in the penalty it was
    bought alone, and the best aligned one had "next to nothing in common with the task"."""
    rng = np.random.default_rng(5)
    target = rng.normal(size=200)
    pull = {"cheap": 0.5, "a": 1.0, "b": 0.9, "c": 0.7, "d": 0.6}
    gradients = {name: part * target + 1.5 * rng.normal(size=200) for name, part in pull.items()}
    prices = {"cheap": cheap, "a": 100.0, "b": 100.0, "c": 100.0, "d": 90.0}
    bought = appraise.value(gradients, target, prices=prices, budget=300.0)
    assert set(bought.selected) == {"a", "b", *(["cheap", "d"] if cheap <= 10 else ["cheap"])}
    assert bought.alignment.argmax() == bought.ids.index("a"), "the best aligned one is bought"


def test_how_often_it_is_bought_is_told_by_the_rule_that_buys() -> None:
    pool = Pool(2, rows=12)
    often = pool.bought(resamples=40).bought_probability
    assert any(0 < part < 1 for part in often.values())
    unlimited = pool.bought(resamples=40, k=None, budget=None).bought_probability
    assert all(often[name] <= 1 for name in pool.ids)
    assert sum(often.values()) < sum(unlimited.values()), "a weight is not yet a purchase"
    dear = pool.prices | {"d0": 10_000.0}
    assert pool.bought(resamples=40, prices=dear).bought_probability["d0"] == 0
    unbought = np.random.default_rng(0).normal(size=(12, 30))
    more = pool.with_offer("unbought", unbought, 10_000.0).bought(resamples=40).bought_probability
    assert {name: more[name] for name in pool.ids} == often, "others' draws stay as they are"


@pytest.mark.parametrize(("asked", "said"), [
    ({"budget": 100.0, "prices": None}, "prices: expected a price for every dataset"),
    ({"exchange_rate": 100.0, "prices": None}, "prices: expected a price for every dataset"),
    ({"exchange_rate": 0.0}, "exchange rate above 0"),
    ({"exchange_rate": math.nan}, "exchange rate above 0"),
    ({"budget": -1.0}, "budget of at least 0"),
    ({"prices": {f"d{i}": -1.0 for i in range(8)}}, "price of d0: expected ≥ 0"),
    ({"absolute_lambda": 0.1, "relative_lambda": 0.1}, "expected one of absolute_lambda"),
    ({"absolute_lambda": 0.0}, "absolute_lambda: expected a part"),
])  # fmt: skip
def test_bad_money_is_refused_in_one_line(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError, match=said):
        Pool(0).bought(**asked)
