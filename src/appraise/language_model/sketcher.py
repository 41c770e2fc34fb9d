"""Sketches of whole datasets: streamed, resumable, checked against what the projection promises.

A dataset's examples are read, prepared and sketched in chunks; each finished chunk is on disk
before the next one counts. A dataset of more than `max_rows` examples is kept as that many rows,
each the mean of equally many examples: what follows (means, resampling, noise) needs no more.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from appraise.language_model import base
from appraise.language_model.gradients import LoraGradients, Row, sketch
from appraise.language_model.objectives import Prepared, preparation
from appraise.language_model.prompts import TooLong
from appraise.numerics.projection import (
    CountSketch,
    Identity,
    bytes_of_sketch,
    check_distortion,
    dimension_for,
    measured_distortion,
)
from appraise.project import Project
from appraise.settings.objectives import Grpo
from appraise.storage.files import read_json, table_batches, write_arrays, write_table
from appraise.storage.growing import Growing

CHUNK = 64  # examples whose rows are written together, if they are no more than
ROOM = 1 << 28  # bytes in memory
READ = 4096  # rows of a table in memory at once
COLUMNS = ("id", "prompt", "completion", "rejected")
SKETCH, ROLLOUTS = "sketch.safetensors", "rollouts.parquet"
# Told the dataset, how many of its examples are done and their tokens; None of an earlier run.
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


@dataclass
class Sketch:
    """What was made of an order. Arrays are memory-mapped until `write`.

    Attributes:
        arrays: rows (R, d) float32, and of each row loss, norms, tokens and truncated.
        meta: what must be equal for two sketches to be comparable, and what was left out.
        records: sampled completions.
        measured: seconds and tokens of this run; not part of the content.
    """

    order: Order
    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]
    records: list[dict[str, Any]]
    measured: dict[str, float]
    _grown: Growing | None = None

    @property
    def asked(self) -> int:
        """How many examples there were to sketch."""
        return self.order.count

    @property
    def kept(self) -> int:
        """How many examples have a gradient."""
        return int(self.meta["examples"])

    def write(self, folder: Path) -> None:
        """The files of a partition; what was kept on the way is then deleted."""
        rows = self.arrays["rows"]
        mean = np.asarray(np.mean(rows, axis=0, dtype=np.float64))
        write_arrays(folder / SKETCH, {**self.arrays, "mean": mean}, self.meta)
        if self.records:
            import pandas as pd

            write_table(folder / ROLLOUTS, pd.DataFrame(self.records))

    def forget(self) -> None:
        """Delete what was kept on the way."""
        if self._grown is not None:
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


def placement(device: str, dtype: str | None) -> tuple[str, torch.dtype]:
    """Where the model is and in which precision: on a GPU bfloat16, else float32, unless told."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    return device, getattr(torch, dtype or ("float32" if on_cpu else "bfloat16"))


