"""Task vectors in the place of gradients: a short fine-tune for each part of a dataset, a row."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from appraise.language_model.gradients import ProjectedGradient
from appraise.language_model.prepared import Prepared, Preparing
from appraise.language_model.sketcher import (
    Chunk,
    Done,
    Order,
    Progress,
    Sketched,
    Sketcher,
    examples_of,
)
from appraise.language_model.task_vectors import TaskVector, size, task_vector
from appraise.numerics.projection import bytes_of_sketch
from appraise.records.sketch import MadeAlike
from appraise.settings.model import BaseModelParams
from appraise.settings.sketches import SketchSettings
from appraise.storage.growing import Growing


class TaskVectorSketcher(Sketcher):
    """Cuts an order's examples into parts, fine-tunes on each and projects what that changed."""

    def __init__(
        self,
        folder: Path,
        params: BaseModelParams,
        settings: SketchSettings,
        objective: Preparing,
    ) -> None:
        super().__init__(folder, params, settings, objective)
        self.size = size(self.a, self.model)
        self.projection = self.projecting(self.size)

    def sketch(self, orders: Iterable[Order], progress: Progress) -> Iterator[Sketched]:
        """As `Sketcher.sketch`; a part that was fine-tuned on before a kill is not again."""
        for order in orders:
            began, tokens = time.monotonic(), 0
            grown = Growing(order.partial, order.work, self.shapes())
            prepared = self.fill(Chunk(order, grown), list(examples_of(order)))
            count = min(self.settings.task_vectors.parts, len(prepared.examples))
            done = len(Done.of(grown).ids)
            for number in range(done, count):
                part = self._part(prepared, number, count)
                row, trained = self._row(part.examples)
                self.keep(part, row)
                tokens += trained
                progress(order.key, len(part.ids) + len(part.too_long), trained)
            measured = {"seconds": time.monotonic() - began, "tokens": tokens}
            yield self.finished(order, grown, measured)

    def stored(self, order: Order) -> int:
        """As `Sketcher.stored`: a row for each part."""
        rows = min(self.settings.task_vectors.parts, order.count)
        return bytes_of_sketch(rows, self.projection.dimension)

    def _part(self, whole: Chunk, number: int, count: int) -> Chunk:
        """Every `count`-th example; the ids of what is too long come with the first part."""
        return Chunk(
            whole.order,
            whole.grown,
            whole.ids[number::count],
            whole.examples[number::count],
            [] if number else whole.too_long,
            block=len(whole.ids),
        )

    def _row(self, examples: list[Prepared]) -> tuple[list[ProjectedGradient], int]:
        """The projected task vector, once for each example of the part: the row is their mean."""
        made = self._tuned(examples)
        values = np.zeros(self.projection.dimension)
        self.projection.add(values, 0, made.vector)
        norm = float(np.linalg.norm(made.vector.astype(np.float64)))
        return [ProjectedGradient(values, made.first_loss, norm)] * len(examples), made.tokens

    def _tuned(self, examples: list[Prepared]) -> TaskVector:
        lora, settings = self.params.lora, self.settings.task_vectors
        encoded = [term.encoded for example in examples for term in example.terms]
        return task_vector(self.model, self.tokenizer, self.a, lora, encoded, settings)

    def made_alike(self) -> MadeAlike:
        """With how the fine-tunes were made."""
        how = self.settings.task_vectors.model_dump_json()
        return dataclasses.replace(super().made_alike(), vectors=f"task_vectors {how}")
