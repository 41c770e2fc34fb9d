"""What would have to change: sets at other budgets, and what would get a refused dataset bought.

The rule that buys is a function of weights, prices, places and money. It is asked again with other
prices, with more places, with more money; nothing of it is repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from appraise.numerics.kernel import Floats
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program
from appraise.numerics.selection import Selection
from appraise.numerics.subsets import refit

# weights (n,), prices (n,), k, budget → what is bought
Rule = Callable[[Floats, Floats, int | None, float | None], Selection]
_MOST_POINTS = 500
_CHEAPEST = 0.01  # of its price: who is not bought for so little is not bought at any price
_HALVINGS = 8  # a price is found to 1/256 of what was asked


@dataclass(frozen=True)
class Point:
    """What a budget buys.

    Attributes:
        budget: the smallest that buys just this.
        chosen: indices.
        cost: sum of their prices.
        objective: f of the set with weights of its own (see `subsets`); less is better.
        matched: 1 − ρ²/τ, the part of the target's squared gradient that they match, in [0, 1].
    """

    budget: float
    chosen: tuple[int, ...]
    cost: float
    objective: float
    matched: float


def frontier(
    program: Program, lam: float, weights: Floats, prices: Floats, k: int | None, rule: Rule
) -> tuple[Point, ...]:
    """All sets that some budget buys, from none to all the money that could be spent.

    Args:
        program: with w ≥ 0.
        lam: λ.
        weights: w (n,), what the rule ranks by.
        prices: (n,) money.
        k: how many datasets at most; None for no limit.
        rule: what buys.
    """
    points = [_point(program, lam, 0.0, (), 0.0)]
    budget = _next_budget(rule(weights, prices, k, 1e-9 * float(prices.max(initial=1.0))), prices)
    while budget is not None and len(points) < _MOST_POINTS:
        found = rule(weights, prices, k, budget)
        if set(found.chosen) != set(points[-1].chosen):
            points.append(_point(program, lam, budget, found.chosen, found.cost))
        budget = _next_budget(found, prices)
    return tuple(points)


def _point(
    program: Program, lam: float, budget: float, chosen: Sequence[int], cost: float
) -> Point:
    objective, weights = refit(program, lam, sorted(chosen))
    missed = program.tau - 2 * program.c @ weights + weights @ program.K @ weights
    return Point(budget, tuple(chosen), cost, objective, 1 - float(missed) / program.tau)


def _next_budget(found: Selection, prices: Floats) -> float | None:
    """The smallest larger budget that buys something else: one that is skipped becomes payable."""
    spent, needed = 0.0, math.inf
    lots = _together(found)
    for lot in lots:
        price = float(prices[list(lot)].sum())
        if found.reasons[lot[0]] == "chosen":
            spent += price
        elif found.reasons[lot[0]] == "over_budget":
            needed = min(needed, spent + price)
    return None if math.isinf(needed) else needed


def _together(found: Selection) -> list[tuple[int, ...]]:
    """What is bought whole, in the order of the ranking."""
    if found.lots is None:
        return [(i,) for i in found.ranking]
    of = {i: lot for lot in found.lots for i in lot}
    return list(dict.fromkeys(of[i] for i in found.ranking))


def shadow_prices(points: Sequence[Point], budget: float | None) -> tuple[float, float]:
    """By how much a unit of money more or less lowers or raises the objective, per unit of money.

    Sets change in steps: the first number is the drop of f up to the next set that differs, over
    the money that it takes; the second the rise of f down to the one before. (0 where there is no
    such set.)

    Args:
        points: of `frontier`.
        budget: the money there is; None for no limit.
    """
    money = math.inf if budget is None else budget * (1 + 1e-12)
    now = max(j for j, point in enumerate(points) if point.budget <= money)
    more = less = 0.0
    if now + 1 < len(points) and budget is not None:
        after = points[now + 1]
        more = (points[now].objective - after.objective) / (after.budget - budget)
    if now > 0:
        before = points[now - 1]
        spent = points[now].budget - before.budget
        less = (before.objective - points[now].objective) / spent
    return more, less


@dataclass(frozen=True)
class Change:
    """What would get a refused dataset bought, each by itself and all else as it is.

    Attributes:
        index: the dataset.
        price: at this price or less; None where no price does it, or prices play no part.
        k: with so many places; None where no number does it.
        budget: with so much money; None where no sum does it.
    """

    index: int
    price: float | None
    k: int | None
    budget: float | None


def changes(
    program: Program,
    lam: float,
    weights: Floats,
    prices: Floats,
    k: int | None,
    budget: float | None,
    rule: Rule,
    penalty_scale: float | None,
    points: Sequence[Point] = (),
) -> tuple[Change, ...]:
    """For every dataset that is not bought, what would have to change.

    Args:
        program: with w ≥ 0.
        lam: λ, held fixed as a sum of money.
        weights: w (n,).
        prices: (n,) money.
        k: how many datasets at most.
        budget: how much money at most.
        rule: what buys.
        penalty_scale: money for one unit of penalty; None where the penalty is not the price.
        points: of `frontier`, to look budgets up in.
    """
    bought = set(rule(weights, prices, k, budget).chosen)
    margins = program.margins(weights)
    places = _places(weights, prices, k, budget, rule)
    found = []
    for i in sorted(set(range(len(weights))) - bought):
        money = next(
            (p.budget for p in points if p.budget > (budget or math.inf) and i in p.chosen), None
        )
        price = None
        if margins[i] > 0 or weights[i] > 0:  # else it has no weight at a price of 0 either
            price = _price(program, lam, weights, prices, k, budget, rule, penalty_scale, i)
        found.append(Change(i, price, places.get(i), money))
    return tuple(found)


def _places(
    weights: Floats, prices: Floats, k: int | None, budget: float | None, rule: Rule
) -> dict[int, int]:
    """The smallest number of places with which each dataset is bought."""
    found: dict[int, int] = {}
    if k is None:
        return found
    for places in range(k + 1, int(np.count_nonzero(weights > 0)) + 1):
        for i in rule(weights, prices, places, budget).chosen:
            found.setdefault(i, places)
    return found


def _price(
    program: Program,
    lam: float,
    weights: Floats,
    prices: Floats,
    k: int | None,
    budget: float | None,
    rule: Rule,
    penalty_scale: float | None,
    i: int,
) -> float | None:
    """The largest price below its own at which dataset i is bought, by bisection."""

    def is_bought(price: float) -> bool:
        asked = prices.copy()
        asked[i] = price
        found = weights
        if penalty_scale is not None:
            penalties = program.penalties.copy()
            penalties[i] = price / penalty_scale
            found = optimum(program.priced(penalties), lam, weights)[0]
        return i in rule(found, asked, k, budget).chosen

    low, high = _CHEAPEST * float(prices[i]), float(prices[i])
    if not low > 0 or not is_bought(low):
        return None
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_bought(middle) else (low, middle)
    return low
