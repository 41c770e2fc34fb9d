"""What is asked of a pool: the rule for λ, penalties, ridge, limits and tolerance, in one record.

A program is a question about one target: K, c and τ come from gradients, all else from here. The
record is built in one place (`question`) and handed to everything that solves: the weights, their
resamples, the screening of a large pool, families, several targets at once. So none of them can
answer another question than the one that decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from appraise.errors import ParamsError, SolverError
from appraise.numerics.kernel import Floats, KernelEvidence
from appraise.numerics.kmm import price_penalties
from appraise.numerics.limits import Limits, limits_by_id
from appraise.numerics.program import Program, checked_program
from appraise.numerics.rule import LambdaRule

Penalty = Literal["uniform", "price"]


@dataclass(frozen=True)
class Question:
    """What is asked of n datasets, whatever the target.

    Attributes:
        rule: how λ is chosen, on the path without limits.
        penalties: p (n,) > 0.
        scale: money for one unit of penalty, the mean price; None where penalties are uniform and
            have nothing to do with money.
        prices: (n,) money; None where they are not known, which only a budget minds.
        ridge: γ ≥ 0.
        limits: on weights w ≥ 0; None for none. Signed programs and paths know none.
        tolerance: largest relative error of an answer (see `Optimality`).
    """

    rule: LambdaRule
    penalties: Floats
    scale: float | None = None
    prices: Floats | None = None
    ridge: float = 0.0
    limits: Limits | None = None
    tolerance: float = 1e-7

    def among(self, keep: NDArray[np.int64]) -> Question:
        """The same question about some of the datasets; penalties keep their scale."""
        return replace(
            self,
            penalties=self.penalties[keep],
            prices=None if self.prices is None else self.prices[keep],
            limits=None if self.limits is None else self.limits.among(keep),
        )

    def without_limits(self) -> Question:
        """The same question with nothing but penalties to hold the weights down."""
        return replace(self, limits=None)

    def merged(self, groups: Sequence[NDArray[np.int64]]) -> Question:
        """The question about groups of datasets taken as one each, at the least penalty and price
        of the group, without limits."""
        prices = self.prices
        return replace(
            self.without_limits(),
            penalties=np.array([self.penalties[group].min() for group in groups]),
            prices=None if prices is None else np.array([prices[group].min() for group in groups]),
        )

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
    penalty: Penalty = "uniform",
    prices: ArrayLike | None = None,
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
        rule: how λ is chosen; None for 0.2 of λ_max.
        penalty: "price" lets p_i be the price over the mean price, "uniform" is the paper's 1.
        prices: (n,) money; needed by penalty "price" and by a budget.
        owners: (n,) who offers each; needed by `owner_cap`.
        ridge: γ; 0 is the paper's. Above 0, copies of a dataset gain from being there twice.
        cap: largest weight of a dataset.
        caps: id → largest weight of single datasets; ids that are not among them do not count.
        owner_cap: largest weight of all datasets of one owner together.
        total: what all weights add up to: 1 for shares of a mixture.
        tolerance: largest relative error of an answer.

    Raises:
        ParamsError: what the rule, the penalty or the owner cap needs is missing or out of range.
        SolverError: a price, the ridge, the tolerance or a limit is out of range, or the caps leave
            no room for the total.
    """
    n, rule = len(ids), rule or LambdaRule()
    money = None if prices is None else np.asarray(prices, dtype=np.float64)
    rule.check(money is not None)
    for name, each in (("prices", money), ("owners", owners)):
        if each is not None and len(each) != n:
            raise ParamsError(
                f"{name}: expected one for each of {n} datasets, found {len(each)}; give all"
            )
    if penalty == "price" and money is None:
        raise ParamsError(
            "prices: expected a price for every dataset because the penalty follows the price, "
            "found none; give prices"
        )
    if owner_cap is not None and owners is None:
        raise ParamsError("owners: expected who offers each dataset because of owner_cap; give it")
    if not (math.isfinite(ridge) and ridge >= 0):
        raise SolverError(f"ridge: expected a number ≥ 0, found {ridge}; 0 is the paper's")
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise SolverError(
            f"tolerance: expected a number above 0, found {tolerance}; 1e-7 is a good start"
        )
    penalties, scale = np.ones(n), None
    if penalty == "price" and money is not None:
        penalties, scale = price_penalties(money, ids)
    limits = limits_by_id(ids, list(owners or ids), cap, caps, owner_cap, total)
    return Question(rule, penalties, scale, money, float(ridge), limits, tolerance)
