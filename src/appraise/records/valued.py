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
    "points_away",
    "unrelated",
    "harmful",
    "covered",
    "weak",
    "no_score",
]


class Cover(Part):
    """A dataset that teaches part of the same.

    Attributes:
        amount: K_ij w_j, in units of the alignment.
        share: of the alignment; None where the dataset is not aligned.
        bought: whether it was bought.
    """

    id: str
    title: str
    amount: float
    share: float | None
    bought: bool


class Explained(Part):
    """How a dataset stands in the program that the weights solve.

    Attributes:
        penalty: p_i.
        margin: m_i, what the others leave uncovered of its alignment.
        threshold: λ p_i, what the margin must reach.
        near_threshold: whether a small change would turn the answer.
        covered_by: the others that cover part of it, most first.
        enters: λ below which it is in the mix, as a part of λ_max; None where it never is.
        value: how much worse the optimum is without it; None where the limits leave no room for the
            others.
        value_in_money: the same in money; None where the penalty has nothing to do with money.
        walk_away_price: above it the dataset drops out of the mix; None likewise.
        signed_weight: where weights may be negative.
    """

    penalty: float
    margin: float
    threshold: float
    near_threshold: bool
    covered_by: tuple[Cover, ...]
    enters: float | None
    value: float | None
    value_in_money: float | None
    walk_away_price: float | None
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
        cut: how settled its side of the cut is; None where that was not computed.
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
    cut: Separation | None
    reason: str

    @property
    def tied(self) -> bool:
        """Whether other sample rows might have put it at the other side of the cut."""
        return self.cut is not None and self.cut.tied and self.weight > 0

    @property
    def near_threshold(self) -> bool:
        """Whether a small change would turn the answer."""
        return self.explained is not None and self.explained.near_threshold

    @property
    def walk_away_price(self) -> float | None:
        """Above it the dataset drops out of the mix; None where no price is known to do that."""
        return None if self.explained is None else self.explained.walk_away_price


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
