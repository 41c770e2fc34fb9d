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
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats


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
        found, low, high = [], [], []
        if self.owner_cap is not None:
            for owner in np.unique(self.owners):
                found.append((self.owners == owner).astype(np.float64))
                low.append(-math.inf)
                high.append(self.owner_cap)
        if self.total is not None:
            found.append(np.ones(len(self.owners)))
            low.append(self.total)
            high.append(self.total)
        return np.array(found).reshape(-1, len(self.owners)), np.array(low), np.array(high)


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
            raise SolverError(f"cap: expected a number above 0, found {wrong:g}; mend it")
    for name, limit in (("owner_cap", owner_cap), ("total", total)):
        if limit is not None and not (math.isfinite(limit) and limit > 0):
            raise SolverError(f"{name}: expected a number above 0, found {limit:g}; mend it")
    _, number = np.unique(np.array(list(owners), dtype=str), return_inverse=True)
    found = Limits(np.asarray(number, dtype=np.int64), caps, owner_cap, total)
    check_room(found)
    return found


def check_room(found: Limits) -> None:
    """The caps leave room for the sum, or SolverError."""
    if found.total is None:
        return
    sizes = np.bincount(found.owners)
    caps = np.full(len(found.owners), math.inf) if found.cap is None else found.cap
    room = np.array([caps[found.owners == owner].sum() for owner in range(len(sizes))])
    if found.owner_cap is not None:
        room = np.minimum(room, found.owner_cap)
    if room[sizes > 0].sum() < found.total * (1 - 1e-12):
        raise SolverError(
            f"total: expected weights that can add up to {found.total:g}, found caps that allow "
            f"{room[sizes > 0].sum():g} for {len(found.owners)} datasets of "
            f"{np.count_nonzero(sizes)} owners; raise the caps or offer more datasets"
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


def cheapest(found: Limits, e: Floats) -> Prices:
    """The prices of least cost with ν + η_o(i) + μ_i ≥ e_i for all i.

    For an owner, at a given ν, x = ν + η_o minimises U x + Σ u_i (e_i − x)₊ over x ≥ ν: a
    breakpoint x_o of the e_i, or ν. The cost is then convex and piecewise linear in
    ν, with its breakpoints among the e_i and the x_o.
    """
    n = len(e)
    u = np.full(n, math.inf) if found.cap is None else found.cap
    best = np.zeros(n)  # x_o of each dataset's owner
    if found.owner_cap is not None:
        for owner in np.unique(found.owners):
            of = found.owners == owner
            order = np.argsort(-e[of], kind="stable")
            filled = np.cumsum(u[of][order]) > found.owner_cap * (1 + 1e-12)
            floor = 0.0 if found.total is None else -math.inf
            best[of] = max(floor, e[of][order][filled.argmax()]) if filled.any() else floor
    if found.total is None:
        return _priced(found, e, 0.0, best)
    points = np.unique(np.concatenate([e, best[np.isfinite(best)]]))
    low, high = 0, len(points) - 1
    while low < high:  # the cost is convex in ν
        middle = (low + high) // 2
        costs = [_priced(found, e, float(points[k]), best).cost for k in (middle, middle + 1)]
        falls = costs[0] > costs[1] or math.isinf(costs[0])  # without caps ν has to reach all e_i
        low, high = (middle + 1, high) if falls else (low, middle)
    return _priced(found, e, float(points[low]), best)


def _priced(found: Limits, e: Floats, nu: float, best: Floats) -> Prices:
    eta = np.zeros(len(e)) if found.owner_cap is None else np.maximum(best - nu, 0.0)
    over = np.maximum(e - nu - eta, 0.0)
    cost = 0.0 if found.total is None else nu * found.total
    if found.owner_cap is not None:
        _, first = np.unique(found.owners, return_index=True)
        cost += found.owner_cap * math.fsum(eta[first])
    caps = np.full(len(e), math.inf) if found.cap is None else found.cap
    cost += math.fsum(caps[over > 0] * over[over > 0])
    return Prices(nu, eta, over, cost)


def violation(found: Limits, weights: Floats) -> float:
    """By how much weights break the limits."""
    A, low, high = found.rows()
    sums = A @ weights
    broken = [np.maximum(low - sums, 0), np.maximum(sums - high, 0), np.maximum(-weights, 0)]
    if found.cap is not None:
        broken.append(np.maximum(weights - found.cap, 0))
    return max(float(part.max(initial=0.0)) for part in broken)
