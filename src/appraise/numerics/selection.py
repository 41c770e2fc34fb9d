"""From weights to a subset: at most k datasets, within budget, by a named policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots
from appraise.numerics.lots import lots as single_lots
from appraise.numerics.program import Program
from appraise.numerics.randomness import fraction
from appraise.numerics.subsets import Subset, best, forward

TIE = 1e-9  # scores closer than this are equal, and the id decides
BY_OBJECTIVE = {"greedy": forward, "best_subset": best}
BY_SCORE = ("none", "kmm", "kmm_bagged", "one_step", "random", "target_only", "all")
_ADDED_UP = ("kmm", "kmm_bagged")  # scores that are parts of one mix; others are averaged in a lot


@dataclass(frozen=True)
class Selection:
    """What a policy buys.

    Attributes:
        policy: its name.
        chosen: indices of the datasets, in the order in which they were taken.
        ranking: indices of all datasets, best score first, ties by id.
        scores: (n,) what they were ranked by.
        reasons: for each dataset (by index) "chosen", "beyond_k", "over_budget", "no_score"
            (the policy gives it no positive score), "excluded" (by one that was taken before it),
            or "ineligible".
        cost: sum of the prices of the chosen.
        lots: what is bought whole, where anything is bundled; None where each stands alone.
    """

    policy: str
    chosen: tuple[int, ...]
    ranking: tuple[int, ...]
    scores: Floats
    reasons: tuple[str, ...]
    cost: float
    lots: tuple[tuple[int, ...], ...] | None = None


def select(
    policy: str,
    *,
    ids: Sequence[str],
    weights: ArrayLike,
    alignment: ArrayLike,
    mean_weights: ArrayLike | None = None,
    prices: ArrayLike | None = None,
    k: int | None = None,
    budget: float | None = None,
    seed: int = 0,
    lots: Lots | None = None,
) -> Selection:
    """Take lots in the order of their scores.

    What costs more than is left of the budget, holds more datasets than there are places left, or
    is excluded by what was taken, is skipped, and the next is tried. The score of a bundle is the
    sum of its members' weights, which are parts of one mix, or the mean of their cosines or draws.

    Args:
        policy: `kmm` by weight, positive only; `kmm_bagged` by the average weight over resamples;
            `one_step` by cosine alignment, positive only; `random` by a draw from seed and id;
            `all` everything, whatever k, budget and exclusions (the ceiling to compare with);
            `none` and `target_only` nothing.
        ids: one for each dataset.
        weights: w (n,).
        alignment: (n,) cosines with the target.
        mean_weights: (n,) averages over resamples; None for the weights themselves.
        prices: (n,) ≥ 0; None for 0.
        k: how many datasets at most; None for no limit.
        budget: how much money at most; None for no limit.
        seed: of `random`.
        lots: what is sold together; None for each dataset by itself.

    Raises:
        ParamsError: an unknown policy, arrays that do not fit the ids, or a k, budget or price
            out of range.
    """
    n = len(ids)
    costs = np.zeros(n) if prices is None else np.asarray(prices, dtype=np.float64)
    by_policy = {
        "kmm": np.asarray(weights, dtype=np.float64),
        "kmm_bagged": np.asarray(weights if mean_weights is None else mean_weights, np.float64),
        "one_step": np.asarray(alignment, dtype=np.float64),
        "random": np.array([fraction(seed, f"policy/{identity}") for identity in ids]),
        "all": np.ones(n),
        "none": np.zeros(n),
        "target_only": np.zeros(n),
    }
    _check(policy, ids, (by_policy["kmm"], by_policy["one_step"], costs), k, budget)
    scores, sold = by_policy[policy], lots or single_lots(n)
    limits = (None, None) if policy == "all" else (k, budget)
    score = [_lot_score(policy, scores, members) for members in sold.members]
    ranking = _ranked(np.array(score), [ids[members[0]] for members in sold.members])
    reasons, taken, cost = [""] * n, list[int](), 0.0
    for lot in ranking:
        members = sold.members[lot]
        places = sum(map(sold.size, taken)) + len(members) - 1
        price, may = cost + sold.price(lot, costs), lot not in sold.barred
        why = _reason(score[lot], may, places, price, *limits)
        if why == "chosen" and policy != "all" and not sold.fits(lot, taken):
            why = "excluded"
        if why == "chosen":
            taken.append(lot)
            cost = price
        for i in members:
            reasons[i] = why
    order = [i for lot in ranking for i in _by_score(sold.members[lot], scores, ids)]
    chosen = tuple(i for i in order if reasons[i] == "chosen")
    return Selection(policy, chosen, tuple(order), scores, tuple(reasons), cost, _bundled(sold, n))


def _lot_score(policy: str, scores: Floats, members: Sequence[int]) -> float:
    found = scores[list(members)]
    return float(found.sum() if policy in _ADDED_UP else found.mean())


def _by_score(members: Sequence[int], scores: Floats, ids: Sequence[str]) -> list[int]:
    return sorted(members, key=lambda i: (-scores[i], ids[i]))


def _bundled(sold: Lots, n: int) -> tuple[tuple[int, ...], ...] | None:
    return sold.members if len(sold.members) < n else None


def select_by_objective(
    policy: str,
    program: Program,
    lam: float,
    *,
    ids: Sequence[str],
    prices: ArrayLike,
    k: int | None = None,
    budget: float | None = None,
    lots: Lots | None = None,
    seconds: float = 60.0,
) -> tuple[Selection, Subset]:
    """Take the set whose own optimum is lowest (see `appraise.numerics.subsets`).

    Args:
        policy: `greedy` adds the lot that helps most, and refits; `best_subset` finds the best set.
        program: of all datasets, w ≥ 0.
        lam: λ.
        ids: one for each dataset.
        prices: (n,) ≥ 0.
        k: how many datasets at most; None for no limit.
        budget: how much money at most; None for no limit.
        lots: what is sold together; None for each dataset by itself.
        seconds: time limit of a mixed-integer program.

    Returns:
        The selection, whose scores are gains in the objective, and the set with its bound.

    Raises:
        ParamsError: k or budget is out of range.
    """
    costs = np.asarray(prices, dtype=np.float64)
    _check("kmm", ids, (program.c, program.penalties, costs), k, budget)
    sold = lots or single_lots(len(ids))
    found = BY_OBJECTIVE[policy](program, lam, k, costs, budget, sold, seconds)
    chosen = set(found.chosen)
    taken = [lot for lot, members in enumerate(sold.members) if members[0] in chosen]
    others = [lot for lot in range(len(sold.members)) if lot not in taken]
    others.sort(key=lambda lot: (-found.gains[sold.members[lot][0]], ids[sold.members[lot][0]]))
    cost = float(costs[list(found.chosen)].sum())
    reasons = ["chosen"] * len(ids)
    for lot in others:
        members = sold.members[lot]
        gain = found.gains[members[0]] if found.gains[members[0]] > TIE * program.tau else 0.0
        places = len(chosen) + len(members) - 1
        may = lot not in sold.barred
        why = _reason(gain, may, places, cost + sold.price(lot, costs), k, budget)
        if may and gain > 0 and not sold.fits(lot, taken):
            why = "excluded"
        for i in members:  # it fits, but another set is better
            reasons[i] = "beyond_k" if why == "chosen" else why
    ranking = (*found.chosen, *(i for lot in others for i in sold.members[lot]))
    bundled = _bundled(sold, len(ids))
    selection = Selection(policy, found.chosen, ranking, found.gains, tuple(reasons), cost, bundled)
    return selection, found


def _reason(
    score: float, allowed: bool, taken: int, cost: float, k: int | None, budget: float | None
) -> str:
    if not allowed:
        return "ineligible"
    if score <= 0:
        return "no_score"
    if k is not None and taken >= k:
        return "beyond_k"
    if budget is not None and cost > budget * (1 + 1e-12):
        return "over_budget"
    return "chosen"


def _ranked(scores: Floats, ids: Sequence[str]) -> list[int]:
    """Largest score first; runs of equal scores (within TIE of the run's first) by id."""
    order = sorted(range(len(ids)), key=lambda i: (-scores[i], ids[i]))
    ranking: list[int] = []
    run: list[int] = []
    for i in order:
        if run and scores[run[0]] - scores[i] > TIE:
            ranking += sorted(run, key=lambda j: ids[j])
            run = []
        run.append(i)
    return ranking + sorted(run, key=lambda j: ids[j])


def _check(
    policy: str,
    ids: Sequence[str],
    arrays: tuple[Floats, ...],
    k: int | None,
    budget: float | None,
) -> None:
    if policy not in BY_SCORE:
        raise ParamsError(
            f"policy: expected one of {', '.join(BY_SCORE)}, found {policy!r}; mend "
            "selected_subset.policies"
        )
    if any(array.shape != (len(ids),) or not np.isfinite(array).all() for array in arrays):
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ParamsError(
            f"selection: expected {len(ids)} finite weights, alignments and prices, found arrays "
            f"of shape {shapes}; give one of each for every id"
        )
    if (arrays[2] < 0).any():
        i = int(arrays[2].argmin())
        raise ParamsError(
            f"price of {ids[i]}: expected ≥ 0, found {arrays[2][i]:g}; mend the offer"
        )
    if (k is not None and k < 1) or (budget is not None and not budget > 0):
        raise ParamsError(
            f"selection: expected k ≥ 1 and a budget above 0 (or none), found k = {k} and "
            f"budget = {budget}; mend selected_subset in params.yaml"
        )
