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

import numpy as np

from appraise.numerics.buying import BuyerLimits
from appraise.numerics.kernel import Floats

_GAP = 1e-7  # of the objective, at which SCIP stops
_FEASIBLE = 1e-6  # of a bound, by which SCIP lets a sum exceed it
_DEFINITE = 1e-12  # an eigenvalue below this, for each dataset, is none
_PART = 0.999  # of the smallest eigenvalue, for the diagonal part


@dataclass(frozen=True)
class BestLots:
    """The set that SCIP ends with.

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
    limits: BuyerLimits,
    start: tuple[int, ...],
    start_weights: Floats,
    seconds: float,
) -> BestLots:
    """The best set of lots, or the best that there was time for.

    SCIP takes a sum of prices as within the budget that exceeds it by a millionth of it. Where its
    set does, it is asked once more with a budget that is less by twice as much; the bound stays
    that of the first answer, which holds for every set within the budget.

    Args:
        H: (n, n), unit diagonal.
        b: (n,) alignments less thresholds.
        threshold: λp (n,) > 0, scaled like b.
        limits: the buyer's.
        start: lots of a good set within them, and
        start_weights: (n,) its refit.
        seconds: time limit; the second question adds a tenth of it at most.
    """
    search = _Search(H, b, threshold, limits)
    answer = search.run(limits.budget, start, start_weights, seconds)
    if limits.allows(answer.taken) or limits.budget is None:
        return answer
    less = limits.budget * (1 - 2 * _FEASIBLE)
    left = max(0.1 * seconds, seconds - search.model.getSolvingTime())
    taken = search.run(less, start, start_weights, left).taken
    return BestLots(taken if limits.allows(taken) else start, answer.bound, answer.status)


class _Search:
    """The mixed-integer program, as SCIP has it."""

    def __init__(self, H: Floats, b: Floats, threshold: Floats, limits: BuyerLimits) -> None:
        from pyscipopt import Model, quicksum

        n, lots = len(b), limits.lots
        smallest = float(np.linalg.eigvalsh(H)[0])
        root = math.sqrt(smallest) if smallest > 1e-6 else 0.0
        ceiling = np.minimum(0.5 / threshold, 1 / root if root else math.inf)
        diagonal = _PART * smallest if smallest > _DEFINITE * n else -_jitter(smallest, n)
        self.factor = np.asarray(np.linalg.cholesky(H - diagonal * np.eye(n)), np.float64)
        self.model = model = Model()
        model.hideOutput()
        model.setParam("limits/gap", _GAP)
        self.u = u = [model.addVar(lb=0.0, ub=float(top)) for top in ceiling]
        self.z = z = [model.addVar(vtype="B") for _ in lots.members]
        self.y = y = [model.addVar(lb=None) for _ in range(n)]
        self.square = square = model.addVar(lb=0.0)
        self.q = q = [model.addVar(lb=0.0) for _ in range(n)] if diagonal > 0 else []
        for lot, members in enumerate(lots.members):
            if lot in lots.barred:
                model.addCons(z[lot] <= 0)
            for i in members:
                model.addCons(u[i] <= float(ceiling[i]) * z[lot])
                if q:
                    model.addCons(u[i] * u[i] <= q[i] * z[lot])
        for j in range(n):
            row = quicksum(float(self.factor[i, j]) * u[i] for i in range(j, n))
            model.addCons(y[j] == row)
        model.addCons(quicksum(part * part for part in y) <= square)
        sizes = quicksum(lots.size(lot) * on for lot, on in enumerate(z))
        model.addCons(sizes <= limits.most)
        self.budget = None
        if limits.budget is not None:
            cost = quicksum(limits.lot_prices[lot] * on for lot, on in enumerate(z))
            self.budget = model.addCons(cost <= limits.budget)
        for lot, other in sorted(lots.excludes):
            model.addCons(z[lot] + z[other] <= 1)
        curved = square + diagonal * quicksum(q) if q else square
        gained = quicksum(float(b[i]) * u[i] for i in range(n))
        model.setObjective(0.5 * curved - gained, "minimize")

    def run(
        self, budget: float | None, start: tuple[int, ...], weights: Floats, seconds: float
    ) -> BestLots:
        """Solve within this budget, from these lots."""
        model = self.model
        model.freeTransform()
        if self.budget is not None:
            model.chgRhs(self.budget, budget)
        model.setParam("limits/time", seconds)
        self._offer(start, weights)
        model.optimize()
        if model.getNSols() == 0:
            taken = start
        else:
            taken = tuple(lot for lot, on in enumerate(self.z) if model.getVal(on) > 0.5)
        return BestLots(taken, float(model.getDualbound()), str(model.getStatus()))

    def _offer(self, start: tuple[int, ...], weights: Floats) -> None:
        """Give SCIP a set to begin with."""
        solution, projected = self.model.createSol(), self.factor.T @ weights
        taken = [lot in start for lot in range(len(self.z))]
        squares = weights[: len(self.q)] ** 2
        values = [*weights, *projected, *taken, projected @ projected, *squares]
        variables = (*self.u, *self.y, *self.z, self.square, *self.q)
        for variable, value in zip(variables, values, strict=True):
            self.model.setSolVal(solution, variable, float(value))
        self.model.addSol(solution)


def _jitter(smallest: float, n: int) -> float:
    """What makes H definite in floating point, where it is singular."""
    return _DEFINITE * n + max(0.0, -smallest)
