"""What is asked of a pool: the rule for λ, ridge, limits and tolerance, in one record.

A program is a question about one target: K, c and τ come from gradients, all else from here. The
record is built in one place (`question`) and handed to everything that solves: the weights, their
resamples, the screening of a large pool, families, several targets at once. So none of them can
answer another question than the one that decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError, SolverError
from appraise.numerics.kernel import Floats, KernelEvidence
from appraise.numerics.limits import Limits, limits_by_id
from appraise.numerics.program import Program, checked_program
from appraise.numerics.rule import LambdaRule


@dataclass(frozen=True)
class Question:
    """What is asked of n datasets, whatever the target.

    Money is not in it: what a dataset is worth in the best mix of all does not depend on what is
    asked for it. Prices matter to what is bought (`buying`).

    Attributes:
        size: n.
        rule: how λ is chosen, on the path without limits.
        ridge: γ ≥ 0.
        limits: on weights w ≥ 0; None for none. Signed programs and paths know none.
        tolerance: largest relative error of an answer (see `Optimality`).
    """

    size: int
    rule: LambdaRule
    ridge: float = 0.0
    limits: Limits | None = None
    tolerance: float = 1e-7

    @property
    def penalties(self) -> Floats:
        """p (n,), all 1: the paper's."""
        return np.ones(self.size)

    def among(self, keep: NDArray[np.int64]) -> Question:
        """The same question about some of the datasets."""
        limits = None if self.limits is None else self.limits.among(keep)
        return replace(self, size=len(keep), limits=limits)

    def without_limits(self) -> Question:
        """The same question with nothing but penalties to hold the weights down."""
        return replace(self, limits=None)

    def of_groups(self, count: int) -> Question:
        """The question about so many groups of datasets taken as one each, without limits."""
        return replace(self.without_limits(), size=count)

    def program(
        self,
        K: Floats,
        c: Floats,
        tau: float,
        nonnegative: bool = True,
        evidence: KernelEvidence | None = None,
    ) -> Program:
        """The program of one target; without limits where weights may have any sign.

        Args:
            K, c, tau, nonnegative: see `Program`.
            evidence: of K, where several targets share it: checked once.

        Raises:
            SolverError: it is ill-posed.
        """
        checked = checked_program(K, c, tau, self.penalties, self.ridge, nonnegative, evidence)
        return replace(checked, limits=self.limits) if nonnegative else checked


def question(
    ids: Sequence[str],
    *,
    rule: LambdaRule | None = None,
    owners: Sequence[str] | None = None,
    ridge: float = 0.0,
    cap: float | None = None,
    caps: Mapping[str, float] | None = None,
    owner_cap: float | None = None,
    total: float | None = None,
    tolerance: float = 1e-7,
) -> Question:
    """The question about these datasets.

    Args:
        ids: (n,) the datasets, in the order of all arrays.
        rule: how λ is chosen; None for 0.05 of τ.
        owners: (n,) who offers each; needed by `owner_cap`.
        ridge: γ; 0 is the paper's. Above 0, copies of a dataset gain from being there twice.
        cap: largest weight of a dataset.
        caps: id → largest weight of single datasets; ids that are not among them do not count.
        owner_cap: largest weight of all datasets of one owner together.
        total: what all weights add up to: 1 for shares of a mixture.
        tolerance: largest relative error of an answer.

    Raises:
        ParamsError: what the rule or the owner cap needs is missing or out of range.
        SolverError: the ridge, the tolerance or a limit is out of range, or the caps leave no room
            for the total.
    """
    n, rule = len(ids), rule or LambdaRule()
    rule.check()
    if owners is not None and len(owners) != n:
        raise ParamsError(
            f"owners: expected one for each of {n} datasets, found {len(owners)}; give all"
        )
    if owner_cap is not None and owners is None:
        raise ParamsError("owners: expected who offers each dataset because of owner_cap; give it")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise SolverError(f"ridge: expected a number ≥ 0, found {ridge}; 0 is the paper's")
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise SolverError(
            f"tolerance: expected a number above 0, found {tolerance}; 1e-7 is a good start"
        )
    limits = limits_by_id(ids, list(owners or ids), cap, caps, owner_cap, total)
    return Question(n, rule, float(ridge), limits, tolerance)
