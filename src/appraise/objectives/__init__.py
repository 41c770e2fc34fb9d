"""Objectives: what is trained for, one module each. A new one is a module and a line here.

An objective is its settings (`gradient_sketches.objective` in `params.yaml`) with what follows from
them: see `objective.Objective`. Importing one loads neither torch nor a trainer.
"""

from __future__ import annotations

from appraise.objectives.dpo import Dpo
from appraise.objectives.grpo import Grpo
from appraise.objectives.objective import Objective
from appraise.objectives.sft import Sft

OBJECTIVES: dict[str, type[Objective]] = {
    "sft": Sft,
    "dpo": Dpo,
    "grpo": Grpo,
}
