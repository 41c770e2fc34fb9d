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
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError
from appraise.examples.splits import seeded_rank
from appraise.project import SET_ASIDE, Project, Recipe
from appraise.steps import step
from appraise.steps.near_copies import SUMMARY, copied_rows
from appraise.steps.step import Step
from appraise.storage.files import read_json, sha256_json, table_batches, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from appraise.language_model.sketcher import Order, Sketched, Sketcher


def chosen(ids: Sequence[str], count: int, seed: int) -> list[str]:
    """The examples that valuation may look at: the first in the order of SHA-256(seed, id)."""
    return sorted(ids, key=lambda one: seeded_rank(one, seed))[:count]


def usable(project: Project) -> list[str]:
    """The datasets that were not set aside when they came in."""
    datasets = step("auxiliary_datasets").keys(project)
    return [key for key in datasets if project.set_aside("auxiliary_datasets", key) is None]


def _originals(project: Project, key: str, path: Path) -> tuple[list[str], int]:
    """Ids of the examples that nobody had before, and how many there are in all."""
    ids = [str(one) for table in table_batches(path, ["id"], 65536) for one in table["id"]]
    copied = set(copied_rows(project, key))
    return [one for one in ids if one not in copied], len(ids)


def _copied(project: Project, key: str) -> dict[str, int]:
    """How many rows each earlier dataset has, most first."""
    found: dict[str, int] = read_json(project.open("near_copies") / SUMMARY)[key]["of"]
    return found


def _recipe(project: Project, key: str) -> Recipe:
    file = "examples.parquet"
    inputs = {
        f"auxiliary_datasets/{key}/{file}": project.content("auxiliary_datasets", key, file=file),
        "base_model": project.content("base_model"),
    }
    # Of the near copies only this dataset's own: those of others leave it alone.
    settings = {
        **deciding(project),
        "min_examples": project.params.auxiliary_datasets.min_examples,
        "copied": sha256_json(copied_rows(project, key)),
    }
    return Recipe(STEP.version, settings, inputs)


def deciding(project: Project) -> dict[str, Any]:
    """The settings that decide a sketch: not the device, nor those of vectors not made."""
    settings = project.params.gradient_sketches
    unused = {"device"} | ({"task_vectors"} if settings.vectors == "gradients" else set())
    return settings.model_dump(mode="json", exclude=unused)


def _orders(project: Project, keys: Sequence[str]) -> list[Order]:
    """What is to be sketched of each dataset; those without enough of their own are set aside."""
    from appraise.language_model.sketcher import Order

    settings = project.params.gradient_sketches
    least, orders = project.params.auxiliary_datasets.min_examples, []
    for key in keys:
        path = project.open("auxiliary_datasets", key) / "examples.parquet"
        originals, rows = _originals(project, key, path)
        if len(originals) < least:
            _set_aside(project, key, rows, len(originals))
            continue
        ids = chosen(originals, settings.preview, settings.seed)
        work = sha256_json(_recipe(project, key).as_json())
        wanted = None if len(ids) == rows else frozenset(ids)
        partial = project.partial(STEP.noun, key)
        orders.append(Order(key, path, wanted, len(ids), work, partial))
    return orders


def sketched(project: Project, orders: Sequence[Order], noun: str) -> Iterator[Sketched]:
    """Sketch them one after the other under a bar that says how long it will take.

    Raises:
        ArtifactError: the disk has no room for all of them; nothing was computed.
    """
    from tqdm import tqdm

    sketcher = _sketcher(project)
    _check_room(project, [sketcher.stored(order) for order in orders], noun)
    total = sum(order.count for order in orders)
    with tqdm(total=total, desc=noun, unit="example", file=sys.stderr, smoothing=0.02) as bar:
        tokens = 0

        def progress(key: str, examples: int, more: int | None) -> None:
            nonlocal tokens
            if more is None:  # done by a run that was stopped: no measure of this one's speed
                bar.initial, bar.n = bar.initial + examples, bar.n + examples
                bar.last_print_n += examples
                return
            tokens += more
            speed = tokens / max(bar.format_dict["elapsed"], 1e-9)
            bar.set_postfix_str(f"{key}, {speed:.0f} tokens/s", refresh=False)
            bar.update(examples)

        yield from sketcher.sketch(orders, progress)


def _check_room(project: Project, sizes: Sequence[int], noun: str) -> None:
    """Say what the sketches will take, before hours are spent on what cannot be written."""
    needed = sum(sizes) + max(sizes, default=0)  # a dataset's rows are there twice for a moment
    free = shutil.disk_usage(project.root).free
    if needed > free:
        raise ArtifactError(
            f"{noun}: expected room for {needed / 1e6:,.1f} MB of sketches, found "
            f"{free / 1e6:,.1f} MB free; make room, or lower dimension or max_rows of "
            "gradient_sketches in params.yaml"
        )
    print(f"{noun}: {len(sizes)} to make, {sum(sizes) / 1e6:,.1f} MB", file=sys.stderr)


def _sketcher(project: Project) -> Sketcher:
    folder, settings = project.open("base_model"), project.params.gradient_sketches
    given = (folder, project.params.base_model, settings, settings.objective)
    if settings.vectors == "task_vectors":
        from appraise.language_model.task_vector_sketcher import TaskVectorSketcher

        return TaskVectorSketcher(*given)
    from appraise.language_model.sketcher import Sketcher

    return Sketcher(*given)


def _make(project: Project, keys: Sequence[str]) -> None:
    orders = _orders(project, keys)
    for made in sketched(project, orders, STEP.noun) if orders else ():
        with STEP.writing(project, made.order.key, made.measured) as folder:
            reason = _unusable(made)
            if reason is None:
                made.sketch.write(folder)
            else:
                write_json(folder / SET_ASIDE, {"reason": reason})
        made.forget()


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


def _set_aside(project: Project, key: str, rows: int, left: int) -> None:
    """Not enough of it is its own: say whose it is."""
    of = [f"{count} of {name}" for name, count in list(_copied(project, key).items())[:3]]
    reason = (
        f"expected at least {project.params.auxiliary_datasets.min_examples} examples that nobody "
        f"offered before, found {left} of {rows}; the others are copies, or nearly, of rows that "
        f"were there first: {', '.join(of)}"
    )
    with STEP.writing(project, key) as folder:
        write_json(folder / SET_ASIDE, {"reason": reason})


STEP = Step(
    noun="gradient_sketches",
    needs=("auxiliary_datasets", "near_copies", "base_model"),
    partitions="dataset",
    keys=usable,
    recipe=_recipe,
    make=_make,
    version="3",  # 3: without the mean; 2: packed, with norms and distortion; objectives
)
