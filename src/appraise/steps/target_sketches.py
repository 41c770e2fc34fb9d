"""S_t: per-example gradients of each target's value split, projected like the datasets'.

All value examples are used; one without a finite gradient is an error, as the target is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from appraise.errors import ModelError
from appraise.project import Project, Recipe
from appraise.steps.gradient_sketches import deciding, sketched
from appraise.steps.step import Step, each_target
from appraise.storage.files import sha256_json, table_batches


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {
        f"target_sets/{key}/value.parquet": project.content(
            "target_sets", key, file="value.parquet"
        ),
        "base_model": project.content("base_model"),
    }
    settings = {name: value for name, value in deciding(project).items() if name != "preview"}
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from appraise.language_model.sketcher import Order

    orders = []
    for key in keys:
        path = project.open("target_sets", key) / "value.parquet"
        count = sum(len(table) for table in table_batches(path, ["id"], 65536))
        work = sha256_json(_recipe(project, key).as_json())
        orders.append(Order(key, path, None, count, work, project.partial(STEP.noun, key)))
    for made in sketched(project, orders, STEP.noun):
        meta = made.sketch.meta
        lost = [*meta.dropped_not_finite, *meta.too_long]
        if lost or meta.no_signal == made.kept:
            raise ModelError(
                f"target {made.order.key}: expected finite gradients of all {made.asked} value "
                f"examples, found none of {', '.join(lost[:5]) or 'any: all rewards are equal'}; "
                "remove them from the target's source"
            )
        with STEP.writing(project, made.order.key, made.measured) as folder:
            made.sketch.write(folder)
        made.forget()


STEP = Step(
    noun="target_sketches",
    needs=("target_sets", "base_model"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="3",  # 3: without the mean, which nothing read
)
