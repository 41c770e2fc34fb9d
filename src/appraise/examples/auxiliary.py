"""What is kept of an offered dataset: what is valid, each once, and unknown to every target."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appraise.errors import OfferError
from appraise.examples.counts import DatasetCounts, Lengths
from appraise.examples.example import Example
from appraise.examples.overlap import Marks
from appraise.examples.reading import SourceExamples
from appraise.examples.rules import INVALID
from appraise.examples.splits import seeded_order, without_duplicates
from appraise.examples.verdicts import Validation
from appraise.settings.data import AuxiliaryDatasetsParams

Known = Mapping[str, frozenset[str]]  # target → what its prompts are recognised by


@dataclass(frozen=True)
class Prepared:
    """A dataset after everything that may happen to it.

    Attributes:
        kept: the examples; empty when `reason` says why the dataset is set aside.
    """

    counts: DatasetCounts
    kept: tuple[Example, ...]
    reason: str | None = None


def prepare(
    dataset: SourceExamples,
    tokens: Sequence[int],
    validation: Validation,
    known: Known,
    params: AuxiliaryDatasetsParams,
) -> Prepared:
    """Drop what broke a rule, duplicates and what a target has; keep at most `max_examples`.

    Args:
        tokens: of each of the dataset's examples.
        known: what each target's prompts are recognised by.
    """
    valid = validation.valid(dataset.examples)
    unique = without_duplicates(valid)
    marks = Marks(dataset.examples)
    usable, overlap = without_overlap(unique, marks, known)
    kept = seeded_order(usable, params.seed)[: params.max_examples]
    lengths = {
        example.source.row: count for example, count in zip(dataset.examples, tokens, strict=True)
    }
    counts = DatasetCounts(
        rows=dataset.rows,
        usable=len(usable),
        kept=len(kept),
        dropped={**validation.counts(), "duplicate": len(valid) - len(unique)},
        overlap=overlap,
        overlap_questions=_questions_shared(dataset.examples, marks, known),
        tokens=Lengths.of([lengths[example.source.row] for example in kept]),
    )
    reason = _reason(dataset, validation, counts, params)
    if reason is None:
        return Prepared(counts, tuple(kept))
    return Prepared(dataclasses.replace(counts, kept=0), (), reason)


def without_overlap(
    examples: Iterable[Example], marks: Marks, known: Known
) -> tuple[list[Example], dict[str, int]]:
    """The examples that no target has, and how many each target has."""
    overlap = dict.fromkeys(known, 0)
    usable = []
    for example in examples:
        own = marks.of(example)
        shared = [target for target, marked in known.items() if not marked.isdisjoint(own)]
        for target in shared:
            overlap[target] += 1
        if not shared:
            usable.append(example)
    return usable, overlap


def _questions_shared(examples: Iterable[Example], marks: Marks, known: Known) -> dict[str, int]:
    asked = {own[0]: own for own in (marks.of(example) for example in examples if example.prompt)}
    return {
        target: sum(not marked.isdisjoint(own) for own in asked.values())
        for target, marked in known.items()
    }


def _reason(
    dataset: SourceExamples,
    validation: Validation,
    counts: DatasetCounts,
    params: AuxiliaryDatasetsParams,
) -> str | None:
    """Why the dataset is set aside, or None."""
    fatal = validation.first_fatal()
    if fatal is not None:
        return (
            f"{dataset.source}: row {fatal}: expected a row that can be read, found "
            f"{dataset.why(fatal)}; ask the provider for a "
            "repaired version"
        )
    try:
        dataset.check_columns()
    except OfferError as error:
        return str(error)
    by_reason = validation.counts()
    invalid = {reason: by_reason[reason] for reason in INVALID if reason in by_reason}
    if sum(invalid.values()) > params.max_invalid_share * counts.rows:
        return (
            f"{dataset.source}: expected at most {params.max_invalid_share:.0%} invalid rows, "
            f"found {sum(invalid.values())} of {counts.rows} ({_listed(invalid)}"
            f"{dataset.named_rows}); correct the templates, ask the provider for a "
            "repaired version, or raise auxiliary_datasets.max_invalid_share"
        )
    if counts.usable < params.min_examples:
        overlap = {f"overlap with {target}": rows for target, rows in counts.overlap.items()}
        return (
            f"{dataset.source}: expected at least {params.min_examples} examples, found "
            f"{counts.usable} usable of {counts.rows} rows "
            f"(dropped: {_listed({**counts.dropped, **overlap})}{dataset.named_rows})"
        )
    return None


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{rows} {reason}" for reason, rows in counts.items() if rows) or "none"
