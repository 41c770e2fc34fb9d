"""Train a LoRA adapter on a mix of the target's data and bought datasets, by TRL.

AdamW with a cosine schedule and linear warmup, by the objective that the gradients are taken of.
The mix is the paper's: a share of target examples, the rest equal among the bought datasets. The
same plan gives the same adapter.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from appraise.language_model.lora import peft_config, peft_quiet
from appraise.language_model.objectives import Row, preparation
from appraise.language_model.rollouts import Sampler
from appraise.language_model.trunk import Trunk
from appraise.settings.model import BaseModelParams, Lora
from appraise.settings.objectives import Dpo, Grpo, Objective
from appraise.settings.training import LoraAdapterParams
from appraise.storage.files import read_json, write_json

TARGET = "target"
BASE = "data/base_model"  # in adapter_config.json: where the base model lies in a project


@dataclass(frozen=True)
class Training:
    """How an adapter was trained.

    Attributes:
        loss: of each step's batch, before the step: nats per completion token for SFT, nats per
            pair for DPO, the surrogate (near 0: read the reward) for GRPO.
        learning_rate: of each step.
        reward: mean reward of each step's completions, for GRPO; else empty.
        tokens: tokens of all sequences trained on.
        mix: how many examples came from each dataset; the target's under `target`.
    """

    loss: tuple[float, ...]
    learning_rate: tuple[float, ...]
    reward: tuple[float, ...]
    tokens: int
    mix: dict[str, int]


def plan(
    sizes: Mapping[str, int], target_size: int, settings: LoraAdapterParams
) -> list[tuple[str, int]]:
    """Which example of which dataset each sequence of the training is, batch after batch.

    Args:
        sizes: number of examples of each bought dataset.
        target_size: number of the target's training examples; 0 for none.
        settings: steps, batch size, target share and seed.

    Returns:
        (dataset, index) for each sequence; empty when there is nothing to train on. A dataset is
        gone through in shuffled order before an example of it comes again.
    """
    share = settings.target_share if target_size else 0.0
    if not sizes and not share:
        return []
    share = share if sizes else 1.0
    draw = {
        name: _cycle(size, settings.seed, name)
        for name, size in {**sizes, **({TARGET: target_size} if share else {})}.items()
    }
    bought, sequence, due, turn = sorted(sizes), [], 0.0, 0
    for _ in range(settings.steps * settings.batch_size):
        due += share
        if due >= 1 - 1e-9:
            due -= 1
            name = TARGET
        else:
            name = bought[turn % len(bought)]
            turn += 1
        sequence.append((name, next(draw[name])))
    return sequence


def _cycle(size: int, seed: int, name: str) -> Iterator[int]:
    generator = np.random.default_rng([seed, *name.encode()])
    while True:
        yield from map(int, generator.permutation(size))


def rate(step: int, settings: LoraAdapterParams) -> float:
    """Learning rate of a step: linear warmup, then a cosine to zero."""
    warmup = max(1, round(settings.warmup * settings.steps))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, settings.steps - warmup)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def with_adapter(model: Any, lora: Lora, a: Mapping[str, torch.Tensor]) -> Any:
    """The base model with PEFT's LoRA at its initial A and B = 0."""
    from peft import get_peft_model

    with peft_quiet():
        adapted: Any = get_peft_model(model, peft_config(model, lora))
    modules = dict(adapted.base_model.model.named_modules())
    with torch.no_grad():
        for name, value in a.items():
            modules[name].lora_A["default"].weight.copy_(value)
            modules[name].lora_B["default"].weight.zero_()
    return adapted.eval()


def train(
    adapted: Any,
    trunk: Trunk,
    tokenizer: Any,
    batches: Sequence[Sequence[tuple[str, Row]]],
    objective: Objective,
    base: BaseModelParams,
    settings: LoraAdapterParams,
    progress: Callable[[], object],
) -> Training:
    """Train the adapter in place.

    Args:
        adapted: from `with_adapter`.
        trunk: of the base model; several adapters may share it.
        batches: for each step its rows, each with the name of its dataset.
        objective: what is minimised; sequences are those of `objectives.preparation`.
        progress: called after each step.

    Raises:
        TooLong: a row's completion leaves no room for its prompt.
        ModelError: a row lacks what the objective needs, a reward or the loss is no number.
    """
    rows = [row for batch in batches for _, row in batch]
    if not rows:
        return Training((), (), (), 0, {})
    from appraise.language_model import trainers

    rates = [rate(step, settings) for step in range(len(batches))]
    run = trainers.Run(
        adapted, trunk, tokenizer, settings.batch_size, rates, settings.seed, progress
    )
    model = adapted.get_base_model()
    if isinstance(objective, Grpo):
        sample = Sampler(model, tokenizer, base, objective)
        curve = trainers.grpo(run, objective, rows, sample)
    else:
        prepare = preparation(objective, model, tokenizer, base)
        examples = [[term.encoded for term in prepare(row).terms] for row in rows]
        if isinstance(objective, Dpo):
            curve = trainers.dpo(run, objective.beta, [(one[0], one[1]) for one in examples])
        else:
            curve = trainers.sft(run, [one[0] for one in examples])
    mix = Counter(name for batch in batches for name, _ in batch)
    return Training(curve.loss, tuple(rates), curve.reward, curve.tokens, dict(sorted(mix.items())))


def save(adapted: Any, folder: Path) -> None:
    """Write the adapter in PEFT's layout, with the same bytes for the same weights."""
    adapted.peft_config["default"].base_model_name_or_path = BASE
    adapted.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    config = read_json(folder / "adapter_config.json")
    for name in ("target_modules", "layers_to_transform"):  # sets, in the order of their hashes
        if isinstance(config.get(name), list):
            config[name] = sorted(config[name])
    write_json(folder / "adapter_config.json", config)
