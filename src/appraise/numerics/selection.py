"""From weights to a subset: at most k datasets, within budget, by a named policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.program import Program
from appraise.numerics.randomness import fraction
from appraise.numerics.subsets import best, forward

TIE = 1e-9  # scores closer than this are equal, and the id decides
BY_OBJECTIVE = {"greedy": forward, "best_subset": best}
POLICIES = ("none", "kmm", "one_step", "random", "target_only", "all")


@dataclass(frozen=True)
class Selection:
    """What a policy buys.

    Attributes:
        policy: its name.
        chosen: indices of the datasets, in the order in which they were taken.
        ranking: indices of all datasets, best score first, ties by id.
        scores: (n,) what they were ranked by.
        reasons: for each dataset (by index) "chosen", "beyond_k", "over_budget", "no_score"
            (the policy gives it no positive score), or "ineligible".
        cost: sum of the prices of the chosen.
    """

    policy: str
    chosen: tuple[int, ...]
    ranking: tuple[int, ...]
    scores: Floats
    reasons: tuple[str, ...]
    cost: float


def select(
    policy: str,
    *,
    ids: Sequence[str],
    weights: ArrayLike,
    alignment: ArrayLike,
    prices: ArrayLike | None = None,
    k: int | None = None,
    budget: float | None = None,
    seed: int = 0,
    eligible: Sequence[bool] | None = None,
) -> Selection:
    """Take datasets greedily in the order of their scores.

    A dataset that costs more than what is left of the budget is skipped, and the next is tried.

    Args:
        policy: `kmm` by weight, positive only; `one_step` by cosine alignment, positive only;
            `random` by a draw from seed and id; `all` everything, whatever k and budget (the
            ceiling to compare with); `none` and `target_only` nothing.
        ids: one for each dataset.
        weights: w (n,).
        alignment: (n,) cosines with the target.
        prices: (n,) ≥ 0; None for 0.
        k: how many at most; None for no limit.
        budget: how much money at most; None for no limit.
        seed: of `random`.
        eligible: which datasets may be bought at all; None for all.

    Raises:
        ParamsError: an unknown policy, arrays that do not fit the ids, or a k, budget or price
            out of range.
    """
    n = len(ids)
    costs = np.zeros(n) if prices is None else np.asarray(prices, dtype=np.float64)
    by_policy = {
        "kmm": np.asarray(weights, dtype=np.float64),
        "one_step": np.asarray(alignment, dtype=np.float64),
        "random": np.array([fraction(seed, f"policy/{identity}") for identity in ids]),
        "all": np.ones(n),
        "none": np.zeros(n),
        "target_only": np.zeros(n),
    }
    _check(policy, ids, (by_policy["kmm"], by_policy["one_step"], costs), k, budget)
    scores = by_policy[policy]
    allowed = np.ones(n, dtype=bool) if eligible is None else np.asarray(eligible, dtype=bool)
    limits = (None, None) if policy == "all" else (k, budget)
    ranking = _ranked(scores, ids)
    reasons, chosen, cost = [""] * n, list[int](), 0.0
    for i in ranking:
        reasons[i] = _reason(scores[i], bool(allowed[i]), len(chosen), cost + costs[i], *limits)
        if reasons[i] == "chosen":
            chosen.append(i)
            cost += float(costs[i])
    return Selection(policy, tuple(chosen), tuple(ranking), scores, tuple(reasons), cost)


def select_by_objective(
    policy: str,
    program: Program,
    lam: float,
    *,
    ids: Sequence[str],
    prices: ArrayLike,
    k: int | None = None,
    budget: float | None = None,
) -> Selection:
    """Take the set whose own optimum is lowest (see `appraise.numerics.subsets`).

    Args:
        policy: `greedy` adds the dataset that helps most, and refits; `best_subset` tries all sets.
        program: of all datasets, w ≥ 0.
        lam: λ.
        ids: one for each dataset.
        prices: (n,) ≥ 0.
        k: how many at most; None for no limit.
        budget: how much money at most; None for no limit.

    Returns:
        The selection; its scores are gains in the objective.

    Raises:
        ParamsError: there are too many sets to try all, or k or budget is out of range.
    """
    costs = np.asarray(prices, dtype=np.float64)
    _check("kmm", ids, (program.c, program.penalties, costs), k, budget)
    found = BY_OBJECTIVE[policy](program, lam, k, costs, budget)
    others = [i for i in range(len(ids)) if i not in found.chosen]
    others.sort(key=lambda i: (-found.gains[i], ids[i]))
    cost = float(costs[list(found.chosen)].sum())
    reasons = ["chosen"] * len(ids)
    for i in others:
        gain = found.gains[i] if found.gains[i] > TIE * program.tau else 0.0
        why = _reason(gain, True, len(found.chosen), cost + costs[i], k, budget)
        reasons[i] = "beyond_k" if why == "chosen" else why  # it fits, but another set is better
    ranking = (*found.chosen, *others)
    return Selection(policy, found.chosen, ranking, found.gains, tuple(reasons), cost)


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
    if policy not in POLICIES:
        raise ParamsError(
            f"policy: expected one of {', '.join(POLICIES)}, found {policy!r}; mend "
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
