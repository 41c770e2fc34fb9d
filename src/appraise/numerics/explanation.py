"""What the weights say to a buyer: why not, walk-away price, value.

All follow from the optimality conditions: for every dataset
c_i = Σ_j K_ij w_j + γw_i + m_i with m_i = λp_i where w_i > 0 and m_i ≤ λp_i where w_i = 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from appraise.numerics.kernel import Floats
from appraise.numerics.kmm import Solution
from appraise.numerics.program import Program, checked_program, optimality, optimum

NEAR = 0.01  # within 1 % of its walk-away price, a dataset's choice hangs on a hair


@dataclass(frozen=True)
class Explanation:
    """One dataset's weight, taken apart.

    Attributes:
        index: i.
        weight: w_i.
        alignment: c_i.
        covered_by: (j, amount) for each chosen j, itself included where it is chosen, largest
            amount first; amounts K_ij w_j (+ γw_i for itself) add up to alignment − margin.
        margin: m_i, what the chosen datasets leave of the alignment.
        threshold: λp_i; a margin below it earns no weight.
        walk_away: the penalty p_i above which the dataset would not be chosen,
            max(m_i, 0)/λ (|m_i|/λ if signed) with the others' weights at the optimum without i.
            In units of p: times the penalty scale it is money.
        value: by how much the optimum is worse without i, in units of the objective, ≥ 0.
        near_threshold: p_i is within 1 % of `walk_away`: a small change would flip the choice.
    """

    index: int
    weight: float
    alignment: float
    covered_by: tuple[tuple[int, float], ...]
    margin: float
    threshold: float
    walk_away: float
    value: float
    near_threshold: bool


def explain(
    K: Floats,
    c: Floats,
    tau: float,
    solution: Solution,
    penalties: Floats | None = None,
    ridge: float = 0.0,
    nonnegative: bool = True,
) -> tuple[Explanation, ...]:
    """Explain every weight of a solution of the same program.

    One more program is solved, without i, for each chosen dataset i; a refused one costs nothing,
    because the optimum without it is the optimum.

    Raises:
        SolverError: the program is ill-posed.
    """
    program = checked_program(K, c, tau, penalties, ridge, nonnegative)
    return tuple(_explain_one(program, solution, i) for i in range(len(program.c)))


def _explain_one(program: Program, solution: Solution, i: int) -> Explanation:
    w, lam = solution.weights, solution.lam
    covered = program.K[i] * w
    covered[i] += program.ridge * w[i]
    pairs = [(int(j), float(covered[j])) for j in np.flatnonzero(w)]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    alignment = float(program.c[i])
    margin = alignment - math.fsum(amount for _, amount in pairs)
    outside, value = (margin, 0.0) if w[i] == 0 else _leave_one_out(program, solution, i)
    pull = max(outside, 0.0) if program.nonnegative else abs(outside)
    walk_away = pull / lam if lam > 0 else 0.0
    penalty = float(program.penalties[i])
    return Explanation(
        index=i,
        weight=float(w[i]),
        alignment=alignment,
        covered_by=tuple(pairs),
        margin=margin,
        threshold=lam * penalty,
        walk_away=walk_away,
        value=value,
        near_threshold=abs(walk_away - penalty) <= NEAR * penalty,
    )


def _leave_one_out(program: Program, solution: Solution, i: int) -> tuple[float, float]:
    """m_i at the optimum without i, and by how much that optimum is worse."""
    others, lam = program.without(i), solution.lam
    weights, _ = optimum(others, lam, np.delete(solution.weights, i))
    outside = program.c[i] - math.fsum(np.delete(program.K[i], i) * weights)
    worse = optimality(others, weights, lam).primal - solution.certificate.primal
    return float(outside), max(0.0, float(worse))
