"""Rows of an offer that are copies, or nearly, of rows offered before it or of a target's own.

Who was registered first keeps its rows; those who come later have them too and are not valued by
them: `gradient_sketches` leaves them out of the preview. Targets come before all, by the examples
of their value split, which is what a seller may have seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from appraise.examples.example import Example
from appraise.examples.near_copies import NearCopy, near_copies, whose
from appraise.project import Project
from appraise.project.reads import Fact, Given, Part, Reads, all_targets
from appraise.records.copies import Copied, CopiesSummary, CopiesTable
from appraise.records.offers import Offers
from appraise.records.tables import DatasetExamples, ValueSplit
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole

_TARGET = "target:"
_DATASETS, _TARGETS = "auxiliary_datasets", "target_sets"


def in_order(project: Project, _: str = "") -> list[str]:
    """The datasets that were not set aside when they came in, in the order of registration."""
    order = project.read(Offers, "offers").order
    return [key for key in order if project.set_aside(_DATASETS, key) is None]


def copied_rows(project: Project, dataset: str) -> list[str]:
    """Ids of the rows of a dataset that others had first, sorted."""
    folder = project.open("near_copies", files=[CopiesTable.FILE])
    content = project.content("near_copies", file=CopiesTable.FILE)
    return _copied(folder, content).get(dataset, [])


@lru_cache(maxsize=8)
def _copied(folder: Path, content: str) -> dict[str, list[str]]:  # noqa: ARG001 (content is a key)
    return CopiesTable.read(folder).by_dataset


def copied_of(project: Project, dataset: str) -> list[tuple[str, int]]:
    """Whose rows a dataset has, and how many; most first."""
    return project.read(CopiesSummary, "near_copies")[dataset].most_first()


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    for given in partitions:
        names, sizes = given.keys(_DATASETS), dict[str, int]()
        progress.count(len(names) + len(given.keys(_TARGETS)), "set")
        everything = _everything(given, sizes, progress)
        similarity = given.params.near_copies.similarity
        if similarity is None:
            copies: dict[str, list[NearCopy]] = {name: [] for name, _ in everything}
        else:
            copies = dict(near_copies(everything, similarity))
        yield Output(given.key, (_table(names, copies), _summary(sizes, names, copies)))


def _everything(
    given: Given, sizes: dict[str, int], progress: Progress
) -> Iterator[tuple[str, Sequence[Example]]]:
    """Targets first, then the datasets as they were registered; `sizes` is filled on the way."""
    for target in given.keys(_TARGETS):
        progress.step()
        yield f"{_TARGET}{target}", given.read(ValueSplit, _TARGETS, target).all()
    for name in given.keys(_DATASETS):
        progress.step()
        examples = given.read(DatasetExamples, _DATASETS, name).all()
        sizes[name] = len(examples)
        yield name, examples


def _table(names: Sequence[str], copies: Mapping[str, Sequence[NearCopy]]) -> CopiesTable:
    return CopiesTable.of_rows(
        [
            (name, copy.row, copy.of, copy.of_row, copy.similarity)
            for name in names
            for copy in copies[name]
        ]
    )


def _summary(
    sizes: Mapping[str, int], names: Sequence[str], copies: Mapping[str, Sequence[NearCopy]]
) -> CopiesSummary:
    """For each dataset how many rows it has, and how many of them each earlier one has."""
    return CopiesSummary(
        datasets={
            name: Copied(rows=sizes[name], copied=len(copies[name]), of=whose(copies[name]))
            for name in names
        }
    )


STEP = Step(
    noun="near_copies",
    partitions="",
    keys=whole,
    reads=Reads(
        settings=("near_copies",),
        parts=(
            Part(_DATASETS, (DatasetExamples,), in_order),
            Part(_TARGETS, (ValueSplit,), all_targets),
        ),
        facts=(Fact("order", in_order, nouns=("offers", _DATASETS), large=True),),
    ),
    writes=(CopiesTable, CopiesSummary),
    make=_make,
    version="2",  # 2: punctuation counts
)
