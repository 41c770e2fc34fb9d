"""A sketch: the projected gradients of a dataset's examples, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from appraise.errors import ArtifactError
from appraise.numerics.projection import Distortion
from appraise.storage.files import read_arrays, read_meta, write_arrays, write_table

SKETCH, ROLLOUTS = "sketch.safetensors", "rollouts.parquet"


@dataclass(frozen=True)
class SampledCompletion:
    """A completion that was sampled for an example, where the objective samples any.

    Attributes:
        id: of the example.
        advantage: of its reward within its group, in standard deviations.
    """

    id: str
    completion: str
    reward: float
    advantage: float


@dataclass(frozen=True)
class MadeAlike:
    """What must be the same for two sketches to be compared.

    Attributes:
        fingerprint: of base model, tokenizer, LoRA initialisation and prompt format.
        objective: its settings, as JSON.
        vectors: `gradients`, or `task_vectors` with how they were made.
        projection: `countsketch` or `none`.
        dimension: d.
        seed: of the projection.
        dtype: of the model's weights.
    """

    fingerprint: str
    objective: str
    vectors: str
    projection: str
    dimension: int
    seed: int
    dtype: str


def made_alike(stated: Mapping[str, Any]) -> MadeAlike:
    """What a file states of it; KeyError where something is missing."""
    return MadeAlike(**{one.name: stated[one.name] for one in fields(MadeAlike)})


@dataclass(frozen=True)
class SketchMeta:
    """What a sketch says of itself.

    Attributes:
        alike: what must be the same for two sketches to be compared.
        native_dimension: length of a vector before it was projected.
        batch_invariant: whether an example's row has the same bits whatever was computed beside it.
        examples: how many examples have a gradient.
        example_ids: of each row the first example that it stands for.
        dropped_not_finite, too_long: ids of the examples that were left out.
        no_signal: how many examples have a gradient of 0.
        distortion: how far squared norms moved; None without examples.
    """

    FILE: ClassVar[str] = SKETCH
    SCHEMA: ClassVar[int] = 2

    alike: MadeAlike
    native_dimension: int
    batch_invariant: bool
    examples: int
    example_ids: tuple[str, ...]
    dropped_not_finite: tuple[str, ...]
    too_long: tuple[str, ...]
    no_signal: int
    distortion: Distortion | None

    @classmethod
    def read(cls, folder: Path) -> SketchMeta:
        """Read the description of a partition's sketch, and not its arrays.

        Raises:
            ArtifactError: the file is missing, damaged or of another version.
        """
        return cls.of(read_meta(folder / SKETCH), folder)

    @classmethod
    def of(cls, stated: Mapping[str, Any], folder: Path) -> SketchMeta:
        """The record of a description as the file has it.

        Raises:
            ArtifactError: something is missing.
        """
        try:
            distortion = stated["distortion"]
            return cls(
                made_alike(stated),
                stated["native_dimension"],
                stated["batch_invariant"],
                stated["examples"],
                tuple(stated["example_ids"]),
                tuple(stated["dropped_not_finite"]),
                tuple(stated["too_long"]),
                stated["no_signal"],
                None if distortion is None else Distortion(**distortion),
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(
                f"{folder / SKETCH}: expected the description of a sketch, found none of {error}; "
                "run the step again"
            ) from None

    def as_json(self) -> dict[str, object]:
        """As the file has it."""
        stated = asdict(self)
        return stated | stated.pop("alike")


@dataclass(frozen=True)
class Sketch:
    """A partition of `gradient_sketches` or of `target_sketches`.

    Attributes:
        rows: (R, d) float32: of an example the projected gradient, of a large dataset the mean of
            equally many.
        loss, norms: (R,) float32: of each row the loss, and the length before the projection.
        tokens, truncated: (R,) int64: of each row how many tokens it stands for, and how many were
            cut from prompts.
        meta: how they were made, and what was left out.
        completions: sampled on the way; written, and not read back.
    """

    FILE: ClassVar[str] = SKETCH
    SCHEMA: ClassVar[int] = 2

    rows: NDArray[np.float32]
    loss: NDArray[np.float32]
    norms: NDArray[np.float32]
    tokens: NDArray[np.int64]
    truncated: NDArray[np.int64]
    meta: SketchMeta
    completions: Sequence[SampledCompletion] = field(default=())

    @classmethod
    def read(cls, folder: Path) -> Sketch:
        """Read a partition's sketch.

        Raises:
            ArtifactError: the file is missing, damaged or of another version.
        """
        arrays, stated = read_arrays(folder / SKETCH)
        missing = [name for name in ARRAYS if name not in arrays]
        if missing:
            raise ArtifactError(
                f"{folder / SKETCH}: expected an array {missing[0]}, found "
                f"{', '.join(sorted(arrays)) or 'none'}; run the step again"
            )
        rows, loss, norms, tokens, truncated = (arrays[name] for name in ARRAYS)
        return cls(rows, loss, norms, tokens, truncated, SketchMeta.of(stated, folder))

    def write(self, folder: Path) -> None:
        """Write the files of a partition."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        write_arrays(folder / SKETCH, arrays, self.meta.as_json())
        if self.completions:
            rows = [asdict(completion) for completion in self.completions]
            write_table(folder / ROLLOUTS, pd.DataFrame(rows))


ARRAYS = ("rows", "loss", "norms", "tokens", "truncated")
