"""The base model, LoRA's shape, and how a prompt is put to the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from appraise.settings.section import Positive, Section


class Lora(Section):
    """Which modules are adapted, and how A is drawn. Target modules and layers are as in PEFT.

    `target_modules` are names, or one regular expression over full names, or `all-linear`. `layers`
    are the numbers of the adapted layers; `last_layers` is short for the last so many of them.
    """

    rank: Positive = 8
    alpha: Positive = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: tuple[str, ...] | str = ("q_proj", "k_proj", "v_proj")
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None  # None: every layer
    last_layers: Positive | None = None
    seed: int = 0

    @model_validator(mode="after")
    def _layers_once(self) -> Lora:
        if self.layers is not None and self.last_layers is not None:
            raise ValueError("give layers or last_layers, not both")
        return self


class BaseModelParams(Section):
    """The language model, LoRA's shape, and how a prompt is put to the model."""

    source: str
    sha256: str | None = None
    revision: str | None = None
    prompt: str = "Question: {prompt}\nAnswer:"
    completion: str = " {completion}\n"
    chat: bool = False
    max_length: Positive = 512
    lora: Lora = Lora()
