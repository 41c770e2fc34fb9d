"""Templates: plain column names, nothing else; lists, choices and answers."""

from __future__ import annotations

import pytest

from appraise.errors import OfferError
from appraise.examples.templates import (
    RowTemplates,
    Template,
    answer_of,
    choices_of,
)
from appraise.params import Source


def prompt(text: str, **row: object) -> str:
    return Template(text, "prompt").render(row)


def completion(text: str, **row: object) -> str:
    return Template(text, "completion").render(row)


def test_columns_and_text() -> None:
    assert prompt("{passage}\n{question} {{a}}", passage=" P ", question="Q?\n") == "P\nQ? {a}"
    assert prompt("{a b-c}", **{"a b-c": 1.5}) == "1.5"
    assert prompt("x{none}y{nan}", none=None, nan=float("nan")) == "xy"
    assert prompt("{absent}") == ""
    assert completion("{flag}", flag=True) == "True"


def test_prefix_is_left_out_where_it_is() -> None:
    assert prompt("{q:-Question:}", q="Question:\nWhy?") == "Why?"
    assert prompt("{q:-Question:}", q="Why?") == "Why?"


@pytest.mark.parametrize(
    "value", [["one", "two"], "['one', 'two']", '["one", "two"]', [["one"], "two"], ("one",)]
)
def test_a_listed_answer_is_its_first(value: object) -> None:
    assert completion("{answer}", answer=value) == "one"


def test_lists_that_are_none() -> None:
    assert completion("{answer}", answer=[]) == ""
    assert completion("{answer}", answer="[1] see below ['") == "[1] see below ['"
    assert prompt("{options}", options=["A. x", "B. y"]) == "A. x\nB. y"
    assert prompt("{q}", q="['kept', 'as text']") == "['kept', 'as text']"


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert prompt("{q}", q="a\ud800b") == "a\ufffdb"


@pytest.mark.parametrize(
    "text",
    ["{a.b}", "{a[0]}", "{a!r}", "{a:>10}", "{}", "{0}", "{a", "a}", "{a.__class__.__mro__}", ""],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OfferError, match="prompt template"):
        Template(text, "prompt")


def test_unknown_column_lists_the_columns() -> None:
    templates = RowTemplates.of(Source(source="x", prompt="{q}", completion="{label}"))
    with pytest.raises(OfferError, match=r"expected a column label, found answer, q; name one"):
        templates.check({"q", "answer"})


def test_choices() -> None:
    assert choices_of("\nA. one\nB. two\n") == ("A. one", "B. two")
    assert choices_of("A. one\nmore\nB. two\nA. three") == ("A. one\nmore", "B. two\nA. three")
    assert choices_of("True\nFalse") == ("True", "False")
    assert choices_of("") == ()


def test_answers() -> None:
    choices = ("A. -5", "B. 5", "C. five!")
    assert answer_of("B. 5", choices) == 1
    assert answer_of("c. Five", choices) == 2
    assert answer_of("D. 6", choices) is None
    assert answer_of("-5", ("-5", "5")) == 0
    assert answer_of("5.", ("-5", "5")) is None, "two choices are alike when normalised"


def test_labels_of_answers_can_be_left_out() -> None:
    templates = RowTemplates(
        Template("{question}", "prompt"),
        Template("{answer:unlabelled}", "completion"),
        Template("{options:unlabelled}", "choices"),
    )
    row = {"question": "Where?", "answer": "B. at a\nbank", "options": "A. home\nB. at a\nbank"}
    example = templates.example(1, 1, row)
    assert example.completion == "at a\nbank"
    assert example.choices == ("home", "at a\nbank")
    assert example.answer == 1
