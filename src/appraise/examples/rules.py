"""The rules that rows must keep, each written once.

A rule is said twice in one place: as a predicate in Python, and as the expectation of Great
Expectations that means the same. `validation` builds its suite from here, and whoever has the
examples at hand asks the predicates; a test compares the verdicts of both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from appraise.examples.choices import is_pair
from appraise.examples.conversations import text_of
from appraise.examples.example import Example, NotUnderstood, Unreadable

FATAL = ("unreadable",)  # the file is not what it claims to be
INVALID = (  # the provider's fault
    "too_large", "not_understood", "empty", "encoding", "answer_not_in_choices", "no_preference",
)  # fmt: skip
REASONS = (*FATAL, *INVALID, "too_long")  # the first of several counts
SOURCE = "source."  # before the name of a source's own column

Value = str | int | None
AnyRow = Example | Unreadable | NotUnderstood
Column = Literal[
    "prompt", "completion", "choices", "rejected", "answer", "tokens", "size", "unreadable",
    "not_understood",
]  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a row may be, and whether it must have a worse answer too."""

    max_row_bytes: int
    max_tokens: int
    min_rows: int
    pairs: bool = False


@dataclass(frozen=True)
class Table:
    """Rows that are checked together.

    Attributes:
        rows: as they were read from a source, or as an artifact has them.
        tokens: of each row's prompt and completion; of a pair of the longer answer.
        columns: the columns that the source's rows have.
    """

    rows: Sequence[AnyRow]
    tokens: Sequence[int] = ()
    columns: frozenset[str] = frozenset()


_COMPARED: tuple[Column, ...] = ("prompt", "completion", "choices")
_EXAMPLE: dict[Column, Callable[[Example], Value]] = {
    "prompt": lambda example: text_of(example.prompt),
    "completion": lambda example: example.completion,
    "choices": lambda example: "\n".join(sorted(example.choices)) if example.choices else None,
    "rejected": lambda example: example.rejected if is_pair(example) else None,
    "answer": lambda example: example.answer,
    "size": lambda example: example.source.size,
}


def value(column: Column, row: AnyRow, tokens: int = 0) -> Value:
    """What a row has in a column; None for nothing, as for the texts of an unreadable row."""
    if column == "tokens":
        return tokens
    if isinstance(row, Example):
        return _EXAMPLE[column](row) if column in _EXAMPLE else None
    why: Column = "unreadable" if isinstance(row, Unreadable) else "not_understood"
    return row.size if column == "size" else row.reason if column == why else None


@dataclass(frozen=True)
class Condition:
    """What a value must be.

    Attributes:
        holds: of a value; where there is none, only `present` does not hold.
        expectation: Great Expectations' class that says the same.
        arguments: of the expectation, beside the column.
    """

    holds: Callable[[Value], bool]
    expectation: str
    arguments: Mapping[str, object] = field(default_factory=dict)


def present() -> Condition:
    """There is a value."""
    return Condition(lambda value: value is not None, "ExpectColumnValuesToNotBeNull")


def absent() -> Condition:
    """There is no value."""
    return Condition(lambda value: value is None, "ExpectColumnValuesToBeNull")


def at_most(limit: int) -> Condition:
    """The number is not above the limit."""
    return Condition(
        lambda value: value is None or int(value) <= limit,
        "ExpectColumnValuesToBeBetween",
        {"max_value": limit},
    )


def matching(pattern: str) -> Condition:
    """The regular expression is found in the text."""
    return Condition(
        lambda value: value is None or re.search(pattern, str(value)) is not None,
        "ExpectColumnValuesToMatchRegex",
        {"regex": pattern},
    )


def free_of(pattern: str) -> Condition:
    """The regular expression is not found in the text."""
    return Condition(
        lambda value: value is None or re.search(pattern, str(value)) is None,
        "ExpectColumnValuesToNotMatchRegex",
        {"regex": pattern},
    )


@dataclass(frozen=True)
class Rule:
    """A rule of a row.

    Attributes:
        column: whose value it is about.
        reason: why a row that breaks it is dropped, one of `REASONS`.
        sentence: what is wrong with such a row, for a person.
        condition: what the value must be.
    """

    column: Column
    reason: str
    sentence: str
    condition: Condition

    def holds(self, row: AnyRow, tokens: int = 0) -> bool:
        """Whether a row, with so many tokens, keeps the rule."""
        return self.condition.holds(value(self.column, row, tokens))


