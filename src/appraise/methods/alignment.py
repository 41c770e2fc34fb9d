"""How far a dataset's gradient points where the target's does, each dataset by itself.

value_i = cos(g_i, g_t), the One-Step score of arXiv 2605.16704, section 3. It pays for the same
thing as often as it is offered, has no program and no proof, and does not say what covers what.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from appraise.methods.method import Evidence, Resampling, Sketches, Valued, Vectors
from appraise.methods.tables import scores_table
from appraise.numerics.kernel import Floats, Normalize
from appraise.numerics.uncertainty import resampled_cosines
from appraise.records.values import Resamples
from appraise.settings.section import Section


class Alignment:
    """Cosines with the target."""

    name: ClassVar[str] = "alignment"
    title: ClassVar[str] = "Alignment alone"
    meaning: ClassVar[str] = "how far each dataset, by itself, points towards the task"
    section: ClassVar[str | None] = None
    vectors: ClassVar[frozenset[Vectors]] = frozenset({"gradients"})
    proves: ClassVar[bool] = False

    def value(self, evidence: Evidence, settings: Section | None) -> Valued:  # noqa: ARG002
        """Value all datasets for one target."""
        draws = cosine_draws(
            evidence.sketches, evidence.ids, evidence.normalize, evidence.resampling
        )
        table = scores_table(evidence, evidence.cosines, draws, evidence.resampling.confidence)
        resamples = Resamples(draws, tuple(evidence.ids)) if len(draws) else None
        return Valued(table, resamples)


def cosine_draws(
    sketches: Sketches, ids: list[str], normalize: Normalize, resampling: Resampling
) -> Floats:
    """Cosines (B, n) with the target in each resample of all sketches' rows."""
    if resampling.resamples == 0:
        return np.zeros((0, len(ids)))
    return resampled_cosines(
        sketches.rows,
        sketches.target,
        names=ids,
        normalize=normalize,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )
