"""Per-example LoRA gradients, projected while they are made.

At B = 0 the gradient of the loss with respect to A is exactly 0, and that with respect to B of a
module with input x and output gradient δ is (α/r) Σ_t δ_t (A x_t)ᵀ. It needs no adapter in the
model: a probe of zeros is added to the module's output, and its gradient is δ. Modules below the
first probe build no graph.

An example is computed alone, without padding: its bytes depend on no other example.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from appraise.language_model.prompts import Encoded
from appraise.language_model.workers import workers
from appraise.numerics.projection import count_sketch_tables


@dataclass(frozen=True)
class Sketch:
    """Gradients of examples, one row each.

    Attributes:
        rows: (m, d) float32, projected gradients of the mean negative log-likelihood.
        loss: (m,) float32, nats per completion token.
        tokens: (m,) int64, length of each sequence.
        kept: which of the given examples have a row; the others had a non-finite loss or gradient.
        native_dimension: length of a gradient before projection.
    """

    rows: NDArray[np.float32]
    loss: NDArray[np.float32]
    tokens: NDArray[np.int64]
    kept: tuple[int, ...]
    native_dimension: int


def completion_loss(
    model: Any, encoded: Encoded, inputs: Mapping[str, torch.Tensor] | None = None
) -> torch.Tensor:
    """Negative log-likelihood of each completion token, (n_completion,) float32, in nats.

    Args:
        inputs: what the model is called with, if not the token ids (see `Trunk`).
    """
    ids = torch.tensor([encoded.ids])
    keep = encoded.n_completion + 1  # logits only where a completion token is predicted
    given = inputs or {"input_ids": ids}
    logits = model(**given, logits_to_keep=keep, use_cache=False).logits[0, -keep:-1]
    return torch.nn.functional.cross_entropy(
        logits.float(), ids[0, encoded.n_prompt :], reduction="none"
    )


class LoraGradients:
    """Gradients with respect to B of every adapted module, concatenated in order of their names.

    Use as a context: hooks are on the model inside it.
    """

    def __init__(self, model: Any, a: Mapping[str, torch.Tensor], scale: float) -> None:
        modules = dict(model.named_modules())
        self._model, self._scale = model, scale
        self._modules = [(modules[name], a[name]) for name in sorted(a)]
        self.size = sum(module.out_features * one.shape[0] for module, one in self._modules)
        self._local = threading.local()  # examples are computed side by side

    @contextlib.contextmanager
    def hooked(self) -> Iterator[LoraGradients]:
        """Put the probes in, and take them out at the end."""
        handles = [
            module.register_forward_hook(self._probe(number, a))
            for number, (module, a) in enumerate(self._modules)
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _probe(self, number: int, a: torch.Tensor) -> Callable[..., torch.Tensor]:
        def hook(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            probe = torch.zeros_like(output, requires_grad=True)
            self._local.seen[number] = (inputs[0].detach()[0] @ a.T, probe)
            return output + probe

        return hook

    def __call__(self, encoded: Encoded) -> tuple[float, torch.Tensor]:
        """Loss (nats per completion token) and gradient (size,) float32 of one example."""
        seen: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._local.seen = seen
        loss = completion_loss(self._model, encoded).mean()
        inputs = [seen[number] for number in range(len(self._modules))]  # not as they were called
        deltas = torch.autograd.grad(loss, [probe for _, probe in inputs])
        parts = [
            self._scale * (delta[0].T @ low) for (low, _), delta in zip(inputs, deltas, strict=True)
        ]
        return float(loss.detach()), torch.cat([part.reshape(-1) for part in parts])


def sketch(
    gradients: LoraGradients,
    examples: Sequence[Encoded],
    project: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    progress: Callable[[], object] = lambda: None,
) -> Sketch:
    """Sketch examples one by one; those with a non-finite loss or gradient are left out."""
    rows, losses, tokens, kept = [], [], [], []

    def one(encoded: Encoded) -> tuple[float, NDArray[np.float32]]:
        loss, gradient = gradients(encoded)
        return loss, project(gradient.numpy())

    with gradients.hooked(), workers() as each:
        for number, (encoded, (loss, row)) in enumerate(
            zip(examples, each(one, examples), strict=True)
        ):
            progress()
            if np.isfinite(loss) and np.isfinite(row).all():
                rows.append(row)
                losses.append(loss)
                tokens.append(len(encoded.ids))
                kept.append(number)
    return Sketch(
        np.array(rows, dtype=np.float32),
        np.array(losses, dtype=np.float32),
        np.array(tokens, dtype=np.int64),
        tuple(kept),
        gradients.size,
    )


def count_sketch(
    size: int, dimension: int, seed: int
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Projection of gradients (size,) to (dimension,) float32, summed in float64 in fixed order."""
    buckets, signs = count_sketch_tables(size, dimension, seed)

    def project(gradient: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.bincount(buckets, weights=signs * gradient, minlength=dimension).astype(
            np.float32
        )

    return project
