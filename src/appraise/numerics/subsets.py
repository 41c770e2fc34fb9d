"""Subsets by the objective itself: forward selection with refit, and the exact best of few.

Ranking by weight takes the largest entries of one optimum over all datasets. Here the program is
solved again for each candidate set S, with w = 0 outside it:

    f(S) = min over w ≥ 0, w = 0 outside S, of ½ wᵀHw − (c − λp)ᵀw + τ/2      (H = K + γI)

f falls when S grows, so f of all eligible datasets, the relaxation without k and budget, bounds
every f(S) from below.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError
from appraise.numerics.active_set import nonnegative_minimum
from appraise.numerics.kernel import Floats
from appraise.numerics.program import Program

MOST_SUBSETS = 200_000  # of an enumeration: about half a minute
_NO_GAIN = 1e-12  # of τ: an improvement below it is none


@dataclass(frozen=True)
class Subset:
    """A set of datasets chosen for its objective.

    Attributes:
        chosen: indices, in the order in which they were taken (forward) or by weight (best).
        weights: (n,) the refit, 0 outside the set.
        gains: (n,) by how much f was lowered by taking a dataset (forward), by how much it would
            rise without it (best); of the others by how much one more of it would lower f.
        objective: f of the set.
        bound: f of all datasets, which no set can go below.
        exact: whether no set within k and budget has a lower objective.
    """

    chosen: tuple[int, ...]
    weights: Floats
    gains: Floats
    objective: float
    bound: float
    exact: bool


def forward(
    program: Program,
    lam: float,
    k: int | None = None,
    prices: ArrayLike | None = None,
    budget: float | None = None,
) -> Subset:
    """Take the dataset that lowers f most, refit, and again; ties to the first.

    Args:
        program: with w ≥ 0.
        lam: λ.
        k: how many at most; None for no limit.
        prices: (n,) money; None for 0.
        budget: how much money at most; what costs more than is left is skipped.
    """
    n = len(program.c)
    costs = _costs(prices, n)
    chosen: list[int] = []
    gains, current = np.zeros(n), _fit(program, lam, ())[0]
    while True:
        left = math.inf if budget is None else budget * (1 + 1e-12) - float(costs[chosen].sum())
        open_to = [i for i in range(n) if i not in chosen]
        found = {i: current - _fit(program, lam, (*chosen, i))[0] for i in open_to}
        gains[open_to] = [max(0.0, found[i]) for i in open_to]
        within = [i for i in open_to if costs[i] <= left]
        full = k is not None and len(chosen) >= k
        best = max(within, key=lambda i: (found[i], -i), default=None)
        if full or best is None or found[best] <= _NO_GAIN * program.tau:
            break
        chosen.append(best)
        current -= found[best]
    objective, weights = _fit(program, lam, chosen)
    bound = _fit(program, lam, range(n))[0]
    exact = objective - bound <= _NO_GAIN * program.tau
    return Subset(tuple(chosen), weights, gains, objective, bound, exact)


def best(
    program: Program,
    lam: float,
    k: int | None = None,
    prices: ArrayLike | None = None,
    budget: float | None = None,
) -> Subset:
    """The set with the lowest f of all within k and budget, by enumeration.

    Of sets that are equal to the ninth digit the smallest is taken, then the first.

    Raises:
        ParamsError: there are more than `MOST_SUBSETS` sets.
    """
    n = len(program.c)
    costs, size = _costs(prices, n), n if k is None else min(k, n)
    count = sum(math.comb(n, one) for one in range(size + 1))
    if count > MOST_SUBSETS:
        raise ParamsError(
            f"best_subset: expected at most {MOST_SUBSETS} sets to try, found {count} of up to "
            f"{size} of {n} datasets; lower k, or take the policy greedy"
        )
    ceiling = math.inf if budget is None else budget * (1 + 1e-12)
    found = ((_fit(program, lam, one)[0], one) for one in _sets(n, size, costs, ceiling))
    objective, chosen = min(
        found, key=lambda one: (round(one[0] / program.tau, 9), len(one[1]), one[1])
    )
    weights = _fit(program, lam, chosen)[1]
    chosen = tuple(i for i in chosen if weights[i] > 0)
    gains = np.zeros(n)
    for i in range(n):
        other = set(chosen) ^ {i}  # without it, or with it
        gains[i] = abs(_fit(program, lam, sorted(other))[0] - objective)
    order = sorted(chosen, key=lambda i: (-weights[i], i))
    bound = _fit(program, lam, range(n))[0]
    return Subset(tuple(order), weights, gains, objective, bound, True)


def _sets(n: int, size: int, costs: Floats, ceiling: float) -> Iterator[tuple[int, ...]]:
    for count in range(size + 1):
        for one in itertools.combinations(range(n), count):
            if costs[list(one)].sum() <= ceiling:
                yield one


def _costs(prices: ArrayLike | None, n: int) -> Floats:
    return np.zeros(n) if prices is None else np.asarray(prices, dtype=np.float64)


def _fit(program: Program, lam: float, chosen: Sequence[int]) -> tuple[float, Floats]:
    """f of a set, and the weights (n,) that reach it."""
    on, weights = list(chosen), np.zeros(len(program.c))
    if not on:
        return 0.5 * program.tau, weights
    H, b = program.H[np.ix_(on, on)], program.c[on] - lam * program.penalties[on]
    d = np.sqrt(np.diag(H))
    d[d == 0] = 1.0
    found = nonnegative_minimum(H / np.outer(d, d), b / d) / d
    weights[on] = found
    return 0.5 * program.tau - 0.5 * float(b @ found), weights
