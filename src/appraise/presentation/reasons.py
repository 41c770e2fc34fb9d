"""Why a dataset was bought or refused, in one plain sentence drawn from what is bought.

Beside a purchase with weights w, a refused dataset i has m_i = c_i − Σ_j K_ij w_j left of its
alignment c_i. It adds nothing where m_i ≤ λ: because it is hardly aligned, or because what is
bought covers it. Where it would add something, money or places are why it is not bought: money
where it is bought at a lower price. Where a method solves no program, there is nothing to say but
the rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from appraise.presentation.wording import (
    listed,
    money,
    number_word,
    one_line,
    ordinal,
    percent,
    share_of_task,
)
from appraise.records.subset import Change
from appraise.records.valued import ReasonKind

NAMED_SHARE = 0.75  # name as many coverers as hold this share of what is covered …
MOST_NAMED = 3  # … but never more than these
SLIGHT = 0.0005  # a smaller part of the task is next to nothing
UNRELATED = 0.2  # an alignment below this part of the threshold is as good as none


@dataclass(frozen=True)
class Coverer:
    """A bought dataset that teaches part of the same.

    Attributes:
        name: its title, or whatever it is called in the sentence.
        amount: K_ij w_j, in units of the alignment.
    """

    name: str
    amount: float


@dataclass(frozen=True)
class Refusal:
    """What is known of a dataset that was not bought, beside what was.

    Attributes:
        alignment: c_i.
        margin: m_i = c_i − Σ_j K_ij w_j over the datasets that are bought.
        threshold: λ.
        gain: the part of the target that it would add.
        gain_in_money: what that is worth, in words; None where nobody said.
        signed_high: upper end of the interval of its weight where weights may be negative; infinity
            when no interval was computed.
        covered_by: the bought ones, in any order.
        outcome: what the policy made of it: "beyond_k", "over_budget", "too_dear", "no_score",
            "excluded".
        cheaper: whether it would be bought at a lower price.
        k: how many may be bought.
        ineligible: why it may not be bought at all, or None.
        copy_of: the name of a dataset whose gradient is the same to the bit, or None.
        excluded_by: the name of the bought dataset beside which it is not sold, or None.
    """

    alignment: float
    margin: float
    threshold: float
    gain: float
    gain_in_money: str | None
    signed_high: float
    covered_by: Sequence[Coverer]
    outcome: str
    cheaper: bool
    k: int
    ineligible: str | None = None
    copy_of: str | None = None
    excluded_by: str | None = None


@dataclass(frozen=True)
class Ranking:
    """Where a dataset stands by a method that has values and no program.

    Attributes:
        rank: from 1.
        of: how many were ranked.
        method: by what; None for a policy that looks at no value.
        outcome: what the policy made of it: "chosen", "beyond_k", "over_budget", "no_score",
            "excluded".
        bought: how many were.
        ineligible: why it may not be bought at all, or None.
        excluded_by: the name of the bought dataset beside which it is not sold, or None.
    """

    rank: int
    of: int
    method: str | None
    outcome: str
    bought: int
    ineligible: str | None = None
    excluded_by: str | None = None

    @property
    def place(self) -> str:
        """The rank as the beginning of a sentence."""
        by = f" by {self.method.replace('_', ' ')}" if self.method else ""
        return f"It comes {ordinal(self.rank)} of {self.of}{by}"


@dataclass(frozen=True)
class Reason:
    """A case, for programs, and its sentence, for people."""

    kind: ReasonKind
    sentence: str


def reason(case: Refusal) -> Reason:
    """Why this dataset was refused."""
    if case.ineligible is not None:
        return _barred(case.ineligible)
    if case.excluded_by is not None:
        return Reason("excluded", f"Useful, but it is not sold beside {case.excluded_by}.")
    if case.copy_of is not None:
        return Reason("copy", f"Teaches exactly what {case.copy_of} teaches, to the last digit.")
    if case.alignment <= 0 or case.alignment < UNRELATED * case.threshold:
        return _not_aligned(case)
    if case.margin > case.threshold:
        return _useful(case)
    if case.signed_high < 0:
        names = listed([coverer.name for coverer in _main_coverers(case.covered_by)])
        return Reason(
            "harmful",
            f"Aligned, but that is already covered by {names}; what it adds of its own points "
            "away from the task.",
        )
    if case.alignment > case.threshold:
        return _covered(case)
    return Reason("weak", "Aligned with the task, but too weakly to add anything.")


def _barred(ineligible: str) -> Reason:
    why = one_line(ineligible, 200).rstrip(".")
    return Reason("ineligible", f"It may not be bought: {why}.")


def rank_reason(case: Ranking) -> Reason:
    """Why this dataset was refused, where a rank is all that is known."""
    if case.ineligible is not None:
        return _barred(case.ineligible)
    if case.outcome == "excluded":
        beside = case.excluded_by or "what was bought"
        return Reason("excluded", f"{case.place}, but it is not sold beside {beside}.")
    if case.outcome == "over_budget":
        return Reason("over_budget", f"{case.place}; its price exceeds what is left of the budget.")
    if case.outcome == "no_score":
        return Reason("no_score", f"{case.place}, and its value is not above zero.")
    bought = "none" if case.bought == 0 else number_word(case.bought)
    were = "were" if case.bought > 1 else "was"
    return Reason("beyond_k", f"{case.place}; {bought} {were} bought.")


def rank_praise(case: Ranking) -> str:
    """Why a bought dataset was bought, where a rank is all that is known."""
    return f"{case.place}."


def remedy(change: Change | None, k: int | None, currency: str) -> str:
    """What would get a refused dataset bought, each by itself; "" where nothing would.

    Args:
        change: a price at which, a number of places with which, a budget with which it would be
            bought; None where that was not computed.
        k: how many places there were.
        currency: of the money.
    """
    if change is None:
        return ""
    ways, price = [], change.price
    if price is not None:  # rounded down: at a cent more it might not be bought
        hair = price * (1 + 1e-6)  # 59.9999999 is 60
        down = math.floor(hair) if price >= 10 else math.floor(100 * hair) / 100
        ways.append(f"at {money(down, currency)} or less" if down > 0 else "if it were free")
    if change.k is not None and k is not None:
        more = change.k - k
        ways.append(f"with {number_word(more)} more {'place' if more == 1 else 'places'}")
    if change.budget is not None:
        ways.append(f"with a budget of {money(change.budget, currency)}")
    if not ways:
        return ""
    shown = ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])} or {ways[-1]}"
    return f"It would be bought {shown}."


def praise(
    alignment_rank: int, candidates: int, alignment: float, covered_by: Sequence[Coverer]
) -> str:
    """Why a bought dataset is worth it: how aligned it is, and how much only it can teach.

    Args:
        alignment_rank: place of c_i among all candidates, from 1.
        candidates: how many there are.
        alignment: c_i.
        covered_by: the others that are bought.
    """
    place = "hardest" if alignment_rank == 1 else f"{ordinal(alignment_rank)} hardest"
    pull = f"Pulls {place} of all {candidates} candidates towards the task"
    if alignment <= 0:  # it earns its place by what it takes back of the others
        return "Not aligned itself, but it undoes what the others teach beside the task."
    covered = max(0.0, sum(coverer.amount for coverer in covered_by) / alignment)
    if covered < 0.05:
        return f"{pull}, and no other that is bought teaches the same."
    if covered < 0.5:
        return f"{pull}, and the others cover only {percent(covered)} of that."
    names = listed([coverer.name for coverer in _main_coverers(covered_by)])
    share = percent(min(covered, 1))
    return f"{pull}; {share} of that is covered too, mainly by {names}, but the rest is worth it."


def _useful(case: Refusal) -> Reason:
    if case.gain < SLIGHT:
        return Reason("beyond_k", "Aligned, but it would add next to nothing to what is bought.")
    adds = f"Useful: it would add {share_of_task(case.gain)}"
    if case.outcome == "too_dear":
        return Reason(
            "too_dear", f"{adds}, which is worth {case.gain_in_money}, less than its price."
        )
    if case.cheaper or case.outcome == "over_budget":
        return Reason(
            "over_budget", f"{adds}, but other datasets do more for the money that there is."
        )
    if case.k == 1:
        return Reason("beyond_k", f"{adds}, but the only place goes to one that does more.")
    return Reason(
        "beyond_k", f"{adds}, but the {number_word(case.k)} places go to datasets that do more."
    )


def _not_aligned(case: Refusal) -> Reason:
    if case.signed_high < 0:
        return Reason(
            "harmful",
            "Points away from the task, and not by chance: it would do harm.",
        )
    if abs(case.alignment) < UNRELATED * case.threshold:
        return Reason("unrelated", "Has next to nothing in common with the task.")
    return Reason("points_away", "Points away from the task.")


def _covered(case: Refusal) -> Reason:
    named = _main_coverers(case.covered_by)
    share = sum(coverer.amount for coverer in named) / case.alignment
    how_much = "all" if share >= 0.995 else percent(share)
    by = listed([coverer.name for coverer in named])
    cheaper = ", for less money" if case.cheaper else ""
    return Reason("covered", f"Aligned, but {how_much} of it is already covered by {by}{cheaper}.")


def _main_coverers(covered_by: Sequence[Coverer]) -> list[Coverer]:
    """Those that hold most of what is covered, largest first."""
    positive = sorted((c for c in covered_by if c.amount > 0), key=lambda c: (-c.amount, c.name))
    total = sum(coverer.amount for coverer in positive)
    named: list[Coverer] = []
    for coverer in positive[:MOST_NAMED]:
        if sum(c.amount for c in named) >= NAMED_SHARE * total:
            break
        named.append(coverer)
    return named
