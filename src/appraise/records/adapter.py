"""How an adapter was trained, and what it scored."""

from __future__ import annotations

from typing import ClassVar, Self

from appraise.records.record import JsonRecord, Part, TableRecord


class AdapterTraining(JsonRecord):
    """The content of `training.json`.

    Attributes:
        steps: of the optimizer; 0 when there was nothing to train on.
        loss: of each step's batch, before the step: nats per completion token for SFT, nats per
            pair for DPO, the surrogate (near 0: read the reward) for GRPO.
        learning_rate: of each step.
        reward: mean reward of each step's completions; empty where nothing was rewarded.
        tokens: of all sequences trained on.
        mix: dataset → how many examples came from it; the target's under `target`.
    """

    FILE: ClassVar[str] = "training.json"
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = "lora_adapter"

    steps: int
    loss: tuple[float, ...]
    learning_rate: tuple[float, ...]
    reward: tuple[float, ...]
    tokens: int
    mix: dict[str, int]


class Scores(Part):
    """What an adapter scores on some items.

    Attributes:
        loss: nats per completion token.
        tokens: of all completions.
        items: how many.
        accuracy: part of the items with the right choice; None where nothing was chosen.
        accuracy_stderr: its standard error.
        reward: mean of the items' rewards; absent where the adapter was not trained for one.
    """

    SPARSE: ClassVar[frozenset[str]] = frozenset({"reward"})

    loss: float
    tokens: int
    items: int
    accuracy: float | None
    accuracy_stderr: float | None
    reward: float | None = None


class EvaluationMetrics(Scores, JsonRecord):
    """The content of `metrics.json` of an evaluation: of all items, and of each component's.

    Attributes:
        components: name → scores on its items.
        tasks: of lm-eval, where any were asked for: name → metric → value.
    """

    FILE: ClassVar[str] = "metrics.json"
    STEP: ClassVar[str] = "evaluation"

    SPARSE: ClassVar[frozenset[str]] = frozenset({"reward", "tasks"})

    components: dict[str, Scores]
    tasks: dict[str, dict[str, float]] | None = None


class ItemsTable(TableRecord):
    """The content of `items.parquet`: a row for each item of the target's test split.

    `correct` is missing where nothing was chosen; `reward` is a column where there is one.
    """

    FILE: ClassVar[str] = "items.parquet"
    STEP: ClassVar[str] = "evaluation"
    COLUMNS: ClassVar[tuple[str, ...]] = ("id", "component", "nats", "tokens", "correct")

    def in_order(self) -> Self:
        """The same rows by component and id."""
        return type(self)(self.table.sort_values(["component", "id"], ignore_index=True))

    def items(self) -> list[tuple[str, str]]:
        """Component and id of each."""
        return list(zip(self.texts("component"), self.texts("id"), strict=True))
