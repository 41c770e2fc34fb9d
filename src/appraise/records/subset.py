"""What a policy buys for a target, how good that is, and what would have to change."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator

from appraise.records.record import Json, JsonRecord, Part


class Covered(Part):
    """How much of a dataset's alignment a bought one covers: K_ij w_j, in units of alignment."""

    id: str
    amount: float


class Beside(Part):
    """How a dataset stands to the others that are bought.

    Attributes:
        weight: in the mix of what is bought; 0 where it is not.
        gain: the part of the target that it adds to them.
        margin: what they leave of its alignment.
        covered_by: them, as far as they cover it, most first.
    """

    weight: float
    gain: float
    margin: float
    covered_by: tuple[Covered, ...]


class Ranked(Part):
    """A dataset's place in a policy's ranking.

    Attributes:
        score: what it was ranked by.
        eligible: whether it may be bought at all.
        reason: "chosen", "beyond_k", "over_budget", "too_dear", "no_score", "excluded"; of one that
            is not eligible why it is not, in words.
        beside: how it stands to what is bought; None where no program says it.
    """

    id: str
    score: float
    eligible: bool
    reason: str
    beside: Beside | None = None


class Reached(Part):
    """How good a set is with weights of its own, and how much better one could be.

    Attributes:
        objective: of the set, and what its price is worth where the buyer has said what the target
            is worth.
        bound: no set within the buyer's limits is below it.
        gap: objective − bound.
        proof: what the bound comes from.
    """

    objective: float
    bound: float
    gap: float
    proof: str


class FrontierPoint(Part):
    """The purchase at a budget.

    Attributes:
        budget: the smallest that buys it.
        objective: of the set; None where no program says what a set is worth.
        matched: part of the target's squared gradient, in [0, 1]; None likewise.
    """

    budget: float
    cost: float
    datasets: tuple[str, ...]
    objective: float | None
    matched: float | None


class ShadowPrice(Part):
    """What the objective gains by a unit of money more, and loses by one less."""

    more: float
    less: float


class Change(Part):
    """What would get a refused dataset bought, each by itself; None for what would not.

    Attributes:
        price: at most; money.
        k: at least.
        budget: at least.
    """

    price: float | None
    k: int | None
    budget: float | None


class Separation(Part):
    """How a dataset stands to the one at the other side of the cut.

    Attributes:
        rival: of a bought one the best that was refused; of a refused one the last that was bought.
        difference: average over resamples of its weight minus its rival's.
        low: lower end of the interval of the difference.
        high: upper end.
        tied: other rows might have turned the choice round.
        more_rows: how many more rows of each would separate them; 0 where they are separated, None
            where no number of rows would do.
    """

    rival: str
    difference: float
    low: float
    high: float
    tied: bool
    more_rows: int | None


class Alternatives(Part):
    """What other budgets, prices and rows would buy.

    Attributes:
        frontier: the purchase at every budget.
        walk_away: bought dataset → the largest price at which it would be; None where no price
            keeps it from being bought, as nobody set a budget or an exchange rate.
        changes: refused dataset → what would get it bought.
        bought_probability: dataset → in what part of the resamples it is bought; empty where there
            are none, or the policy does not follow them.
        separations: dataset → how settled its side of the cut is; empty where there is no cut, as
            whole sets are compared.
    """

    shadow_price: ShadowPrice | None
    frontier: tuple[FrontierPoint, ...]
    walk_away: dict[str, float | None]
    changes: dict[str, Change]
    bought_probability: dict[str, float]
    separations: dict[str, Separation]


_GROUPS = {"reached": tuple(Reached.model_fields), "alternatives": tuple(Alternatives.model_fields)}


class Subset(JsonRecord):
    """The content of `subset.json`; what belongs to a group stands in the file by itself.

    Attributes:
        exchange_rate: what matching the whole target would be worth; None where nobody said.
        datasets: bought, in the order in which they were taken.
        ranking: all that were valued, best first.
        reached: None where no program says what a set is worth.
        alternatives: None where they were not computed for this policy.
    """

    FILE: ClassVar[str] = "subset.json"
    SCHEMA: ClassVar[int] = 3
    STEP: ClassVar[str] = "selected_subset"

    policy: str
    k: int | None
    budget: float | None
    exchange_rate: float | None
    datasets: tuple[str, ...]
    cost: float
    currency: str
    ranking: tuple[Ranked, ...]
    reached: Reached | None = None
    alternatives: Alternatives | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_groups(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        rest = dict(content)
        for group, names in _GROUPS.items():
            if any(name in rest for name in names):
                rest[group] = {name: rest.pop(name) for name in names if name in rest}
        return rest

    def shaped(self, content: Json) -> Json:
        """What belongs to a group stands by itself."""
        rest = {name: value for name, value in content.items() if name not in _GROUPS}
        for group in _GROUPS:
            inner = content[group]
            rest |= inner if isinstance(inner, dict) else {}
        return rest

    def rank(self, dataset: str) -> int:
        """Its place in the ranking, from 1."""
        return 1 + [one.id for one in self.ranking].index(dataset)

    @property
    def ineligible(self) -> dict[str, str]:
        """Dataset that may not be bought → why."""
        return {one.id: one.reason for one in self.ranking if not one.eligible}

    @property
    def excluded(self) -> set[str]:
        """Datasets that are not sold beside what was bought."""
        return {one.id for one in self.ranking if one.reason == "excluded"}
