"""What was said of a source's rows: of each expectation, and of each row that is dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appraise.examples.example import Example
from appraise.examples.rules import FATAL, REASONS


@dataclass(frozen=True)
class FailedRow:
    """A row that does not meet an expectation.

    Attributes:
        row: line or row number in the source, from 1.
        column: which of its columns.
        value: what stands there, shortened.
        reason: what is wrong, for a person.
    """

    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True)
class CheckResult:
    """What Great Expectations said of one expectation.

    Attributes:
        expectation: its type.
        column: what it is about; "" for the whole table.
        success: whether it was met.
        unexpected_count: how many rows do not meet it.
        failed_rows: the first of them, at most 20.
    """

    expectation: str
    column: str
    success: bool
    unexpected_count: int
    failed_rows: tuple[FailedRow, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What Great Expectations said of a source.

    Attributes:
        checks: one for each expectation.
        reasons: row number → why it is dropped, one of `REASONS`; sorted by row.
        result: Great Expectations' own result, for Data Docs.
    """

    checks: tuple[CheckResult, ...]
    reasons: Mapping[int, str]
    result: object = None

    def valid(self, examples: Iterable[Example]) -> list[Example]:
        """The examples that are not dropped."""
        return [example for example in examples if example.source.row not in self.reasons]

    def counts(self) -> dict[str, int]:
        """Dropped rows by reason, for the reasons that occurred."""
        counts = Counter(self.reasons.values())
        return {reason: counts[reason] for reason in REASONS if counts[reason]}

    def first_fatal(self) -> int | None:
        """The first row that shows that the file is not what it claims to be, or None."""
        return next((row for row, reason in self.reasons.items() if reason in FATAL), None)
