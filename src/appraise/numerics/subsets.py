"""Subsets by the objective itself: forward selection with refit, and the exact best.

Ranking by weight takes the largest entries of one optimum over all datasets. Here the program is
solved again for each candidate set S, with w = 0 outside it:

    f(S) = min over w ≥ 0, w = 0 outside S, of ½ wᵀHw − (c − λp)ᵀw + τ/2      (H = K + γI)

f falls when S grows, so f of all eligible datasets, the relaxation without k and budget, bounds
every f(S) from below. Sets are of lots: what is sold together is taken together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from appraise.numerics.active_set import nonnegative_minimum
from appraise.numerics.buying import BuyerLimits
from appraise.numerics.kernel import Floats
from appraise.numerics.mixed_integer import best_lots
from appraise.numerics.program import Program

MOST_SUBSETS = 20_000  # of an enumeration, a few seconds; above it a mixed-integer program
_NO_GAIN = 1e-12  # of τ: an improvement below it is none
_CLOSED = 1e-6  # of τ: a gap below it is closed, for a solver that stops there

Method = Literal["forward", "enumeration", "mixed-integer"]


@dataclass(frozen=True)
class Subset:
    """A set of datasets chosen for its objective.

    Attributes:
        chosen: indices, in the order in which they were taken (forward) or by weight (best).
        weights: (n,) the refit, 0 outside the set.
        gains: (n,) by how much f was lowered by taking a dataset's lot (forward), by how much it
            would rise without it (best); of the others by how much one more of it would lower f.
        objective: f of the set.
        bound: no set within k and budget has a lower f.
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


# program, λ, the buyer's limits, seconds → a set
SetRule = Callable[[Program, float, BuyerLimits, float], Subset]


def forward(
    program: Program,
    lam: float,
    limits: BuyerLimits,
    seconds: float = 60.0,  # noqa: ARG001 (rules are interchangeable)
) -> Subset:
    """Take the lot that lowers f most, refit, and again; ties to the first.

    Args:
        program: with w ≥ 0.
        lam: λ.
        limits: the buyer's; what they do not allow beside what was taken is skipped.
        seconds: not used.
    """
    sold = limits.lots
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
        best_lot = max(allowed, key=lambda lot: (gain[lot], -lot), default=None)
        if best_lot is None or gain[best_lot] <= _NO_GAIN * program.tau:
            break
        basket = basket.with_lot(best_lot)
        current -= gain[best_lot]
    objective, weights = refit(program, lam, chosen)
    bound = refit(program, lam, range(len(program.c)))[0]
    exact = objective - bound <= _NO_GAIN * program.tau
    return Subset(chosen, weights, gains, objective, bound, "forward", exact)


def best(program: Program, lam: float, limits: BuyerLimits, seconds: float = 60.0) -> Subset:
    """The set with the lowest f of all within the buyer's limits.

    Up to `MOST_SUBSETS` sets are all tried; of sets that are equal to the ninth digit the smallest
    is taken, then the first. Above, SCIP solves the mixed-integer program; if its time ends before
    the proof is done, the best set it has is given, with the gap that is left.

    Args:
        program: with w ≥ 0.
        lam: λ.
        limits: the buyer's.
        seconds: time limit of the mixed-integer program.
    """
    sold = limits.lots
    count = sum(math.comb(len(sold.members), size) for size in range(limits.most + 1))
    if count > MOST_SUBSETS:
        return _by_mixed_integer(program, lam, limits, seconds)
    tried = ((refit(program, lam, sold.datasets(lots))[0], lots) for lots in _sets(limits))
    _, taken = min(tried, key=lambda one: (round(one[0] / program.tau, 9), len(one[1]), one[1]))
    return _finished(program, lam, limits, taken, None)


def _by_mixed_integer(program: Program, lam: float, limits: BuyerLimits, seconds: float) -> Subset:
    sold, greedy = limits.lots, forward(program, lam, limits)
    begin = [lot for lot, members in enumerate(sold.members) if members[0] in set(greedy.chosen)]
    d = np.sqrt(np.maximum(np.diag(program.H), np.finfo(float).tiny))
    unit = d * math.sqrt(program.tau)
    threshold = lam * program.penalties
    answer = best_lots(
        program.H / np.outer(d, d),
        (program.c - threshold) / unit,
        threshold / unit,
        limits,
        tuple(begin),
        greedy.weights * d / math.sqrt(program.tau),
        seconds,
    )
    taken, f = answer.taken, refit(program, lam, sold.datasets(answer.taken))[0]
    if greedy.objective < f:
        taken, f = tuple(begin), greedy.objective
    proven = max(greedy.bound, program.tau * (0.5 + answer.bound))
    return _finished(program, lam, limits, taken, min(proven, f))


def _finished(
    program: Program, lam: float, limits: BuyerLimits, taken: Sequence[int], bound: float | None
) -> Subset:
    """The set without lots that have no weight, in the order of the weights, with its gains."""
    sold, n = limits.lots, len(program.c)
    weights = refit(program, lam, sold.datasets(taken))[1]
    taken = [lot for lot in taken if weights[list(sold.members[lot])].any()]
    objective, weights = refit(program, lam, sold.datasets(taken))
    gains = np.zeros(n)
    for lot, members in enumerate(sold.members):
        other = sorted(set(taken) ^ {lot})  # without it, or with it
        gains[list(members)] = abs(refit(program, lam, sold.datasets(other))[0] - objective)
    order = sorted(taken, key=lambda lot: (-weights[list(sold.members[lot])].sum(), lot))
    chosen = sold.datasets(order)
    if bound is None:
        return Subset(chosen, weights, gains, objective, objective, "enumeration", True)
    exact = objective - bound <= _CLOSED * program.tau
    return Subset(chosen, weights, gains, objective, bound, "mixed-integer", exact)


def _sets(limits: BuyerLimits) -> Iterator[tuple[int, ...]]:
    everything = range(len(limits.lots.members))
    for count in range(limits.most + 1):
        for taken in itertools.combinations(everything, count):
            if limits.allows(taken):
                yield taken


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
