"""A whole valuation of one target, on arrays: gradients in, weights and reasons out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError, SolverError
from appraise.numerics.buying import buyer_limits
from appraise.numerics.explanation import Explanation, explain_program
from appraise.numerics.kernel import (
    Floats,
    KernelEvidence,
    Normalize,
    first_copies,
    inner_products,
    mean_gradient,
)
from appraise.numerics.kmm import Certificate, Solution, solve_program
from appraise.numerics.path import Path, path_of
from appraise.numerics.question import Penalty, Question, question
from appraise.numerics.rule import Lambda, LambdaRule, RuleName
from appraise.numerics.selection import Purchase, select
from appraise.numerics.stability import mean_weights
from appraise.numerics.uncertainty import bootstrap


@dataclass(frozen=True)
class Weighing:
    """The solutions of one target's program.

    Attributes:
        solution: with w ≥ 0, for buying.
        signed: with w of any sign, at the same part of its own λ_max; names harmful datasets.
        explanations: one for each dataset, of `solution`.
        path: all solutions with w ≥ 0, without limits.
        lam: λ, and which part of λ_max it is.
    """

    solution: Solution
    signed: Solution
    explanations: tuple[Explanation, ...]
    path: Path
    lam: Lambda


def weigh(
    K: Floats,
    c: Floats,
    tau: float,
    question: Question,
    evidence: KernelEvidence | None = None,
) -> Weighing:
    """Solve both programs at the λ that the rule chooses, and explain.

    The signed program is solved without limits, at the same part of its own λ_max.

    Args:
        K: (n, n) inner products of the datasets' gradients.
        c: (n,) inner products with the target's gradient.
        tau: squared norm of the target's gradient.
        question: about these n datasets.
        evidence: of K, where several targets share it.

    Raises:
        ParamsError: the rule has no meaning here.
        SolverError: the program is ill-posed, or an answer misses the tolerance.
    """
    program = question.program(K, c, tau, evidence=evidence)
    path = path_of(program)
    lam = question.rule.chosen(path, question.prices)
    solution = solve_program(program, lam.value, question.tolerance)
    signed_program = question.program(K, c, tau, nonnegative=False, evidence=program.evidence)
    signed = solve_program(
        signed_program, lam.relative * signed_program.lambda_max(), question.tolerance
    )
    return Weighing(solution, signed, explain_program(program, solution), path, lam)


@dataclass(frozen=True)
class Valuation:
    """What `value` returns; mappings are by dataset id, in the order of the ids.

    Attributes:
        ids: the datasets, sorted.
        weights: w_i ≥ 0.
        signed_weights: of the signed program.
        harmful: ids whose signed weight is below 0 and, where it was resampled, whose interval is.
        certificate: of `weights`.
        explanations: why each weight is what it is; indices refer to `ids`.
        selected: the ids bought, best first.
        selection: the same with scores and reasons.
        lam: λ.
        penalty_scale: money for one unit of penalty: the mean price, or 1.
        low, high: ends of the weights' bootstrap intervals; empty without resamples.
        chosen_probability: part of the resamples with a positive weight; empty without.
        mean_weights: average over the resamples, steadier than the weights; empty without.
        kernel: K (n, n) float64.
        alignment: c (n,) float64.
    """

    ids: tuple[str, ...]
    weights: dict[str, float]
    signed_weights: dict[str, float]
    harmful: tuple[str, ...]
    certificate: Certificate
    explanations: dict[str, Explanation]
    selected: tuple[str, ...]
    selection: Purchase
    lam: float
    penalty_scale: float
    low: dict[str, float]
    high: dict[str, float]
    chosen_probability: dict[str, float]
    mean_weights: dict[str, float]
    kernel: Floats
    alignment: Floats

    def covered_by(self, identity: str) -> dict[str, float]:
        """Which chosen datasets cover how much of this one's alignment, largest first."""
        return {self.ids[j]: amount for j, amount in self.explanations[identity].covered_by}

    def walk_away_price(self, identity: str) -> float:
        """The price above which the dataset would not be chosen, in money.

        Where penalties are uniform it is a multiple of the uniform penalty.
        """
        return self.explanations[identity].walk_away * self.penalty_scale


