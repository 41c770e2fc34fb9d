"""The best set of all by SCIP, a branch-and-bound solver for mixed-integer convex programs.

    minimise ½uᵀHu − bᵀu   over u ≥ 0, z ∈ {0, 1}
    subject to  u_i ≤ M_i z_lot(i),  Σ |lot| z ≤ k,  Σ price z ≤ budget,  z_a + z_b ≤ 1 if excluded

H has unit diagonal and τ is 1 (the caller scales). M_i bounds every refit, so that no set is lost:
at the optimum u of a set the objective is at most that of u = 0, and ½ + ½uᵀHu − bᵀu splits into
½ρ² ≥ 0 and λ Σ p_i u_i, each at most ½; so u_i ≤ 1 / (2 λp_i). And uᵀHu = bᵀu ≤ ‖Gu‖ ≤ √(uᵀHu), so
uᵀHu ≤ 1 and u_i² ≤ 1 / μ, where μ is H's smallest eigenvalue.

The relaxation with z in [0, 1] is made tight by the perspective of a diagonal part: with δ just
below μ, H = (H − δI) + δI, and u_i² in the second part is replaced by q_i with u_i² ≤ q_i z
(Frangioni and Gentile 2006), which is the same for z of 0 or 1 and larger between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots

if TYPE_CHECKING:
    from pyscipopt import Model, Variable

_GAP = 1e-7  # of the objective, at which SCIP stops
_DEFINITE = 1e-12  # an eigenvalue below this, for each dataset, is none
_PART = 0.999  # of the smallest eigenvalue, for the diagonal part


@dataclass(frozen=True)
class Found:
    """What SCIP found.

    Attributes:
        taken: the lots of the best set it has.
        bound: no set has a lower ½uᵀHu − bᵀu.
        status: SCIP's word for how it ended.
    """

    taken: tuple[int, ...]
    bound: float
    status: str


def best_lots(
    H: Floats,
    b: Floats,
    threshold: Floats,
    lots: Lots,
    k: int,
    prices: Floats,
    budget: float | None,
    start: tuple[int, ...],
    start_weights: Floats,
    seconds: float,
) -> Found:
    """The best set of lots, or the best that there was time for.

    Args:
        H: (n, n), unit diagonal.
        b: (n,) alignments less thresholds.
        threshold: λp (n,) > 0, scaled like b.
        lots: what is sold together.
        k: how many datasets at most.
        prices: (n,) money.
        budget: how much money at most.
        start: lots of a good set, and
        start_weights: (n,) its refit.
        seconds: time limit.
    """
    from pyscipopt import Model, quicksum

    n = len(b)
    smallest = float(np.linalg.eigvalsh(H)[0])
    ceiling = np.minimum(0.5 / threshold, 1 / math.sqrt(smallest) if smallest > 1e-6 else math.inf)
    diagonal = _PART * smallest if smallest > _DEFINITE * n else -_jitter(smallest, n)
    factor = np.asarray(np.linalg.cholesky(H - diagonal * np.eye(n)), np.float64)
    model = Model()
    model.hideOutput()
    for name, value in (("limits/time", seconds), ("limits/gap", _GAP)):
        model.setParam(name, value)
    u = [model.addVar(lb=0.0, ub=float(top)) for top in ceiling]
    z = [model.addVar(vtype="B") for _ in lots.members]
    y = [model.addVar(lb=None) for _ in range(n)]
    square = model.addVar(lb=0.0)
    q = [model.addVar(lb=0.0) for _ in range(n)] if diagonal > 0 else []
    for lot, members in enumerate(lots.members):
        if lot in lots.barred:
            model.addCons(z[lot] <= 0)
        for i in members:
            model.addCons(u[i] <= float(ceiling[i]) * z[lot])
            if q:
                model.addCons(u[i] * u[i] <= q[i] * z[lot])
    for j in range(n):
        row = quicksum(float(factor[i, j]) * u[i] for i in range(j, n))
        model.addCons(y[j] == row)
    model.addCons(quicksum(one * one for one in y) <= square)
    model.addCons(quicksum(lots.size(lot) * one for lot, one in enumerate(z)) <= k)
    if budget is not None:
        cost = quicksum(lots.price(lot, prices) * one for lot, one in enumerate(z))
        model.addCons(cost <= budget)
    for one, other in sorted(lots.excludes):
        model.addCons(z[one] + z[other] <= 1)
    curved = square + diagonal * quicksum(q) if q else square
    model.setObjective(0.5 * curved - quicksum(float(b[i]) * u[i] for i in range(n)), "minimize")
    _offer(model, u, z, y, square, q, factor, start, start_weights)
    model.optimize()
    taken = tuple(lot for lot, one in enumerate(z) if model.getVal(one) > 0.5)
    return Found(taken, float(model.getDualbound()), str(model.getStatus()))


def _jitter(smallest: float, n: int) -> float:
    """What makes H definite in floating point, where it is singular."""
    return _DEFINITE * n + max(0.0, -smallest)


def _offer(
    model: Model,
    u: list[Variable],
    z: list[Variable],
    y: list[Variable],
    square: Variable,
    q: list[Variable],
    factor: Floats,
    start: tuple[int, ...],
    weights: Floats,
) -> None:
    """Give SCIP a set to begin with."""
    solution, projected = model.createSol(), factor.T @ weights
    taken = [lot in start for lot in range(len(z))]
    values = [*weights, *projected, *taken, projected @ projected, *(weights[: len(q)] ** 2)]
    for variable, value in zip((*u, *y, *z, square, *q), values, strict=True):
        model.setSolVal(solution, variable, float(value))
    model.addSol(solution)
