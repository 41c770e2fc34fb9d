"""What the datasets are worth to a target, by one method; what it cannot say has no file.

Every method writes `weights.parquet`. One that solves a program adds its certificate, its path and
what each owner adds; one that resamples adds the resamples.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from appraise.numerics.kernel import Floats
from appraise.records.record import (
    ArrayRecord,
    Arrays,
    Json,
    Part,
    TableRecord,
    texts,
)
from appraise.storage.files import write_arrays

STEP = "dataset_values"


@dataclass(frozen=True)
class Covering:
    """How much of a dataset's alignment another one covers.

    Attributes:
        id: the other one.
        amount: K_ij w_j.
        share: of the alignment; None where that is 0.
    """

    id: str
    amount: float
    share: float | None


class Uncertainty(Part):
    """What other samples of a dataset's rows would have given.

    Attributes:
        low: lower end of the interval of its weight.
        high: upper end.
        mean_weight: average weight.
        best_rank: of the interval of its rank by weight, 1 the largest.
        worst_rank: likewise.
        weight_probability: how often its weight is above 0; None where that says nothing.
        signed_low: lower end of the interval of its signed weight; None without a program.
        signed_high: upper end.
    """

    low: float
    high: float
    mean_weight: float
    best_rank: float
    worst_rank: float
    weight_probability: float | None
    signed_low: float | None
    signed_high: float | None


@dataclass(frozen=True)
class Standing:
    """How a dataset stands in the program that its weight solves.

    Attributes:
        margin: m_i = c_i − Σ_j K_ij w_j.
        threshold: λ, and what the limits that bind add to it.
        near_threshold: whether a small change would give it a weight, or take it.
        covered_by: by the datasets with a weight, largest first.
        value: optimum without it minus optimum with it; None where the limits leave no room for the
            others.
        signed_weight: in the program without w ≥ 0.
        family: the first of those that cannot be told apart from it.
        family_weight: of all of them as one.
        family_value: likewise.
    """

    margin: float
    threshold: float
    near_threshold: bool
    covered_by: tuple[Covering, ...]
    value: float | None
    signed_weight: float
    family: str
    family_weight: float
    family_value: float


@dataclass(frozen=True)
class Weight:
    """What a dataset is worth.

    Attributes:
        id: the dataset.
        owner: who offers it.
        rows: of its sketch.
        weight: by the method; of KMM w_i ≥ 0.
        alignment: c_i = ⟨g_i, g_t⟩.
        cosine: of the same two gradients.
        resampled: None where nothing was resampled.
        standing: None where the method solves no program.
    """

    id: str
    owner: str
    rows: int
    weight: float
    alignment: float
    cosine: float
    resampled: Uncertainty | None
    standing: Standing | None


class WeightsTable(TableRecord):
    """The content of `weights.parquet`: a row for each dataset, in the order of the kernel.

    The columns of `Uncertainty` and `Standing` may be missing, or have no values.
    """

    FILE: ClassVar[str] = "weights.parquet"
    SCHEMA: ClassVar[int] = 4
    STEP: ClassVar[str] = STEP
    COLUMNS: ClassVar[tuple[str, ...]] = (
        "id", "owner", "rows", "weight", "alignment", "cosine",
    )  # fmt: skip

    @property
    def ids(self) -> list[str]:
        """The datasets."""
        return self.texts("id")

    def weights(self) -> dict[str, Weight]:
        """Dataset → its row."""
        return {row["id"]: _weight(row) for row in self.records()}

    def interval(self) -> tuple[Floats, Floats]:
        """Ends of the weights' intervals, each (n,); the weight itself where there is none."""
        if "low" not in self.table:
            return self.numbers("weight"), self.numbers("weight")
        low, high = (self.table[end].fillna(self.table["weight"]) for end in ("low", "high"))
        return low.to_numpy("float64"), high.to_numpy("float64")


