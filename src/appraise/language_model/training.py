"""Train a LoRA adapter on a mix of the target's data and bought datasets, by TRL.

AdamW with a cosine schedule and linear warmup, by the objective that the gradients are taken of,
on what a mix draws step by step. The same mix gives the same adapter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from appraise.language_model.mixes import Draw, Mix, drawn
from appraise.language_model.protocols import AdaptedModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.language_model.trainers import Curve, Run
from appraise.language_model.trunk import Trunk
from appraise.records.adapter import AdapterTraining
from appraise.settings.model import BaseModelParams
from appraise.settings.training import LoraAdapterParams


class Trained(Protocol):
    """What training asks of an objective."""

    def train(self, run: Run, draws: Stream[Draw], base: BaseModelParams) -> Curve:
        """Train an adapter on what a mix draws."""
        ...


def rate(step: int, settings: LoraAdapterParams) -> float:
    """Learning rate of a step: linear warmup, then a cosine to zero."""
    warmup = max(1, round(settings.warmup * settings.steps))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def train(
    adapted: AdaptedModel,
    trunk: Trunk,
    tokenizer: Tokenizer,
    mix: Mix | None,
    objective: Trained,
    base: BaseModelParams,
    settings: LoraAdapterParams,
    progress: Callable[[], object],
) -> AdapterTraining:
    """Train the adapter in place.

    Args:
        adapted: from `adapters.with_adapter`.
        trunk: of the base model; several adapters may share it.
        mix: what is trained on (`mixes.mix_of`); None when there is nothing.
        objective: what is minimised.
        progress: called after each step.

    Raises:
        TooLong: an example's completion leaves no room for its prompt.
        ModelError: an example lacks what the objective needs, a reward or the loss is no number.
    """
    if mix is None:
        return AdapterTraining(steps=0, loss=(), learning_rate=(), reward=(), tokens=0, mix={})
    seen: Counter[str] = Counter()
    size = settings.batch_size

    def make(step: int) -> list[Draw]:
        draws = drawn(mix, step, size)
        seen.update(draw.dataset for draw in draws)
        return list(draws)

    rates = [rate(step, settings) for step in range(settings.steps)]
    draws = Stream(settings.steps * size, size, make, mix.ahead, mix.observe)
    run = Run(adapted, trunk, tokenizer, size, rates, settings.seed, progress)
    curve = objective.train(run, draws, base)
    mixed = dict(sorted(seen.items()))
    return AdapterTraining(
        steps=settings.steps,
        loss=curve.loss,
        learning_rate=tuple(rates),
        reward=curve.reward,
        tokens=curve.tokens,
        mix=mixed,
    )
