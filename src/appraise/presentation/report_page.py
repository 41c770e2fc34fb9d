"""The report of a decision as HTML: one self-contained page for somebody who buys data.

The page needs no network and runs no script: pictures are inline SVG, style is inline, and a
content security policy forbids everything else. Titles and reasons come from outside and are
escaped. Same inputs, same bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from appraise.policies import POLICIES
from appraise.presentation.comparisons import change, standing, verdict_sentence
from appraise.presentation.costs import Cost
from appraise.presentation.valuation_pictures import measure
from appraise.presentation.wording import (
    listed,
    money,
    number_word,
    one_line,
    percent,
    scientific,
    share_of_task,
    signed,
)
from appraise.records.cards import DatasetCard
from appraise.records.decision import Decision
from appraise.records.outcome import Comparison, Outcome, PolicyScore
from appraise.records.valued import Bought, Refused

TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = "report.html.j2"
BASE = [name for name, policy in POLICIES.items() if not policy.trains]  # the model as it is
OURS = ("This decision", "the datasets bought above")


@dataclass(frozen=True)
class ReportRow:
    """A way of choosing in the table of what came of it.

    Attributes:
        policy: its name.
        title: for a buyer.
        meaning: likewise.
        score: what it scored.
        at: where low end, loss and high end stand on the bar, in percent.
        ours: whether the decision is by this policy.
    """

    policy: str
    title: str
    meaning: str
    score: PolicyScore
    at: Mapping[str, float]
    ours: bool


@dataclass(frozen=True)
class ReportOutcome:
    """What came of a decision, as the page shows it.

    Attributes:
        found: the outcome.
        rows: best first.
        base: what the base model scored; None where it was not evaluated.
        change: what the loss does from there to the decision's.
        standing: how the purchase compares with the other ways of choosing.
        right_answer: chance that is given to a piece of a right answer, as a geometric mean.
        verdicts: each comparison in words.
    """

    found: Outcome
    rows: list[ReportRow]
    base: PolicyScore | None
    change: str
    standing: str
    right_answer: float
    verdicts: list[tuple[Comparison, str]]

    @classmethod
    def of(cls, outcome: Outcome) -> ReportOutcome:
        """As the page shows it."""
        to_base = next((pair for pair in outcome.comparisons if pair.b in BASE), None)
        return cls(
            found=outcome,
            rows=_rows(outcome),
            base=next((outcome.policies[name] for name in BASE if name in outcome.policies), None),
            change=change(to_base) if to_base else "",
            standing=standing([pair for pair in outcome.comparisons if pair is not to_base]),
            right_answer=math.exp(-outcome.ours.loss),
            verdicts=[(pair, verdict_sentence(pair)) for pair in outcome.comparisons],
        )


def _rows(outcome: Outcome) -> list[ReportRow]:
    scores = outcome.policies
    left = min(score.low for score in scores.values())
    width = max(score.high for score in scores.values()) - left or 1.0
    rows = []
    for policy, score in scores.items():
        ends = {"low": score.low, "loss": score.loss, "high": score.high}
        at = {name: round(6 + 88 * (end - left) / width, 2) for name, end in ends.items()}
        ours = policy == outcome.policy
        title, meaning = OURS if ours else (POLICIES[policy].title, POLICIES[policy].meaning)
        rows.append(ReportRow(policy, title, meaning, score, at, ours))
    return sorted(rows, key=lambda row: (row.score.loss, row.policy))


@dataclass(frozen=True)
class Report:
    """All that the template shows.

    Attributes:
        decision: what was decided.
        valued: every dataset that was valued, bought ones first.
        positive: how many of them have a positive weight.
        measure: what they are ranked by.
        shares: dataset → its share of the mix of what is bought; empty without a program.
        cards: dataset → what became of its rows.
        widest: the longest bar of a bought dataset.
        reach: the longest bar of a refused one.
        priced: whether there is a price to walk away from.
        overlaps: title, and how many rows were removed because the target has them too.
        resold: title, how many rows others had first, and who had most of them.
        tied: names of refused datasets that other sample rows might have put into the purchase.
        entries: those that are ever in the mix, and where they enter, first ones first.
        outcome: what came of it.
        base_model: what the model is called.
        costs: of the target's sketch, then of each dataset's.
        figures: name → inline SVG, trusted: drawn by us, its text escaped by the drawing library.
    """

    decision: Decision
    valued: list[Bought | Refused]
    positive: int
    measure: str
    shares: Mapping[str, float]
    cards: Mapping[str, DatasetCard]
    widest: float
    reach: float
    priced: bool
    overlaps: list[tuple[str, int]]
    resold: list[tuple[str, int, str]]
    tied: list[str]
    entries: list[tuple[Bought | Refused, float]]
    outcome: ReportOutcome
    base_model: str
    costs: Sequence[Cost]
    figures: Mapping[str, Markup]

    @classmethod
    def of(
        cls,
        decision: Decision,
        outcome: Outcome,
        cards: Mapping[str, DatasetCard],
        costs: Sequence[Cost],
        pictures: Mapping[str, bytes],
    ) -> Report:
        """As the page shows it.

        Args:
            cards: of every dataset on offer.
            costs: of the target's sketch, then of each dataset's.
            pictures: name → SVG.
        """
        valued = list(decision.valued())
        return cls(
            decision=decision,
            valued=valued,
            positive=sum(item.weight > 0 for item in valued),
            measure=measure(decision),
            shares=_shares(decision),
            cards=cards,
            widest=max((_reach(item) for item in decision.bought), default=1.0),
            reach=max((_height(item) for item in valued), default=0.0) or 1.0,
            priced=any(item.walk_away_price is not None for item in valued),
            overlaps=_overlaps(cards, decision.target),
            resold=_resold(valued),
            tied=[item.name for item in decision.refused if item.tied],
            entries=_entries(valued),
            outcome=ReportOutcome.of(outcome),
            base_model=_model_name(str(decision.asked.setting("base_model", "source"))),
            costs=costs,
            figures={name: Markup(_own_ids(name, svg)) for name, svg in pictures.items()},
        )

    def html(self) -> str:
        """The page."""
        return _environment().get_template(TEMPLATE).render(vars(self))


def _shares(decision: Decision) -> dict[str, float]:
    mixed = {item.id: item.adds.share for item in decision.bought if item.adds}
    total = sum(mixed.values()) or 1.0
    return {name: share / total for name, share in mixed.items()}


def _reach(item: Bought | Refused) -> float:
    return (item.uncertainty.high if item.uncertainty else 0.0) or item.weight


def _height(item: Bought | Refused) -> float:
    return max(item.alignment, item.adds.needed if item.adds else item.alignment)


def _overlaps(cards: Mapping[str, DatasetCard], target: str) -> list[tuple[str, int]]:
    """Most first."""
    counts = ((card.offer.title, card.counts) for card in cards.values())
    removed = [(title, one.overlap.get(target, 0)) for title, one in counts if one is not None]
    return sorted((pair for pair in removed if pair[1]), key=lambda pair: (-pair[1], pair[0]))


def _resold(valued: Sequence[Bought | Refused]) -> list[tuple[str, int, str]]:
    found = [
        (item.title, item.copied.copied, item.copied.most_first()[0][0])
        for item in valued
        if item.copied.copied
    ]
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _entries(valued: Sequence[Bought | Refused]) -> list[tuple[Bought | Refused, float]]:
    found = [
        (item, item.explained.enters)
        for item in valued
        if item.explained and item.explained.enters is not None
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].id))


def _own_ids(name: str, picture: bytes) -> str:
    """Ids made unique on the page: two pictures may both have an element `axes_1`."""
    svg = re.sub(r'\bid="', f'id="{name}-', picture.decode())
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    return svg.replace("url(#", f"url(#{name}-")


def _model_name(source: str) -> str:
    """The part of a model's source that people call it by."""
    member = source.removeprefix("zip://").split("::")[0]
    return one_line(member.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf"))


def _about(amount: float, currency: str) -> str:
    """An estimated amount, without false cents."""
    return _nicely(money(round(amount) if amount >= 10 else round(amount, 1), currency))


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def _nicely(text: str) -> str:
    """No line break between a number and its unit."""
    return re.sub(r"(?<=[0-9]) (?=[%×A-Z])|(?<=<) (?=\d)", "\u00a0", text)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "money": lambda amount, currency: _nicely(money(amount, currency)),
        "about": _about,
        "task": lambda gain: _nicely(share_of_task(gain)),
        "percent": lambda share: "–" if share is None else _nicely(percent(share)),
        "number": _number,
        "signed": signed,
        "scientific": lambda value: _nicely(scientific(value)),
        "listed": listed,
        "word": number_word,
        "line": one_line,
        "nicely": _nicely,
    }
    environment.filters.update(filters)
    return environment
