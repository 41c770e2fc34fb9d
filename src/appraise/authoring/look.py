"""A look at a source before it is written down: columns, first rows, and what its rows become."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from appraise.authoring.hub import commit
from appraise.authoring.new_project import named_from
from appraise.errors import OfferError
from appraise.examples.example import Example, NotUnderstood
from appraise.examples.layouts import looks_like_messages
from appraise.examples.proposals import propose
from appraise.examples.reading import SourceExamples, of_rows
from appraise.examples.rules import AnyRow, Limits, Rule, rules
from appraise.examples.sources import kind, read_rows, source_sha256
from appraise.examples.templates import RowTemplates
from appraise.examples.values import Number
from appraise.settings.data import AuxiliaryDatasetsParams, Source

LOOKED_AT = 1000  # rows, of a longer source the first
SAMPLED = 50  # rows that decide which templates are proposed
MAX_ROW_BYTES = AuxiliaryDatasetsParams().max_row_bytes
TEMPLATES = ("prompt", "completion", "choices", "rejected", "messages")


@dataclass(frozen=True)
class ColumnSeen:
    """A column of the source.

    Attributes:
        kinds: what its values are, most frequent first.
        first: the first value that is not empty.
    """

    name: str
    kinds: tuple[str, ...]
    first: Any


@dataclass(frozen=True)
class Look:
    """What was seen of a source.

    Attributes:
        source: as an offer or a component has it, with its hash and its templates.
        columns: in the order of the file.
        rows: how many were looked at.
        all_of_them: whether there are no more.
        examples: those that keep all rules.
        faults: what is wrong with other rows, and how many of them.
    """

    source: Source
    columns: tuple[ColumnSeen, ...]
    rows: int
    all_of_them: bool
    examples: tuple[Example, ...]
    faults: Mapping[str, int] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, JsonValue]:
        """The fields of an offer or of a component, as they are written."""
        stated = self.source.model_dump(exclude_unset=True)
        return {name: value for name, value in stated.items() if value is not None}

    @property
    def templates(self) -> dict[str, str]:
        """Those among them that are templates."""
        return _templates(self.source)


def look(
    name: str,
    root: Path,
    given: Mapping[str, str | None],
    group: str | None = None,
) -> Look:
    """Look at a source.

    Args:
        name: a file or folder from the current folder, or whatever else a source may be.
        root: the project's folder.
        given: fields of the source that are known; those of the templates replace proposals.
        group: template of what no two splits may share.

    Raises:
        OfferError: it cannot be read, has no rows, or no template can be proposed.
    """
    known = {key: value for key, value in given.items() if value is not None}
    source = Source(source=source_name(name, root), **known)  # type: ignore[arg-type]
    source = source.model_copy(update=_pin(source, root))
    rows = list(itertools.islice(read_rows(source, root, MAX_ROW_BYTES), LOOKED_AT + 1))
    some = rows[:LOOKED_AT]
    readable = [row.columns for row in some if row.columns]
    if not readable:
        first = [f"; row {row.number}: {row.unreadable or f'{row.size} bytes'}" for row in some[:1]]
        why = "".join(first)
        raise OfferError(f"{name}: expected rows, found none that can be read{why}")
    source = source.model_copy(update=_proposed(name, readable, known))
    dataset = of_rows(name, RowTemplates.of(source, group), some)
    examples, faults = _faults(dataset)
    if not examples:
        found = ", ".join(f"{count} {fault}" for fault, count in faults.items())
        asked = ", ".join(map(repr, _templates(source).values()))
        raise OfferError(
            f"{name}: expected rows that make examples with the templates {asked}, found none "
            f"({found}); give others"
        )
    columns = tuple(_seen(readable))
    return Look(source, columns, len(some), len(rows) == len(some), examples, faults)


def _proposed(
    name: str, rows: Sequence[Mapping[str, Any]], known: Mapping[str, str]
) -> Mapping[str, str]:
    """The templates that suit the rows, with those that are known in place of proposals."""
    if "messages" in known or {"prompt", "completion"} <= known.keys():
        return known
    try:
        return {**propose(rows[:SAMPLED]), **known}
    except OfferError as error:
        raise OfferError(f"{name}: {error}") from None


def _templates(source: Source) -> dict[str, str]:
    return {
        name: value
        for name in TEMPLATES
        if name in source.model_fields_set and (value := getattr(source, name)) is not None
    }


def _pin(source: Source, root: Path) -> dict[str, str | None]:
    """What pins a source to its content of today."""
    if kind(source.source, root) != "hub":
        return {"sha256": source_sha256(source.source, root)}
    return {"revision": source.revision or commit(source.source)}


def source_name(name: str, root: Path) -> str:
    """How a project names a source that is named from the current folder."""
    outer, joined, last = name.rpartition("::")
    path = Path(last)
    if "://" not in last and path.exists():
        return f"{outer}{joined}{named_from(root, path)}"
    return name


def _seen(rows: Sequence[Mapping[str, Any]]) -> Iterator[ColumnSeen]:
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if row.get(name) not in (None, "")]
        kinds = Counter(_kind(value) for value in values[:SAMPLED])
        yield ColumnSeen(
            name, tuple(each for each, _ in kinds.most_common()), values[0] if values else None
        )


def _kind(value: Any) -> str:
    if looks_like_messages(value):
        return "messages"
    named = {bool: "true or false", int: "number", float: "number", Number: "number", str: "text"}
    kinds = named | {list: "list", dict: "object", bytes: "bytes"}
    return kinds.get(type(value), type(value).__name__)


def _faults(dataset: SourceExamples) -> tuple[tuple[Example, ...], dict[str, int]]:
    """The examples that keep all rules, and of the others what is wrong, most frequent first."""
    dataset.check_columns()
    templates = dataset.templates
    checked = rules(
        templates.columns,
        Limits(MAX_ROW_BYTES, max_tokens=0, min_rows=0),
        choices=templates.choices is not None,
        pairs=templates.rejected is not None,
    )
    single = [rule for rule in checked if isinstance(rule, Rule) and rule.column != "tokens"]
    examples, faults = [], Counter[str]()
    rows: tuple[AnyRow, ...] = (
        *dataset.examples,
        *dataset.unreadable,
        *dataset.not_understood,
    )
    for row in rows:
        broken = next((rule for rule in single if not rule.holds(row)), None)
        if broken is not None:
            why = row.reason if isinstance(row, NotUnderstood) else broken.sentence
            faults[f"{broken.column.replace('_', ' ')}: {why}"] += 1
        elif isinstance(row, Example):
            examples.append(row)
    return tuple(examples), dict(faults.most_common())


def identity(name: str) -> str:
    """An id made of a file's name: lower case letters, digits and underscores."""
    stem = re.sub(
        r"(\.(jsonl?|ndjson|csv|tsv|parquet|arrow|gz|zst|bz2|xz))+$",
        "",
        Path(name.split("::")[0]).name,
    )
    return re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")[:63].strip("_")
