"""Of a large pool the datasets that can have a weight, and the proof for the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from appraise.numerics.kernel import Normalize
from appraise.records.record import (
    ArrayRecord,
    Arrays,
    Json,
    JsonRecord,
    Part,
    TableRecord,
    mapping,
)

STEP = "candidates"


class Screening(Part):
    """The certificate over all datasets of one target, none of which was left out of it.

    Attributes:
        lam: λ.
        lambda_max: the smallest λ at which nothing has a weight.
        datasets: how many there are.
        positive: how many of them have a weight.
        gap: no other weights are better by more than this.
        kkt_violation: largest violation of the optimality conditions, in units of alignment.
        relative_error: the larger of both, free of units.
        passes: how often all of them were looked at.
    """

    lam: float = Field(validation_alias="lambda", serialization_alias="lambda")
    lambda_max: float
    datasets: int
    positive: int
    gap: float
    kkt_violation: float
    relative_error: float
    passes: int


class Candidates(JsonRecord):
    """The content of `candidates.json`.

    Attributes:
        ids: the datasets that go on.
        screened: how many do not.
        certificates: target → the proof; none where nothing was screened.
    """

    FILE: ClassVar[str] = "candidates.json"
    STEP: ClassVar[str] = STEP

    ids: tuple[str, ...]
    screened: int = 0
    certificates: dict[str, Screening] = Field(default_factory=dict)


class ScreenedTable(TableRecord):
    """The content of `screened.parquet`: what each dataset that is no candidate lacks."""

    FILE: ClassVar[str] = "screened.parquet"
    STEP: ClassVar[str] = STEP
    COLUMNS: ClassVar[tuple[str, ...]] = ("id", "target", "alignment", "margin", "threshold")


@dataclass(frozen=True)
class PoolGradients(ArrayRecord):
    """The content of `gradients.safetensors`: kept for the next time that datasets are added.

    Attributes:
        G: mean gradients (n, d) float32.
        contents: dataset → SHA-256 of the sketch, in the order of the rows.
        normalize: how gradients were scaled.
    """

    FILE: ClassVar[str] = "gradients.safetensors"
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = STEP
    AXES: ClassVar[dict[str, str]] = {"G": "nd"}

    G: NDArray[np.float32]
    contents: dict[str, str]
    normalize: Normalize

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """Of the file."""
        contents = mapping(meta["contents"])
        if len(contents) != len(arrays["G"]):
            raise ValueError(f"{len(contents)} contents for G of {arrays['G'].shape}")
        named = {name: str(sha) for name, sha in contents.items()}
        normalize: Normalize = "unit" if meta["normalize"] == "unit" else "none"
        return cls(arrays["G"], named, normalize)

    def meta(self) -> Json:
        """As the file has it."""
        return {"contents": dict(self.contents), "normalize": self.normalize}
