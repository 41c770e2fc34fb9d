"""Per-example LoRA gradients in one backward pass, projected while they are made.

At B = 0 the gradient of the loss with respect to A is exactly 0, and that with respect to B of a
module with input x and output gradient δ is (α/r) Σ_t δ_t (A x_t)ᵀ. It needs no adapter in the
model: a probe of zeros is added to the module's output, and its gradient is δ. Modules below the
first probe build no graph. The examples of a pack share the pass; each has its own rows of A x and
δ, and so its own gradient, module after module added into the projection and forgotten.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from appraise.language_model.lora import widths
from appraise.language_model.packing import Packing
from appraise.language_model.prepared import Prepared, Term
from appraise.language_model.prompts import Encoded
from appraise.language_model.protocols import LanguageModel
from appraise.language_model.workers import workers
from appraise.numerics.projection import CountSketch, Identity

PACK = 512  # tokens; larger packs are no faster
Projection = CountSketch | Identity
Captured = dict[int, list[tuple[torch.Tensor, torch.Tensor]]]  # module → (A x, probe) of each pass


@dataclass(frozen=True)
class ProjectedGradient:
    """The gradient of one example, projected.

    Attributes:
        values: (d,) float64.
        loss: Σ weight · negative log-likelihood: for SFT the mean, in nats per completion token.
        norm: length of the gradient before it was projected.
        seconds: its part of the time of its pack, by tokens.
    """

    values: NDArray[np.float64]
    loss: float
    norm: float
    seconds: float = 0.0

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are finite."""
        return bool(np.isfinite(self.loss) and np.isfinite(self.values).all())


class LoraGradients:
    """Gradients with respect to B of every adapted module, concatenated in order of their names.

    Use as a context: probes and attention are in the model inside it.

    Args:
        model: in evaluation mode, its parameters without gradients.
        a: A of each adapted module, (rank, in) float32, by name.
        scale: α/r.
        temperature: by which logits are divided, as where completions were sampled.
    """

    def __init__(
        self,
        model: LanguageModel,
        a: Mapping[str, torch.Tensor],
        scale: float,
        temperature: float = 1.0,
    ) -> None:
        modules = dict(model.named_modules())
        self._scale, self._temperature = scale, temperature
        self._modules = [(modules[name], _beside(a[name], modules[name])) for name in sorted(a)]
        self._local = threading.local()  # packs are computed side by side
        self.packing = Packing(model)
        sizes = [_outputs(module) * low.shape[0] for module, low in self._modules]
        self._starts = [sum(sizes[:number]) for number in range(len(sizes))]
        self.size = sum(sizes)

    @contextlib.contextmanager
    def hooked(self) -> Iterator[LoraGradients]:
        """Put probes and attention in, and take them out at the end."""
        handles = [
            module.register_forward_hook(self._probe(number, a))
            for number, (module, a) in enumerate(self._modules)
        ]
        try:
            with self.packing.ready():
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def _probe(self, number: int, a: torch.Tensor) -> Callable[..., torch.Tensor | None]:
        def hook(
            _: object, given: tuple[torch.Tensor, ...], output: torch.Tensor
        ) -> torch.Tensor | None:
            captured: Captured | None = getattr(self._local, "captured", None)
            if captured is None:  # another pass, in which completions are sampled
                return None
            probe = torch.zeros_like(output, requires_grad=True)
            low = given[0].detach().reshape(-1, a.shape[1]).float() @ a.T
            captured.setdefault(number, []).append((low, probe))
            return output + probe

        return hook

    def rows(self, examples: Sequence[Prepared], projection: Projection) -> list[ProjectedGradient]:
        """Projected gradients of the examples of one pack."""
        began = time.perf_counter()
        totals = np.zeros((len(examples), projection.dimension))
        squares = np.zeros(len(examples))
        losses, parts = self._backward([example.terms for example in examples])
        spans = [example.tokens for example in examples]
        for start, low, delta in parts:
            each = zip(torch.split(low, spans), torch.split(delta, spans), strict=True)
            for number, (x, d) in enumerate(each):
                values = (self._scale * (d.T @ x)).reshape(-1).cpu().numpy()
                projection.add(totals[number], start, values)
                squares[number] += np.square(values, dtype=np.float64).sum()
        norms = np.sqrt(squares).tolist()
        share = (time.perf_counter() - began) / sum(spans)
        seconds = [share * span for span in spans]
        parts_of_each = zip(totals, losses, norms, seconds, strict=True)
        return [ProjectedGradient(*whole) for whole in parts_of_each]

    def __call__(self, encoded: Encoded) -> tuple[float, torch.Tensor]:
        """Loss (nats per completion token) and gradient (size,) float32 of one example."""
        example = Prepared((Term(encoded, 1 / encoded.n_completion),))
        (row,) = self.rows([example], Identity(self.size))
        return row.loss, torch.from_numpy(row.values.astype(np.float32))

    def _backward(
        self, examples: Sequence[Sequence[Term]]
    ) -> tuple[list[float], Iterator[tuple[int, torch.Tensor, torch.Tensor]]]:
        """Losses, and of each module its place, A x (tokens, r) and δ (tokens, out)."""
        terms = [term for example in examples for term in example]
        captured: Captured = {}
        self._local.captured = captured
        try:
            nll = torch.cat([self._nll(some) for some in self._passes(terms)])
        finally:
            self._local.captured = None
        weights = [t.weight for t in terms for _ in range(t.encoded.n_completion)]
        weighted = nll * torch.tensor(weights, device=nll.device, dtype=nll.dtype)
        probes = [probe for number in sorted(captured) for _, probe in captured[number]]
        deltas = iter(torch.autograd.grad(weighted.sum(), probes))
        counts = [sum(term.encoded.n_completion for term in example) for example in examples]
        losses = [float(part.double().sum()) for part in torch.split(weighted.detach(), counts)]
        return losses, self._parts(captured, deltas, sum(len(t.encoded.ids) for t in terms))

    def _passes(self, terms: Sequence[Term]) -> list[Sequence[Term]]:
        return [terms] if self.packing.possible else [[term] for term in terms]

    def _nll(self, terms: Sequence[Term]) -> torch.Tensor:
        """Nats of each completion token of the terms, one after the other."""
        encoded = [term.encoded for term in terms]
        places = [range(each.n_prompt - 1, len(each.ids) - 1) for each in encoded]
        logits = self.packing.logits([each.ids for each in encoded], places).float()
        if self._temperature != 1:  # a pass over the whole vocabulary that most need not make
            logits = logits / self._temperature
        wanted = [token for each in encoded for token in each.ids[each.n_prompt :]]
        return torch.nn.functional.cross_entropy(
            logits, torch.tensor(wanted, device=logits.device), reduction="none"
        )

    def _parts(
        self, captured: Captured, deltas: Iterator[torch.Tensor], tokens: int
    ) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
        for number in sorted(captured):
            passes = [(low, next(deltas)) for low, _ in captured.pop(number)]
            low = torch.cat([low for low, _ in passes])[:tokens]  # without the filler
            delta = torch.cat([d.reshape(-1, d.shape[-1]) for _, d in passes])[:tokens]
            yield self._starts[number], low, delta.float()


