"""The program with limits on the weights: caps on datasets and owners, and a fixed sum.

    minimise over w   ½ wᵀHw − (c − λp)ᵀw
    subject to        0 ≤ w_i ≤ u_i,   Σ_{i of owner o} w_i ≤ U,   Σ_i w_i = T   (any of the three)

Let m = c − Hw and e_i = m_i − λp_i. With prices ν on the sum (of any sign), η_o ≥ 0 on an owner and
μ_i ≥ 0 on a cap, the dual at the residual of w is

    D = (τ − cᵀw) − ½(ρ² + γ‖w‖²) − νT − Σ_o η_o U − Σ_i μ_i u_i,    where  ν + η_o(i) + μ_i ≥ e_i.

For any w the cheapest prices are found in closed form (`cheapest`), so that the certificate needs
nothing but w: primal − D ≥ 0 bounds how far w is from the optimum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats

_MANY = 64  # datasets of one owner, above which it is looked at by itself


@dataclass(frozen=True)
class Limits:
    """Limits on the weights; None for no such limit.

    Attributes:
        owners: (n,) the number of each dataset's owner.
        cap: u (n,), the largest weight of each dataset; infinity for none.
        owner_cap: U, the largest sum of weights of an owner.
        total: T, the sum of all weights: 1 for shares of a mixture.
    """

    owners: NDArray[np.int64]
    cap: Floats | None = None
    owner_cap: float | None = None
    total: float | None = None

    def among(self, keep: NDArray[np.int64]) -> Limits:
        """The same limits for some of the datasets."""
        cap = None if self.cap is None else self.cap[keep]
        return Limits(self.owners[keep], cap, self.owner_cap, self.total)

    def loose(self) -> NDArray[np.bool_]:
        """Datasets (n,) on whose weight there is no limit at all."""
        if self.owner_cap is not None or self.total is not None or self.cap is None:
            return np.zeros(len(self.owners), dtype=bool)
        return np.isinf(self.cap)

    def rows(self) -> tuple[Floats, Floats, Floats]:
        """Matrix (r, n), lower and upper bounds (r,) of the sums that are limited."""
        n = len(self.owners)
        sums, low, high = np.empty((0, n)), np.empty(0), np.empty(0)
        if self.owner_cap is not None:
            sums = (np.unique(self.owners)[:, None] == self.owners).astype(np.float64)
            low, high = np.full(len(sums), -math.inf), np.full(len(sums), self.owner_cap)
        if self.total is not None:
            sums = np.vstack([sums, np.ones(n)])
            low, high = np.append(low, self.total), np.append(high, self.total)
        return sums, low, high

    def room(self, among: NDArray[np.int64] | None = None) -> float:
        """The largest sum of weights that the caps leave to all datasets, or to some of them."""
        owners = self.owners if among is None else self.owners[among]
        caps = np.full(len(owners), math.inf)
        if self.cap is not None:
            caps = self.cap if among is None else self.cap[among]
        room = np.bincount(owners, caps)
        if self.owner_cap is not None:
            room = np.minimum(room, self.owner_cap)
        return float(room.sum())


def limits(
    owners: Sequence[str],
    cap: float | Sequence[float] | None = None,
    owner_cap: float | None = None,
    total: float | None = None,
) -> Limits | None:
    """Limits on the weights of datasets with these owners; None where there is none.

    Args:
        owners: (n,) who offers each dataset.
        cap: largest weight of every dataset, or (n,) of each; infinity for none.
        owner_cap: largest sum of weights of an owner.
        total: what all weights add up to.

    Raises:
        SolverError: a limit is not a number above 0, or the caps do not leave room for the sum.
    """
    if cap is None and owner_cap is None and total is None:
        return None
    caps = None
    if cap is not None:
        caps = np.array(np.broadcast_to(np.asarray(cap, dtype=np.float64), len(list(owners))))
        if not (caps > 0).all():  # NaN neither
            wrong = caps[~(caps > 0)][0]
            raise SolverError(
                f"cap: expected a number above 0, found {wrong:g}; correct it or leave it out"
            )
    for name, limit in (("owner_cap", owner_cap), ("total", total)):
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise SolverError(
                f"{name}: expected a number above 0, found {limit:g}; correct it or leave it out"
            )
    _, number = np.unique(np.array(list(owners), dtype=str), return_inverse=True)
    asked = Limits(np.asarray(number, dtype=np.int64), caps, owner_cap, total)
    check_room(asked)
    return asked


def limits_by_id(
    ids: Sequence[str],
    owners: Sequence[str],
    cap: float | None = None,
    caps: Mapping[str, float] | None = None,
    owner_cap: float | None = None,
    total: float | None = None,
) -> Limits | None:
    """`limits` with a cap for all datasets and others for single ones, by id.

    Args:
        ids: (n,) the datasets.
        owners: (n,) who offers each.
        cap: largest weight of every dataset that has none of its own.
        caps: id → largest weight; ids that are not among the datasets do not count.
        owner_cap, total: as in `limits`.

    Raises:
        SolverError: as in `limits`.
    """
    single, common = caps or {}, math.inf if cap is None else cap
    each = [single.get(name, common) for name in ids]
    some = any(one != math.inf for one in each)
    return limits(owners, each if some else None, owner_cap, total)


def check_room(asked: Limits) -> None:
    """The caps leave room for the sum, or SolverError."""
    if asked.total is None or asked.room() >= asked.total * (1 - 1e-12):
        return
    raise SolverError(
        f"total: expected weights that can add up to {asked.total:g}, found caps that allow "
        f"{asked.room():g} for {len(asked.owners)} datasets of {len(np.unique(asked.owners))} "
        "owners; raise the caps or value more datasets"
    )


@dataclass(frozen=True)
class Prices:
    """What the limits cost.

    Attributes:
        total: ν, of any sign; 0 where the sum is free.
        owner: (n,) η of each dataset's owner.
        cap: (n,) μ.
        cost: νT + Σ_o η_o U + Σ_i μ_i u_i.
    """

    total: float
    owner: Floats
    cap: Floats
    cost: float

    @property
    def surcharge(self) -> Floats:
        """ν + η (n,), what a dataset must earn beyond λp to get any weight."""
        return self.total + self.owner


def cheapest(asked: Limits, e: Floats) -> Prices:
    """The prices of least cost with ν + η_o(i) + μ_i ≥ e_i for all i.

    For an owner, at a given ν, x = ν + η_o minimises U x + Σ u_i (e_i − x)₊ over x ≥ ν: a
    breakpoint x_o of the e_i, or ν. The cost is then convex and piecewise linear in
    ν, with its breakpoints among the e_i and the x_o. Costs O(n log n).
    """
    best = np.zeros(len(e))  # x_o of each dataset's owner
    if asked.owner_cap is not None:
        best = _breakpoints(asked, e, asked.owner_cap)
    _, first = np.unique(asked.owners, return_index=True)
    if asked.total is None:
        return _priced(asked, e, 0.0, best, first)
    points = np.unique(np.concatenate([e, best[np.isfinite(best)]]))
    low, high = 0, len(points) - 1
    while low < high:  # the cost is convex in ν
        middle = (low + high) // 2
        costs = [
            _priced(asked, e, float(points[k]), best, first).cost for k in (middle, middle + 1)
        ]
        falls = costs[0] > costs[1] or math.isinf(costs[0])  # without caps ν has to reach all e_i
        low, high = (middle + 1, high) if falls else (low, middle)
    return _priced(asked, e, float(points[low]), best, first)


def _breakpoints(asked: Limits, e: Floats, most: float) -> Floats:
    """x_o of each dataset's owner (n,): the first e_i, from the largest, that caps overfill.

    Where the caps of all of an owner's datasets fit into U it is the least that x can be.
    """
    n, full = len(e), most * (1 + 1e-12)
    u = np.full(n, math.inf) if asked.cap is None else asked.cap
    floor = 0.0 if asked.total is None else -math.inf
    found = np.full(int(asked.owners.max(initial=-1)) + 1, floor)  # by owner
    order = np.lexsort((-e, asked.owners))  # stable: an owner's datasets by e, largest first
    starts = np.flatnonzero(np.diff(asked.owners[order], prepend=-1))
    sizes = np.diff(starts, append=n)
    for start, size in zip(starts[sizes > _MANY], sizes[sizes > _MANY], strict=True):
        own = order[start : start + size]
        filled = np.cumsum(u[own]) > full
        if filled.any():
            found[asked.owners[own[0]]] = e[own[filled.argmax()]]
    few = sizes <= _MANY
    starts, sizes = starts[few], sizes[few]
    taken = np.zeros(len(starts))
    for place in range(int(sizes.max(initial=0))):  # all owners' next dataset at once
        there = sizes > place
        starts, sizes, taken = starts[there], sizes[there], taken[there]
        own = order[starts + place]
        taken = taken + u[own]
        over = taken > full
        found[asked.owners[own[over]]] = e[own[over]]
        starts, sizes, taken = starts[~over], sizes[~over], taken[~over]
    return np.asarray(np.maximum(found, floor)[asked.owners])


def _priced(asked: Limits, e: Floats, nu: float, best: Floats, first: NDArray[np.int64]) -> Prices:
    eta = np.zeros(len(e)) if asked.owner_cap is None else np.maximum(best - nu, 0.0)
    over = np.maximum(e - nu - eta, 0.0)
    cost = 0.0 if asked.total is None else nu * asked.total
    if asked.owner_cap is not None:
        cost += asked.owner_cap * math.fsum(eta[first])
    caps = np.full(len(e), math.inf) if asked.cap is None else asked.cap
    cost += math.fsum(caps[over > 0] * over[over > 0])
    return Prices(nu, eta, over, cost)


def violation(asked: Limits, weights: Floats) -> float:
    """By how much weights break the limits."""
    broken = [float(np.maximum(-weights, 0).max(initial=0.0))]
    if asked.owner_cap is not None:
        sums = np.bincount(asked.owners, weights)
        broken.append(float(np.maximum(sums - asked.owner_cap, 0).max(initial=0.0)))
    if asked.total is not None:
        broken.append(abs(math.fsum(weights) - asked.total))
    if asked.cap is not None:
        broken.append(float(np.maximum(weights - asked.cap, 0).max(initial=0.0)))
    return max(broken)
