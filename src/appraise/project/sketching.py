"""The section `gradient_sketches`: how sketches are made, and the objective that they are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, SerializeAsAny, model_validator

from appraise.objectives import OBJECTIVES
from appraise.objectives.objective import Objective
from appraise.objectives.sft import Sft
from appraise.settings.section import expected_one_of
from appraise.settings.sketches import SketchSettings


def _objective(value: object) -> object:
    """The settings of the objective that `kind` names."""
    if not isinstance(value, Mapping):
        return value
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in OBJECTIVES:
        raise ValueError(f"kind: {expected_one_of(OBJECTIVES, kind)}")
    return OBJECTIVES[kind].model_validate(value)


class GradientSketchesParams(SketchSettings):
    """How many examples are looked at, for which objective, and how gradients are projected."""

    objective: Annotated[SerializeAsAny[Objective], BeforeValidator(_objective)] = Sft()
    """What adapters are trained for too: value what you train (`appraise.objectives`)."""

    @model_validator(mode="after")
    def _task_vectors_follow_it(self) -> GradientSketchesParams:
        if self.vectors == "task_vectors" and not self.objective.task_vectors:
            able = [name for name, kind in OBJECTIVES.items() if kind.task_vectors]
            raise ValueError(
                f"vectors is task_vectors, which are made with objective {' or '.join(able)} alone"
            )
        return self
