"""The base model, LoRA's shape, and how a prompt is put to the model."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from appraise.settings.section import Positive, Section, Sha256


class Lora(Section):
    """Which modules are adapted, and how A is drawn. Target modules and layers are as in PEFT."""

    rank: Positive = 8
    """r, of both factors."""
    alpha: Positive = 16
    """α: the adapter's output is scaled by α/r."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of the adapter's input, in training alone."""
    target_modules: tuple[str, ...] | str = ("q_proj", "k_proj", "v_proj")
    """Names, or one regular expression over full names, or all-linear."""
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Numbers of the adapted layers; null: every layer."""
    last_layers: Positive | None = None
    """Short for the numbers of the last so many layers."""
    seed: int = 0
    """Of A."""

    @field_validator("target_modules")
    @classmethod
    def _an_expression_compiles(cls, modules: tuple[str, ...] | str) -> tuple[str, ...] | str:
        if isinstance(modules, str):
            try:
                re.compile(modules)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(
                    f"expected names of modules in a list, all-linear, or a regular expression, "
                    f"found {modules[:60]!r}: {error}"
                ) from None
        return modules

    @model_validator(mode="after")
    def _layers_once(self) -> Lora:
        if self.layers is not None and self.last_layers is not None:
            raise ValueError("give layers or last_layers, not both")
        return self


class BaseModelParams(Section):
    """The language model, LoRA's shape, and how a prompt is put to the model."""

    source: str
    """A GGUF file (`zip://member::archive` for one in an archive), a local folder in the hub's
    layout, or a hub id."""
    sha256: Sha256 | None = None
    """That a GGUF file must have."""
    revision: str | None = None
    """Of a hub id: a commit, a branch or a tag."""
    prompt: str = "Question: {prompt}\nAnswer:"
    """How a prompt is written, without a chat format."""
    completion: str = " {completion}\n"
    """How a completion is written, without a chat format; a space before `{completion}` is left out
    where the text begins with white space."""
    chat: bool = False
    """Whether the tokenizer's chat format is used in place of `prompt` and `completion`."""
    max_length: Positive = 512
    """Tokens of a prompt with its completion; a longer prompt loses its start."""
    lora: Lora = Lora()
    """The adapter's shape."""

    @model_validator(mode="after")
    def _texts_have_their_place(self) -> BaseModelParams:
        for name in () if self.chat else ("prompt", "completion"):
            given = getattr(self, name)
            if f"{{{name}}}" not in given:
                raise ValueError(
                    f"{name}: expected {{{name}}} where the text goes, found {given!r}; without "
                    "it every row is the same"
                )
        return self
