"""S_i: per-example gradients of each dataset's preview, projected to d dimensions.

The preview is the first examples in the order of SHA-256(seed, id), without those that somebody
offered before (`near_copies`); a dataset with too few of its own is set aside. Each row is the
gradient of one example's loss at the base model with respect to LoRA's B, by the objective (SFT,
DPO or GRPO); or, with `vectors: task_vectors`, what a short fine-tune on a part of the preview adds
to the adapter. Examples that are too long, or whose loss or gradient is not finite, are left out
and counted; a dataset of which fewer than two, or less than half, remain is set aside.

What is done of a dataset is kept: a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from appraise.errors import ArtifactError
from appraise.examples.splits import seeded_rank
from appraise.project import Project
from appraise.project.reads import Fact, Given, Part, Reads, same
from appraise.records.offers import Offers
from appraise.records.set_aside import WhySetAside
from appraise.records.sketch import Sketch
from appraise.records.tables import DatasetExamples
from appraise.settings.sketches import precision
from appraise.steps.base_model import USED
from appraise.steps.near_copies import copied_of, copied_rows
from appraise.steps.progress import Progress
from appraise.steps.step import Keys, Output, Step

if TYPE_CHECKING:
    from appraise.language_model.sketcher import Order, Sketched, Sketcher

DATASETS = "auxiliary_datasets"
SECTION = "gradient_sketches"
READ = 65_536  # examples in memory at once


def usable(project: Project) -> list[str]:
    """The datasets that were not set aside when they came in."""
    ids = (offer.id for offer in project.read(Offers, "offers").offers)
    return [name for name in ids if project.set_aside(DATASETS, name) is None]


def _precision(project: Project, _: str) -> str:
    settings = project.params.gradient_sketches
    return precision(settings.device, settings.dtype)


def _task_vectors(project: Project, _: str) -> JsonValue:
    """How task vectors are made; None where gradients are."""
    settings = project.params.gradient_sketches
    if settings.vectors == "gradients":
        return None
    content: JsonValue = settings.task_vectors.model_dump(mode="json")
    return content


PLACED = (f"{SECTION}.device", f"{SECTION}.dtype")  # where a model is, and in which precision
PRECISION = Fact("precision", _precision, settings=PLACED)
# What every sketch is made by, a dataset's or a target's.
MADE_BY = Reads(
    settings=(
        *(
            f"{SECTION}.{name}"
            for name in (
                "objective", "vectors", "dimension", "distortion", "projection", "max_rows", "seed",
            )
        ),
        *USED,
    ),
    parts=(Part("base_model"),),
    facts=(PRECISION, Fact("task_vectors", _task_vectors, settings=(f"{SECTION}.task_vectors",))),
    how=(*PLACED, f"{SECTION}.task_vectors"),
)  # fmt: skip


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    orders = []
    for given in partitions:
        order = _order(given)
        if isinstance(order, WhySetAside):
            yield Output(given.key, (order,))
        else:
            orders.append(order)
    for made in sketched(partitions[0], orders, progress) if orders else ():
        reason = _unusable(made)
        record = made.sketch if reason is None else WhySetAside(reason=reason)
        yield Output(made.order.key, (record,), made.measured, written=made.forget)


def _order(given: Given) -> Order | WhySetAside:
    """What is to be sketched of a dataset; one without enough of its own is set aside."""
    from appraise.language_model.sketcher import Order

    settings, least = given.params.gradient_sketches, given.params.auxiliary_datasets.min_examples
    table = given.read(DatasetExamples, DATASETS, given.key)
    ids = [example.id for batch in table.batches(READ) for example in batch]
    copied = set(given.fact("copied"))
    originals = [name for name in ids if name not in copied]
    if len(originals) < least:
        return _too_few(given, len(ids), len(originals), least)
    chosen = sorted(originals, key=lambda name: seeded_rank(name, settings.seed))
    chosen = chosen[: settings.preview]
    wanted = None if len(chosen) == len(ids) else frozenset(chosen)
    return Order(given.key, table.path, wanted, len(chosen), given.work, given.partial)


def _too_few(given: Given, rows: int, left: int, least: int) -> WhySetAside:
    """Not enough of it is its own: say whose it is."""
    of = [f"{count} of {name}" for name, count in given.fact("copied_of")[:3]]
    return WhySetAside(
        reason=(
            f"expected at least {least} examples that nobody offered before, found {left} of "
            f"{rows}; the others are copies, or nearly, of rows that were there first: "
            f"{', '.join(of)}"
        )
    )


def sketched(given: Given, orders: Sequence[Order], progress: Progress) -> Iterator[Sketched]:
    """Sketch them one after the other under a bar that says how long it will take.

    Args:
        given: of any of the partitions.

    Raises:
        ArtifactError: the disk has no room for all of them; nothing was computed.
    """
    sketcher, tokens = _sketcher(given), 0
    check_room(given.root, [sketcher.stored(order) for order in orders], progress)
    progress.count(sum(order.count for order in orders), "example")

    def done(key: str, examples: int, more: int | None) -> None:
        nonlocal tokens
        if more is None:
            progress.skip(examples)
            return
        tokens += more
        speed = tokens / max(progress.elapsed, 1e-9)
        progress.step(examples, f"{key}, {speed:.0f} tokens/s")

    yield from sketcher.sketch(orders, done)


def check_room(root: Path, sizes: Sequence[int], progress: Progress) -> None:
    """Say what the sketches will take, before hours are spent on what cannot be written.

    Raises:
        ArtifactError: the disk has no room for them.
    """
    needed = sum(sizes) + max(sizes, default=0)  # a dataset's rows are there twice for a moment
    free = shutil.disk_usage(root).free
    if needed > free:
        raise ArtifactError(
            f"{progress.noun}: expected room for {needed / 1e6:,.1f} MB of sketches, found "
            f"{free / 1e6:,.1f} MB free; make room, or lower dimension or max_rows of "
            "gradient_sketches in params.yaml"
        )
    progress.say(f"{len(sizes)} to make, {sum(sizes) / 1e6:,.1f} MB")


def _sketcher(given: Given) -> Sketcher:
    from appraise.language_model.sketcher import Sketcher
    from appraise.language_model.task_vector_sketcher import TaskVectorSketcher

    settings = given.params.gradient_sketches
    kind = TaskVectorSketcher if settings.vectors == "task_vectors" else Sketcher
    return kind(given.folder("base_model"), given.params.base_model, settings, settings.objective)


def _unusable(made: Sketched) -> str | None:
    """Why a dataset's sketch cannot stand for it, or None."""
    meta = made.sketch.meta
    lost, long = len(meta.dropped_not_finite), len(meta.too_long)
    if 2 * made.kept < made.asked or len(made.sketch.rows) < 2:
        return (
            f"expected finite gradients of {made.asked} examples, found {made.kept} "
            f"({lost} not finite, {long} too long for base_model.max_length)"
        )
    if meta.no_signal == made.kept:
        return (
            f"expected a gradient of some example, found none of {made.kept}: every group of "
            "completions had equal rewards; take more generations or easier prompts"
        )
    return None


STEP = Step(
    noun="gradient_sketches",
    partitions="dataset",
    keys=Keys(usable, nouns=("offers", DATASETS)),
    reads=MADE_BY
    | Reads(
        settings=(f"{SECTION}.preview", "auxiliary_datasets.min_examples"),
        parts=(Part(DATASETS, (DatasetExamples,), same),),
        # Of the near copies only this dataset's own: those of others leave it alone.
        facts=(
            Fact("copied", copied_rows, nouns=("near_copies",), large=True),
            Fact("copied_of", copied_of, nouns=("near_copies",)),
        ),
    ),
    writes=(Sketch, WhySetAside),
    make=_make,
    version="5",  # 5: exact_text keeps signs; 4: control tokens in a text are letters
)
