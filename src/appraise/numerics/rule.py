"""How λ is chosen: relative to λ_max, by a number of datasets, or by a budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.path import Path

RuleName = Literal["relative", "number", "budget"]


@dataclass(frozen=True)
class Lambda:
    """The weight of the penalties, and what it is a part of.

    Attributes:
        value: λ, in units of c.
        top: λ_max of the program with w ≥ 0.
        relative: λ/λ_max, 1 where that is 0: other programs of the same question (signed weights,
            resamples, families) take the same part of their own λ_max.
        rule: how it was chosen.
    """

    value: float
    top: float
    relative: float
    rule: RuleName = "relative"


@dataclass(frozen=True)
class LambdaRule:
    """How λ is chosen.

    Attributes:
        name: "relative" to λ_max; by "number", so that so many datasets have a weight; by "budget",
            so that those with a weight can be paid.
        relative: λ as a part of λ_max, in (0, 1]. It means the same for every pool, and says
            nothing of how many datasets remain.
        number: see `lambda_by_number`.
        budget: money, see `lambda_by_budget`.
    """

    name: RuleName = "relative"
    relative: float = 0.2
    number: int | None = None
    budget: float | None = None

    def check(self, priced: bool) -> None:
        """The number that the rule needs is there and in range.

        Args:
            priced: whether prices are known.

        Raises:
            ParamsError: it is not.
        """
        if self.name == "relative" and not 0 < self.relative <= 1:
            raise ParamsError(
                f"relative_lambda: expected a part of lambda_max, above 0 and at most 1, found "
                f"{self.relative}; 0.2 is a good start"
            )
        if self.name == "number" and self.number is None:
            raise ParamsError("rule number: expected a number, found none; give one")
        if self.name == "budget" and (self.budget is None or not priced):
            raise ParamsError("rule budget: expected a budget and prices, found none; give one")

    def chosen(self, path: Path, prices: Floats | None = None) -> Lambda:
        """λ on this path.

        Args:
            path: of the program without limits.
            prices: (n,) money, for a rule that needs it.

        Raises:
            ParamsError: the number that the rule needs is missing or out of range.
        """
        knot, _ = self.knot(path, prices)
        return self.at(float(path.lambdas[knot]), float(path.lambdas[0]))

    def at(self, lam: float, top: float) -> Lambda:
        """The λ of a knot of a path that begins at `top`; that of the rule itself where it is
        relative."""
        if self.name == "relative":  # and not what a division makes of it
            return Lambda(self.relative * top, top, self.relative, self.name)
        return Lambda(lam, top, lam / top if top > 0 else 1.0, self.name)

    def knot(self, path: Path, prices: Floats | None = None) -> tuple[int, bool]:
        """The knot of the path that the rule chooses, and whether the path goes beyond it.

        Where the rule is relative, the last knot above λ. The path goes beyond where the next
        stretch would break the rule; otherwise it is the path that ends.

        Raises:
            ParamsError: as in `chosen`.
        """
        self.check(prices is not None)
        if self.name == "number" and self.number is not None:
            return _by_number(path, self.number)
        if self.name == "budget" and self.budget is not None and prices is not None:
            return _by_budget(path, prices, self.budget)
        above = np.flatnonzero(path.lambdas >= self.relative * path.lambdas[0])
        return int(above[-1]), bool(len(above) < len(path.lambdas))


def lambda_by_number(path: Path, k: int) -> float:
    """The smallest λ before, on the way down from λ_max, more than k datasets have a weight.

    It misleads where k is small: λ is then so large that redundancy hardly counts, and the order
    is that of alignment alone (the one-step order).

    Raises:
        ParamsError: k < 1.
    """
    return float(path.lambdas[_by_number(path, k)[0]])


def lambda_by_budget(path: Path, prices: Floats, budget: float) -> float:
    """The smallest λ before, on the way down, the datasets with a weight cost more than the budget.

    It misleads where one dear dataset enters early: all behind it in the order, however cheap, are
    then left out as well.

    Args:
        prices: (n,) money.
        budget: money.

    Raises:
        ParamsError: the budget is not a number above 0.
    """
    return float(path.lambdas[_by_budget(path, prices, budget)[0]])


def _by_number(path: Path, k: int) -> tuple[int, bool]:
    if k < 1:
        raise ParamsError(f"number: expected at least 1 dataset, found {k}; 3 is a good start")
    return _last_within(path, lambda inside: int(inside.sum()) <= k)


def _by_budget(path: Path, prices: Floats, budget: float) -> tuple[int, bool]:
    if not budget > 0:
        raise ParamsError(f"budget: expected money above 0, found {budget}; raise the budget")
    return _last_within(path, lambda inside: float(prices[inside].sum()) <= budget * (1 + 1e-12))


def _last_within(path: Path, within: Callable[[NDArray[np.bool_]], bool]) -> tuple[int, bool]:
    """The knot above the first stretch of the path whose datasets are too many; else its end."""
    inside = path.weights != 0
    for j in range(len(inside) - 1):
        if not within(inside[j] | inside[j + 1]):
            return j, True
    return len(inside) - 1, False
