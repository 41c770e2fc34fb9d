"""The rules: predicates and Great Expectations give the same verdict on every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from as_read import as_read, talk  # type: ignore[import-not-found]
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from appraise.examples.example import Example, Unreadable
from appraise.examples.reading import SourceExamples
from appraise.examples.rules import (
    INVALID,
    REASONS,
    Limits,
    Rule,
    Table,
    TableRule,
    faults,
    repeated,
    rules,
)
from appraise.examples.templates import RowTemplates
from appraise.settings.data import Source

LIMITS = Limits(max_row_bytes=20, max_tokens=9, min_rows=3)
PAIRS = Limits(max_row_bytes=20, max_tokens=9, min_rows=3, pairs=True)
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "\n\t", "\u00a0", "\x1c", "\u200b", "\x00", "\ufffd", " \x00 ", "a\ufffdb", "nan",
         "None", "0", "yes", "Yes!", "no", "<NA>", "x" * 5000]
    ),
    st.text(max_size=6),
)  # fmt: skip
RAW = st.one_of(  # as a column may have it: with surrogates, or nothing
    st.none(), TEXTS, st.text(st.characters(codec=None), max_size=3), st.just("a\ud800b")
)
PROMPTS = st.one_of(
    TEXTS,
    st.lists(st.tuples(st.sampled_from(["user", "assistant"]), TEXTS), min_size=1, max_size=2).map(
        lambda turns: talk(*turns)
    ),
)
ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries(dict.fromkeys(("prompt", "completion", "o", "r"), RAW)),
        st.tuples(
            PROMPTS,
            TEXTS,
            st.none() | TEXTS,  # rejected
            st.none() | st.integers(0, 3),  # answer
            st.integers(0, 40),  # size
            st.integers(0, 18),  # tokens
        ),
        st.tuples(st.integers(0, 40), st.sampled_from(["not UTF-8: byte 0xff at 1", "not JSON"])),
    ),
    min_size=1,
    max_size=8,
)


def table(rows: Sequence[Any], source: Source) -> tuple[SourceExamples, list[int]]:
    """What was read of these rows, and the tokens of the examples."""
    examples: list[Example] = []
    unreadable: list[Unreadable] = []
    tokens = []
    templates = RowTemplates.of(source)
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            examples.append(templates.example(number, len(row["prompt"] or ""), row))
            tokens.append(number)
        elif len(row) == 2:
            unreadable.append(Unreadable(number, *row))
        else:
            prompt, completion, rejected, answer, size, length = row
            examples.append(
                as_read(
                    number, prompt, completion, size=size, rejected=rejected, answer=answer
                )
            )  # fmt: skip
            tokens.append(length)
    columns = frozenset({"prompt", "completion"})
    return SourceExamples("x", templates, tuple(examples), tuple(unreadable), columns), tokens


def by_predicates(
    listed: Sequence[Rule | TableRule], dataset: SourceExamples, tokens: Sequence[int]
) -> tuple[list[bool], list[int], dict[int, str]]:
    """Of each rule whether it holds, how many rows break it; why each row is dropped."""
    lengths = dict(zip((row.source.row for row in dataset.examples), tokens, strict=True))
    rows: list[tuple[int, Example | Unreadable]] = [
        *((row.source.row, row) for row in dataset.examples),
        *((row.row, row) for row in dataset.unreadable),
    ]
    everything = Table([row for _, row in rows], columns=dataset.columns)
    holds, broken, reasons = [], [], {}
    for rule in listed:
        if isinstance(rule, TableRule):
            count = rule.faults(everything)
            broken.append(count if rule.expectation == "ExpectCompoundColumnsToBeUnique" else 0)
        else:
            bad = [number for number, row in rows if not rule.holds(row, lengths.get(number, 0))]
            count = len(bad)
            broken.append(count)
            for number in bad:
                known = reasons.get(number, rule.reason)
                reasons[number] = min(known, rule.reason, key=REASONS.index)
        holds.append(count == 0)
    return holds, broken, dict(sorted(reasons.items()))


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a table takes a fifth of a second
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    ROWS,
    st.sampled_from(
        [
            Source(source="x"),
            Source(source="x", choices="{o}"),
            Source(source="x", rejected="{r}"),
            Source(source="x", completion="{elsewhere}"),
        ]
    ),
    st.sampled_from([LIMITS, PAIRS]),
)
@example(
    [
        ("a", "b", "b!", 0, 20, 9),
        ("a", "b", None, None, 21, 10),
        (" ", "\x00", "\ufffd", 1, 0, 0),
        (5, "not JSON"),
        (50, "a row of 50 bytes, above the limit of 20"),
    ],
    Source(source="x", choices="{o}", rejected="{r}"),
    PAIRS,
)
@example(  # all the same to pandas, which ends a text at a NUL
    [("\x00", "", None, None, 1, 1), ("\x00", "\x00", None, None, 1, 1), (1, "not JSON"),
     ("\x00a", "\x00b", None, None, 1, 1), ("a", "\x00b", None, None, 1, 1)],
    Source(source="x"),
    LIMITS,
)  # fmt: skip
def test_predicates_and_great_expectations_say_the_same(
    rows: list[Any], source: Source, limits: Limits
) -> None:
    from appraise.examples.validation import validate

    dataset, tokens = table(rows, source)
    templates = dataset.templates
    listed = rules(
        templates.columns,
        limits,
        choices=templates.choices is not None,
        pairs=templates.rejected is not None,
    )
    holds, broken, reasons = by_predicates(listed, dataset, tokens)
    validation = validate("some", dataset, tokens, limits)
    assert [check.success for check in validation.checks] == holds
    assert [check.unexpected_count for check in validation.checks] == broken
    assert validation.reasons == reasons
    assert [check.column for check in validation.checks] == [rule.column for rule in listed]


def test_a_row_breaks_the_rule_that_is_about_it() -> None:
    listed = [one for one in rules((), PAIRS, choices=True, pairs=True) if isinstance(one, Rule)]

    def broken(row: Example | Unreadable, tokens: int = 0) -> set[tuple[str, str]]:
        return {(rule.reason, rule.column) for rule in listed if not rule.holds(row, tokens)}

    good = as_read(1, "Why?", "So.", rejected="No.", answer=0)
    assert broken(good) == set()
    assert broken(good, 10) == {("too_long", "tokens")}
    assert broken(as_read(1, " ", "So.", rejected=" So. ", size=30)) == {
        ("empty", "prompt"),
        ("answer_not_in_choices", "answer"),
        ("no_preference", "rejected"),
        ("too_large", "size"),
    }
    assert broken(as_read(1, "\x00", "a\ufffd", rejected="\x00", answer=0)) == {
        ("encoding", column) for column in ("prompt", "completion", "rejected")
    }
    assert broken(Unreadable(1, 5, "not JSON")) == {
        ("unreadable", "unreadable"),
        ("answer_not_in_choices", "answer"),
        ("no_preference", "rejected"),
    }


def test_every_reason_belongs_to_a_rule() -> None:
    listed = rules(("q",), PAIRS, choices=True, pairs=True)
    assert {rule.reason for rule in listed if isinstance(rule, Rule)} == set(REASONS)
    assert set(INVALID) < set(REASONS)
    assert all(rule.sentence for rule in listed)


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([as_read(i, f"Why {i}?", "So.") for i in range(3)], {}),
        ([as_read(1, "Why?", "So.")], {"too few examples": 2}),
        (
            [as_read(1, "Why?", "\n"), as_read(2, " ", "\x00"), as_read(3, "How?", "So.")],
            {"empty completion": 1, "empty prompt": 1, "encoding completion": 1},
        ),
        ([as_read(1, "Why?", "So."), as_read(2, "Why? ", "So.")] * 2, {"repeated": 4}),
    ],
)
def test_what_is_wrong_with_kept_examples(
    examples: list[Example], expected: dict[str, int]
) -> None:
    assert faults(examples, 3) == expected


def test_places_of_what_is_repeated() -> None:
    assert repeated(["a", "b", "a", "c", "a"]) == [0, 2, 4]
    assert repeated([]) == []
