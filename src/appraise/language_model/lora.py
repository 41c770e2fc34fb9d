"""Which modules are adapted, and the initial A of each.

LoRA adds (α/r)·B·A to a linear module. B starts at 0, so that the adapted model is the base model
and gradients with respect to A vanish; A is drawn as PEFT draws it, seeded by the module's name,
so that it depends on nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch

from appraise.errors import ModelError
from appraise.params import Lora

_LAYER = re.compile(r"\.(?:layers|h|blocks|layer)\.(\d+)\.")


@contextlib.contextmanager
def peft_quiet() -> Iterator[None]:
    """Without PEFT's use of a name that transformers will drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def adapted_layers(model: Any, lora: Lora) -> list[int] | None:
    """Numbers of the adapted layers; None when all are."""
    if lora.last_layers is None:
        return None
    count = int(model.config.num_hidden_layers)
    if lora.last_layers > count:
        raise ModelError(
            f"base_model.lora.last_layers: expected at most {count}, found {lora.last_layers}"
        )
    return list(range(count - lora.last_layers, count))


def adapted_modules(model: Any, lora: Lora) -> dict[str, torch.nn.Linear]:
    """The linear modules that get an adapter, by full name, sorted by it.

    Raises:
        ModelError: a target module does not exist; the message lists those that do.
    """
    linear = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)}
    present = {name.rsplit(".", 1)[-1] for name in linear}
    missing = sorted(set(lora.target_modules) - present)
    if missing:
        raise ModelError(
            f"base_model.lora.target_modules: expected some of {', '.join(sorted(present))}, "
            f"found {', '.join(missing)}"
        )
    layers = adapted_layers(model, lora)
    chosen = {}
    for name in sorted(linear):
        number = _LAYER.search(name)
        wanted = layers is None or (number is not None and int(number[1]) in layers)
        if name.rsplit(".", 1)[-1] in lora.target_modules and wanted:
            chosen[name] = linear[name]
    return chosen


def initial_a(name: str, width: int, lora: Lora) -> torch.Tensor:
    """A of a module, (rank, width) float32: uniform in ±1/√width (PEFT's Kaiming with a = √5)."""
    digest = hashlib.sha256(f"{lora.seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    uniform = torch.rand((lora.rank, width), generator=generator, dtype=torch.float32)
    return (2 * uniform - 1) / math.sqrt(width)
