"""Task vectors: where a short fine-tune on a dataset takes the adapter.

τ = θ_S − θ_0, with θ all trained parameters of the adapter (Ilharco et al. 2023, section 2; TV in
Convex Dataset Valuation for Post-Training, arXiv 2605.16704). Every dataset is trained on for the
same number of tokens, from the same A and B = 0, so that vectors differ by the data alone. The
first step goes against the gradient, so that two datasets that pull the same way have task vectors
of the same direction, as they have gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from appraise.language_model.adapters import with_adapter
from appraise.language_model.lora import widths
from appraise.language_model.prompts import Encoded
from appraise.language_model.protocols import AdaptedModel, LanguageModel, Tokenizer
from appraise.language_model.streams import Stream
from appraise.language_model.supervised import supervised
from appraise.language_model.trainers import Run
from appraise.language_model.training import rate
from appraise.language_model.trunk import Trunk
from appraise.settings.model import Lora
from appraise.settings.sketches import TaskVectors
from appraise.settings.training import LoraAdapterParams


@dataclass(frozen=True)
class TaskVector:
    """What a short fine-tune made of the adapter.

    Attributes:
        vector: (size,) float32, θ_S − θ_0: modules by name, of each A (rank × in), then B
            (out × rank), each row after row.
        tokens: trained on, at most the budget.
        first_loss, last_loss: of the first and the last step's batch, nats per completion token.
    """

    vector: NDArray[np.float32]
    tokens: int
    first_loss: float
    last_loss: float


def size(a: Mapping[str, torch.Tensor], model: LanguageModel) -> int:
    """Length of a task vector."""
    modules = dict(model.named_modules())
    return sum(len(low) * sum(widths(modules[name]) or ()) for name, low in a.items())


def within_budget(examples: Sequence[Encoded], settings: TaskVectors) -> list[Encoded]:
    """The sequences to train on: all in shuffled order, again and again, while tokens are left.

    At least one, also when it alone is longer than the budget.
    """
    generator = np.random.default_rng(settings.seed)
    chosen: list[Encoded] = []
    left = settings.tokens
    while True:
        for number in generator.permutation(len(examples)):
            encoded = examples[number]
            if chosen and len(encoded.ids) > left:
                return chosen
            chosen.append(encoded)
            left -= len(encoded.ids)


def task_vector(
    model: LanguageModel,
    tokenizer: Tokenizer,
    a: Mapping[str, torch.Tensor],
    lora: Lora,
    examples: Sequence[Encoded],
    settings: TaskVectors,
) -> TaskVector:
    """Fine-tune on examples (at least one) by TRL's SFTTrainer; the model is left as it was.

    Args:
        model: the base model, its parameters without gradients.
        a: the initial A of each adapted module, (rank, in) float32, by name.

    Raises:
        ModelError: the loss is no number.
    """
    sequences = within_budget(examples, settings)
    steps = -(-len(sequences) // settings.batch_size)
    schedule = LoraAdapterParams(steps=steps, learning_rate=settings.learning_rate)
    rates = [rate(step, schedule) for step in range(steps)]
    trunk = Trunk(model, lora)
    adapted = with_adapter(model, lora, a)
    try:
        before = _parameters(adapted, a)
        batch, seed = settings.batch_size, settings.seed
        run = Run(adapted, trunk, tokenizer, batch, rates, seed, lambda: None)
        curve = supervised(run, Stream.of(sequences, batch))
        vector = (_parameters(adapted, a) - before).numpy()
    finally:
        adapted.unload().eval().requires_grad_(False)
    return TaskVector(vector, curve.tokens, curve.loss[0], curve.loss[-1])


def _parameters(adapted: AdaptedModel, names: Iterable[str]) -> torch.Tensor:
    """All A and B, (size,) float32 on the CPU."""
    modules = dict(adapted.get_base_model().named_modules())
    layers: list[Any] = [modules[name] for name in sorted(names)]
    parts = [part["default"].weight for layer in layers for part in (layer.lora_A, layer.lora_B)]
    return torch.cat([part.detach().float().cpu().reshape(-1) for part in parts])
