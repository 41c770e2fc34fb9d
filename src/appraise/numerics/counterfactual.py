"""What would have to change: sets at other budgets, and what would get a refused dataset bought.

A policy is asked again: at other prices, with more places, with more money. Nothing of its rule is
repeated here. Frontiers are right for every policy that buys the same set at all budgets between
what the set costs and what it was given, prices for every one that does not give a dataset up when
it becomes cheaper: the best of all sets, and lots in the order of their scores.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from appraise.numerics.branch_and_bound import EQUAL
from appraise.numerics.buying import BuyerLimits
from appraise.numerics.kernel import Floats
from appraise.numerics.selection import Choose, Given, Purchase
from appraise.numerics.subsets import refit

_MOST_POINTS = 100
_MOST_STEPS = 60  # to a price
_HAIR = 4e-9  # of a sum of money: less than that is no difference


@dataclass(frozen=True)
class Point:
    """What a budget buys.

    Attributes:
        budget: the smallest that buys just this: what it costs.
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
        choose: a policy's.
        given: what it chooses from; the budget in it plays no part.
    """
    points, budget = list[Point](), math.inf
    while len(points) < _MOST_POINTS and budget >= 0:
        limits = replace(given.limits, budget=None if math.isinf(budget) else budget)
        purchase = choose(replace(given, limits=limits))
        points.append(_point(given, purchase))
        budget = purchase.cost * (1 - _HAIR) if purchase.cost > 0 else -1.0
    return tuple(reversed(points))


def _point(given: Given, purchase: Purchase) -> Point:
    program, objective, matched = given.program, None, None
    if program is not None and given.lam is not None:
        objective, weights = refit(program, given.lam, sorted(purchase.chosen))
        missed = program.tau - 2 * program.c @ weights + weights @ program.K @ weights
        matched = 1 - float(missed) / program.tau
    return Point(purchase.cost, purchase.chosen, purchase.cost, objective, matched)


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
    now = max((j for j, point in enumerate(points) if point.budget <= limits.ceiling), default=0)
    more = less = 0.0
    if now + 1 < len(points) and limits.budget is not None:
        drop = objectives[now] - objectives[now + 1]
        more = drop / (points[now + 1].budget - limits.budget)
    if now > 0:
        rise = objectives[now - 1] - objectives[now]
        less = rise / (points[now].budget - points[now - 1].budget)
    return more, less


def walk_away_price(choose: Choose, given: Given, i: int) -> float | None:
    """The price up to which a policy buys dataset i, all else as it is.

    While its price rises a set with i stays what is bought until it cannot be paid, or until the
    best set without i is as good and costs no more. Where that is the end, it is the answer; where
    another set with i is bought beyond, it is asked again; and where a policy does not choose by
    sets, the price is found by bisection.

    Args:
        choose: a policy's.
        given: what it chooses from.
        i: the dataset.

    Returns:
        Money; None where it is bought at no price. Infinity where no price keeps it from being
        bought, as neither a budget nor an exchange rate binds the policy.
    """
    limits = given.limits
    ends = [end for end in (limits.budget, limits.exchange_rate) if end is not None]
    low = float(limits.prices[i]) if i in choose(given).chosen else 0.0
    high = max([low, *ends])
    hair = _HAIR * max(1.0, high)
    if i not in _at_price(choose, given, i, low).chosen:
        return None
    if not ends or i in _at_price(choose, given, i, high + hair).chosen:
        return math.inf
    for _ in range(_MOST_STEPS):
        guess = _end(choose, given, i, low)
        if not low <= guess <= high:
            guess = (low + high) / 2
        if i in _at_price(choose, given, i, guess + hair).chosen:
            low = guess + hair
        elif guess - hair <= low or i in _at_price(choose, given, i, guess - hair).chosen:
            return guess
        else:
            high = guess - hair
        if high - low <= hair:
            break
    return low


def _at_price(choose: Choose, given: Given, i: int, price: float) -> Purchase:
    prices = given.limits.prices.copy()
    prices[i] = price
    return choose(replace(given, limits=given.limits.at(prices)))


def _end(choose: Choose, given: Given, i: int, price: float) -> float:
    """The price up to which the set that is bought at this price is bought."""
    limits, purchase = given.limits, _at_price(choose, given, i, price)
    paid = math.inf if limits.budget is None else limits.budget - (purchase.cost - price)
    if purchase.proof is None or given.program is None:
        return paid
    other = choose(replace(given, limits=limits.without(i)))
    assert other.proof is not None  # of the same policy
    better = (other.proof.objective - purchase.proof.objective) / (0.5 * given.program.tau)
    if limits.exchange_rate is not None:
        return min(paid, price + limits.exchange_rate * better)
    if abs(better) > EQUAL:
        return paid
    return min(paid, price + other.cost - purchase.cost)  # of two equal sets the cheaper


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


def changes(choose: Choose, given: Given, points: Sequence[Point] = ()) -> tuple[Change, ...]:
    """For every dataset that is not bought, what would have to change.

    Args:
        choose: a policy's.
        given: what it chose from.
        points: of `frontier`, to look budgets up in.
    """
    bought = set(choose(given).chosen)
    refused = [i for i in range(len(given.ids)) if i not in bought]
    budget = math.inf if given.limits.budget is None else given.limits.budget
    needed = {i: p.budget for p in reversed(points) if p.budget > budget for i in p.chosen}
    places = _places(choose, given)
    priced = given.limits.budget is not None or given.limits.exchange_rate is not None
    prices = {i: walk_away_price(choose, given, i) if priced else None for i in refused}
    return tuple(Change(i, prices[i], places.get(i), needed.get(i)) for i in refused)


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


def bought_probability(choose: Choose, givens: Iterable[Given], resamples: int, n: int) -> Floats:
    """How often a policy buys each dataset (n,), as a part of all resamples.

    Args:
        choose: a policy's.
        givens: what it would choose from, in each resample.
        resamples: how many there are.
        n: how many datasets.
    """
    times = np.zeros(n)
    for given in givens:
        times[list(choose(given).chosen)] += 1
    return times / resamples
