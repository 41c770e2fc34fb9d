"""What is kept of a dataset once it is known which of its rows are valid."""

from __future__ import annotations

import itertools

from as_read import as_read, talk  # type: ignore[import-not-found]

from appraise.examples.auxiliary import Known, Prepared, prepare, without_overlap
from appraise.examples.counts import Lengths
from appraise.examples.example import Example, Unreadable
from appraise.examples.overlap import Marks
from appraise.examples.reading import SourceExamples
from appraise.examples.templates import RowTemplates
from appraise.examples.verdicts import Validation
from appraise.settings.data import AuxiliaryDatasetsParams, Source

PARAMS = AuxiliaryDatasetsParams(min_examples=3, max_examples=5, max_row_bytes=100)
KNOWN = {
    name: Marks(as_read(row, f"what is it about number {row}", "y") for row in rows).all
    for name, rows in {"desk": (1, 2), "shop": (2,)}.items()
}


def asked(row: int, size: int = 10) -> Example:
    made: Example = as_read(row, f"what is it about number {row}", "x", size=size)
    return made


def prepared(
    examples: list[Example],
    reasons: dict[int, str],
    *unreadable: Unreadable,
    known: Known = KNOWN,
) -> Prepared:
    templates = RowTemplates.of(Source(source="x"))
    columns = frozenset({"prompt", "completion"})
    dataset = SourceExamples("x.jsonl", templates, tuple(examples), unreadable, columns)
    tokens = [example.source.row for example in examples]
    return prepare(dataset, tokens, Validation((), reasons), known, PARAMS)


def test_invalid_repeated_and_known_rows_are_dropped() -> None:
    twice = as_read(21, "what is it\nabout  number 20", "x")
    made = prepared([*map(asked, range(1, 21)), twice], {4: "too_long"})
    assert made.reason is None
    assert len(made.kept) == 5
    counts = made.counts
    assert (counts.rows, counts.usable, counts.kept) == (21, 17, 5)
    assert counts.dropped == {"too_long": 1, "duplicate": 1}
    assert counts.overlap == counts.overlap_questions == {"desk": 2, "shop": 1}
    rows = [example.source.row for example in made.kept]
    assert {1, 2, 4}.isdisjoint(rows)
    assert counts.tokens == Lengths.of(rows), "of what is kept"


def test_rows_that_differ_in_operators_or_brackets_alone_are_all_kept() -> None:
    texts = ["{} * {}", "{} / {}", "({} - {})", "{} and ({} or b)", "({} and {}) or b", "{} < {}"]
    rows = [
        as_read(number, f"Work out what {text.format(a, a + 1)} is.", "x")
        for number, (text, a) in enumerate(itertools.product(texts, range(3)), start=1)
    ]
    target, offered = rows[::2], rows[1::2]
    made = prepared(offered, {}, known={"desk": Marks(target).all})
    assert (made.counts.usable, made.counts.dropped["duplicate"]) == (len(offered), 0)
    assert prepared(target, {}, known={"desk": Marks(target).all}).counts.usable == 0


def test_rows_with_one_prompt_are_told_apart_by_their_options() -> None:
    sentences = [(f"Please open door {n}.", f"Open door {n}, now.") for n in range(12)]
    rows = [
        as_read(number, "Which of these two sentences is polite?", "AB"[number % 2], choices=pair)
        for number, pair in enumerate(sentences, start=1)
    ]
    made = prepared(rows, {}, known={"desk": Marks(rows[:4]).all})
    assert (made.counts.usable, made.counts.overlap) == (8, {"desk": 4})
    assert made.counts.dropped["duplicate"] == 0


def test_a_question_is_recognised_in_a_conversation() -> None:
    leak = as_read(1, talk(("system", "Be kind."), ("user", "What is it about number 2?")), "x")
    usable, overlap = without_overlap([leak, asked(7)], Marks([leak, asked(7)]), KNOWN)
    assert [example.source.row for example in usable] == [7]
    assert overlap == {"desk": 1, "shop": 1}


def test_why_a_dataset_is_set_aside() -> None:
    good = [asked(row) for row in range(5, 25)]
    for made, expected in (
        (
            prepared(good, {30: "unreadable"}, Unreadable(30, 4, "not JSON")),
            "row 30: expected a",
        ),
        (
            prepared(good[:3], {30: "too_large"}, Unreadable(30, 101, None)),
            "at most 5% invalid rows, found 1 of 4 (1 too_large; row 30 has 101 bytes); correct",
        ),
        (
            prepared(good, {5: "empty", 6: "encoding"}),
            "at most 5% invalid rows, found 2 of 20 (",
        ),
        (
            prepared([asked(1), asked(2), *good[:2]], {}),
            "at least 3 examples, found 2 usable of 4 rows (dropped: 2 overlap with desk, 1 overl",
        ),
    ):
        assert made.reason is not None
        assert expected in made.reason
        assert made.reason.startswith("x.jsonl: ")
        assert (made.kept, made.counts.kept) == ((), 0)


def test_lengths() -> None:
    assert Lengths.of([]) == Lengths(0.0, 0, 0)
    assert Lengths.of(list(range(100, 0, -1))) == Lengths(50.5, 95, 100)
