"""Sketches: how many examples are looked at, and how their gradients are projected."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from appraise.settings.objectives import Objective, Sft
from appraise.settings.section import Positive, Section


class TaskVectors(Section):
    """Short fine-tunes on a dataset's preview, cut into `parts`: one vector for each part."""

    parts: Positive = 2
    tokens: Positive = 4000  # trained on for each vector: the same budget for every dataset
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    seed: int = 0


class GradientSketchesParams(Section):
    """How many examples are looked at, of which objective, and how their gradients are projected.

    `objective` is also what the adapters are trained with: value what you train. `dimension: null`
    takes d from `distortion`, the relative standard error of a squared norm. `vectors` says what
    stands for a dataset: gradients at the base model, or task vectors (θ after a short fine-tune
    minus θ before). A dataset of more than `max_rows` examples is kept as so many means of equally
    many examples. `device` is one of PyTorch's, or `auto` (a GPU if there is one), or `spread` (a
    model over several GPUs, by accelerate); `dtype: null` is bfloat16 on a GPU, else float32.
    """

    preview: Positive = 24
    objective: Objective = Sft()
    vectors: Literal["gradients", "task_vectors"] = "gradients"
    task_vectors: TaskVectors = TaskVectors()
    dimension: Positive | None = 4096
    distortion: Annotated[float, Field(gt=0, lt=1)] | None = None
    projection: Literal["countsketch", "none"] = "countsketch"
    max_rows: Annotated[int, Field(ge=2)] = 4096
    device: str = "auto"
    dtype: Literal["float32", "bfloat16"] | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _one_size(self) -> GradientSketchesParams:
        if self.projection == "countsketch" and (self.dimension is None) == (
            self.distortion is None
        ):
            raise ValueError("give dimension or distortion, the other null")
        if self.vectors == "task_vectors" and self.objective.kind != "sft":
            raise ValueError("vectors is task_vectors, which are made with objective sft alone")
        return self
