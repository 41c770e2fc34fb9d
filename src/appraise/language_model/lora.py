"""Which modules are adapted, and the initial A of each.

LoRA adds (α/r)·B·A to a linear module. B starts at 0, so that the adapted model is the base model
and gradients with respect to A vanish; A is drawn as PEFT draws it, seeded by the module's name,
so that it depends on nothing else. Modules are chosen by PEFT's own rules.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable

import torch
from transformers.pytorch_utils import Conv1D

from appraise.errors import ModelError
from appraise.language_model.protocols import LanguageModel
from appraise.settings.model import Lora

ALL_LINEAR = "all-linear"
_LAYER = re.compile(r".*?\.[^.]*\.(\d+)\.")  # the first number between dots


def layer_count(model: LanguageModel) -> int:
    """How many layers the text part of a model has, whatever its configuration calls them."""
    return int(model.config.get_text_config().num_hidden_layers)


def adapted_layers(model: LanguageModel, lora: Lora) -> list[int] | None:
    """Numbers of the adapted layers, ascending; None when all are.

    Raises:
        ModelError: the model has no such layers.
    """
    count = layer_count(model)
    if lora.layers is not None:
        if not lora.layers or max(lora.layers) >= count:
            raise ModelError(
                f"base_model.lora.layers: expected numbers from 0 to {count - 1}, "
                f"found {', '.join(map(str, lora.layers)) or 'none'}"
            )
        return sorted(set(lora.layers))
    if lora.last_layers is None:
        return None
    if lora.last_layers > count:
        raise ModelError(
            f"base_model.lora.last_layers: expected at most {count}, found {lora.last_layers}"
        )
    return list(range(count - lora.last_layers, count))


def widths(module: torch.nn.Module) -> tuple[int, int] | None:
    """(in, out) of a linear module, quantised or not; None of any other module."""
    if isinstance(module, Conv1D):  # GPT-2's: its weight is (in, out)
        return int(module.weight.shape[0]), int(module.weight.shape[1])
    before, after = (getattr(module, name, None) for name in ("in_features", "out_features"))
    return (before, after) if isinstance(before, int) and isinstance(after, int) else None


def adapted_modules(model: LanguageModel, lora: Lora) -> dict[str, torch.nn.Module]:
    """The linear modules that get an adapter, by full name, sorted by it.

    The output head gets none: it is computed where a completion token is predicted and nowhere
    else. Of a model that reads images too, only the part that reads text counts.

    Raises:
        ModelError: a target module does not exist or is not linear; the message lists those that
            are.
    """
    layers, named = adapted_layers(model, lora), _text_modules(model)
    in_layers = {n: m for n, m in named.items() if layers is None or _layer(n) in layers}
    head = model.get_output_embeddings()
    linear = {n: m for n, m in in_layers.items() if widths(m) is not None and m is not head}
    if not isinstance(lora.target_modules, str):
        names = _by_name(lora.target_modules, layers, named)
        missing = [
            t for t in lora.target_modules if not any(f".{n}".endswith(f".{t}") for n in linear)
        ]
    elif lora.target_modules.lower() == ALL_LINEAR:
        names, missing = set(linear), []
    else:
        names = {n for n in in_layers if re.fullmatch(lora.target_modules, n)}
        missing = [] if names else [lora.target_modules]
    wrong = missing or sorted(names - linear.keys())
    if wrong or not names:
        known = {name.rsplit(".", 1)[-1] for name in linear}
        raise ModelError(
            f"base_model.lora.target_modules: expected some of {', '.join(sorted(known))}, "
            f"found {', '.join(wrong) or 'none'}"
        )
    return {name: linear[name] for name in sorted(names)}


def _by_name(targets: tuple[str, ...], layers: list[int] | None, named: Iterable[str]) -> set[str]:
    """The modules that PEFT adapts for a list of names."""
    from peft import LoraConfig, tuners  # seconds, which sketches do without

    config = LoraConfig(target_modules=list(targets), layers_to_transform=layers)
    exists = tuners.tuners_utils.check_target_module_exists
    return {name for name in named if exists(config, name)}


def _text_modules(model: LanguageModel) -> dict[str, torch.nn.Module]:
    """All modules by full name; of a model that reads images too, the decoder's."""
    named: dict[str, torch.nn.Module] = dict(model.named_modules())
    if not reads_more(model):
        return named
    parts = {id(module) for module in model.get_decoder().modules()}
    return {name: module for name, module in named.items() if id(module) in parts}


def reads_more(model: LanguageModel) -> bool:
    """Whether a model reads something besides text, images for example."""
    return model.config.get_text_config() is not model.config


def _layer(name: str) -> int | None:
    """Number of the layer that a module is in, as PEFT reads it from the module's name."""
    found = _LAYER.match(name)
    return None if found is None else int(found[1])


def initial_a(name: str, width: int, lora: Lora) -> torch.Tensor:
    """A of a module, (rank, width) float32: uniform in ±1/√width (PEFT's Kaiming with a = √5)."""
    digest = hashlib.sha256(f"{lora.seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
    uniform = torch.rand((lora.rank, width), generator=generator, dtype=torch.float32)
    return (2 * uniform - 1) / math.sqrt(width)
