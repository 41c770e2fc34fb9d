"""Adapters in PEFT: the base model with a LoRA, new or trained, and the files of one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers.pytorch_utils import Conv1D

from appraise.language_model.lora import adapted_layers, adapted_modules, reads_more
from appraise.language_model.protocols import AdaptedModel, LanguageModel
from appraise.settings.model import Lora
from appraise.storage.files import read_json, write_json

BASE = "data/base_model"  # in adapter_config.json: where the base model lies in a project


@contextlib.contextmanager
def peft_quiet() -> Iterator[None]:
    """Without PEFT's use of a name that transformers will drop."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        yield


def peft_config(model: LanguageModel, lora: Lora) -> LoraConfig:
    """PEFT's `LoraConfig` that adapts the same modules.

    They stand in it with their full names where PEFT would choose others, or none, for the same
    settings (a regular expression with layers, a model that reads images too).
    """
    modules = adapted_modules(model, lora)
    by_name = not isinstance(lora.target_modules, str) and not reads_more(model)
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules if by_name else modules),
        layers_to_transform=adapted_layers(model, lora) if by_name else None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in modules.values()),
    )


def with_adapter(model: LanguageModel, lora: Lora, a: Mapping[str, torch.Tensor]) -> AdaptedModel:
    """The base model with PEFT's LoRA at its initial A and B = 0."""
    with peft_quiet():
        adapted: Any = get_peft_model(cast(torch.nn.Module, model), peft_config(model, lora))
    modules = dict(adapted.base_model.model.named_modules())
    with torch.no_grad():
        for name, value in a.items():
            modules[name].lora_A["default"].weight.copy_(value)
            modules[name].lora_B["default"].weight.zero_()
    return adapted.eval()


def with_trained_adapter(model: LanguageModel, folder: Path) -> AdaptedModel:
    """The base model with a trained adapter, in PEFT's layout, for evaluation."""
    with peft_quiet():
        return PeftModel.from_pretrained(cast(torch.nn.Module, model), str(folder)).eval()


def save(adapted: AdaptedModel, folder: Path) -> None:
    """Write the adapter in PEFT's layout, with the same bytes for the same weights."""
    adapted.peft_config["default"].base_model_name_or_path = BASE
    adapted.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
    config = read_json(folder / "adapter_config.json")
    for name in ("target_modules", "layers_to_transform"):  # sets, in the order of their hashes
        if isinstance(config.get(name), list):
            config[name] = sorted(config[name])
    write_json(folder / "adapter_config.json", config)
