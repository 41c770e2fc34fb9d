"""What would have to change: sets at other budgets, and what would get a refused dataset bought.

A policy that takes lots in the order of their scores is asked again: at other prices, with more
places, with more money. Nothing of its rule is repeated here. Where its values are the optimum of
a convex program, that program also says how much each set serves the target, and what the values
would be at another price; where there is none, a price matters by what can be afforded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from appraise.numerics.buying import BuyerLimits
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program
from appraise.numerics.selection import Choose, Given, Purchase
from appraise.numerics.subsets import refit

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
        objective: f of the set with weights of its own (see `subsets`), less is better; None
            without a program.
        matched: 1 − ρ²/τ, the part of the target's squared gradient that they match, in [0, 1];
            None without a program.
    """

    budget: float
    chosen: tuple[int, ...]
    cost: float
    objective: float | None
    matched: float | None


def frontier(choose: Choose, given: Given) -> tuple[Point, ...]:
    """All sets that some budget buys, from none to all the money that could be spent.

    Args:
        choose: of a policy that takes lots in the order of their scores.
        given: what it chooses from; the budget in it plays no part.
    """

    def within(budget: float) -> Purchase:
        return choose(replace(given, limits=replace(given.limits, budget=budget)))

    prices = given.limits.prices
    purchase = within(1e-9 * float(prices.max(initial=1.0)))  # what costs nothing
    points = [_point(given, 0.0, purchase)]
    budget = _next_budget(purchase, given.limits)
    while budget is not None and len(points) < _MOST_POINTS:
        purchase = within(budget)
        if set(purchase.chosen) != set(points[-1].chosen):
            points.append(_point(given, budget, purchase))
        budget = _next_budget(purchase, given.limits)
    return tuple(points)


def _point(given: Given, budget: float, purchase: Purchase) -> Point:
    program, objective, matched = given.program, None, None
    if program is not None and given.lam is not None:
        objective, weights = refit(program, given.lam, sorted(purchase.chosen))
        missed = program.tau - 2 * program.c @ weights + weights @ program.K @ weights
        matched = 1 - float(missed) / program.tau
    return Point(budget, purchase.chosen, purchase.cost, objective, matched)


def _next_budget(purchase: Purchase, limits: BuyerLimits) -> float | None:
    """The smallest larger budget that buys something else: one that is skipped becomes payable."""
    spent, needed = 0.0, math.inf
    for lot in _together(purchase):
        price = float(limits.prices[list(lot)].sum())
        if purchase.reasons[lot[0]] == "chosen":
            spent += price
        elif purchase.reasons[lot[0]] == "over_budget":
            needed = min(needed, spent + price)
    return None if math.isinf(needed) else needed


def _together(purchase: Purchase) -> list[tuple[int, ...]]:
    """What is bought whole, in the order of the ranking."""
    if purchase.lots is None:
        return [(i,) for i in purchase.ranking]
    lot_of = {i: lot for lot in purchase.lots for i in lot}
    return list(dict.fromkeys(lot_of[i] for i in purchase.ranking))


def shadow_prices(points: Sequence[Point], limits: BuyerLimits) -> tuple[float, float] | None:
    """By how much a unit of money more or less lowers or raises the objective, per unit of money.

    Sets change in steps: the first number is the drop of f up to the next set that differs, over
    the money that it takes; the second the rise of f down to the one before. (0 where there is no
    such set.)

    Args:
        points: of `frontier`.
        limits: the buyer's, with the money there is.

    Returns:
        Both slopes; None where the points have no objective.
    """
    objectives = [point.objective for point in points if point.objective is not None]
    if len(objectives) < len(points):
        return None
    now = max(j for j, point in enumerate(points) if point.budget <= limits.ceiling)
    more = less = 0.0
    if now + 1 < len(points) and limits.budget is not None:
        drop = objectives[now] - objectives[now + 1]
        more = drop / (points[now + 1].budget - limits.budget)
    if now > 0:
        rise = objectives[now - 1] - objectives[now]
        less = rise / (points[now].budget - points[now - 1].budget)
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
    choose: Choose,
    given: Given,
    points: Sequence[Point] = (),
    penalty_scale: float | None = None,
) -> tuple[Change, ...]:
    """For every dataset that is not bought, what would have to change.

    Args:
        choose: of a policy that takes lots in the order of their scores.
        given: what it chose from; λ is held fixed as a sum of money.
        points: of `frontier`, to look budgets up in.
        penalty_scale: money for one unit of the program's penalty; None where penalties do not
            follow prices, or there is no program.
    """
    bought = set(choose(given).chosen)
    refused = [i for i in range(len(given.ids)) if i not in bought]
    budget = math.inf if given.limits.budget is None else given.limits.budget
    needed = {i: p.budget for p in reversed(points) if p.budget > budget for i in p.chosen}
    places, pricing = _places(choose, given), _Pricing(choose, given, penalty_scale)
    return tuple(Change(i, pricing.largest(i), places.get(i), needed.get(i)) for i in refused)


def _places(choose: Choose, given: Given) -> dict[int, int]:
    """The smallest number of places, above those there are, with which each dataset is bought."""
    smallest: dict[int, int] = {}
    if given.limits.k is None:
        return smallest
    for k in range(given.limits.k + 1, len(given.ids) + 1):
        purchase = choose(replace(given, limits=replace(given.limits, k=k)))
        for i in purchase.chosen:
            smallest.setdefault(i, k)
        if "beyond_k" not in purchase.reasons:
            break
    return smallest


class _Pricing:
    """What is bought where one dataset has another price."""

    def __init__(self, choose: Choose, given: Given, penalty_scale: float | None) -> None:
        self.choose, self.given = choose, given
        self.program = given.program if penalty_scale is not None else None
        self.scale = penalty_scale or 1.0
        values = np.zeros(len(given.ids)) if given.values is None else given.values
        self.may_gain = np.ones(len(given.ids), dtype=bool)
        if self.program is not None and not _has_total(self.program):
            # else it has no weight at a price of 0 either, and the optimum stays what it is
            self.may_gain = (self.program.margins(values) > 0) | (values > 0)

    def largest(self, i: int) -> float | None:
        """The largest price below its own at which dataset i is bought, by bisection."""
        high = float(self.given.limits.prices[i])
        low = _CHEAPEST * high
        if not low > 0 or not self._is_bought(i, low):
            return None
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._is_bought(i, middle) else (low, middle)
        return low

    def _is_bought(self, i: int, price: float) -> bool:
        given = self.given
        prices = given.limits.prices.copy()
        prices[i] = price
        asked = replace(given, limits=given.limits.at(prices))
        if self.program is not None and given.lam is not None:
            asked = self._revalued(asked, self.program, given.lam, i, price)
        return i in self.choose(asked).chosen

    def _revalued(self, asked: Given, program: Program, lam: float, i: int, price: float) -> Given:
        """With the values that the program gives where dataset i has this price."""
        penalties = program.penalties.copy()
        penalties[i] = price / self.scale
        priced, values = program.priced(penalties), asked.values
        if self.may_gain[i]:
            values, _ = optimum(priced, lam, values)
        return replace(asked, program=priced, values=values)


def _has_total(program: Program) -> bool:
    """Whether weights add up to a fixed sum, whose price may make up for a negative margin."""
    return program.limits is not None and program.limits.total is not None
