"""The frozen layers below the first adapted one: what they make of a sequence is kept.

Adapters of all policies sit on the same last layers of the same base model, so the layers below
give the same states for the same tokens, whoever asks. They are run once, without a graph.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch

from appraise.language_model.lora import adapted_layers
from appraise.language_model.protocols import AdaptedModel, LanguageModel
from appraise.settings.model import Lora

M = TypeVar("M", LanguageModel, AdaptedModel)
Ids = tuple[int, ...]
Asked = tuple[Ids, tuple[Ids, ...] | None]  # a sequence, and what it goes on with
Inputs = dict[str, torch.Tensor]
LAYERS = ("layers", "h")  # as decoders call them
POSITIONS = ("wpe", "embed_positions")  # learned ones, added to the embeddings
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")  # above the last layer
MOST_BYTES = 1 << 30  # of states kept; beyond it they are computed again


class Trunk:
    """The layers below the first adapted one, and how to get at those above.

    A model that does not come apart to the bit (embeddings scaled inside the forward pass, layers
    that know their number) is left whole: states are then the token ids themselves.
    """

    def __init__(self, model: LanguageModel, lora: Lora) -> None:
        layers = adapted_layers(model, lora)
        self._first = layers[0] if layers else 0
        self._device = model.get_input_embeddings().weight.device
        self._kept: dict[Asked, tuple[Inputs, ...]] = {}
        self._bytes = 0
        self._lower = self._cut(model) if self._first else None

    def _cut(self, model: LanguageModel) -> torch.nn.Module | None:
        try:
            lower = _without_norm(_layers(model, 0, self._first).get_decoder())
            top = _layers(model, self._first)
            ids = torch.arange(8, device=self._device)[None]
            with torch.no_grad():
                whole = model(input_ids=ids, use_cache=False).logits
                states = lower(input_ids=ids, use_cache=False).last_hidden_state
                both = top(inputs_embeds=states, use_cache=False).logits
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return None
        return lower if torch.equal(whole, both) else None

    def top(self, model: M) -> M:
        """The layers above, sharing the model's parameters; to be called with what we return."""
        return model if self._lower is None else _layers(model, self._first)

    def read(self, ids: Sequence[int]) -> Inputs:
        """Inputs of the top for one sequence of token ids."""
        return self._keep((tuple(ids), None), self._read)[0]

    def read_on(self, left: Sequence[int], rights: Sequence[Sequence[int]]) -> tuple[Inputs, ...]:
        """Inputs of the top for a prompt, then, if any is not empty, for its continuations.

        Shorter continuations are padded at their end with token 0.
        """
        return self._keep((tuple(left), tuple(map(tuple, rights))), self._read_on)

    def _keep(
        self, key: Asked, compute: Callable[[Asked], tuple[Inputs, ...]]
    ) -> tuple[Inputs, ...]:
        if key in self._kept:
            return self._kept[key]
        with torch.no_grad():
            made = compute(key)
        size = sum(tensor.nbytes for inputs in made for tensor in inputs.values())
        if self._bytes + size <= MOST_BYTES:
            self._bytes += size
            self._kept[key] = made
        return made

    def _read(self, key: Asked) -> tuple[Inputs, ...]:
        tokens = torch.tensor([key[0]], device=self._device)
        if self._lower is None:
            return ({"input_ids": tokens},)
        return ({"inputs_embeds": self._lower(input_ids=tokens, use_cache=False)[0]},)

    def _read_on(self, key: Asked) -> tuple[Inputs, ...]:
        left, rights = key[0], key[1] or ()
        width = max(map(len, rights))
        rows = [[*right, *[0] * (width - len(right))] for right in rights]
        padded = torch.tensor(rows, device=self._device)
        tokens = torch.tensor([left], device=self._device)
        if self._lower is None:
            return ({"input_ids": tokens}, {"input_ids": padded})[: 1 + bool(width)]
        out = self._lower(input_ids=tokens, use_cache=True)
        prompt = {"inputs_embeds": out.last_hidden_state}
        if not width:
            return (prompt,)
        cache = out.past_key_values
        cache.batch_repeat_interleave(len(rights))
        more = self._lower(input_ids=padded.long(), past_key_values=cache, use_cache=True)
        return (prompt, {"inputs_embeds": more.last_hidden_state})


def _layers(model: M, start: int, stop: int | None = None) -> M:
    """A model of some of the layers, sharing all parameters with the whole one.

    Raises:
        AttributeError: its layers are not where we look for them.
    """
    shared = itertools.chain(model.parameters(), model.buffers())
    part: Any = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    decoder, config = part.get_decoder(), part.config.get_text_config()
    place = next((name for name in LAYERS if hasattr(decoder, name)), LAYERS[0])
    layers = getattr(decoder, place)[start:stop]
    setattr(decoder, place, layers)
    for number, layer in enumerate(layers):
        for module in layer.modules():
            if hasattr(module, "layer_idx"):
                module.layer_idx = number  # its place in a cache of keys and values
    for name in POSITIONS if start else ():
        if hasattr(decoder, name):
            setattr(decoder, name, _NoPositions())
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[start:stop]
    return part


def _without_norm(decoder: torch.nn.Module) -> torch.nn.Module:
    for name in NORMS:
        if hasattr(decoder, name):
            setattr(decoder, name, torch.nn.Identity())
    return decoder


class _NoPositions(torch.nn.Module):
    """For a top: the positions are in the states already."""

    def forward(self, *_: object, **__: object) -> torch.Tensor:
        return torch.zeros(1)
