"""Rows of an offer that are copies, or nearly, of rows offered before it or of a target's own.

Who was registered first keeps its rows; those who come later have them too and are not valued by
them: `gradient_sketches` leaves them out of the preview. Targets come before all, by the examples
of their value split, which is what a seller may have seen.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from appraise.examples.example import Example
from appraise.examples.near_copies import LETTERS, NearCopy, near_copies, whose
from appraise.project import Project, Recipe
from appraise.records import examples as tables
from appraise.steps.auxiliary_datasets import STEP as AUXILIARY_DATASETS
from appraise.steps.offers import read_offers
from appraise.steps.step import Step, each_target, whole
from appraise.storage.files import read_table, write_json, write_table

COPIES, SUMMARY = "copies.parquet", "copies.json"
_TARGET = "target:"
_EXAMPLES, _VALUE = tables.EXAMPLES, tables.split_file("value")


def in_order(project: Project) -> list[str]:
    """The datasets that were not set aside when they came in, in the order of registration."""
    return [
        key
        for key in read_offers(project).order
        if project.set_aside(AUXILIARY_DATASETS.noun, key) is None
    ]


def copied_rows(project: Project, dataset: str) -> list[str]:
    """Ids of the rows of a dataset that others had first, sorted."""
    path, content = project.open(STEP.noun) / COPIES, project.content(STEP.noun, file=COPIES)
    return _copied(path, content).get(dataset, [])


@lru_cache(maxsize=8)
def _copied(path: Path, content: str) -> dict[str, list[str]]:  # noqa: ARG001 (a part of the key)
    table = read_table(path)
    return {str(name): sorted(group["row"]) for name, group in table.groupby("dataset")}


def _recipe(project: Project, key: str) -> Recipe:  # noqa: ARG001
    settings = {
        "near_copies": project.params.near_copies.model_dump(mode="json"),
        "order": in_order(project),
        "letters": LETTERS,
    }
    inputs = {}
    for name in in_order(project):
        content = project.content(AUXILIARY_DATASETS.noun, name, file=_EXAMPLES)
        inputs[f"{AUXILIARY_DATASETS.noun}/{name}/{_EXAMPLES}"] = content
    for target in each_target(project):
        content = project.content("target_sets", target, file=_VALUE)
        inputs[f"target_sets/{target}/{_VALUE}"] = content
    return Recipe(STEP.version, settings, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    params, names = project.params.near_copies, in_order(project)
    for key in keys:
        with STEP.writing(project, key) as folder:
            copies: dict[str, list[NearCopy]] = {}
            if params.similarity is not None:
                everything = tqdm(
                    _everything(project, names), desc=STEP.noun, unit="set", file=sys.stderr,
                    disable=None, total=len(names) + len(each_target(project)),
                )  # fmt: skip
                copies = dict(near_copies(everything, params.similarity))
            write_table(folder / COPIES, _table(names, copies))
            write_json(folder / SUMMARY, _summary(project, names, copies))


def _everything(project: Project, names: Sequence[str]) -> Iterator[tuple[str, Sequence[Example]]]:
    """Targets first, then the datasets in the order of registration."""
    for target in each_target(project):
        yield f"{_TARGET}{target}", tables.read(project.open("target_sets", target) / _VALUE)
    for name in names:
        yield name, _examples(project, name)


def _examples(project: Project, dataset: str) -> list[Example]:
    return tables.read(project.open(AUXILIARY_DATASETS.noun, dataset) / _EXAMPLES)


def _table(names: Sequence[str], copies: Mapping[str, Sequence[NearCopy]]) -> pd.DataFrame:
    rows = [
        (name, copy.row, copy.of, copy.of_row, copy.similarity)
        for name in names
        for copy in copies.get(name, ())
    ]
    columns = ["dataset", "row", "of", "of_row", "similarity"]
    table = pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[:4], str))
    return table.astype({"similarity": float})


def _summary(
    project: Project, names: Sequence[str], copies: Mapping[str, Sequence[NearCopy]]
) -> dict[str, dict[str, object]]:
    """For each dataset how many rows it has, and how many of them each earlier one has."""
    return {
        name: {
            "rows": len(_examples(project, name)),
            "copied": len(copies.get(name, ())),
            "of": whose(copies.get(name, ())),
        }
        for name in names
    }


STEP = Step(
    noun="near_copies",
    needs=("auxiliary_datasets", "target_sets", "offers"),
    partitions="",
    keys=whole,
    recipe=_recipe,
    make=_make,
)
