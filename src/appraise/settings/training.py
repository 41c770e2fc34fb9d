"""How adapters are trained, evaluated and compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from appraise.settings.section import Positive, Section, Share


class LoraAdapterParams(Section):
    """How adapters are trained, and on which mix."""

    steps: Positive = 60
    batch_size: Positive = 4
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Share = 0.1
    target_share: Share = 0.0
    seed: int = 0


class EvaluationParams(Section):
    """Whether lm-eval counts right answers besides the held-out loss."""

    lm_eval: bool = True


class DecisionOutcomeParams(Section):
    """The paired bootstrap between policies."""

    resamples: Positive = 2000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    seed: int = 0
