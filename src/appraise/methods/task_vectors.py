"""How far a short fine-tune on a dataset moves the model where one on the target moves it.

value_i = cos(τ_i, τ_t) of task vectors τ = θ after − θ before (Ilharco et al. 2023; TV in
arXiv 2605.16704). The sketches must be of task vectors (`gradient_sketches.vectors`).
"""

from __future__ import annotations

from typing import ClassVar

from appraise.methods.alignment import Alignment
from appraise.methods.method import Vectors


class TaskVectors(Alignment):
    """Cosines of task vectors with the target's."""

    name: ClassVar[str] = "task_vectors"
    title: ClassVar[str] = "Task vectors alone"
    meaning: ClassVar[str] = "how far a short training on each dataset goes where the task goes"
    vectors: ClassVar[frozenset[Vectors]] = frozenset({"task_vectors"})
