"""The base language model, its tokenizer and the LoRA initialisation, fingerprinted together.

The source is a GGUF file (also inside a zip or wheel), a local folder in the hub's layout, or a
hub id. Sketches and adapters are comparable only when this is the same: weights, tokenizer, chat
template, LoRA shape and A, and the prompt's format.
"""

from __future__ import annotations

from collections.abc import Sequence

from appraise.project import Project, Recipe
from appraise.steps.step import Step, whole


def _recipe(project: Project, key: str) -> Recipe:  # noqa: ARG001
    return Recipe(STEP.version, project.params.base_model.model_dump(mode="json"))


def _make(project: Project, keys: Sequence[str]) -> None:
    from appraise.language_model.base import prepare

    for key in keys:
        with STEP.writing(project, key) as folder:
            prepare(project.params.base_model, project.root, folder)


STEP = Step(
    noun="base_model",
    needs=(),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: a dequantised model does not call itself quantised
)
