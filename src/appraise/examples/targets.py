"""A target: its components' rows in disjoint splits, and what its prompts are recognised by."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from appraise.errors import OfferError
from appraise.examples.counts import ComponentCounts
from appraise.examples.overlap import Marks
from appraise.examples.reading import SourceExamples
from appraise.examples.splits import Splits, split_examples, without_duplicates
from appraise.examples.verdicts import Validation
from appraise.settings.data import Component, TargetParams

SPLITS = ("value", "train", "test")


@dataclass(frozen=True)
class TargetExamples:
    """A target, ready to be written.

    Attributes:
        splits: name of each split → its examples, component after component.
        components: what became of each component's rows.
        fingerprints: what all rows that could be read are recognised by, sorted.
    """

    splits: Splits
    components: tuple[ComponentCounts, ...]
    fingerprints: tuple[str, ...]


def split_target(
    name: str,
    target: TargetParams,
    parts: Iterable[tuple[Component, SourceExamples, Validation]],
) -> TargetExamples:
    """A target's splits; no two share a prompt, a question or a group, of whatever components.

    Args:
        name: of the target, for messages.
        parts: each component, its rows, and what was said of them; they may be read one by one.

    Raises:
        OfferError: a component has too few rows for the splits.
    """
    taken: dict[str, str] = {}
    components = []
    splits: Splits = {split: [] for split in SPLITS}
    recognised: set[str] = set()
    for component, dataset, validation in parts:
        marks = Marks(dataset.examples)
        recognised |= marks.all
        valid = validation.valid(dataset.examples)
        usable = without_duplicates(valid, by_prompt=True)
        own = split_examples(usable, marks, _sizes(target), target.seed, taken)
        counts = _counts(component, dataset, validation, len(valid) - len(usable), own)
        _check_sizes(place(name, component), target, counts, dataset.named_rows)
        components.append(counts)
        for split, examples in own.items():
            splits[split] += [
                dataclasses.replace(example, component=component.name) for example in examples
            ]
    return TargetExamples(splits, tuple(components), tuple(sorted(recognised)))


def place(target: str, component: Component) -> str:
    """A component as messages name it."""
    return f"target {target}, component {component.name}"


def check_readable(component: Component, dataset: SourceExamples, validation: Validation) -> None:
    """Check that every row of a component can be read.

    Raises:
        OfferError: one cannot.
    """
    fatal = validation.first_fatal()
    if fatal is not None:
        raise OfferError(
            f"{component.source}: row {fatal}: expected a row that can be read, found "
            f"{dataset.why(fatal)}"
        )


def _sizes(target: TargetParams) -> dict[str, int]:
    return {"value": target.value, "train": target.train, "test": target.test}


def _counts(
    component: Component,
    dataset: SourceExamples,
    validation: Validation,
    repeated: int,
    splits: Splits,
) -> ComponentCounts:
    dropped = validation.counts() | ({"duplicate": repeated} if repeated else {})
    return ComponentCounts(
        name=component.name,
        source=component.source,
        rows=dataset.rows,
        usable=dataset.rows - sum(dropped.values()),
        dropped=dropped,
        value=len(splits["value"]),
        train=len(splits["train"]),
        test=len(splits["test"]),
    )


def _check_sizes(name: str, target: TargetParams, counts: ComponentCounts, why: str) -> None:
    sizes = (target.value, target.train, target.test)
    if any(
        size < wanted
        for size, wanted in zip((counts.value, counts.train, counts.test), sizes, strict=True)
    ):
        dropped = ", ".join(f"{rows} {reason}" for reason, rows in counts.dropped.items())
        raise OfferError(
            f"{name}: expected {target.value} value, {target.train} train and {target.test} test "
            f"examples that share no question or group, found {counts.usable} usable of "
            f"{counts.rows} rows, enough for {counts.value} value, {counts.train} train and "
            f"{counts.test} test (dropped: {dropped or 'none'}{why}); lower the sizes in "
            "params.yaml or add rows"
        )
