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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from appraise.numerics.active_set import nonnegative_minimum
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots
from appraise.numerics.lots import lots as single_lots
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


def forward(
    program: Program,
    lam: float,
    k: int | None = None,
    prices: ArrayLike | None = None,
    budget: float | None = None,
    lots: Lots | None = None,
    seconds: float = 60.0,  # noqa: ARG001 (rules are interchangeable)
) -> Subset:
    """Take the lot that lowers f most, refit, and again; ties to the first.

    Args:
        program: with w ≥ 0.
        lam: λ.
        k: how many datasets at most; None for no limit.
        prices: (n,) money; None for 0.
        budget: how much money at most; what costs more than is left is skipped.
        lots: what is sold together; None for each dataset by itself.
        seconds: not used.
    """
    n = len(program.c)
    sold, costs = lots or single_lots(n), _costs(prices, n)
    taken: list[int] = []
    gains, current = np.zeros(n), refit(program, lam, ())[0]
    while True:
        chosen = sold.datasets(taken)
        left = math.inf if budget is None else budget * (1 + 1e-12) - float(costs[[*chosen]].sum())
        places = n if k is None else k - len(chosen)
        open_to = [lot for lot in range(len(sold.members)) if lot not in taken]
        found = {
            lot: current - refit(program, lam, (*chosen, *sold.members[lot]))[0] for lot in open_to
        }
        for lot in open_to:
            gains[list(sold.members[lot])] = max(0.0, found[lot])
        within = [
            lot
            for lot in open_to
            if sold.price(lot, costs) <= left and sold.size(lot) <= places and sold.fits(lot, taken)
        ]
        best_one = max(within, key=lambda lot: (found[lot], -lot), default=None)
        if best_one is None or found[best_one] <= _NO_GAIN * program.tau:
            break
        taken.append(best_one)
        current -= found[best_one]
    objective, weights = refit(program, lam, sold.datasets(taken))
    bound = refit(program, lam, range(n))[0]
    exact = objective - bound <= _NO_GAIN * program.tau
    return Subset(sold.datasets(taken), weights, gains, objective, bound, "forward", exact)


def best(
    program: Program,
    lam: float,
    k: int | None = None,
    prices: ArrayLike | None = None,
    budget: float | None = None,
    lots: Lots | None = None,
    seconds: float = 60.0,
) -> Subset:
    """The set with the lowest f of all within k and budget.

    Up to `MOST_SUBSETS` sets are all tried; of sets that are equal to the ninth digit the smallest
    is taken, then the first. Above, SCIP solves the mixed-integer program; if its time ends before
    the proof is done, the best set it has is given, with the gap that is left.

    Args:
        program: with w ≥ 0.
        lam: λ.
        k: how many datasets at most; None for no limit.
        prices: (n,) money; None for 0.
        budget: how much money at most.
        lots: what is sold together; None for each dataset by itself.
        seconds: time limit of the mixed-integer program.
    """
    n = len(program.c)
    sold, costs = lots or single_lots(n), _costs(prices, n)
    size = n if k is None else min(k, n)
    count = sum(math.comb(len(sold.members), one) for one in range(size + 1))
    if count <= MOST_SUBSETS:
        ceiling = math.inf if budget is None else budget * (1 + 1e-12)
        found = (
            (refit(program, lam, sold.datasets(one))[0], one)
            for one in _sets(sold, size, costs, ceiling)
        )
        _, taken = min(found, key=lambda one: (round(one[0] / program.tau, 9), len(one[1]), one[1]))
        return _finished(program, lam, sold, taken, None)
    return _by_mixed_integer(program, lam, sold, size, costs, budget, seconds)


def _by_mixed_integer(
    program: Program,
    lam: float,
    sold: Lots,
    size: int,
    costs: Floats,
    budget: float | None,
    seconds: float,
) -> Subset:
    from appraise.numerics.mixed_integer import best_lots

    greedy = forward(program, lam, size, costs, budget, sold)
    begin = [lot for lot, members in enumerate(sold.members) if members[0] in set(greedy.chosen)]
    d = np.sqrt(np.maximum(np.diag(program.H), np.finfo(float).tiny))
    unit = d * math.sqrt(program.tau)
    threshold = lam * program.penalties
    answer = best_lots(
        program.H / np.outer(d, d),
        (program.c - threshold) / unit,
        threshold / unit,
        sold,
        size,
        costs,
        budget,
        tuple(begin),
        greedy.weights * d / math.sqrt(program.tau),
        seconds,
    )
    taken, f = answer.taken, refit(program, lam, sold.datasets(answer.taken))[0]
    if greedy.objective < f:
        taken, f = tuple(begin), greedy.objective
    proven = max(greedy.bound, program.tau * (0.5 + answer.bound))
    return _finished(program, lam, sold, taken, min(proven, f))


def _finished(
    program: Program, lam: float, sold: Lots, taken: Sequence[int], bound: float | None
) -> Subset:
    """The set without lots that have no weight, in the order of the weights, with its gains."""
    n = len(program.c)
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


def _sets(sold: Lots, size: int, costs: Floats, ceiling: float) -> Iterator[tuple[int, ...]]:
    everything = range(len(sold.members))
    for count in range(size + 1):
        for one in itertools.combinations(everything, count):
            members = list(sold.datasets(one))
            affordable = len(members) <= size and costs[members].sum() <= ceiling
            if affordable and all(sold.fits(lot, one) for lot in one):
                yield one


def _costs(prices: ArrayLike | None, n: int) -> Floats:
    return np.zeros(n) if prices is None else np.asarray(prices, dtype=np.float64)


def refit(program: Program, lam: float, chosen: Sequence[int]) -> tuple[float, Floats]:
    """f of a set of datasets, and the weights (n,) that reach it."""
    on, weights = list(chosen), np.zeros(len(program.c))
    if not on:
        return 0.5 * program.tau, weights
    H, b = program.H[np.ix_(on, on)], program.c[on] - lam * program.penalties[on]
    d = np.sqrt(np.diag(H))
    d[d == 0] = 1.0
    found = nonnegative_minimum(H / np.outer(d, d), b / d) / d
    weights[on] = found
    return 0.5 * program.tau - 0.5 * float(b @ found), weights
