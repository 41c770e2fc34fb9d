"""A whole valuation of one target, on arrays: gradients in, weights and reasons out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError, SolverError
from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import bought_probability, walk_away_price
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
from appraise.numerics.question import Question, question
from appraise.numerics.rule import Lambda, LambdaRule
from appraise.numerics.selection import Given, Purchase, select_by_objective
from appraise.numerics.stability import mean_weights
from appraise.numerics.subsets import MOST_NODES, best
from appraise.numerics.uncertainty import Bootstrap, bootstrap, resampled_programs


@dataclass(frozen=True)
class Weighing:
    """The solutions of one target's program.

    Attributes:
        solution: with w ≥ 0, for buying.
        signed: with w of any sign, at λ by the same rule; names harmful datasets.
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

    The signed program is solved without limits.

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
    lam = question.rule.chosen(path, tau)
    solution = solve_program(program, lam.value, question.tolerance)
    signed_program = question.program(K, c, tau, nonnegative=False, evidence=program.evidence)
    signed_lam = lam.of(tau, signed_program.lambda_max())
    signed = solve_program(signed_program, signed_lam, question.tolerance)
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
        selected: the ids bought: the best set within k and budget, by weight.
        selection: the same with gains, reasons, and a bound that no other set can beat.
        given: what it was selected from.
        lam: λ.
        low, high: ends of the weights' bootstrap intervals; empty without resamples.
        bought_probability: part of the resamples in which it is bought; empty without.
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
    given: Given
    lam: float
    low: dict[str, float]
    high: dict[str, float]
    bought_probability: dict[str, float]
    mean_weights: dict[str, float]
    kernel: Floats
    alignment: Floats

    def covered_by(self, identity: str) -> dict[str, float]:
        """Which chosen datasets cover how much of this one's alignment, largest first."""
        return {self.ids[j]: amount for j, amount in self.explanations[identity].covered_by}

    def walk_away_price(self, identity: str) -> float | None:
        """The largest price at which the dataset is bought, all else as it is.

        None where it is bought at no price; infinity where no price keeps it from being bought, as
        neither a budget nor an exchange rate was given.
        """
        return walk_away_price(_choose, self.given, self.ids.index(identity))


def value(
    gradients: Mapping[str, ArrayLike],
    target: ArrayLike,
    *,
    absolute_lambda: float | None = None,
    relative_lambda: float | None = None,
    number: int | None = None,
    prices: Mapping[str, float] | None = None,
    k: int | None = None,
    budget: float | None = None,
    exchange_rate: float | None = None,
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
    search_limit: int = MOST_NODES,
) -> Valuation:
    """Value datasets for a target, and choose which ones to buy.

    The weights are those of the paper's program (arXiv 2605.16704, Eq. 31), whatever the prices.
    Bought is the set whose own optimum comes closest to the target, of all that k and budget allow.

    Args:
        gradients: by id, per-example gradients (m_i, d) or their mean (d,), any float type.
        target: the same for the target.
        absolute_lambda: λ as a part of the target's squared norm, above 0: larger gives fewer
            datasets a weight. 0.05 where none of the three is given.
        relative_lambda: λ as a part of λ_max, in (0, 1].
        number: the smallest λ at which at most so many datasets have a weight.
        prices: by id ≥ 0, in one currency; needed by `budget` and `exchange_rate`.
        k: how many to buy at most.
        budget: how much to spend at most.
        exchange_rate: how much money it would be worth to match the whole target; then nothing is
            bought that adds less than it costs.
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
        search_limit: most nodes of the search for the best set.

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
    costs = _prices(ids, prices, needed=budget is not None or exchange_rate is not None)
    asked = question(
        ids,
        rule=_rule(absolute_lambda, relative_lambda, number),
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
    given = Given(
        ids,
        buyer_limits(len(ids), costs, k=k, budget=budget, exchange_rate=exchange_rate, ids=ids),
        program=asked.without_limits().program(K, c, tau),
        lam=weighing.lam.value,
        search_limit=search_limit,
    )
    draws = None
    if resamples:
        _check_rows(rows, target_rows)
        alike = [ids[first] for first in first_copies(K)]  # copies draw alike
        draws = _Draws(
            list(rows.values()), target_rows, asked, weighing.lam, alike, normalize, resamples, seed
        )
    spread = draws.bootstrap(confidence) if draws else None
    w, signed = weighing.solution.weights, weighing.signed.weights
    against = np.maximum(signed, spread.signed_high) if spread else signed
    chosen = _choose(given)
    return Valuation(
        ids=ids,
        weights=_by_id(ids, w),
        signed_weights=_by_id(ids, signed),
        harmful=tuple(ids[i] for i in np.flatnonzero(against < 0)),
        certificate=weighing.solution.certificate,
        explanations=dict(zip(ids, weighing.explanations, strict=True)),
        selected=tuple(ids[i] for i in chosen.chosen),
        selection=chosen,
        given=given,
        lam=weighing.solution.lam,
        low=_by_id(ids, spread.low) if spread else {},
        high=_by_id(ids, spread.high) if spread else {},
        bought_probability=_by_id(ids, draws.bought(given)) if draws else {},
        mean_weights=_by_id(ids, mean_weights(spread.weights)) if spread else {},
        kernel=K,
        alignment=c,
    )


def _choose(given: Given) -> Purchase:
    """The best set within the limits."""
    assert given.program is not None
    assert given.lam is not None
    return select_by_objective(
        given.ids, given.program, given.lam, given.limits, best, given.search_limit
    )


def _rule(absolute: float | None, relative: float | None, number: int | None) -> LambdaRule:
    given = [one for one in (absolute, relative, number) if one is not None]
    if len(given) > 1:
        raise ParamsError(
            "lambda: expected one of absolute_lambda, relative_lambda and number, found "
            f"{len(given)}; leave the others out"
        )
    if relative is not None:
        return LambdaRule("relative", relative=relative)
    if number is not None:
        return LambdaRule("number", number=number)
    return LambdaRule() if absolute is None else LambdaRule(absolute=absolute)


@dataclass(frozen=True)
class _Draws:
    """Resamples of the rows, drawn the same each time they are asked for."""

    rows: Sequence[Floats]
    target_rows: Floats
    question: Question
    lam: Lambda
    names: Sequence[str]
    normalize: Normalize
    resamples: int
    seed: int

    def bootstrap(self, confidence: float) -> Bootstrap:
        """Weights of each, with intervals."""
        return bootstrap(
            self.rows,
            self.target_rows,
            self.question,
            lam=self.lam,
            names=self.names,
            normalize=self.normalize,
            resamples=self.resamples,
            confidence=confidence,
            seed=self.seed,
        )

    def bought(self, given: Given) -> Floats:
        """How often each dataset is bought (n,)."""
        programs = resampled_programs(
            self.rows,
            self.target_rows,
            self.question,
            lam=self.lam,
            names=self.names,
            normalize=self.normalize,
            resamples=self.resamples,
            seed=self.seed,
        )
        givens = (replace(given, program=program, lam=lam) for program, lam in programs)
        return bought_probability(_choose, givens, self.resamples, len(given.ids))


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
    ids: tuple[str, ...], prices: Mapping[str, float] | None, *, needed: bool
) -> Floats | None:
    if prices is None:
        if needed:
            raise ParamsError(
                "prices: expected a price for every dataset because of the budget or the exchange "
                "rate, found none; give prices by id"
            )
        return None
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
