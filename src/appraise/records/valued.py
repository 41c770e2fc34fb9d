"""What a decision says of each dataset that was valued: bought or refused, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from appraise.records.copies import Copied
from appraise.records.record import Part
from appraise.records.subset import Change, Separation
from appraise.records.values import Uncertainty

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ReasonKind = Literal[
    "ineligible",
    "copy",
    "excluded",
    "beyond_k",
    "over_budget",
    "too_dear",
    "points_away",
    "unrelated",
    "harmful",
    "covered",
    "weak",
    "no_score",
]


OPEN = 0.25  # bought, or refused, in so many of the resamples: the choice is not settled


class Cover(Part):
    """A bought dataset that teaches part of the same.

    Attributes:
        amount: K_ij w_j, in units of the alignment.
        share: of the alignment; None where the dataset is not aligned.
    """

    id: str
    title: str
    amount: float
    share: float | None


class Adds(Part):
    """What a dataset adds to the others that are bought.

    Attributes:
        gain: the part of the target that is matched with it and not without it.
        gain_in_money: what that is worth; None where nobody said what the target is worth.
        margin: what the others that are bought leave uncovered of its alignment.
        needed: λ, what the margin must exceed to add anything.
        share: its weight in the mix of what is bought; 0 where it is not.
        covered_by: the others that are bought and cover part of it, most first.
    """

    gain: float
    gain_in_money: float | None
    margin: float
    needed: float
    share: float
    covered_by: tuple[Cover, ...]


class Explained(Part):
    """How a dataset stands in the mix of everything on offer, whose weights solve the program.

    Attributes:
        margin: m_i, what that mix leaves uncovered of its alignment.
        threshold: λ, what the margin must reach for a weight.
        near_threshold: whether a small change would give it a weight, or take it.
        enters: λ below which it is in the mix, as a part of λ_max; None where it never is.
        value: how much worse the optimum is without it; None where the limits leave no room for the
            others.
        signed_weight: where weights may be negative.
    """

    margin: float
    threshold: float
    near_threshold: bool
    enters: float | None
    value: float | None
    signed_weight: float


class Valued(Part):
    """What a decision says of every dataset that was valued.

    Attributes:
        id: our name for it.
        name: what it is called in a sentence.
        weight: what it is worth by the decision's method.
        rank: its place by weight, from 1; 0 where a program gives it no weight.
        alignment: c_i, of its gradient with the target's.
        copied: how many of its rows others had first.
        uncertainty: None where nothing was resampled.
        explained: None where the method solves no program.
        adds: to what else is bought; None likewise.
        walk_away_price: the largest price at which it is bought, all else as it is; None where it
            is bought at no price, or at every price as nobody set a budget or an exchange rate.
        bought_probability: in what part of the resamples it is bought; None where nothing was
            resampled.
        cut: how settled its side of the cut is; None where no ranking is cut.
        reason: why it was bought or refused.
    """

    id: str
    name: str
    title: str
    provider: str
    version: str
    licence: str
    price: float
    weight: float
    rank: int
    alignment: float
    copied: Copied
    uncertainty: Uncertainty | None
    explained: Explained | None
    adds: Adds | None
    walk_away_price: float | None
    bought_probability: float | None
    cut: Separation | None
    reason: str

    @property
    def tied(self) -> bool:
        """Whether other sample rows might well have turned the choice round."""
        if self.bought_probability is None:
            return self.cut is not None and self.cut.tied and self.weight > 0
        return OPEN <= self.bought_probability <= 1 - OPEN


class Bought(Valued):
    """A dataset that was bought.

    Attributes:
        sha256: content of what was taken of it.
        source_sha256: of the provider's file; None for a source that a revision pins.
    """

    sha256: Sha256
    source_sha256: Sha256 | None


class Refused(Valued):
    """A dataset that was valued and not bought.

    Attributes:
        reason_kind: the case, for programs.
        change: what would get it bought; None where that was not computed.
        remedy: the same in words; "" where nothing would.
    """

    reason_kind: ReasonKind
    change: Change | None
    remedy: str
