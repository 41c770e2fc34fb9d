"""Sketches: how many examples are looked at, and how their gradients are projected.

What they are gradients of, the objective, is a setting of its own kind: `project.params` adds it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from appraise.settings.section import Positive, Section

AUTO, CPU, SPREAD = "auto", "cpu", "spread"
Dtype = Literal["float32", "bfloat16"]


class TaskVectors(Section):
    """Short fine-tunes on a dataset's preview, cut into parts: one vector for each part."""

    parts: Annotated[int, Field(ge=2)] = 2
    """How many parts, and so vectors; noise is told from signal by two at least."""
    tokens: Positive = 4000
    """Trained on for each vector: the same budget for every dataset."""
    batch_size: Positive = 4
    """Sequences whose mean gradient is a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The largest, reached after the warmup."""
    seed: int = 0
    """Of the order in which examples are trained on."""


class SketchSettings(Section):
    """How many examples are looked at, where, and how their gradients are projected."""

    preview: Annotated[int, Field(ge=2)] = 24
    """Examples of each dataset that valuation may look at, at least 2."""
    vectors: Literal["gradients", "task_vectors"] = "gradients"
    """What stands for a dataset: gradients at the base model, or task vectors (θ after a short
    fine-tune minus θ before)."""
    task_vectors: TaskVectors = TaskVectors()
    """How task vectors are made."""
    dimension: Positive | None = 4096
    """d, what gradients are projected to; null: as many as `distortion` needs."""
    distortion: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The relative standard error of a squared norm that d is chosen for: 0.02 makes 5,056."""
    projection: Literal["countsketch", "none"] = "countsketch"
    """none: gradients stay as long as they are."""
    max_rows: Annotated[int, Field(ge=2)] = 4096
    """A dataset of more examples is kept as this many means of equally many examples."""
    device: str = AUTO
    """Where the model runs: one of PyTorch's devices, auto (a GPU if there is one), or spread (over
    several GPUs, by accelerate). Adapters are trained and evaluated there too."""
    dtype: Dtype | None = None
    """Of the model's weights; null: bfloat16 on a GPU, else float32."""
    seed: int = 0
    """Of the preview and of the projection."""

    @model_validator(mode="after")
    def _one_size(self) -> SketchSettings:
        if self.projection == "countsketch" and (self.dimension is None) == (
            self.distortion is None
        ):
            raise ValueError("give dimension or distortion, the other null")
        return self


def precision(device: str, dtype: str | None) -> str:
    """What of device and dtype decides content: the model's precision, for a step's recipe.

    Returns:
        The dtype if it is given; else float32 for the CPU, bfloat16 for a GPU or a spread model,
        and auto where the machine decides.
    """
    if dtype is not None:
        return dtype
    if device == AUTO:
        return AUTO
    return "float32" if device.split(":")[0] == CPU else "bfloat16"
