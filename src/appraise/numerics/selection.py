"""From numbers to a purchase: lots in the order of their scores, or the set of best objective.

A policy is given a `Given` and returns a `Purchase`. What it does in between is mostly one of the
two functions here: `select` takes lots by score, `select_by_objective` a whole set by what the
convex program says of it. Both buy within the buyer's limits and say of every dataset why.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from appraise.errors import ParamsError
from appraise.numerics.buying import BuyerLimits, Refusal
from appraise.numerics.kernel import Floats
from appraise.numerics.program import Program
from appraise.numerics.subsets import MOST_NODES, SetRule, Subset

TIE = 1e-9  # scores closer than this are equal, and the id decides
Pooling = Literal["sum", "mean"]
Reason = Literal["chosen"] | Refusal


@dataclass(frozen=True)
class Given:
    """Everything that a policy may look at.

    Attributes:
        ids: one for each dataset; ties are broken by them.
        limits: the buyer's: k, budget, prices, lots.
        values: (n,) what each dataset is worth by the policy's method; None where it has none.
        mean_values: (n,) their averages over resamples; None where nothing was resampled.
        program: the convex program whose optimum the values are; None where there is none.
        lam: its λ; None where there is no program.
        seed: of whatever is drawn.
        search_limit: most nodes for a policy that searches.

    Raises:
        ParamsError: arrays that do not fit the ids, or numbers that are not finite.
    """

    ids: tuple[str, ...]
    limits: BuyerLimits
    values: Floats | None = None
    mean_values: Floats | None = None
    program: Program | None = None
    lam: float | None = None
    seed: int = 0
    search_limit: int = MOST_NODES

    def __post_init__(self) -> None:
        _check(self.ids, "prices", self.limits.prices)
        for name, numbers in (("values", self.values), ("mean values", self.mean_values)):
            if numbers is not None:
                _check(self.ids, name, numbers)


@dataclass(frozen=True)
class Purchase:
    """What is bought, and why the rest is not.

    Attributes:
        chosen: indices of the datasets, in the order in which they were taken.
        ranking: indices of all datasets, best score first, ties by id.
        scores: (n,) what they were ranked by.
        reasons: for each dataset (by index) "chosen" or the reason that kept it out: "no_score"
            (no positive score), "beyond_k", "over_budget", "too_dear" (costs more than what it adds
            is worth), "excluded" (by one that was taken), "ineligible" (barred).
        cost: sum of the prices of the chosen.
        lots: what is bought whole, where anything is bundled; None where each stands alone.
        proof: the set with its objective and bound, where it was chosen for them; else None.
    """

    chosen: tuple[int, ...]
    ranking: tuple[int, ...]
    scores: Floats
    reasons: tuple[Reason, ...]
    cost: float
    lots: tuple[tuple[int, ...], ...] | None = None
    proof: Subset | None = None


Choose = Callable[[Given], Purchase]


def select(
    ids: Sequence[str], scores: Floats, limits: BuyerLimits, pooling: Pooling = "mean"
) -> Purchase:
    """Take lots in the order of their scores, positive ones only.

    What costs more than is left of the budget, holds more datasets than there are places left, or
    is excluded by what was taken, is skipped, and the next is tried.

    Args:
        ids: one for each dataset; of equal scores the smaller id goes first.
        scores: (n,), larger is better.
        limits: the buyer's.
        pooling: what a bundle scores: "sum" where scores are parts of one mix, which add up, or
            "mean" where they do not (cosines, draws).

    Raises:
        ParamsError: scores that do not fit the ids or are not finite.
    """
    _check(ids, "scores", scores)
    members = limits.lots.members
    pooled = [_pooled(scores, lot, pooling) for lot in members]
    ranked = _ranked(np.array(pooled), _names(ids, members))
    basket, reasons = limits.basket(), list[Reason](["ineligible"] * len(ids))
    for lot in ranked:
        refusal = basket.refusal(lot, pooled[lot])
        if refusal is None:
            basket = basket.with_lot(lot)
        for i in members[lot]:
            reasons[i] = refusal or "chosen"
    order = [i for lot in ranked for i in sorted(members[lot], key=lambda i: (-scores[i], ids[i]))]
    chosen = tuple(i for i in order if reasons[i] == "chosen")
    whole = _bundled(limits)
    return Purchase(chosen, tuple(order), scores, tuple(reasons), basket.cost, whole)


def select_by_objective(
    ids: Sequence[str],
    program: Program,
    lam: float,
    limits: BuyerLimits,
    rule: SetRule,
    search_limit: int = MOST_NODES,
) -> Purchase:
    """Take the set whose own optimum is lowest, as far as the rule finds it.

    Args:
        ids: one for each dataset; of equal sets the first by id is taken.
        program: of all datasets, w ≥ 0; limits on its weights play no part (docs/mathematics.md,
            14).
        lam: λ.
        limits: the buyer's.
        rule: `subsets.forward` or `subsets.best`.
        search_limit: most nodes of a search.

    Returns:
        The purchase, whose scores are gains in the objective, with the set and its bound as proof.

    Raises:
        ParamsError: the program does not fit the ids.
    """
    _check(ids, "alignments", program.c)
    subset = rule(program, lam, limits, _places(ids), search_limit)
    members, bought = limits.lots.members, set(subset.chosen)
    names = _names(ids, members)
    taken = [lot for lot in range(len(members)) if members[lot][0] in bought]
    others = [lot for lot in range(len(members)) if members[lot][0] not in bought]
    others.sort(key=lambda lot: (-subset.gains[members[lot][0]], names[lot]))
    basket, reasons = limits.basket(taken), list[Reason](["chosen"] * len(ids))
    for lot in others:
        gain = float(subset.gains[members[lot][0]]) / (0.5 * program.tau)
        refusal = basket.refusal(lot, gain if gain > TIE else 0.0)
        if refusal not in ("ineligible", "no_score") and limits.lots.excluded(lot, taken):
            refusal = "excluded"
        elif refusal is None and limits.worth(gain) < limits.lot_prices[lot]:
            refusal = "too_dear"
        for i in members[lot]:
            reasons[i] = refusal or "beyond_k"  # it would fit, but another set is better
    ranking = (*subset.chosen, *(i for lot in others for i in members[lot]))
    cost = float(limits.prices[list(subset.chosen)].sum())
    whole = _bundled(limits)
    return Purchase(subset.chosen, ranking, subset.gains, tuple(reasons), cost, whole, subset)


def _pooled(scores: Floats, members: Sequence[int], pooling: Pooling) -> float:
    if len(members) == 1:
        return float(scores[members[0]])
    of_members = scores[list(members)]
    return float(of_members.sum() if pooling == "sum" else of_members.mean())


def _places(ids: Sequence[str]) -> list[int]:
    """The place of each id in their order."""
    place = {name: at for at, name in enumerate(sorted(ids))}
    return [place[name] for name in ids]


def _names(ids: Sequence[str], members: Sequence[Sequence[int]]) -> list[str]:
    """What each lot is called where scores are equal: the smallest id in it."""
    return [min(ids[i] for i in lot) for lot in members]


def _bundled(limits: BuyerLimits) -> tuple[tuple[int, ...], ...] | None:
    members = limits.lots.members
    return members if len(members) < len(limits.prices) else None


def _ranked(scores: Floats, names: Sequence[str]) -> list[int]:
    """Largest score first; runs of equal scores (within TIE of the run's first) by name."""
    order = sorted(range(len(names)), key=lambda i: (-scores[i], names[i]))
    ranking: list[int] = []
    run: list[int] = []
    for i in order:
        if run and scores[run[0]] - scores[i] > TIE:
            ranking += sorted(run, key=lambda j: names[j])
            run = []
        run.append(i)
    return ranking + sorted(run, key=lambda j: names[j])


def _check(ids: Sequence[str], name: str, numbers: Floats) -> None:
    if numbers.shape != (len(ids),) or not np.isfinite(numbers).all():
        raise ParamsError(
            f"{name}: expected {len(ids)} finite numbers, found an array of shape "
            f"{numbers.shape}; give a finite one for every id"
        )
