"""Who of exact copies has the weight: the first, or the first ones where weights are limited.

With a ridge the optimum is unique, copies share, and nothing here applies. Without one, copies at
one penalty add nothing to each other: weight moved from one to another changes no objective. By
rule it goes to the first of them, so that no order of datasets and no solver decides.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from appraise.numerics.kernel import Floats
from appraise.numerics.limits import Limits

_HAIR = 1e-12  # of the weight of all copies: room for less is none


def settled(weights: Floats, first: NDArray[np.int64], on: NDArray[np.int64]) -> Floats:
    """The first of copies has the weight of all.

    Args:
        weights: w (n,).
        first: for each of `on` the first with the same gradient and penalty.
        on: the datasets with a weight.
    """
    moved = np.zeros_like(weights)
    np.add.at(moved, first, weights[on])
    return moved


def settled_within(limits: Limits, weights: Floats, first: NDArray[np.int64]) -> Floats:
    """The first of copies has as much of their weight as the limits allow, then the second.

    Args:
        limits: that the weights keep.
        weights: w (n,) ≥ 0.
        first: (n,) for each dataset the first with the same gradient and penalty.
    """
    groups = [np.flatnonzero(first == one) for one in np.unique(first[weights != 0])]
    groups = [copies for copies in groups if len(copies) > 1]
    filled, contested = weights.copy(), False
    for place, copies in enumerate(groups):
        later = np.concatenate([*groups[place + 1 :], np.empty(0, dtype=np.int64)])
        left = math.fsum(filled[copies])
        least, last = _HAIR * left, copies[0]
        filled[copies] = 0.0
        for i in copies:
            room = left if limits.cap is None else min(left, float(limits.cap[i]))
            if limits.owner_cap is not None:
                taken = filled[limits.owners == limits.owners[i]].sum()
                free = max(0.0, limits.owner_cap - float(taken))
                rivals = later[limits.owners[later] == limits.owners[i]]
                contested |= free < room - least and bool((filled[rivals] > least).any())
                room = min(room, free)
            if room > least:
                filled[i], last = room, i
                left -= room
        filled[last] += left  # of rounding
    if contested and limits.owner_cap is not None:
        return _shared_out(limits, limits.owner_cap, weights, groups)
    return filled


def _shared_out(
    limits: Limits, most: float, weights: Floats, groups: list[NDArray[np.int64]]
) -> Floats:
    """The same where several groups of copies compete for the room of one owner.

    One after the other, in the order of groups and indices, each has the most that it can have
    while the groups keep their sums: one linear program each.
    """
    index = np.concatenate(groups)
    rest = weights.copy()
    rest[index] = 0.0
    taken = np.bincount(limits.owners, rest)
    owners = np.unique(limits.owners[index])
    sums = np.array([[i in set(copies) for i in index] for copies in groups], dtype=np.float64)
    totals = np.array([math.fsum(weights[copies]) for copies in groups])
    held = (owners[:, None] == limits.owners[index]).astype(np.float64)
    room = np.maximum(most - taken[owners], held @ weights[index])
    cap = np.full(len(index), np.inf) if limits.cap is None else limits.cap[index]
    low, high = np.zeros(len(index)), np.minimum(cap, sums.T @ totals)
    for k in range(len(index)):
        asked = np.zeros(len(index))
        asked[k] = -1.0
        bounds = list(zip(low.tolist(), high.tolist(), strict=True))
        result = linprog(asked, held, room, sums, totals, bounds)
        if result.x is None:
            return weights  # rounding left no room: the solver's own split stays
        low[k] = high[k] = float(result.x[k])
    shared = rest
    shared[index] = np.where(low > _HAIR * (sums.T @ totals), low, 0.0)
    return shared
