"""The best set of all within a buyer's limits, by branch and bound.

    minimise over sets S of lots   min_{u ≥ 0 on S} ½uᵀHu − bᵀu + Σ_{l in S} cost_l
    subject to  Σ |l| ≤ k,  Σ price_l ≤ budget,  no two lots that exclude each other

H has unit diagonal (the caller scales). A node has lots that are taken and lots that are open. Two
bounds hold for every set that it leaves possible:

- the relaxation, all lots that are taken or open: more lots never raise the first part;
- for any v, with Q = H − δI and δ ≤ the smallest eigenvalue of H: ½uᵀQu ≥ vᵀQu − ½vᵀQv, so that

      objective ≥ −½vᵀQv − Σ_{l in S} (s_l − cost_l),   s_l = Σ_{i in l} max(b_i − (Qv)_i, 0)² / 2δ

  in which lots stand apart: no set has a larger sum than the best k lots, or than those that the
  budget buys when one of them may be bought in part. (The dual of the perspective relaxation of
  Frangioni and Gentile 2006.)

The node with the least bound is looked into first, so the bound is proven whenever the search ends.
It ends after a number of nodes, not of seconds: the answer does not depend on the machine.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from numpy.typing import NDArray

from appraise.numerics.active_set import Support, nonnegative_minimum
from appraise.numerics.buying import Basket, BuyerLimits
from appraise.numerics.kernel import Floats

_DIGITS = 9  # of the objective that tell two sets apart; then price, number and order decide
EQUAL = 10.0**-_DIGITS  # of τ: sets nearer than this are equal
_TANGENTS = 3  # points v that are tried for the second bound,
_STEP = 0.3  # so far from one to the next
_DEFINITE = 1e-9  # a smallest eigenvalue below it is none
_ROUNDING = 1e-6  # of the eigenvalue, by which it may be too large


@dataclass(frozen=True)
class BestLots:
    """The set that the search ends with.

    Attributes:
        taken: its lots.
        objective: of it.
        bound: no set has a lower one.
        nodes: how many were looked into.
    """

    taken: tuple[int, ...]
    objective: float
    bound: float
    nodes: int


def best_lots(
    H: Floats,
    b: Floats,
    costs: Floats,
    limits: BuyerLimits,
    open_lots: Sequence[int],
    order: Sequence[int],
    most_nodes: int,
) -> BestLots:
    """The best set of lots, or the best of so many nodes.

    Args:
        H: (n, n), positive semi-definite, unit diagonal.
        b: (n,) alignments less thresholds.
        costs: of each lot, ≥ 0, in units of the objective: what it must gain to be taken.
        limits: the buyer's.
        open_lots: those that may be taken.
        order: place of each lot, by which the first of two equal sets is found.
        most_nodes: to look into.
    """
    search, ticket, looked = _Search(H, b, costs, limits, open_lots, order), count(), 0
    root = _Node((), tuple(open_lots), np.zeros(len(b), dtype=bool))
    heap = [(-math.inf, next(ticket), root)]
    while heap and search.may_hold_better(heap[0][0]) and looked < most_nodes:
        _, _, node = heapq.heappop(heap)
        looked += 1
        for bound, child in search.branched(node):
            heapq.heappush(heap, (bound, next(ticket), child))
    bound = min(search.objective, heap[0][0]) if heap else search.objective
    return BestLots(search.taken, search.objective, bound, looked)


@dataclass(frozen=True)
class _Node:
    """Sets with all lots that are taken and some that are open.

    Attributes:
        taken: lots.
        open: lots.
        support: (n,) where the weights of a relaxation above were positive, to start from.
    """

    taken: tuple[int, ...]
    open: tuple[int, ...]
    support: Support


@dataclass
class _Search:
    """The problem, and the best set so far."""

    H: Floats
    b: Floats
    costs: Floats
    limits: BuyerLimits
    open_lots: Sequence[int]
    order: Sequence[int]
    taken: tuple[int, ...] = ()
    objective: float = 0.0
    key: tuple[float, float, int, tuple[int, ...]] = (0.0, 0.0, 0, ())
    members: list[NDArray[np.int64]] = field(init=False)
    delta: float = field(init=False)
    levied: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.members = [np.array(lot, dtype=np.int64) for lot in self.limits.lots.members]
        self.delta = (1 - _ROUNDING) * self._smallest_eigenvalue()
        self.levied = self.b - self._levy()

    def _smallest_eigenvalue(self) -> float:
        """Of H for the lots that may be taken; so none of a part of them is smaller."""
        if not self.open_lots:
            return 1.0
        on = np.concatenate([self.members[lot] for lot in self.open_lots])
        return float(np.linalg.eigvalsh(self.H[np.ix_(on, on)])[0])

    def _levy(self) -> Floats:
        """What each unit of weight (n,) pays of its lot's cost, at most, in every set.

        At the optimum of a set uᵀHu is twice what it gains, at most twice what all lots gain, and
        uᵀHu ≥ u_i² / (H⁻¹)_ii: no weight is larger than the root of both.
        """
        levy = np.zeros(len(self.b))
        if self.delta <= _DEFINITE or not self.costs.any():
            return levy
        on = np.concatenate([self.members[lot] for lot in self.open_lots])
        gained = 2 * abs(self._relaxed(self.open_lots, levy > 0, self.b)[0])
        most = np.zeros(len(self.b))
        most[on] = np.sqrt(gained * np.diag(np.linalg.inv(self.H[np.ix_(on, on)])))
        for lot in self.open_lots:
            mine = self.members[lot]
            levy[mine] = self.costs[lot] / max(float(most[mine].sum()), np.finfo(float).tiny)
        return levy

    def may_hold_better(self, bound: float) -> bool:
        """Whether a node with this bound may hold a better set, or an equal one at less money."""
        return bound <= self.objective + EQUAL

    def branched(self, node: _Node) -> Iterator[tuple[float, _Node]]:
        """What a node comes to: with and without one of its open lots; nothing if it is settled."""
        basket = self.limits.basket(node.taken)
        open_lots = [lot for lot in node.open if basket.refusal(lot) is None]
        spent = math.fsum(self.costs[list(node.taken)])
        b = self.levied.copy()
        for lot in node.taken:  # they pay the whole of it
            b[self.members[lot]] = self.b[self.members[lot]]
        value, weights = self._relaxed((*node.taken, *open_lots), node.support, b)
        used = [lot for lot in open_lots if weights[self.members[lot]].any()]
        self._offer_rounded(node, used, weights)
        whole = not self.costs[used].any() and self.limits.allows((*node.taken, *used))
        if whole or not used or not self.may_hold_better(value + spent):
            return
        bound, kept = value + spent, open_lots
        if self.delta > _DEFINITE:
            apart, kept = self._apart(basket, spent, open_lots, weights)
            bound = max(bound, apart)
        if not self.may_hold_better(bound):
            return
        lot = max(used, key=lambda lot: (float(weights[self.members[lot]].sum()), -lot))
        rest = tuple(other for other in kept if other != lot)
        yield bound, _Node((*node.taken, lot), rest, weights > 0)
        yield bound, _Node(node.taken, rest, weights > 0)

    def _relaxed(self, lots: Sequence[int], start: Support, b: Floats) -> tuple[float, Floats]:
        """The least ½uᵀHu − bᵀu of all these lots, and its weights (n,)."""
        u = np.zeros(len(b))
        if not lots:
            return 0.0, u
        on = np.concatenate([self.members[lot] for lot in lots])
        u[on] = nonnegative_minimum(self.H[np.ix_(on, on)], b[on], start[on])
        return -0.5 * float(b[on] @ u[on]), u

    def _offer_rounded(self, node: _Node, used: Sequence[int], weights: Floats) -> None:
        """Try a set near the relaxation's optimum: lots by weight, as far as they fit."""
        basket = self.limits.basket(node.taken)
        mass = {lot: float(weights[self.members[lot]].sum()) for lot in used}
        for lot in sorted(used, key=lambda lot: (-mass[lot], self.order[lot])):
            if basket.refusal(lot) is None:
                basket = basket.with_lot(lot)
        _, weights = self._relaxed(basket.taken, weights > 0, self.b)
        taken = tuple(sorted(lot for lot in basket.taken if weights[self.members[lot]].any()))
        value = -0.5 * float(self.b @ weights) + math.fsum(self.costs[list(taken)])
        price = math.fsum(self.limits.lot_prices[lot] for lot in taken)
        places = tuple(sorted(self.order[lot] for lot in taken))
        key = (round(value, _DIGITS), price, len(taken), places)
        if key < self.key:
            self.key, self.taken, self.objective = key, taken, value

    def _apart(
        self, basket: Basket, spent: float, open_lots: Sequence[int], v: Floats
    ) -> tuple[float, list[int]]:
        """The bound in which lots stand apart, and the open lots that a better set may have.

        Args:
            basket: what is taken.
            spent: costs of that.
            open_lots: what may be added to it.
            v: (n,) the first point that is tried; the others are between it and what the bound
                itself would take.
        """
        lots, first = [*basket.taken, *open_lots], len(basket.taken)
        on = np.concatenate([self.members[lot] for lot in lots])
        starts = np.cumsum([0, *(len(self.members[lot]) for lot in lots[:-1])])
        H, b, v = self.H[np.ix_(on, on)], self.b[on], v[on]
        best, kept = -math.inf, np.ones(len(open_lots), dtype=bool)
        room = _Room.left(basket, open_lots)
        for _ in range(_TANGENTS):
            q = H @ v - self.delta * v
            pull = np.maximum(b - q, 0.0)
            scores = np.add.reduceat(pull * pull, starts) / (2 * self.delta)
            base = spent - 0.5 * float(v @ q) - float(scores[:first].sum())
            gains = scores[first:] - self.costs[open_lots]
            best = max(best, base - room.most(gains))
            kept &= base - room.most_with_each(gains) <= self.objective + EQUAL
            wanted = np.ones(len(lots), dtype=bool)
            wanted[first:] = room.best(gains)
            goal = np.where(np.repeat(wanted, np.diff([*starts, len(on)])), pull / self.delta, 0.0)
            v = v + _STEP * (goal - v)
        return best, [lot for lot, keep in zip(open_lots, kept, strict=True) if keep]


