"""Several sequences in one forward pass, each as if it were alone.

Sequences stand one after the other in one row; positions start again with each, and attention is
computed sequence by sequence. Everything else in a transformer works on each token by itself, so
that nothing is padded and nothing is masked. A matrix product of at least `LEAST` rows gives each
row the same bits whatever the other rows are (with the BLAS of PyTorch's x86 builds), so that a
sequence has the same bits in every company; `Packing` tries this on the machine it runs on.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from appraise.language_model.protocols import LanguageModel

LEAST = 16  # rows of a matrix product; below 4 BLAS takes other kernels
NAME = "appraise_packed"
here = threading.local()  # `sizes`: lengths of the sequences that this thread has packed


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001
    scaling: float | None = None,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, sequence by sequence, in transformers' interface for attention.

    Args:
        query, key, value: (1, heads, tokens, width).
        attention_mask: not used: nothing is padded.

    Returns:
        (1, tokens, heads, width), and no weights.
    """
    sizes = getattr(here, "sizes", None) or [query.shape[2]]
    kind = _Kind(scaling, given.get("sliding_window"), given.get("softcap"))
    states = (query, key, value)
    if query.shape[2] != key.shape[2] or len(sizes) == 1:  # one sequence, or the end of one
        return _alone(module, *states, kind), None
    parts = list(zip(*(torch.split(state, sizes, dim=2) for state in states), strict=True))
    return torch.cat([_alone(module, q, k, v, kind) for q, k, v in parts], dim=1), None


class _Kind(NamedTuple):
    """How a model attends: the scores' scale, how far back it sees, and what caps the scores."""

    scaling: float | None
    window: int | None
    cap: float | None


def _alone(
    module: torch.nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, kind: _Kind
) -> torch.Tensor:
    """Attention of one sequence, whose last tokens ask: (1, tokens, heads, width)."""
    scaling, window, cap = kind
    if cap is None and (window is None or k.shape[2] <= window):
        causal = q.shape[2] > 1
        return sdpa_attention_forward(module, q, k, v, None, scaling=scaling, is_causal=causal)[0]
    at = torch.arange(k.shape[2], device=q.device)
    behind = at[-q.shape[2] :, None] - at
    seen = (behind >= 0) & (behind < (window or k.shape[2]))
    if cap is None:
        return sdpa_attention_forward(module, q, k, v, seen[None, None], scaling=scaling)[0]
    return _capped(q, k, v, scaling, cap, seen)


def _capped(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scaling: float | None,
    cap: float,
    seen: torch.Tensor,
) -> torch.Tensor:
    """Attention with scores capped by cap · tanh(x / cap), as in Gemma 2."""
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], dim=1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    scores = (cap * torch.tanh(scores / cap)).masked_fill(~seen, float("-inf"))
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
    return (weights @ v).transpose(1, 2)


class Packing:
    """How to run a model on packed sequences.

    Attributes:
        possible: whether the model gives the same logits for packed sequences as for each alone;
            a model with attention of another kind (ALiBi, a state space) does not.
        invariant: whether it gives the same bits in every company.
    """

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.possible, self.invariant = False, True  # one at a time has no company
        with torch.no_grad():
            self._try()

    def _try(self) -> None:
        size = min(int(self._model.get_input_embeddings().weight.shape[0]), 1000)
        ids = torch.randint(1, size, (38,), generator=torch.Generator().manual_seed(0)).tolist()
        sequences = [ids[:5], ids[5:16], ids[16:38]]
        sizes = [len(sequence) for sequence in sequences]
        every = [range(size) for size in sizes]
        each = list(zip(sequences, every, strict=True))
        own = [self.logits([sequence], [places]) for sequence, places in each]
        self.possible = True
        try:
            with self.ready():
                alone = [self.logits([sequence], [places]) for sequence, places in each]
                packed = torch.split(self.logits(sequences, every), sizes)
        except (TypeError, ValueError, RuntimeError):  # it takes no positions, or no attention
            self.possible = False
            return
        off = 1e-4 if own[0].dtype == torch.float32 else 5e-2
        pairs = list(zip(own, packed, strict=True))
        self.possible = all(bool((a - b).norm() <= off * a.norm()) for a, b in pairs)
        if self.possible:
            self.invariant = all(torch.equal(a, b) for a, b in zip(alone, packed, strict=True))

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Put our attention into the model, and the model's own back at the end."""
        if not self.possible:
            yield
            return
        AttentionInterface.register(NAME, attention)
        configs: list[Any] = [m.config for m in self._model.modules() if hasattr(m, "config")]
        before = [(config, config._attn_implementation) for config in configs]
        for config in configs:
            config._attn_implementation = NAME
        try:
            yield
        finally:
            for config, name in before:
                config._attn_implementation = name

    def logits(
        self, sequences: Sequence[Sequence[int]], places: Sequence[Sequence[int]]
    ) -> torch.Tensor:
        """Logits at the given places of each sequence, one after the other: (places, vocabulary).

        Args:
            sequences: token ids of each; only one where packing is not possible.
            places: for each sequence the positions at which logits are wanted.
        """
        sizes = [len(sequence) for sequence in sequences]
        ids = [token for sequence in sequences for token in sequence]
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        wanted = [start + at for start, each in zip(starts, places, strict=True) for at in each]
        if self.possible:
            filler = max(0, LEAST - len(ids))
            ids += [0] * filler
            sizes += [filler] if filler else []
        rows = wanted + wanted[:1] * (LEAST - len(wanted))
        return self._forward(ids, sizes, rows)[: len(wanted)]

    def _forward(self, ids: list[int], sizes: list[int], rows: list[int]) -> torch.Tensor:
        device = self._model.get_input_embeddings().weight.device
        given: dict[str, object] = {"input_ids": torch.tensor([ids], device=device)}
        if self.possible:
            places = torch.cat([torch.arange(size) for size in sizes])
            given["position_ids"] = places[None].to(device)
        at = torch.tensor(rows, device=device)
        if self._keeps:
            given["logits_to_keep"] = at
        here.sizes = sizes if self.possible else None
        try:
            logits: torch.Tensor = self._model(**given, use_cache=False).logits[0]
        finally:
            here.sizes = None
        return logits if self._keeps else logits[at]