def _weight(row: dict[str, Any]) -> Weight:
    common = {name: row[name] for name in WeightsTable.COLUMNS}
    resampled: Uncertainty | None = None
    standing: Standing | None = None
    if row.get("best_rank") is not None:
        ends: dict[str, Any] = {name: row.get(name) for name in Uncertainty.model_fields}
        resampled = Uncertainty(**ends)
    if row.get("margin") is not None:
        said = {name: row[name] for name in Standing.__dataclass_fields__}
        pairs = json.loads(said.pop("covered_by"))
        covered_by = tuple(Covering(other, amount, *rest) for other, amount, *rest in pairs)
        standing = Standing(**said, covered_by=covered_by)
    return Weight(**common, resampled=resampled, standing=standing)


class EntriesTable(TableRecord):
    """The content of `path.parquet`: each entry into the mix and each exit, in parts of λ_max."""

    FILE: ClassVar[str] = "path.parquet"
    STEP: ClassVar[str] = STEP
    COLUMNS: ClassVar[tuple[str, ...]] = ("id", "enters", "leaves")

    def entered(self) -> dict[str, float]:
        """Dataset → the λ below which it first has a weight."""
        first = self.table.groupby("id")["enters"].max()
        return {str(name): float(at) for name, at in first.items()}


@dataclass(frozen=True)
class OwnerValue:
    """What an owner offers that nobody else does.

    Attributes:
        owner: who.
        datasets: all that are offered.
        weight: of all of them together.
        value: optimum without them minus optimum with them.
    """

    owner: str
    datasets: tuple[str, ...]
    weight: float
    value: float


class OwnersTable(TableRecord):
    """The content of `owners.parquet`, most valuable first."""

    FILE: ClassVar[str] = "owners.parquet"
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = STEP
    COLUMNS: ClassVar[tuple[str, ...]] = ("owner", "datasets", "weight", "value")

    def owners(self) -> list[OwnerValue]:
        """The rows."""
        return [
            OwnerValue(**(row | {"datasets": tuple(json.loads(row["datasets"]))}))
            for row in self.records()
        ]


@dataclass(frozen=True)
class PathKnots(ArrayRecord):
    """The content of `path.safetensors`: all solutions with w ≥ 0.

    Attributes:
        lambdas: (L,) descending.
        weights: (L, n), piecewise linear between them.
        ids: the datasets.
    """

    FILE: ClassVar[str] = "path.safetensors"
    STEP: ClassVar[str] = STEP
    AXES: ClassVar[dict[str, str]] = {"lambdas": "l", "weights": "ln"}

    lambdas: Floats
    weights: Floats
    ids: tuple[str, ...]

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """Of the file."""
        return cls(arrays["lambdas"], arrays["weights"], _ids(meta, arrays["weights"]))

    def meta(self) -> Json:
        """As the file has it."""
        return {"ids": list(self.ids)}


@dataclass(frozen=True)
class Resamples(ArrayRecord):
    """The content of `bootstrap.safetensors`.

    Attributes:
        weights: (B, n) of each resample.
        ids: the datasets.
        signed_weights: (B, n) in the signed program; None where the method solves no program.
    """

    FILE: ClassVar[str] = "bootstrap.safetensors"
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = STEP
    AXES: ClassVar[dict[str, str]] = {"weights": "bn"}
    OF_A_PROGRAM: ClassVar[tuple[str, ...]] = ("signed_weights",)

    weights: Floats
    ids: tuple[str, ...]
    signed_weights: Floats | None = None

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """Of the file."""
        more = {name: arrays[name] for name in cls.OF_A_PROGRAM if name in arrays}
        return cls(arrays["weights"], _ids(meta, arrays["weights"]), **more)

    def write(self, folder: Path) -> None:
        """Write it."""
        names = (*self.AXES, *self.OF_A_PROGRAM)
        arrays = {name: getattr(self, name) for name in names}
        there = {name: array for name, array in arrays.items() if array is not None}
        write_arrays(folder / self.FILE, there, self.meta())

    def meta(self) -> Json:
        """As the file has it."""
        return {"ids": list(self.ids)}


def _ids(meta: Json, weights: Floats) -> tuple[str, ...]:
    ids = texts(meta["ids"])
    if len(ids) != weights.shape[1]:
        raise ValueError(f"{len(ids)} datasets for weights of {weights.shape}")
    return ids
