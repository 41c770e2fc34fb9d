"""The kernel matrix with all that was measured of it, and who helps whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, JsonValue

from appraise.errors import ArtifactError
from appraise.numerics.kernel import Floats
from appraise.records.record import ArrayRecord, Arrays, Json, JsonRecord, Part, mapping, texts
from appraise.records.sketch import MadeAlike, made_alike

KERNEL, TRANSFER = "kernel_matrix", "transfer_matrix"
SKETCHES, TARGET_SKETCHES = "gradient_sketches", "target_sketches"


@dataclass(frozen=True)
class Kernel(ArrayRecord):
    """The content of `kernel.safetensors`: n datasets, t targets.

    Attributes:
        K: (n, n) inner products of the datasets' mean gradients.
        C: (t, n) with the targets'.
        tau: (t,) squared norms of the targets' gradients.
        G: (n, d) the datasets' mean gradients, on the exact grid.
        T: (t, d) the targets'.
        norms: (n + t,) lengths of the means before they were normalised, targets last.
        noise: (n + t,) part of each squared length that is sampling noise; NaN for a single row.
        ids: the datasets, in the order of the rows.
        targets: their names, in the order of the rows.
        sketches: dataset → SHA-256 of its sketch.
        target_sketches: target → SHA-256 of its sketch.
        sketched: what the sketches have in common.
    """

    FILE: ClassVar[str] = "kernel.safetensors"
    STEP: ClassVar[str] = KERNEL
    AXES: ClassVar[dict[str, str]] = {
        "K": "nn", "C": "tn", "tau": "t", "G": "nd", "T": "td", "norms": "m", "noise": "m",
    }  # fmt: skip

    K: Floats
    C: Floats
    tau: Floats
    G: Floats
    T: Floats
    norms: Floats
    noise: Floats
    ids: tuple[str, ...]
    targets: tuple[str, ...]
    sketches: Mapping[str, str]
    target_sketches: Mapping[str, str]
    sketched: MadeAlike

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """Of the file."""
        ids, targets = texts(meta["ids"]), texts(meta["targets"])
        sketches = mapping(meta["sketches"])
        if (len(ids), len(targets)) != (len(arrays["K"]), len(arrays["C"])):
            raise ValueError(
                f"{len(ids)} datasets and {len(targets)} targets for C of {arrays['C'].shape}"
            )
        return cls(
            **{name: arrays[name] for name in cls.AXES},
            ids=ids,
            targets=targets,
            sketches={name: str(sketches[f"{SKETCHES}/{name}"]) for name in ids},
            target_sketches={name: str(sketches[f"{TARGET_SKETCHES}/{name}"]) for name in targets},
            sketched=made_alike(mapping(meta["sketched"])),
        )

    def meta(self) -> Json:
        """As the file has it."""
        sketches: dict[str, JsonValue] = {
            **{f"{SKETCHES}/{name}": sha for name, sha in self.sketches.items()},
            **{f"{TARGET_SKETCHES}/{name}": sha for name, sha in self.target_sketches.items()},
        }
        return {
            "ids": list(self.ids),
            "targets": list(self.targets),
            "sketches": sketches,
            "sketched": asdict(self.sketched),
        }

    def row(self, target: str) -> int:
        """Where a target stands in C, T and τ; ArtifactError for one that is not there."""
        if target not in self.targets:
            raise ArtifactError(
                f"kernel_matrix: expected target {target}, found {', '.join(self.targets)}; "
                "run `appraise kernel-matrix`"
            )
        return self.targets.index(target)

    def cosines(self, target: str) -> Floats:
        """Of the datasets' gradients with a target's (n,)."""
        row = self.row(target)
        return np.asarray(self.C[row] / np.sqrt(self.K.diagonal() * self.tau[row]))


class StandardError(Part):
    """What the projection adds to K's entries: root mean square, and the largest."""

    rms: float
    largest: float


class KernelFacts(JsonRecord):
    """The content of `kernel.json`: what was measured of K, and of the sketches behind it.

    Names of sketches are `gradient_sketches/<dataset>` and `target_sketches/<target>`.

    Attributes:
        n: datasets.
        dimension: d, of a gradient.
        normalize: whether gradients have unit length.
        tolerance: how far below 0 an eigenvalue may be, as a part of the largest entry.
        condition_number: None where K is singular to working precision.
        standard_error: None where nothing was projected.
        distortion: root mean square relative error of a sketch's squared norms; None likewise.
        norms: of the means before they were normalised.
        noise_share: tr(Cov)/m as a part of the mean's squared length; None for a single row.
    """

    FILE: ClassVar[str] = "kernel.json"
    STEP: ClassVar[str] = KERNEL

    n: int
    dimension: int
    normalize: Literal["unit", "none"]
    tolerance: float
    finite: bool
    symmetric: bool
    min_eigenvalue: float
    max_eigenvalue: float
    condition_number: float | None
    standard_error: StandardError | None
    distortion: dict[str, float | None]
    norms: dict[str, float]
    noise_share: dict[str, float | None]


@dataclass(frozen=True)
class Transfer(ArrayRecord):
    """The content of `transfer.safetensors`.

    Attributes:
        M: (n, n) signed weight of dataset i with dataset j as the target; NaN on the diagonal.
        ids: the datasets.
    """

    FILE: ClassVar[str] = "transfer.safetensors"
    STEP: ClassVar[str] = TRANSFER
    AXES: ClassVar[dict[str, str]] = {"M": "nn"}

    M: Floats
    ids: tuple[str, ...]

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """Of the file."""
        ids = texts(meta["ids"])
        if len(ids) != len(arrays["M"]):
            raise ValueError(f"{len(ids)} datasets for M of {arrays['M'].shape}")
        return cls(arrays["M"], ids)

    def meta(self) -> Json:
        """As the file has it."""
        return {"ids": list(self.ids)}


class Pair(Part):
    """What a dataset weighs for another one."""

    of: str
    for_: str = Field(validation_alias="for", serialization_alias="for")
    weight: float


class TransferFacts(JsonRecord):
    """The content of `transfer.json`: who helps most, who hinders most.

    Attributes:
        datasets: how many took part.
        left_out: how many of the kernel did not.
    """

    FILE: ClassVar[str] = "transfer.json"
    STEP: ClassVar[str] = TRANSFER

    datasets: int
    left_out: int
    helps: tuple[Pair, ...]
    hinders: tuple[Pair, ...]
