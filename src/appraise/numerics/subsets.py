"""Subsets by the objective itself: forward selection with refit, and the exact best.

Ranking by weight takes the largest entries of one optimum over all datasets. Here the program is
solved again for each candidate set S, with w = 0 outside it:

    f(S) = min over w ≥ 0, w = 0 outside S, of ½ wᵀHw − (c − λp)ᵀw + τ/2      (H = K + γI)

f falls when S grows, so f of all eligible datasets, the relaxation without k and budget, bounds
every f(S) from below. Sets are of lots: what is sold together is taken together.

Prices are not in f. They matter to which sets the buyer can pay, and, where the buyer has said what
matching the whole target would be worth (an exchange rate E), to what is minimised: f(S) with every
unit of money at f(∅)/E, where f(∅) = τ/2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from appraise.numerics.active_set import nonnegative_minimum
from appraise.numerics.branch_and_bound import best_lots
from appraise.numerics.buying import BuyerLimits
from appraise.numerics.kernel import Floats, first_copies
from appraise.numerics.program import Program

MOST_NODES = 20_000  # of a search
_NO_GAIN = 1e-12  # of τ: an improvement below it is none
_CLOSED = 1e-8  # of τ: a gap below it is closed

Method = Literal["forward", "branch and bound"]


@dataclass(frozen=True)
class Subset:
    """A set of datasets chosen for its objective.

    Attributes:
        chosen: indices, in the order in which they were taken (forward) or by weight (best).
        weights: (n,) the refit, 0 outside the set.
        gains: (n,) by how much f was lowered by taking a dataset's lot (forward), by how much it
            would rise without it (best); of the others by how much one more of it would lower f.
        objective: f of the set, and what its price is worth.
        bound: no set within the buyer's limits has a lower one.
        method: how it was found.
        exact: whether the bound is reached.
    """

    chosen: tuple[int, ...]
    weights: Floats
    gains: Floats
    objective: float
    bound: float
    method: Method
    exact: bool

    @property
    def gap(self) -> float:
        """objective − bound: how much better another set could be, at most."""
        return self.objective - self.bound


# program, λ, the buyer's limits, places of the datasets where all else is equal, most nodes → a set
SetRule = Callable[[Program, float, BuyerLimits, Sequence[int], int], Subset]


def forward(
    program: Program,
    lam: float,
    limits: BuyerLimits,
    order: Sequence[int],
    most_nodes: int = MOST_NODES,  # noqa: ARG001 (rules are interchangeable)
) -> Subset:
    """Take the lot that lowers f most, less what it costs, refit, and again.

    Args:
        program: with w ≥ 0.
        lam: λ.
        limits: the buyer's; what they do not allow beside what was taken is skipped.
        order: (n,) place of each dataset; of equal lots the first is taken.
        most_nodes: not used.
    """
    sold, costs = limits.lots, _costs(program, limits)
    basket, gains, current = limits.basket(), np.zeros(len(program.c)), refit(program, lam, ())[0]
    while True:
        chosen = sold.datasets(basket.taken)
        gain = {
            lot: current - refit(program, lam, (*chosen, *members))[0]
            for lot, members in enumerate(sold.members)
            if lot not in basket.taken
        }
        for lot, drop in gain.items():
            gains[list(sold.members[lot])] = max(0.0, drop)
        allowed = [lot for lot in gain if basket.refusal(lot) is None]
        place = {lot: min(order[i] for i in sold.members[lot]) for lot in allowed}
        best_lot = max(allowed, key=lambda lot: (gain[lot] - costs[lot], -place[lot]), default=None)
        if best_lot is None or gain[best_lot] - costs[best_lot] <= _NO_GAIN * program.tau:
            break
        basket = basket.with_lot(best_lot)
        current -= gain[best_lot]
    objective, weights = refit(program, lam, chosen)
    objective += float(costs[list(basket.taken)].sum())
    bound = refit(program, lam, range(len(program.c)))[0]
    exact = objective - bound <= _NO_GAIN * program.tau
    return Subset(chosen, weights, gains, objective, bound, "forward", exact)


def best(
    program: Program,
    lam: float,
    limits: BuyerLimits,
    order: Sequence[int],
    most_nodes: int = MOST_NODES,
) -> Subset:
    """The set with the lowest objective of all within the buyer's limits.

    Of sets that are equal to the ninth digit the one that costs least is taken, then the smallest,
    then the first. If the search ends before the proof is done, the best set it has is given, with
    the gap that is left.

    Args:
        program: with w ≥ 0.
        lam: λ.
        limits: the buyer's.
        order: (n,) place of each dataset.
        most_nodes: of the search.
    """
    sold = limits.lots
    d = np.sqrt(np.maximum(np.diag(program.H), np.finfo(float).tiny))
    found = best_lots(
        program.H / np.outer(d, d),
        (program.c - lam * program.penalties) / (d * np.sqrt(program.tau)),
        _costs(program, limits) / program.tau,
        limits,
        _without_copies(program, limits, order),
        [min(order[i] for i in members) for members in sold.members],
        most_nodes,
    )
    weights = refit(program, lam, sold.datasets(found.taken))[1]
    taken = sorted(
        found.taken,
        key=lambda lot: (-weights[list(sold.members[lot])].sum(), order[sold.members[lot][0]]),
    )
    gains = _gains(program, lam, limits, taken)
    objective, bound = (program.tau * (0.5 + each) for each in (found.objective, found.bound))
    exact = objective - bound <= _CLOSED * program.tau
    chosen = sold.datasets(taken)
    return Subset(chosen, weights, gains, objective, bound, "branch and bound", exact)


def _costs(program: Program, limits: BuyerLimits) -> Floats:
    """What each lot must lower f by to be worth its price: 0 where nobody said what f is worth."""
    if limits.exchange_rate is None:
        return np.zeros(len(limits.lots.members))
    return 0.5 * program.tau * np.array(limits.lot_prices) / limits.exchange_rate


def _without_copies(program: Program, limits: BuyerLimits, order: Sequence[int]) -> list[int]:
    """Lots that may be taken, less those that add nothing to another one: of datasets that are the
    same to the bit and sold freely, all but the cheapest."""
    sold, bound_up = limits.lots, {lot for pair in limits.lots.excludes for lot in pair}
    cheapest: dict[int, int] = {}
    open_lots, first = [], first_copies(program.K)
    lots = [lot for lot in range(len(sold.members)) if lot not in sold.barred]
    for lot in sorted(lots, key=lambda lot: (limits.lot_prices[lot], order[sold.members[lot][0]])):
        alone = sold.size(lot) == 1 and lot not in bound_up
        if not alone or cheapest.setdefault(int(first[sold.members[lot][0]]), lot) == lot:
            open_lots.append(lot)
    return sorted(open_lots)


def _gains(program: Program, lam: float, limits: BuyerLimits, taken: Sequence[int]) -> Floats:
    """By how much f (n,) would rise without each lot that is taken, and fall with each other."""
    sold, gains = limits.lots, np.zeros(len(program.c))
    now = refit(program, lam, sold.datasets(taken))[0]
    for lot, members in enumerate(sold.members):
        other = sorted(set(taken) ^ {lot})
        gains[list(members)] = abs(refit(program, lam, sold.datasets(other))[0] - now)
    return gains


def refit(program: Program, lam: float, chosen: Sequence[int]) -> tuple[float, Floats]:
    """f of a set of datasets, and the weights (n,) that reach it."""
    on, weights = list(chosen), np.zeros(len(program.c))
    if not on:
        return 0.5 * program.tau, weights
    H, b = program.H[np.ix_(on, on)], program.c[on] - lam * program.penalties[on]
    d = np.sqrt(np.diag(H))
    d[d == 0] = 1.0
    weights[on] = nonnegative_minimum(H / np.outer(d, d), b / d) / d
    return 0.5 * program.tau - 0.5 * float(b @ weights[on]), weights
