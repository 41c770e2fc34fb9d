"""S_t: per-example LoRA gradients of each target's value split, projected like the datasets'.

All value examples are used; one with a non-finite gradient is an error, as the target is ours.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from appraise.artifacts import read_table
from appraise.errors import ModelError
from appraise.project import Project, Recipe
from appraise.steps.gradient_sketches import Sketcher
from appraise.steps.step import Step, each_target


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {
        f"target_sets/{key}/value.parquet": project.content(
            "target_sets", key, file="value.parquet"
        ),
        "base_model": project.content("base_model"),
    }
    settings = project.params.gradient_sketches.model_dump(mode="json", exclude={"preview"})
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    sketcher = Sketcher(project)
    for key in keys:
        table = read_table(project.open("target_sets", key) / "value.parquet")
        with tqdm(total=len(table), desc=STEP.noun, unit="example", file=sys.stderr) as bar:
            made = sketcher.sketch(table, bar.update)
        if len(made.kept) < len(table):
            lost = [table["id"].iloc[i] for i in range(len(table)) if i not in made.kept]
            raise ModelError(
                f"target {key}: expected finite gradients of all {len(table)} value examples, "
                f"found none of {', '.join(lost[:5])}; remove them from the target's source"
            )
        with STEP.writing(project, key) as folder:
            sketcher.write(folder, table, made)


STEP = Step(
    noun="target_sketches",
    needs=("target_sets", "base_model"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
)