class Sketcher:
    """The base model, loaded once, with objective and projection."""

    def __init__(self, project: Project) -> None:
        folder = project.open("base_model")
        self.params, self.settings = project.params.base_model, project.params.gradient_sketches
        self.fingerprint = read_json(folder / base.FINGERPRINT)["fingerprint"]
        self.tokenizer = base.load_tokenizer(folder)
        self.model = base.load(folder, *placement(self.settings.device, self.settings.dtype))
        self.a = base.read_lora(folder)
        lora, objective = self.params.lora, self.settings.objective
        temperature = objective.temperature if isinstance(objective, Grpo) else 1.0
        self.gradients = LoraGradients(self.model, self.a, lora.alpha / lora.rank, temperature)
        self.size = self.gradients.size
        self.projection = self.projecting(self.size)
        self.prepare = preparation(self.settings.objective, self.model, self.tokenizer, self.params)

    def projecting(self, size: int) -> CountSketch | Identity:
        """The projection of vectors of this length."""
        settings = self.settings
        if settings.projection == "none":
            return Identity(size)
        d = settings.dimension or dimension_for(settings.distortion or 0.0)
        return CountSketch(size, d, settings.seed)

    def sketch(self, orders: Iterable[Order], progress: Progress) -> Iterator[Sketch]:
        """Sketch one dataset after the other; `progress` is told of each chunk.

        Raises:
            ModelError: a row lacks what the objective needs, a reward fails, or the projection
                loses more than it states.
            ArtifactError: the disk is full. What was done stays.
        """
        seconds, tokens, cores = 0.0, 0, len(os.sched_getaffinity(0))
        chunks, flow = itertools.tee(self._chunks(orders, progress))
        found = sketch(self.gradients, (chunk.examples for chunk in chunks), self.projection)
        for chunk, rows in zip(flow, found, strict=True):
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
            state = grown.state or nothing()
            block = self.block(order)
            whole = order.count // block * block  # the few that fill no block are left out
            if state["seen"]:
                progress(order.key, state["seen"], None)
            rest = itertools.islice(rows_of(order), state["seen"], whole)
            fitting = max(1, min(CHUNK, ROOM // (8 * self.projection.dimension)))
            size = -(-fitting // block) * block
            seen = state["seen"]
            while True:
                some = list(itertools.islice(rest, size))
                seen += len(some)
                chunk = self.fill(Chunk(order, grown, block=block, last=seen >= whole), some)
                yield chunk
                if chunk.last:
                    break

    def fill(self, chunk: Chunk, rows: Sequence[dict[str, Any]]) -> Chunk:
        """Prepare rows into a chunk; those that are too long are named."""
        began = time.perf_counter()
        for row in rows:
            try:
                example = self.prepare(row)
            except TooLong:
                chunk.too_long.append(row["id"])
                continue
            chunk.ids.append(row["id"])
            chunk.examples.append(example)
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

    def keep(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """Put a chunk's rows on disk, with what is to be known of those that were left out."""
        state = chunk.grown.state or nothing()
        good = [number for number, row in enumerate(rows) if row.finite]
        squares = [(rows[n].norm ** 2, float(np.square(rows[n].values).sum())) for n in good]
        arrays: dict[str, NDArray[Any]] = {"squares": np.array(squares).reshape(-1, 2)}
        parts = [good[i : i + chunk.block] for i in range(0, len(good), chunk.block)]
        if parts:
            arrays |= _means(parts, rows, chunk.examples)
        records = [
            {"id": name, **record}
            for name, example in zip(chunk.ids, chunk.examples, strict=True)
            for record in example.records
        ]
        chunk.grown.append(
            arrays,
            {
                "seen": state["seen"] + len(chunk.ids) + len(chunk.too_long),
                "ids": state["ids"] + [chunk.ids[part[0]] for part in parts],
                "not_finite": state["not_finite"]
                + [name for n, name in enumerate(chunk.ids) if n not in set(good)],
                "too_long": state["too_long"] + chunk.too_long,
                "records": state["records"] + records,
            },
        )

    def finished(self, order: Order, grown: Growing, measured: dict[str, float]) -> Sketch:
        """The sketch of an order that is done, its projection checked."""
        arrays, state = grown.arrays(), grown.state
        squares = arrays.pop("squares")
        distortion = None
        if len(squares):
            distortion = measured_distortion(squares[:, 1], squares[:, 0])
            if isinstance(self.projection, CountSketch):
                check_distortion(distortion, self.projection.dimension, order.key)
        meta = {
            **self.comparable(),
            "native_dimension": self.size,
            "batch_invariant": self.gradients.packing.invariant,
            "examples": len(squares),
            "example_ids": state["ids"],
            "dropped_not_finite": sorted(state["not_finite"]),
            "too_long": sorted(state["too_long"]),
            "no_signal": int((squares[:, 0] == 0).sum()) if len(squares) else 0,
            "distortion": None if distortion is None else asdict(distortion),
        }
        return Sketch(order, arrays, meta, state["records"], measured, grown)

    def comparable(self) -> dict[str, Any]:
        """What must be the same for two sketches to be compared."""
        return {
            "fingerprint": self.fingerprint,
            "objective": self.settings.objective.model_dump_json(),
            "vectors": self.settings.vectors,
            "projection": self.settings.projection,
            "dimension": self.projection.dimension,
            "seed": self.settings.seed,
            "dtype": str(next(self.model.parameters()).dtype).removeprefix("torch."),
        }


def nothing() -> dict[str, Any]:
    """What is done of an order at its beginning."""
    return {"seen": 0, "ids": [], "not_finite": [], "too_long": [], "records": []}


def _means(
    parts: Sequence[Sequence[int]], rows: Sequence[Row], examples: Sequence[Prepared]
) -> dict[str, NDArray[Any]]:
    """Of each part's examples the mean gradient, loss and norm, and the sum of tokens."""
    return {
        "rows": np.stack([np.mean([rows[n].values for n in part], axis=0) for part in parts]),
        "loss": np.array([np.mean([rows[n].loss for n in part]) for part in parts]),
        "norms": np.array([np.mean([rows[n].norm for n in part]) for part in parts]),
        "tokens": np.array([sum(examples[n].tokens for n in part) for part in parts]),
        "truncated": np.array([sum(examples[n].truncated for n in part) for part in parts]),
    }


def rows_of(order: Order) -> Iterator[dict[str, Any]]:
    """The order's rows as the file has them, few in memory at once."""
    for table in table_batches(order.source, COLUMNS, READ):
        for row in table.to_dict("records"):
            if order.ids is None or row["id"] in order.ids:
                yield {str(name): value for name, value in row.items()}
