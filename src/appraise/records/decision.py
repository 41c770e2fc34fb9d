"""The decision on one target: what was asked, what was bought and refused, and why.

Its JSON Schema is `docs/decision.schema.json`; `appraise schema decision` prints it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar, Literal, Self

from pydantic import Field, JsonValue

from appraise.examples.licences import UNKNOWN
from appraise.records.candidates import Screening
from appraise.records.certificate import ProgramCertificate
from appraise.records.record import Json, JsonRecord, Part, mapping
from appraise.records.subset import FrontierPoint, Reached, ShadowPrice
from appraise.records.valued import Bought, Refused, Sha256
from appraise.storage.files import sha256_json

Layout = Literal["appraise/decision/5"]
LAYOUT: Layout = "appraise/decision/5"
UNNAMED = "0" * 64  # the id of a decision until its content is complete
Setting = str | int | float | bool | None


class Asked(Part):
    """What was asked for.

    Attributes:
        k: how many datasets at most; None for no limit.
        budget: how much money at most; None for no limit.
        exchange_rate: what matching the whole target would be worth; None where nobody said.
        policies: whose purchases are compared.
        params: the sections of `params.yaml` that the decision rests on.
    """

    k: int | None
    budget: float | None
    exchange_rate: float | None
    policies: tuple[str, ...]
    params: dict[str, JsonValue]

    def setting(self, section: str, name: str) -> Setting:
        """A setting that is a single value; None for one that is not there."""
        value = mapping(self.params.get(section, {})).get(name)
        return value if isinstance(value, Setting) else None

    @property
    def priced(self) -> bool:
        """Whether money plays a part: there is a budget, or a worth of what is bought for it."""
        return self.budget is not None or self.exchange_rate is not None

    @property
    def confidence(self) -> float:
        """Of the intervals of what datasets are worth."""
        return float(self.setting("dataset_values", "confidence") or 0)

    @property
    def resamples(self) -> int:
        """How often the sketches' rows were drawn anew."""
        return int(self.setting("dataset_values", "bootstraps") or 0)


class SetAside(Part):
    """A dataset that could not be valued, the step that stopped it, and why."""

    id: str
    step: str
    reason: str


class Screened(Part):
    """Datasets of a large pool that are not in the kernel.

    Attributes:
        datasets: how many.
        certificate: the proof that they have no weight; None where the method solves no program.
    """

    datasets: int
    certificate: Screening | None


class Owner(Part):
    """What an owner offers.

    Attributes:
        datasets: of those that were valued.
        weight: of all of them; None, like the value, where the method does not say it.
        value: how much worse the optimum is without them.
    """

    owner: str
    datasets: tuple[str, ...]
    weight: float | None
    value: float | None


class Family(Part):
    """Datasets that cannot be told apart, and what they are worth as one."""

    datasets: tuple[str, ...]
    weight: float
    value: float


class Purchase(Part):
    """What a policy buys."""

    datasets: tuple[str, ...]
    cost: float


class Reach(Reached):
    """How good the purchase is, and what other budgets would buy.

    Attributes:
        shadow_price: what the objective gains by a unit of money more; None where other budgets
            were not computed.
        frontier: the purchase at every budget; empty likewise.
    """

    shadow_price: ShadowPrice | None
    frontier: tuple[FrontierPoint, ...]


class Decision(JsonRecord):
    """The content of `decision.json`.

    Attributes:
        layout: its name and version.
        decision_id: SHA-256 of the canonical JSON of all the rest.
        target: its name.
        title: what it is called.
        pool: title of the pool of offers.
        policy: by which it was bought.
        method: by which the datasets were valued; None where the policy looks at no value.
        bought: in the order in which they were taken.
        refused: the useful ones by rank, then the others by how little they lack.
        screened: None where all that were sketched are in the kernel.
        set_aside: what did not come as far as a valuation.
        policies: what each policy buys.
        reached: None, like `families` and `certificate`, where the method solves no program.
        evidence: what the decision rests on → SHA-256.
    """

    FILE: ClassVar[str] = "decision.json"
    SCHEMA: ClassVar[int] = 5
    STEP: ClassVar[str] = "valuation_decision"

    layout: Layout = Field(default=LAYOUT, validation_alias="schema", serialization_alias="schema")
    decision_id: Sha256
    target: str
    title: str
    pool: str
    currency: str
    prices_are_examples: bool
    policy: str
    method: str | None
    asked: Asked
    bought: tuple[Bought, ...]
    cost: float
    refused: tuple[Refused, ...]
    screened: Screened | None
    set_aside: tuple[SetAside, ...]
    owners: tuple[Owner, ...]
    policies: dict[str, Purchase]
    reached: Reach | None
    families: tuple[Family, ...] | None
    certificate: ProgramCertificate | None
    evidence: dict[str, Sha256]

    def named(self) -> Self:
        """The same decision under the id that its content gives it."""
        return self.model_copy(update={"decision_id": self.own_id()})

    def own_id(self) -> str:
        """SHA-256 of the canonical JSON of all the rest."""
        return sha256_json({n: v for n, v in self.as_json().items() if n != "decision_id"})

    @property
    def unlicensed(self) -> list[str]:
        """What the bought datasets whose licence is not known are called."""
        return [item.name for item in self.bought if item.licence == UNKNOWN]

    def valued(self) -> Iterator[Bought | Refused]:
        """All that were valued, bought ones first."""
        yield from self.bought
        yield from self.refused

    @property
    def bought_ids(self) -> list[str]:
        """The datasets that were bought."""
        return [item.id for item in self.bought]


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12) of `decision.json`."""
    schema: Json = dict(Decision.model_json_schema(by_alias=True, mode="validation"))
    required: list[JsonValue] = [
        "schema",
        *(name for name in Decision.model_fields if name != "layout"),
    ]
    return schema | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": LAYOUT,
        "required": required,
    }


def json_schema_text() -> str:
    """The same as a file has it."""
    return json.dumps(json_schema(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
