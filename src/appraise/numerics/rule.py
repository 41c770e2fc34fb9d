"""How λ is chosen: in units of the target, relative to λ_max, or by a number of datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from appraise.errors import ParamsError
from appraise.numerics.path import Path

RuleName = Literal["absolute", "relative", "number"]


@dataclass(frozen=True)
class Lambda:
    """The weight of the penalties, and what it is a part of.

    Attributes:
        value: λ, in units of c.
        top: λ_max of the program with w ≥ 0.
        tau: τ, the target's squared norm.
        relative: λ/λ_max, 1 where that is 0.
        rule: how it was chosen.
    """

    value: float
    top: float
    tau: float
    relative: float
    rule: RuleName = "absolute"

    def of(self, tau: float, top: float) -> float:
        """λ of another program of the same question: signed weights, a resample, families.

        The same part of its target where the rule is absolute, else of its own λ_max.
        """
        return self.value / self.tau * tau if self.rule == "absolute" else self.relative * top


@dataclass(frozen=True)
class LambdaRule:
    """How λ is chosen.

    Attributes:
        name: "absolute", λ as a part of τ; "relative", of λ_max; "number", so that so many datasets
            have a weight.
        absolute: λ/τ, above 0. With unit gradients it is a cosine: what of its alignment others
            leave uncovered must exceed it. No dataset changes what is asked of another.
        relative: λ/λ_max, in (0, 1]. It follows the pool: a dataset that is aligned better than all
            others raises what is asked of each.
        number: see `lambda_by_number`.
    """

    name: RuleName = "absolute"
    absolute: float = 0.05
    relative: float = 0.2
    number: int | None = None

    @property
    def needs_path(self) -> bool:
        """Whether λ is found on a path."""
        return self.name == "number"

    def check(self) -> None:
        """The number that the rule needs is there and in range.

        Raises:
            ParamsError: it is not.
        """
        if self.name == "absolute" and not 0 < self.absolute < np.inf:
            raise ParamsError(
                f"absolute_lambda: expected a part of the target's squared norm, above 0, found "
                f"{self.absolute}; 0.05 is a good start"
            )
        if self.name == "relative" and not 0 < self.relative <= 1:
            raise ParamsError(
                f"relative_lambda: expected a part of lambda_max, above 0 and at most 1, found "
                f"{self.relative}; 0.2 is a good start"
            )
        if self.name == "number" and self.number is None:
            raise ParamsError("rule number: expected a number, found none; give one")

    def chosen(self, path: Path, tau: float) -> Lambda:
        """λ on this path.

        Args:
            path: of the program without limits.
            tau: τ of its target.

        Raises:
            ParamsError: the number that the rule needs is missing or out of range.
        """
        knot, _ = self.knot(path, tau)
        return self.at(float(path.lambdas[knot]), float(path.lambdas[0]), tau)

    def at(self, lam: float, top: float, tau: float) -> Lambda:
        """The λ of a knot of a path that begins at `top`; that of the rule itself where it needs no
        path."""
        if self.name == "relative":  # and not what a division makes of it
            return Lambda(self.relative * top, top, tau, self.relative, self.name)
        value = self.absolute * tau if self.name == "absolute" else lam
        return Lambda(value, top, tau, value / top if top > 0 else 1.0, self.name)

    def knot(self, path: Path, tau: float) -> tuple[int, bool]:
        """The knot of the path that the rule chooses, and whether the path goes beyond it.

        Where the rule needs no path, the last knot above λ. The path goes beyond where the next
        stretch would break the rule; otherwise it is the path that ends.

        Raises:
            ParamsError: as in `chosen`.
        """
        self.check()
        if self.name == "number" and self.number is not None:
            return _by_number(path, self.number)
        lam = self.at(0.0, float(path.lambdas[0]), tau).value
        above = np.flatnonzero(path.lambdas >= lam)
        return max(len(above) - 1, 0), bool(len(above) < len(path.lambdas))


def lambda_by_number(path: Path, k: int) -> float:
    """The smallest λ before, on the way down from λ_max, more than k datasets have a weight.

    It misleads where k is small: λ is then so large that redundancy hardly counts, and the order
    is that of alignment alone (the one-step order).

    Raises:
        ParamsError: k < 1.
    """
    return float(path.lambdas[_by_number(path, k)[0]])


def _by_number(path: Path, k: int) -> tuple[int, bool]:
    """The knot above the first stretch on which too many have a weight; else the path's end."""
    if k < 1:
        raise ParamsError(f"number: expected at least 1 dataset, found {k}; 3 is a good start")
    inside = path.weights != 0
    for j in range(len(inside) - 1):
        if int((inside[j] | inside[j + 1]).sum()) > k:
            return j, True
    return len(inside) - 1, False
