"""Train a LoRA adapter on a mix of the target's data and bought datasets, by TRL.

AdamW with a cosine schedule and linear warmup, by the objective that the gradients are taken of,
on what a mix draws step by step. The same mix gives the same adapter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appraise.language_model.mixes import Draw, Mix, drawn
from appraise.language_model.protocols import AdaptedModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.language_model.trainers import Curve, Run
from appraise.language_model.trunk import Trunk
from appraise.settings.model import BaseModelParams
from appraise.settings.training import LoraAdapterParams


@dataclass(frozen=True)
class Training:
    """How an adapter was trained.

    Attributes:
        steps: how many; 0 when there was nothing to train on.
        loss: of each step's batch, before the step: nats per completion token for SFT, nats per
            pair for DPO, the surrogate (near 0: read the reward) for GRPO.
        learning_rate: of each step.
        reward: mean reward of each step's completions, for GRPO; else empty.
        tokens: tokens of all sequences trained on.
        mix: how many examples came from each dataset; the target's under `target`.
    """

    steps: int
    loss: tuple[float, ...]
    learning_rate: tuple[float, ...]
    reward: tuple[float, ...]
    tokens: int
    mix: dict[str, int]


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
) -> Training:
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
        return Training(0, (), (), (), 0, {})
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
    return Training(settings.steps, curve.loss, tuple(rates), curve.reward, curve.tokens, mixed)