@dataclass(frozen=True)
class TableRule:
    """A rule of all rows together; no row is dropped for it.

    Attributes:
        column: what it is about, for a person; "" for the whole table.
        sentence: what is wrong, for a person.
        faults: how many rows break it, are missing or (for a column) lack it altogether.
        expectation: Great Expectations' class that says the same.
        arguments: of the expectation.
    """

    column: str
    sentence: str
    faults: Callable[[Table], int]
    expectation: str
    arguments: Mapping[str, object]


def text(column: Column) -> Rule:
    """There is more than white space."""
    return Rule(column, "empty", "no text", matching(r"\S"))


def encoding(column: Column) -> Rule:
    """No character was lost when the text was decoded."""
    return Rule(column, "encoding", "U+FFFD or NUL in the text", free_of("[\x00\ufffd]"))


def column_there(name: str) -> TableRule:
    """The source has a column."""
    return TableRule(
        name,
        "no such column",
        lambda table: 0 if name in table.columns else len(table.rows),
        "ExpectColumnToExist",
        {"column": SOURCE + name},
    )


def enough(least: int) -> TableRule:
    """There are so many rows."""
    return TableRule(
        "",
        f"at least {least} rows",
        lambda table: max(0, least - len(table.rows)),
        "ExpectTableRowCountToBeBetween",
        {"min_value": least},
    )


def each_once() -> TableRule:
    """No two rows have the same prompt, completion and choices, letter by letter."""
    return TableRule(
        ", ".join(_COMPARED),
        "occurs more than once",
        lambda table: len(
            repeated([_texts(row) for row in table.rows if isinstance(row, Example)])
        ),
        "ExpectCompoundColumnsToBeUnique",
        {"column_list": list(_COMPARED)},
    )


def _examples(table: Table) -> list[Example]:
    return [row for row in table.rows if isinstance(row, Example)]


def _texts(example: Example) -> tuple[Value, ...]:
    # up to a NUL, where a text ends for pandas and so for Great Expectations
    texts = (value(column, example) for column in _COMPARED)
    return tuple(text.split("\x00")[0] if isinstance(text, str) else text for text in texts)


def repeated(keys: Sequence[Hashable]) -> list[int]:
    """The places of what occurs more than once."""
    counts = Counter(keys)
    return [place for place, key in enumerate(keys) if counts[key] > 1]


def rules(
    columns: Sequence[str], limits: Limits, *, choices: bool, pairs: bool
) -> tuple[Rule | TableRule, ...]:
    """All rules of a source, in the order in which they are reported.

    Args:
        columns: that its templates name.
        choices: whether it gives choices.
        pairs: whether it gives a worse answer; with `limits.pairs` each row must have one.
    """
    size, tokens = limits.max_row_bytes, limits.max_tokens
    listed: list[Rule | TableRule] = [
        *map(column_there, columns),
        enough(limits.min_rows),
        Rule("unreadable", "unreadable", "not UTF-8 or not a JSON object", absent()),
        Rule("not_understood", "not_understood", "values that make no example", absent()),
        Rule("size", "too_large", f"at most {size} bytes", at_most(size)),
        *(text("prompt"), encoding("prompt"), text("completion"), encoding("completion")),
    ]
    if choices:
        sentence = "the completion is not one of the choices"
        listed.append(Rule("answer", "answer_not_in_choices", sentence, present()))
    if pairs or limits.pairs:
        sentence = "no worse answer, or the same as the completion"
        listed.append(Rule("rejected", "no_preference", sentence, present()))
        listed.append(encoding("rejected"))
    listed.append(Rule("tokens", "too_long", f"at most {tokens} tokens", at_most(tokens)))
    return (*listed, each_once())


def faults(examples: Sequence[Example], least: int) -> dict[str, int]:
    """What is wrong with the examples that were kept, and how often; {} when nothing is.

    Args:
        least: how many of them there must be.
    """
    counts = {"too few examples": enough(least).faults(Table(examples))}
    for rule in (text("prompt"), encoding("prompt"), text("completion"), encoding("completion")):
        broken = sum(not rule.holds(example) for example in examples)
        counts[f"{rule.reason} {rule.column}"] = broken
    counts["repeated"] = len(repeated([example.id for example in examples]))
    return {fault: count for fault, count in counts.items() if count}
