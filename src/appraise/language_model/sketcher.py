"""Sketches of whole datasets: streamed, resumable, checked against what the projection promises.

A dataset's examples are read, prepared and sketched in chunks; each finished chunk is on disk
before the next one counts. A dataset of more than `max_rows` examples is kept as that many rows,
each the mean of equally many examples: what follows (means, resampling, noise) needs no more.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appraise.examples.example import Example
from appraise.language_model import base
from appraise.language_model.gradients import LoraGradients, ProjectedGradient, sketch
from appraise.language_model.placement import Placement
from appraise.language_model.prepared import Prepared, Preparing
from appraise.language_model.prompts import TooLong
from appraise.numerics.projection import (
    CountSketch,
    Identity,
    bytes_of_sketch,
    check_distortion,
    dimension_for,
    measured_distortion,
)
from appraise.records import examples as tables
from appraise.records.base_model import BaseModelFingerprint
from appraise.records.sketch import MadeAlike, SampledCompletion, Sketch, SketchMeta
from appraise.settings.model import BaseModelParams
from appraise.settings.sketches import SketchSettings
from appraise.storage.growing import Growing

CHUNK = 64  # examples whose rows are written together, if they are no more than
ROOM = 1 << 28  # bytes in memory
READ = 4096  # rows of a table in memory at once
# The dataset, how many of its examples are done and their tokens; None of an earlier run.
Progress = Callable[[str, int, int | None], object]


@dataclass(frozen=True)
class Order:
    """A dataset, or a target, that is to be sketched.

    Attributes:
        source: the Parquet file of its examples.
        ids: which of them; None for all.
        count: how many those are.
        work: SHA-256 of all that decides the sketch.
        partial: the folder where what is done is kept until all is.
    """

    key: str
    source: Path
    ids: frozenset[str] | None
    count: int
    work: str
    partial: Path


@dataclass(frozen=True)
class Sketched:
    """What was made of an order.

    Attributes:
        sketch: its arrays are memory-mapped until it is written.
        measured: seconds and tokens of this run; not part of the content.
    """

    order: Order
    sketch: Sketch
    measured: dict[str, float]
    _grown: Growing

    @property
    def asked(self) -> int:
        """How many examples there were to sketch."""
        return self.order.count

    @property
    def kept(self) -> int:
        """How many examples have a gradient."""
        return self.sketch.meta.examples

    def forget(self) -> None:
        """Delete what was kept on the way."""
        self._grown.remove()


@dataclass
class Chunk:
    """Examples on their way through the engine.

    Attributes:
        block: how many of them one row is the mean of.
        last: whether the order ends with it.
        seconds: that preparing it took.
    """

    order: Order
    grown: Growing
    ids: list[str] = field(default_factory=list)
    examples: list[Prepared] = field(default_factory=list)
    too_long: list[str] = field(default_factory=list)
    block: int = 1
    last: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Done:
    """What is done of an order so far, besides its arrays.

    Attributes:
        seen: how many examples.
        ids: of each row the first example that it stands for.
        not_finite, too_long: ids of the examples that are left out.
        records: the completions sampled, as JSON.
    """

    seen: int = 0
    ids: Sequence[str] = ()
    not_finite: Sequence[str] = ()
    too_long: Sequence[str] = ()
    records: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, grown: Growing) -> Done:
        """As it was kept; nothing at the beginning."""
        return cls(**(grown.state or {}))


class Sketcher:
    """The base model, loaded once, with objective and projection.

    Args:
        folder: of the prepared base model.
        params: its settings.
        settings: how sketches are made.
        objective: what they are gradients of.

    Raises:
        ModelError: the base model cannot be loaded.
    """

    def __init__(
        self,
        folder: Path,
        params: BaseModelParams,
        settings: SketchSettings,
        objective: Preparing,
    ) -> None:
        self.params, self.settings, self._objective = params, settings, objective
        self.fingerprint = BaseModelFingerprint.read(folder).fingerprint
        self.tokenizer = base.load_tokenizer(folder)
        self.model = base.load(folder, Placement.of(settings.device, settings.dtype))
        self.a = base.read_lora(folder)
        scale = params.lora.alpha / params.lora.rank
        self.gradients = LoraGradients(self.model, self.a, scale, objective.logit_temperature)
        self.size = self.gradients.size
        self.projection = self.projecting(self.size)
        self.prepare = objective.preparation(self.model, self.tokenizer, params)

    def projecting(self, size: int) -> CountSketch | Identity:
        """The projection of vectors of this length."""
        settings = self.settings
        if settings.projection == "none":
            return Identity(size)
        d = settings.dimension or dimension_for(settings.distortion or 0.0)
        return CountSketch(size, d, settings.seed)

    def sketch(self, orders: Iterable[Order], progress: Progress) -> Iterator[Sketched]:
        """Sketch one dataset after the other; `progress` is called after each chunk.

        Raises:
            ModelError: an example lacks what the objective needs, a reward fails, or the projection
                loses more than it states.
            ArtifactError: the disk is full. What was done stays.
        """
        seconds, tokens, cores = 0.0, 0, len(os.sched_getaffinity(0))
        chunks, flow = itertools.tee(self._chunks(orders, progress))
        made = sketch(self.gradients, (chunk.examples for chunk in chunks), self.projection)
        for chunk, rows in zip(flow, made, strict=True):
            self.keep(chunk, rows)
            done = sum(example.tokens for example in chunk.examples)
            tokens += done
            seconds += chunk.seconds + sum(row.seconds for row in rows) / cores
            progress(chunk.order.key, len(chunk.examples) + len(chunk.too_long), done)
            if chunk.last:
                measured = {"seconds": seconds, "tokens": tokens}
                seconds, tokens = 0.0, 0
                yield self.finished(chunk.order, chunk.grown, measured)

    def _chunks(self, orders: Iterable[Order], progress: Progress) -> Iterator[Chunk]:
        for order in orders:
            grown = Growing(order.partial, order.work, self.shapes())
            seen = Done.of(grown).seen
            block = self.block(order)
            whole = order.count // block * block  # the few that fill no block are left out
            if seen:
                progress(order.key, seen, None)
            rest = itertools.islice(examples_of(order), seen, whole)
            fitting = max(1, min(CHUNK, ROOM // (8 * self.projection.dimension)))
            size = -(-fitting // block) * block
            while True:
                some = list(itertools.islice(rest, size))
                seen += len(some)
                chunk = self.fill(Chunk(order, grown, block=block, last=seen >= whole), some)
                yield chunk
                if chunk.last:
                    break

    def fill(self, chunk: Chunk, examples: Sequence[Example]) -> Chunk:
        """Prepare examples into a chunk; those that are too long are named."""
        began = time.perf_counter()
        for example in examples:
            try:
                prepared = self.prepare(example)
            except TooLong:
                chunk.too_long.append(example.id)
                continue
            chunk.ids.append(example.id)
            chunk.examples.append(prepared)
        chunk.seconds = time.perf_counter() - began
        return chunk

    def block(self, order: Order) -> int:
        """How many examples one row is the mean of."""
        return max(1, -(-order.count // self.settings.max_rows))

    def stored(self, order: Order) -> int:
        """Bytes that the order's sketch will take, its header aside."""
        return bytes_of_sketch(order.count // self.block(order), self.projection.dimension)

    def shapes(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """What is kept while an order is worked on."""
        return {
            "rows": ("float32", (self.projection.dimension,)),
            "loss": ("float32", ()),
            "norms": ("float32", ()),
            "tokens": ("int64", ()),
            "truncated": ("int64", ()),
            "squares": ("float64", (2,)),  # of each example, before and after the projection
        }

    def keep(self, chunk: Chunk, rows: Sequence[ProjectedGradient]) -> None:
        """Put a chunk's rows on disk, with what is to be known of those that were left out."""
        done = Done.of(chunk.grown)
        good = [number for number, row in enumerate(rows) if row.finite]
        squares = [(rows[n].norm ** 2, float(np.square(rows[n].values).sum())) for n in good]
        arrays: dict[str, NDArray[Any]] = {"squares": np.array(squares).reshape(-1, 2)}
        parts = [good[i : i + chunk.block] for i in range(0, len(good), chunk.block)]
        if parts:
            arrays |= _means(parts, rows, chunk.examples)
        finite = set(good)
        now = Done(
            done.seen + len(chunk.ids) + len(chunk.too_long),
            [*done.ids, *(chunk.ids[part[0]] for part in parts)],
            [*done.not_finite, *(name for n, name in enumerate(chunk.ids) if n not in finite)],
            [*done.too_long, *chunk.too_long],
            [*done.records, *(asdict(c) for each in chunk.examples for c in each.completions)],
        )
        chunk.grown.append(arrays, vars(now))

    def finished(self, order: Order, grown: Growing, measured: dict[str, float]) -> Sketched:
        """The sketch of an order that is done, its projection checked."""
        arrays, done = grown.arrays(), Done.of(grown)
        squares = arrays.pop("squares")
        distortion = None
        if len(squares):
            distortion = measured_distortion(squares[:, 1], squares[:, 0])
            if isinstance(self.projection, CountSketch):
                check_distortion(distortion, self.projection.dimension, order.key)
        meta = SketchMeta(
            alike=self.made_alike(),
            native_dimension=self.size,
            batch_invariant=self.gradients.packing.invariant,
            examples=len(squares),
            example_ids=tuple(done.ids),
            dropped_not_finite=tuple(sorted(done.not_finite)),
            too_long=tuple(sorted(done.too_long)),
            no_signal=int((squares[:, 0] == 0).sum()) if len(squares) else 0,
            distortion=distortion,
        )
        completions = [SampledCompletion(**record) for record in done.records]
        whole = Sketch(**arrays, meta=meta, completions=completions)
        return Sketched(order, whole, measured, grown)

    def made_alike(self) -> MadeAlike:
        """What must be the same for two sketches to be compared."""
        return MadeAlike(
            fingerprint=self.fingerprint,
            objective=self._objective.described(),
            vectors=self.settings.vectors,
            projection=self.settings.projection,
            dimension=self.projection.dimension,
            seed=self.settings.seed,
            dtype=str(next(self.model.parameters()).dtype).removeprefix("torch."),
        )


def _means(
    parts: Sequence[Sequence[int]],
    rows: Sequence[ProjectedGradient],
    examples: Sequence[Prepared],
) -> dict[str, NDArray[Any]]:
    """Of each part's examples the mean gradient, loss and norm, and the sum of tokens."""
    return {
        "rows": np.stack([np.mean([rows[n].values for n in part], axis=0) for part in parts]),
        "loss": np.array([np.mean([rows[n].loss for n in part]) for part in parts]),
        "norms": np.array([np.mean([rows[n].norm for n in part]) for part in parts]),
        "tokens": np.array([sum(examples[n].tokens for n in part) for part in parts]),
        "truncated": np.array([sum(examples[n].truncated for n in part) for part in parts]),
    }


def examples_of(order: Order) -> Iterator[Example]:
    """The order's examples as the file has them, few in memory at once."""
    for batch in tables.batches(order.source, READ):
        for example in batch:
            if order.ids is None or example.id in order.ids:
                yield example
