"""What came of a decision: every policy's score, and the decision's against each of the others."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue

from appraise.records.record import Json, JsonRecord, Part, mapping, misfit
from appraise.storage.files import write_bytes

STEP = "decision_outcome"
Layout = Literal["appraise/outcome/2"]
LAYOUT: Layout = "appraise/outcome/2"


class PolicyScore(Part):
    """What the adapter trained on a policy's purchase scored.

    Attributes:
        loss: held-out nats per completion token.
        low: lower end of its interval.
        high: upper end.
        accuracy: part of right answers; None where nothing was chosen.
        accuracy_stderr: its standard error.
        reward: absent where adapters were not trained for one.
        datasets: bought.
        cost: of them.
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"reward"})

    loss: float
    low: float
    high: float
    accuracy: float | None
    accuracy_stderr: float | None
    reward: float | None = None
    datasets: tuple[str, ...]
    cost: float


class Comparison(Part):
    """loss(a) − loss(b) on the same items, and what its interval says."""

    a: str
    b: str
    difference: float
    low: float
    high: float
    verdict: str


class Outcome(JsonRecord):
    """The content of `outcome.json`.

    Attributes:
        layout: its name and version.
        decision_id: of the decision whose purchases these are.
        policy: the one that the decision is by; it is `a` of every comparison.
        items: of the target's test split.
        confidence: of the intervals.
        policies: by name.
        comparisons: with each of the others.
    """

    FILE: ClassVar[str] = "outcome.json"
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = STEP

    layout: Layout = Field(default=LAYOUT, validation_alias="schema", serialization_alias="schema")
    decision_id: str
    policy: str
    items: int
    confidence: float
    policies: dict[str, PolicyScore]
    comparisons: tuple[Comparison, ...]

    @property
    def ours(self) -> PolicyScore:
        """Of the decision's own policy."""
        return self.policies[self.policy]

    @property
    def rewarded(self) -> bool:
        """Whether every policy has a reward."""
        return all(score.reward is not None for score in self.policies.values())


class OutcomeMetrics(JsonRecord):
    """The content of `metrics.json` of an outcome: what `dvc metrics` shows.

    Attributes:
        policies: policy → its numbers by name.
        differences: `<a>_minus_<b>` → the difference of their losses.
    """

    FILE: ClassVar[str] = "metrics.json"
    STEP: ClassVar[str] = STEP
    NUMBERS: ClassVar[tuple[str, ...]] = ("loss", "accuracy", "reward", "cost")

    policies: dict[str, dict[str, float]]
    differences: dict[str, float]

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """The numbers of an outcome."""
        policies = {}
        for policy, score in outcome.policies.items():
            numbers = {
                name: getattr(score, name) for name in ("loss", "accuracy", "reward", "cost")
            }
            policies[policy] = {n: value for n, value in numbers.items() if value is not None}
        differences = {f"{pair.a}_minus_{pair.b}": pair.difference for pair in outcome.comparisons}
        return cls(policies=policies, differences=differences)

    @classmethod
    def from_file(cls, content: JsonValue) -> JsonValue:
        """The file has both side by side."""
        if not isinstance(content, dict):
            return content
        policies: Json = {name: one for name, one in content.items() if isinstance(one, dict)}
        rest: Json = {name: one for name, one in content.items() if name not in policies}
        return {"policies": policies, "differences": rest}

    def shaped(self, content: Json) -> Json:
        """Both side by side."""
        return mapping(content["policies"]) | mapping(content["differences"])


class LossTable:
    """The content of `loss.csv`, which `dvc plots` draws: a line for each policy."""

    FILE: ClassVar[str] = "loss.csv"
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str] = STEP
    HEAD = ("policy", "loss", "low", "high")

    def __init__(self, rows: tuple[tuple[str, float, float, float], ...]) -> None:
        self.rows = rows

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """The losses of an outcome."""
        scores = outcome.policies.items()
        return cls(tuple((name, one.loss, one.low, one.high) for name, one in scores))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it does not fit."""
        path = folder / cls.FILE
        head, *lines = path.read_text(encoding="utf-8").splitlines() or [""]
        if head != ",".join(cls.HEAD):
            raise misfit(path, cls.STEP, ",".join(cls.HEAD), head or "nothing")
        rows = []
        for line in lines:
            policy, *numbers = line.split(",")
            loss, low, high = map(float, numbers)
            rows.append((policy, loss, low, high))
        return cls(tuple(rows))

    def write(self, folder: Path) -> None:
        """Write it; numbers with all their digits."""
        lines = [f"{name},{loss!r},{low!r},{high!r}" for name, loss, low, high in self.rows]
        write_bytes(folder / self.FILE, ("\n".join([",".join(self.HEAD), *lines]) + "\n").encode())
