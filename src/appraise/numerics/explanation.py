"""What the weights say: what covers what, and the value of a dataset and of a seller.

All follow from the optimality conditions: for every dataset
c_i = Σ_j K_ij w_j + γw_i + m_i with m_i = λp_i where w_i > 0 and m_i ≤ λp_i where w_i = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.kmm import Solution
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, optimality

NEAR = 0.01  # within 1 % of its threshold, whether a dataset has a weight hangs on a hair


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
        threshold: λp_i, and what binding limits add; a margin below it earns no weight.
        value: by how much the optimum is worse without i, in units of the objective, ≥ 0.
        near_threshold: what the optimum without i leaves of its alignment is within 1 % of λp_i: a
            small change would give it a weight, or take it.
    """

    index: int
    weight: float
    alignment: float
    covered_by: tuple[tuple[int, float], ...]
    margin: float
    threshold: float
    value: float
    near_threshold: bool


def explain_program(program: Program, solution: Solution) -> tuple[Explanation, ...]:
    """Explain every weight of a solution of this program.

    One more program is solved, without i, for each chosen dataset i; a refused one costs nothing,
    because the optimum without it is the optimum.
    """
    thresholds = program.thresholds(solution.weights, solution.lam)
    everyone = range(len(program.c))
    return tuple(_explain_one(program, solution, i, float(thresholds[i])) for i in everyone)


def _explain_one(program: Program, solution: Solution, i: int, threshold: float) -> Explanation:
    w, lam = solution.weights, solution.lam
    covered = program.K[i] * w
    covered[i] += program.ridge * w[i]
    pairs = [(int(j), float(covered[j])) for j in np.flatnonzero(w)]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    alignment = float(program.c[i])
    margin = alignment - math.fsum(amount for _, amount in pairs)
    outside, value = margin - (threshold - lam * float(program.penalties[i])), 0.0
    if w[i] != 0:
        outside, value = _leave_one_out(program, solution, i)
    pull = max(outside, 0.0) if program.nonnegative else abs(outside)
    own = lam * float(program.penalties[i])
    return Explanation(
        index=i,
        weight=float(w[i]),
        alignment=alignment,
        covered_by=tuple(pairs),
        margin=margin,
        threshold=threshold,
        value=value,
        near_threshold=abs(pull - own) <= NEAR * own,
    )


def _leave_one_out(program: Program, solution: Solution, i: int) -> tuple[float, float]:
    """m_i, less what limits ask of it, at the optimum without i; by how much that is worse.

    NaN for both where the limits leave no weights without i.
    """
    try:
        weights, worse = _left_out(program, solution, [i])
    except SolverError:
        return math.nan, math.nan
    asked = 0.0
    if program.limits is not None and len(weights) > 1:
        keep = np.flatnonzero(np.arange(len(weights)) != i)
        others, owners = program.among(keep), program.limits.owners
        own = solution.lam * others.penalties
        extra = others.thresholds(weights[keep], solution.lam) - own
        alike = owners[keep] == owners[i]
        asked = float(extra[alike][0] if alike.any() else extra.min())
    return float(program.c[i] - math.fsum(program.K[i] * weights)) - asked, worse


def _left_out(program: Program, solution: Solution, out: Sequence[int]) -> tuple[Floats, float]:
    """The optimum (n,) without some datasets, and by how much it is worse."""
    keep = np.setdiff1d(np.arange(len(program.c)), out)
    others, weights = program.among(keep), np.zeros(len(program.c))
    weights[keep] = optimum(others, solution.lam, solution.weights[keep])[0]
    primal = optimality(others, weights[keep], solution.lam).primal if len(keep) else None
    worse = (0.5 * program.tau if primal is None else primal) - solution.certificate.primal
    return weights, max(0.0, float(worse))


@dataclass(frozen=True)
class Cluster:
    """Datasets that stand or fall together: those of one owner.

    Attributes:
        name: the owner.
        members: indices.
        weight: the sum of their weights.
        value: by how much the optimum is worse without all of them, in units of the objective. It
            is at least the largest value of a member: what two of them share is in neither's.
    """

    name: str
    members: tuple[int, ...]
    weight: float
    value: float


def cluster_values(
    program: Program, solution: Solution, owners: Sequence[str]
) -> tuple[Cluster, ...]:
    """What each owner's datasets are worth together; most valuable first, ties by name.

    However an owner cuts its data into datasets, it is the same data that is left out.

    Args:
        program: the program that was solved.
        solution: its solution.
        owners: one for each dataset.
    """
    clusters = []
    for name in sorted(set(owners)):
        members = tuple(i for i, owner in enumerate(owners) if owner == name)
        weight = math.fsum(solution.weights[list(members)])
        used = any(solution.weights[i] != 0 for i in members)
        value = _left_out(program, solution, members)[1] if used else 0.0
        clusters.append(Cluster(name, members, weight, value))
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.value, cluster.name)))
