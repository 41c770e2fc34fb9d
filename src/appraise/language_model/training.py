"""Train a LoRA adapter on a mix of the target's data and bought datasets.

AdamW with a cosine schedule and linear warmup; the loss of a batch is the mean over its completion
tokens. The mix is the paper's: a share of target examples, the rest equal among the bought
datasets. Sequences are computed side by side and their gradients added in the batch's order, so
that the same plan gives the same adapter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from appraise.artifacts import read_json, write_json
from appraise.language_model.gradients import completion_loss
from appraise.language_model.lora import adapted_layers, peft_quiet
from appraise.language_model.prompts import Encoded
from appraise.language_model.trunk import Trunk
from appraise.language_model.workers import workers
from appraise.params import Lora, LoraAdapterParams

TARGET = "target"
AHEAD = 10  # steps whose frozen states are computed together
R = TypeVar("R")
BASE = "data/base_model"  # in adapter_config.json: where the base model lies in a project


@dataclass(frozen=True)
class Training:
    """How an adapter was trained.

    Attributes:
        loss: nats per completion token of each step's batch, before the step.
        learning_rate: of each step.
        tokens: tokens of all sequences trained on.
        mix: how many sequences came from each dataset; the target's under `target`.
    """

    loss: tuple[float, ...]
    learning_rate: tuple[float, ...]
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
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        layers_to_transform=adapted_layers(model, lora),
    )
    with peft_quiet():
        adapted: Any = get_peft_model(model, config)
    modules = dict(adapted.base_model.model.named_modules())
    with torch.no_grad():
        for name, value in a.items():
            modules[name].lora_A["default"].weight.copy_(value)
            modules[name].lora_B["default"].weight.zero_()
    return adapted.train(lora.dropout > 0)


def train(
    adapted: Any,
    trunk: Trunk,
    batches: Sequence[Sequence[tuple[str, Encoded]]],
    settings: LoraAdapterParams,
    progress: Callable[[], object],
) -> Training:
    """Train the adapter in place.

    Args:
        trunk: of the base model.
        batches: for each step its sequences, each with the name of its dataset.
        progress: called after each step.
    """
    torch.manual_seed(settings.seed)
    weights = [p for _, p in sorted(adapted.named_parameters()) if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=0.0)
    top = trunk.top(adapted.get_base_model())
    losses, rates, tokens = [], [], 0
    mix: dict[str, int] = {}

    def gradient(encoded: Encoded) -> tuple[float, tuple[torch.Tensor, ...]]:
        loss = completion_loss(top, encoded, trunk.read(encoded.ids)).sum()
        return float(loss.detach()), torch.autograd.grad(loss, weights)

    with workers() as each:
        one_by_one: Any = map if adapted.training else each  # dropout draws from one stream
        for step, batch in enumerate(batches):
            if step % AHEAD == 0:  # many at once: no waiting for the longest of a batch
                soon = {
                    encoded.ids for later in batches[step : step + AHEAD] for _, encoded in later
                }
                list(each(trunk.read, sorted(soon, key=lambda ids: (-len(ids), ids))))
            count = sum(encoded.n_completion for _, encoded in batch)
            results = _longest_first(one_by_one, gradient, [encoded for _, encoded in batch])
            for number, weight in enumerate(weights):
                weight.grad = sum(grads[number] for _, grads in results) / count
            optimizer.param_groups[0]["lr"] = rate(step, settings)
            optimizer.step()
            losses.append(sum(loss for loss, _ in results) / count)
            rates.append(rate(step, settings))
            tokens += sum(len(encoded.ids) for _, encoded in batch)
            for name, _ in batch:
                mix[name] = mix.get(name, 0) + 1
            progress()
    return Training(tuple(losses), tuple(rates), tokens, dict(sorted(mix.items())))


def _longest_first(
    each: Callable[..., Iterable[R]], compute: Callable[[Encoded], R], batch: Sequence[Encoded]
) -> list[R]:
    """Results in the batch's order, begun with the longest: the last to end is then a short one."""
    order = sorted(range(len(batch)), key=lambda number: -len(batch[number].ids))
    found = dict(zip(order, each(compute, [batch[number] for number in order]), strict=True))
    return [found[number] for number in range(len(batch))]


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