def _beside(a: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """A on the device where the module is."""
    return a.to(next(itertools.chain(module.parameters(), module.buffers())).device)


def _outputs(module: torch.nn.Module) -> int:
    width = widths(module)
    assert width is not None  # it was chosen for being linear
    return width[1]


def packs(examples: Sequence[Prepared], size: int = PACK) -> list[list[int]]:
    """Which examples share a pass: of like length, the longest first, at most `size` tokens."""
    order = sorted(range(len(examples)), key=lambda number: (-examples[number].tokens, number))
    chosen: list[list[int]] = []
    room = 0
    for number in order:
        tokens = examples[number].tokens
        if not chosen or tokens > room:
            chosen.append([])
            room = size
        chosen[-1].append(number)
        room -= tokens
    return chosen


def sketch(
    gradients: LoraGradients, chunks: Iterable[Sequence[Prepared]], projection: Projection
) -> Iterator[list[ProjectedGradient]]:
    """Projected gradients of each chunk's examples, one chunk after the other, none waiting for it.

    Packs are within a chunk, so that what is computed beside a chunk cannot matter to it.
    """
    sizes: list[int] = []

    def work() -> Iterator[tuple[int, list[int], list[Prepared]]]:
        for place, chunk in enumerate(chunks):
            sizes.append(len(chunk))
            for numbers in packs(chunk):
                yield place, numbers, [chunk[number] for number in numbers]

    def compute(
        pack: tuple[int, list[int], list[Prepared]],
    ) -> tuple[int, dict[int, ProjectedGradient]]:
        place, numbers, examples = pack
        return place, dict(zip(numbers, gradients.rows(examples, projection), strict=True))

    done, whole = 0, dict[int, ProjectedGradient]()
    with gradients.hooked(), workers() as each:
        for place, rows in each(compute, work()):
            if place > done:  # the chunk before is whole, and those between are empty
                yield [whole[number] for number in range(sizes[done])]
                yield from ([] for _ in range(done + 1, place))
                done, whole = place, {}
            whole.update(rows)
        if sizes:
            yield [whole[number] for number in range(sizes[done])]
        yield from ([] for _ in sizes[done + 1 :])
