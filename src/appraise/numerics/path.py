"""The whole path of solutions in λ: when each dataset enters and leaves, and λ by rule.

The optimum of Eq. 31 (arXiv 2605.16704) is piecewise linear in λ. At λ_max all weights are 0; on
the way down datasets enter, one by one, and some leave again when others cover them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program, checked_program, optimality

RuleName = Literal["relative", "number", "budget"]
_PATH_ERROR = 1e-9  # a knot of the path less exact than this is solved anew
_PATH_END = 0.01  # the path reaches at least down to this part of λ_max


@dataclass(frozen=True)
class Path:
    """The whole solution path in λ: exact at its knots, linear between them.

    Where LARS failed, far down the path of a singular kernel, some knots between may be missing.

    Attributes:
        lambdas: (L,) descending, the first is λ_max.
        weights: (L, n).
    """

    lambdas: Floats
    weights: Floats


@dataclass(frozen=True)
class Stay:
    """A stretch of the path on which a dataset has a weight.

    Attributes:
        index: the dataset.
        enters: the λ below which its weight is not 0.
        leaves: the λ at which it is 0 again; None where it stays to the end of the path.
    """

    index: int
    enters: float
    leaves: float | None


def regularisation_path(
    K: Floats,
    c: Floats,
    penalties: Floats | None = None,
    ridge: float = 0.0,
    nonnegative: bool = True,
) -> Path:
    """All solutions, for every λ from λ_max down: exact at its knots, linear between them.

    By scikit-learn's LARS (`lars_path_gram`), with u_i = p_i w_i so that its penalty is uniform.
    LARS degenerates with copies and collinear datasets: every knot is checked against the
    conditions of optimality, solved anew where it fails, and continued on a geometric grid where
    LARS stopped above λ_max / 100.

    Raises:
        SolverError: the program is ill-posed.
    """
    return path_of(checked_program(K, c, 1.0, penalties, ridge, nonnegative))


def path_of(program: Program) -> Path:
    """`regularisation_path` of a program that has been checked; it knows no limits."""
    top = program.lambda_max()
    if top == 0:  # nothing points towards the target
        return Path(np.zeros(1), np.zeros((1, len(program.c))))
    lambdas, weights = _lars(program)
    keep = (lambdas > 0) & (lambdas < top * (1 - 1e-12))
    end = float(lambdas[keep].min(initial=top))
    grid = np.geomspace(end, _PATH_END * top, 21)[1:] if end > _PATH_END * top else np.empty(0)
    knots, found = [top], [np.zeros(len(program.c))]
    for lam, guess in zip(lambdas[keep], weights[keep], strict=True):
        knots.append(float(lam))
        found.append(_knot(program, float(lam), guess))
    for lam in grid:
        knots.append(float(lam))
        found.append(_knot(program, float(lam), found[-1]))
    table = np.array(found)
    table[np.abs(table) <= 1e-12 * np.abs(table).max(initial=0.0)] = (
        0.0  # left by a dataset that left
    )
    return Path(np.array(knots), table)


def _knot(program: Program, lam: float, guess: Floats) -> Floats:
    if optimality(program, guess, lam).kkt_violation <= _PATH_ERROR * program.lambda_max():
        return guess
    return optimum(program, lam, guess)[0]


def _lars(program: Program) -> tuple[Floats, Floats]:
    from sklearn.linear_model import lars_path_gram

    p = program.penalties
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate steps, which are checked and solved anew
        lambdas, _, coefficients = lars_path_gram(
            program.c / p,
            program.H / np.outer(p, p),
            n_samples=1,
            method="lasso",
            positive=program.nonnegative,
            max_iter=8 * len(p) + 100,
        )
    descending = np.concatenate([[True], np.diff(lambdas) < 0])
    return np.asarray(lambdas)[descending], np.asarray(coefficients.T / p)[descending]


def stays(path: Path) -> tuple[Stay, ...]:
    """Every entry into the mix and every exit from it, by the λ of the entry, largest first."""
    found = []
    inside = path.weights != 0
    for i in np.flatnonzero(inside.any(axis=0)):
        column = inside[:, i]
        entries = np.flatnonzero(column[1:] & ~column[:-1])  # it is 0 at this knot, not at the next
        for j in entries:
            out = np.flatnonzero(~column[j + 1 :])
            leaves = float(path.lambdas[j + 1 + out[0]]) if len(out) else None
            found.append(Stay(int(i), float(path.lambdas[j]), leaves))
    return tuple(sorted(found, key=lambda stay: (-stay.enters, stay.index)))


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

    def chosen(self, path: Path, prices: Floats | None = None) -> float:
        """λ on this path.

        Raises:
            ParamsError: the number that the rule needs is missing or out of range.
        """
        if self.name == "number" and self.number is not None:
            return lambda_by_number(path, self.number)
        if self.name == "budget" and self.budget is not None and prices is not None:
            return lambda_by_budget(path, prices, self.budget)
        if self.name != "relative":
            needed = "a number" if self.name == "number" else "a budget and prices"
            raise ParamsError(f"rule {self.name}: expected {needed}, found none; give one")
        if not 0 < self.relative <= 1:
            raise ParamsError(
                f"relative_lambda: expected a part of lambda_max, above 0 and at most 1, found "
                f"{self.relative}; 0.2 is a good start"
            )
        return self.relative * float(path.lambdas[0])


def lambda_by_number(path: Path, k: int) -> float:
    """The smallest λ before, on the way down from λ_max, more than k datasets have a weight.

    It misleads where k is small: λ is then so large that redundancy hardly counts, and the order
    is that of alignment alone (the one-step order).

    Raises:
        ParamsError: k < 1.
    """
    if k < 1:
        raise ParamsError(f"number: expected at least 1 dataset, found {k}; 3 is a good start")
    return _first(path, lambda inside: int(inside.sum()) <= k)


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
    if not budget > 0:
        raise ParamsError(f"budget: expected money above 0, found {budget}; mend the budget")
    return _first(path, lambda inside: float(prices[inside].sum()) <= budget * (1 + 1e-12))


def _first(path: Path, within: Callable[[NDArray[np.bool_]], bool]) -> float:
    """The knot above the first stretch of the path whose datasets are too many; else its end."""
    inside = path.weights != 0
    for j in range(len(inside) - 1):
        if not within(inside[j] | inside[j + 1]):
            return float(path.lambdas[j])
    return float(path.lambdas[-1])
