"""S_i: per-example LoRA gradients of each dataset's preview, projected to d dimensions.

The preview is the first examples in the order of SHA-256(seed, id), without those that somebody
offered before (`near_copies`); a dataset with too few of its own is set aside. Each row is the
gradient of one example's mean negative log-likelihood over its completion, at the base model, with
respect to LoRA's B. Examples with a non-finite loss or gradient are left out and counted; a dataset
of which fewer than two, or less than half, remain is set aside.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from appraise.artifacts import read_json, read_table, sha256_json, write_arrays, write_json
from appraise.examples.splits import seeded_rank
from appraise.project import SET_ASIDE, Project, Recipe
from appraise.steps import step
from appraise.steps.near_copies import SUMMARY, copied_rows
from appraise.steps.step import Step

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from appraise.language_model.gradients import Sketch
    from appraise.language_model.prompts import Encoded

SKETCH = "sketch.safetensors"


class Sketcher:
    """The base model, loaded once, with the projection: turns examples into a sketch file."""

    def __init__(self, project: Project) -> None:
        from appraise.language_model import base
        from appraise.language_model.gradients import LoraGradients, count_sketch

        folder = project.open("base_model")
        self.params, self.settings = project.params.base_model, project.params.gradient_sketches
        self.fingerprint = read_json(folder / base.FINGERPRINT)["fingerprint"]
        self.tokenizer = base.load_tokenizer(folder)
        lora = self.params.lora
        scale = lora.alpha / lora.rank
        self.gradients = LoraGradients(base.load(folder), base.read_lora(folder), scale)
        self.project: Callable[..., Any] = (
            count_sketch(self.gradients.size, self.settings.dimension, self.settings.seed)
            if self.settings.projection == "countsketch"
            else lambda gradient: gradient
        )

    def encode(self, examples: pd.DataFrame) -> list[Encoded]:
        """Tokens of each example."""
        from appraise.language_model.prompts import encode

        rows = zip(examples["prompt"], examples["completion"], strict=True)
        return [encode(self.tokenizer, self.params, prompt, answer) for prompt, answer in rows]

    def sketch(self, examples: pd.DataFrame, progress: Callable[[], object]) -> Sketch:
        """One row for each example with a finite gradient."""
        from appraise.language_model.gradients import sketch

        return sketch(self.gradients, self.encode(examples), self.project, progress)

    def write(self, folder: Path, examples: pd.DataFrame, made: Sketch) -> None:
        """The sketch file, with what must be equal for two sketches to be comparable."""
        ids = [str(examples["id"].iloc[number]) for number in made.kept]
        dropped = sorted(set(examples["id"]) - set(ids))
        meta = {
            "fingerprint": self.fingerprint,
            "projection": self.settings.projection,
            "dimension": int(made.rows.shape[1]),
            "seed": self.settings.seed,
            "native_dimension": made.native_dimension,
            "example_ids": ids,
            "dropped_not_finite": dropped,
        }
        write_arrays(
            folder / SKETCH,
            {"rows": made.rows, "loss": made.loss, "tokens": made.tokens},
            meta,
        )


def preview(examples: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """The examples that valuation may look at: the first in the order of SHA-256(seed, id)."""
    rank = [seeded_rank(one, seed) for one in examples["id"]]
    return examples.assign(rank=rank).sort_values("rank").head(count).drop(columns="rank")


def usable(project: Project) -> list[str]:
    """The datasets that were not set aside when they came in."""
    datasets = step("auxiliary_datasets").keys(project)
    return [key for key in datasets if project.set_aside("auxiliary_datasets", key) is None]


def _originals(project: Project, key: str, examples: pd.DataFrame) -> pd.DataFrame:
    """The examples that nobody had before."""
    return examples[~examples["id"].isin(copied_rows(project, key))]


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
        **project.params.gradient_sketches.model_dump(mode="json"),
        "min_examples": project.params.auxiliary_datasets.min_examples,
        "copied": sha256_json(copied_rows(project, key)),
    }
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    sketcher, settings = Sketcher(project), project.params.gradient_sketches
    least, tables = project.params.auxiliary_datasets.min_examples, {}
    for key in keys:
        table = read_table(project.open("auxiliary_datasets", key) / "examples.parquet")
        originals = _originals(project, key, table)
        if len(originals) < least:
            _set_aside(project, key, len(table), len(originals))
            continue
        tables[key] = preview(originals, settings.preview, settings.seed)
    total = sum(map(len, tables.values()))
    with tqdm(total=total, desc=STEP.noun, unit="example", file=sys.stderr) as bar:
        for key, table in tables.items():
            bar.set_postfix_str(key)
            made = sketcher.sketch(table, bar.update)
            kept, asked = len(made.kept), len(table)
            with STEP.writing(project, key) as folder:
                if kept < 2 or 2 * kept < asked:
                    reason = f"expected finite gradients of {asked} examples, found {kept}"
                    write_json(folder / SET_ASIDE, {"reason": reason})
                else:
                    sketcher.write(folder, table, made)


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
)
