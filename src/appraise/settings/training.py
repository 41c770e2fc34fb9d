"""How adapters are trained, evaluated and compared."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from appraise.settings.section import Positive, Section, Share


class LoraAdapterParams(Section):
    """How adapters are trained, and on which mix."""

    steps: Positive = 60
    """Of the optimiser."""
    batch_size: Positive = 4
    """Examples whose mean gradient is a step."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """The largest, reached after the warmup; then a cosine to zero."""
    warmup: Share = 0.1
    """Share of the steps in which the learning rate rises."""
    target_share: Share = 0.0
    """Share of the target's own examples in the mix; the paper's is 0.7."""
    mix: str = "planned"
    """What training sees, step by step (`language_model.mixes`). planned: the target's share, the
    rest equal among the datasets bought."""
    seed: int = 0
    """Of the order in which examples are drawn, and of dropout."""


class EvaluationParams(Section):
    """What adapters are scored on, besides the held-out loss."""

    lm_eval: bool = True
    """Whether lm-eval counts right answers on the target's test split."""
    tasks: tuple[str, ...] = ()
    """Tasks of lm-eval to score too: their names, or folders with tasks of your own (YAML)."""
    limit: Positive | None = None
    """Items of each of these tasks; null: all."""


class DecisionOutcomeParams(Section):
    """The paired bootstrap between policies."""

    resamples: Positive = 2000
    """How often the test items are drawn anew."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Of the intervals."""
    seed: int = 0
    """Of the draws."""
