"""The rows of a source as examples, through its templates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appraise.errors import OfferError
from appraise.examples.columns import names_of
from appraise.examples.example import Example, NotUnderstood, Unreadable
from appraise.examples.sources import Row, read_rows
from appraise.examples.templates import RowTemplates
from appraise.examples.values import Refusal
from appraise.settings.data import Source

LISTED = 200  # rows that are looked through for the names of all that is in their objects


@dataclass(frozen=True)
class SourceExamples:
    """What was read from a source, in its order.

    Attributes:
        source: as the offer or the target's component names it.
        templates: by which its rows became examples.
        examples: the rows that could be read and that `where` keeps.
        unreadable: the rows that could not be read.
        columns: the columns that they had; of those within objects the ones that templates name,
            and all of the first rows.
        not_understood: the rows whose values make no example.
    """

    source: str
    templates: RowTemplates
    examples: tuple[Example, ...]
    unreadable: tuple[Unreadable, ...]
    columns: frozenset[str]
    not_understood: tuple[NotUnderstood, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there were, read or not."""
        return len(self.examples) + len(self.unreadable) + len(self.not_understood)

    @property
    def named_rows(self) -> str:
        """`; row 3: …`: the first row that makes no example, and the first that is too large."""
        first = [f"row {row.row}: {row.reason}" for row in self.not_understood[:1]]
        large = [row for row in self.unreadable if row.reason is None]
        first += [f"row {row.row} has {row.size} bytes" for row in large[:1]]
        return "".join(f"; {one}" for one in first)

    def why(self, row: int) -> str:
        """Why a row could not be read."""
        return next(lost.reason for lost in self.unreadable if lost.row == row and lost.reason)

    def check_columns(self) -> None:
        """Check that the templates' columns exist; OfferError lists those that do."""
        if self.columns:  # none at all: no row could be read, which is another matter
            self.templates.check(self.columns)


def read_examples(
    source: Source,
    root: Path,
    max_row_bytes: int,
    *,
    group: str | None = None,
    seed: int = 0,
    pairs: bool = False,
) -> SourceExamples:
    """The rows of a source, those that its `where` keeps, through its templates.

    Args:
        group: template of what no two splits may share.
        seed: by which a wrong one of the choices is drawn.
        pairs: whether each row must have a worse answer too.

    Raises:
        SourceError: see `read_rows`.
        OfferError: no rows, no pairs where they are needed, or something that is not a template.
    """
    templates = RowTemplates.of(source, group, seed)
    check_pairs(source, templates, pairs)
    return of_rows(source.source, templates, read_rows(source, root, max_row_bytes))


def of_rows(name: str, templates: RowTemplates, rows: Iterable[Row]) -> SourceExamples:
    """Rows, those that `where` keeps, through templates.

    Args:
        name: of their source, for messages.

    Raises:
        OfferError: there are none, or none with the columns that the templates name.
    """
    examples: list[Example] = []
    unreadable: list[Unreadable] = []
    not_understood: list[NotUnderstood] = []
    columns: set[str] = set()
    for place, row in enumerate(rows):
        columns.update(names_of(row.columns) if place < LISTED else row.columns)
        columns.update(templates.found(row.columns))
        if row.unreadable is not None or row.too_large:
            unreadable.append(Unreadable(row.number, row.size, row.unreadable))
            continue
        try:
            if templates.keeps(row.columns):
                examples.append(templates.example(row.number, row.size, row.columns))
        except Refusal as error:
            not_understood.append(NotUnderstood(row.number, row.size, str(error)))
    if not examples and not unreadable and not not_understood:
        if columns:
            templates.check(columns)
        wanted = "rows in which each `where` is found" if columns else "rows"
        raise OfferError(f"{name}: expected {wanted}, found none")
    return SourceExamples(
        name,
        templates,
        tuple(examples),
        tuple(unreadable),
        frozenset(columns),
        tuple(not_understood),
    )


def check_pairs(source: Source, templates: RowTemplates, pairs: bool) -> None:
    """Check that a source gives a worse answer for each row, if there must be one.

    Raises:
        OfferError: it gives none.
    """
    if pairs and not templates.gives_pairs:
        raise OfferError(
            f"{source.source}: expected pairs of a better and a worse answer, which "
            "gradient_sketches.objective compares, found neither `rejected` nor `choices`; add the "
            "template of the worse answer, or of choices of which a wrong one is drawn"
        )