@dataclass(frozen=True)
class _Room:
    """What may be added to a basket, as two sums that may not be exceeded.

    Attributes:
        sizes: of the open lots.
        prices: of the same.
        places: left.
        money: left.
    """

    sizes: Floats
    prices: Floats
    places: float
    money: float

    @classmethod
    def left(cls, basket: Basket, lots: Sequence[int]) -> _Room:
        """Beside what is in the basket."""
        limits = basket.limits
        sizes = np.array([limits.lots.size(lot) for lot in lots], dtype=np.float64)
        prices = np.array([limits.lot_prices[lot] for lot in lots])
        return cls(sizes, prices, basket.places_left, limits.ceiling - basket.cost)

    def most(self, gains: Floats) -> float:
        """No lots that fit have a larger sum."""
        gains = np.maximum(gains, 0.0)
        return min(_filled(gains, self.sizes, self.places), _filled(gains, self.prices, self.money))

    def best(self, gains: Floats) -> NDArray[np.bool_]:
        """The lots of the largest gains for which there are places."""
        order = np.argsort(-gains, kind="stable")
        wanted = np.zeros(len(gains), dtype=bool)
        wanted[order[np.cumsum(self.sizes[order]) <= self.places]] = True
        return wanted & (gains > 0)

    def most_with_each(self, gains: Floats) -> Floats:
        """The same for each lot, of sets with this lot."""
        if math.isinf(self.places) or (self.sizes != 1).any():
            return self.most(gains) + np.minimum(gains, 0.0)
        largest = np.sort(np.maximum(gains, 0.0))[::-1][: int(self.places)]
        last = float(largest[-1]) if len(largest) == int(self.places) else 0.0
        return float(largest.sum()) - np.maximum(last - gains, 0.0)


def _filled(gains: Floats, sizes: Floats, room: float) -> float:
    """The largest sum of gains in this room, where one of them may be taken in part."""
    if sizes.sum() <= room:
        return float(gains.sum())
    free = sizes == 0
    order = np.argsort(-gains[~free] / sizes[~free], kind="stable")
    gains, sizes, sure = gains[~free][order], sizes[~free][order], float(gains[free].sum())
    filled = np.cumsum(sizes)
    whole = int(np.searchsorted(filled, room, side="right"))
    rest = room - (filled[whole - 1] if whole else 0.0)
    return sure + float(gains[:whole].sum() + gains[whole] * rest / sizes[whole])