def value(
    gradients: Mapping[str, ArrayLike],
    target: ArrayLike,
    *,
    relative_lambda: float = 0.2,
    lambda_rule: RuleName = "relative",
    prices: Mapping[str, float] | None = None,
    penalty: Penalty | None = None,
    k: int | None = None,
    budget: float | None = None,
    ridge: float = 0.0,
    owners: Mapping[str, str] | None = None,
    cap: float | None = None,
    owner_cap: float | None = None,
    total: float | None = None,
    normalize: Normalize = "unit",
    resamples: int = 0,
    confidence: float = 0.9,
    seed: int = 0,
    tolerance: float = 1e-7,
) -> Valuation:
    """Value datasets for a target.

    Args:
        gradients: by id, per-example gradients (m_i, d) or their mean (d,), any float type.
        target: the same for the target.
        relative_lambda: λ as a part of λ_max, in (0, 1]: larger buys fewer.
        lambda_rule: "relative" takes it from `relative_lambda`; "number" the smallest at which at
            most k datasets have a weight; "budget" at which those with a weight cost no more.
        prices: by id, in one currency; needed for `penalty="price"` and `budget`.
        penalty: "price" lets p_i grow with the price, "uniform" is the paper's Eq. 31. None means
            "price" where prices are given.
        k: how many to select at most; None for all with a positive weight.
        budget: how much to spend at most.
        ridge: γ.
        owners: by id, who offers each; needed for `owner_cap`.
        cap: largest weight of a dataset.
        owner_cap: largest weight of all datasets of one owner together.
        total: what the weights add up to: 1 for shares of a mixture.
        normalize: "unit" compares directions; "none" lets long gradients win.
        resamples: B of the bootstrap, which needs per-example gradients; 0 for none.
        confidence: of the intervals.
        seed: of the bootstrap.
        tolerance: largest relative error of a certificate.

    Raises:
        ParamsError: an argument is missing, out of range, or does not fit the others.
        SolverError: a gradient is zero or not finite, or an answer misses its tolerance.
    """
    ids = tuple(sorted(gradients))
    if not ids:
        raise ParamsError("gradients: expected at least one dataset, found none; give id → array")
    rows = {name: _rows(name, gradients[name]) for name in ids}
    target_rows = _rows("the target", target)
    _check_dimensions(rows, target_rows)
    costs = _prices(ids, prices, penalty, budget)
    rule = LambdaRule("relative", relative_lambda)
    if lambda_rule != "relative":
        rule = LambdaRule(lambda_rule, number=k, budget=budget)
    asked = question(
        ids,
        rule=rule,
        penalty=penalty or ("uniform" if prices is None else "price"),
        prices=costs,
        owners=None if owners is None else [owners.get(name, name) for name in ids],
        ridge=ridge,
        cap=cap,
        owner_cap=owner_cap,
        total=total,
        tolerance=tolerance,
    )
    G = np.stack([_mean(name, rows[name], normalize) for name in ids])
    g = _mean("the target", target_rows, normalize)
    K, c, tau = inner_products(G, G), inner_products(G, g[None])[:, 0], float(g @ g)
    weighing = weigh(K, c, tau, asked)
    draws = None
    if resamples:
        _check_rows(rows, target_rows)
        draws = bootstrap(
            list(rows.values()),
            target_rows,
            asked,
            relative_lambda=weighing.lam.relative,
            normalize=normalize,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
            names=[ids[first] for first in first_copies(K)],  # copies draw alike
        )
    w, signed = weighing.solution.weights, weighing.signed.weights
    against = np.maximum(signed, draws.signed_high) if draws else signed
    chosen = select(ids, w, buyer_limits(len(ids), costs, k=k, budget=budget, ids=ids), "sum")
    return Valuation(
        ids=ids,
        weights=_by_id(ids, w),
        signed_weights=_by_id(ids, signed),
        harmful=tuple(ids[i] for i in np.flatnonzero(against < 0)),
        certificate=weighing.solution.certificate,
        explanations=dict(zip(ids, weighing.explanations, strict=True)),
        selected=tuple(ids[i] for i in chosen.chosen),
        selection=chosen,
        lam=weighing.solution.lam,
        penalty_scale=asked.scale or 1.0,
        low=_by_id(ids, draws.low) if draws else {},
        high=_by_id(ids, draws.high) if draws else {},
        chosen_probability=_by_id(ids, draws.chosen_probability) if draws else {},
        mean_weights=_by_id(ids, mean_weights(draws.weights)) if draws else {},
        kernel=K,
        alignment=c,
    )


def _by_id(ids: tuple[str, ...], numbers: Floats) -> dict[str, float]:
    return dict(zip(ids, map(float, numbers), strict=True))


def _rows(name: str, array: ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(array, dtype=np.float64))
    if table.ndim != 2 or table.size == 0:
        raise ParamsError(
            f"{name}: expected gradients (examples × dimensions) or their mean, found "
            f"shape {np.shape(array)}; give at least one row"
        )
    return table


def _mean(name: str, rows: Floats, normalize: Normalize) -> Floats:
    try:
        return mean_gradient(rows, normalize)
    except SolverError as error:
        raise SolverError(f"{name}: {error}") from None


def _check_dimensions(rows: Mapping[str, Floats], target: Floats) -> None:
    for name, table in rows.items():
        if table.shape[1] != target.shape[1]:
            raise ParamsError(
                f"{name}: expected {target.shape[1]} dimensions as the target has, found "
                f"{table.shape[1]}; project all gradients in the same way"
            )


def _prices(
    ids: tuple[str, ...],
    prices: Mapping[str, float] | None,
    penalty: Penalty | None,
    budget: float | None,
) -> Floats:
    if prices is None:
        if penalty == "price" or budget is not None:
            raise ParamsError(
                "prices: expected a price for every dataset because of the penalty or the budget, "
                "found none; give prices by id"
            )
        return np.zeros(len(ids))
    missing = [name for name in ids if name not in prices]
    if missing:
        raise ParamsError(
            f"prices: expected one for every dataset, found none for {', '.join(missing)}; add it"
        )
    return np.array([prices[name] for name in ids], dtype=np.float64)


def _check_rows(rows: Mapping[str, Floats], target: Floats) -> None:
    single = [name for name, table in {**rows, "the target": target}.items() if len(table) < 2]
    if single:
        raise ParamsError(
            f"resamples: expected gradients of several examples to draw from, found one row for "
            f"{', '.join(single)}; give per-example gradients or resamples=0"
        )
