"""Values as text: what the file says, or a refusal in words."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pytest

from appraise.examples.columns import names_of, value_at
from appraise.examples.values import Number, Refusal, described, list_of, text_of_value

MOMENT = datetime.datetime(2024, 5, 1, 9, 30, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" as\tit is \n", " as\tit is \n"),
        ("['France', 'UK']", "['France', 'UK']"),
        ("", ""),
        (None, ""),
        (float("nan"), ""),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (2**70, "1180591620717411303424"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e300, "1e+300"),
        (Number("1.0"), "1.0"),
        (Number("1e3"), "1e3"),
        (Number("-0"), "-0"),
        (Number("1" * 5000), "1" * 5000),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (datetime.date(2024, 5, 1), "2024-05-01"),
        (datetime.time(9, 30), "09:30:00"),
        (MOMENT, "2024-05-01T09:30:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("Größe".encode(), "Größe"),
    ],
)
def test_values(value: object, text: str) -> None:
    assert text_of_value(value) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("inf"), "expected a text, found inf"),
        (Number("NaN"), "expected a text or a number of JSON, found NaN"),
        (Number("-Infinity"), "found -Infinity"),
        (b"\xff\xfe", "expected bytes that are UTF-8, found 0xff at 0"),
        ({"text": ["a"], "start": [1]}, "found an object with text, start"),
        ({}, "found an object with nothing in it"),
        (["a", "b"], "found a list of 2"),
        ([{"a": 1}], r"found a list of 1 \(an object with a\)"),
        (datetime.timedelta(1), "found a value of the type timedelta"),
        (object(), "found a value of the type object"),
    ],
)
def test_what_is_no_text(value: object, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        text_of_value(value)


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        ([], []),
        (None, []),
        ("[]", []),
        ("['a', \"b\"]", ["a", "b"]),
        ('["a", 1.0, null]', ["a", "1.0", None]),
        ("[['a'], 'b']", [["a"], "b"]),
        ("a", ["a"]),
        ("[1] see below ['", ["[1] see below ['"]),
        ("[citation needed]", ["[citation needed]"]),
        ("['a', 'b'", ["['a', 'b'"]),
        ("[1 2]", ["[1 2]"]),
        ('{"a": 1}', ['{"a": 1}']),
        (7, [7]),
    ],
)
def test_elements(value: object, elements: list[object]) -> None:
    assert list_of(value) == elements


def test_a_list_as_numpy_prints_it_is_not_joined() -> None:
    with pytest.raises(Refusal, match=r"commas between its elements, found \"\['France' 'UK'\]\""):
        list_of("['France' 'UK']")


def test_what_is_described_is_short() -> None:
    assert described("x" * 100) == repr("x" * 40)


ROW = {
    "q": "Why?",
    "answers": {"text": ["a", "b"], "start": [1, 2]},
    "a.b": {"c": "dotted"},
    "a": {"b": {"c": "within", "d": "deep"}},
    "choices": [{"text": "x", "label": "A"}, {"text": "y"}, None],
    "answers.flat": "flat",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q", "Why?"),
        ("answers.text", ["a", "b"]),
        ("answers.flat", "flat"),
        ("a.b.c", "dotted"),
        ("a.b.d", "deep"),
        ("choices.text", ["x", "y", None]),
        ("choices.label", ["A", None, None]),
        ("q.length", None),
        ("answers.no", None),
        ("no", None),
    ],
)
def test_a_column_by_its_name(name: str, value: object) -> None:
    assert value_at(ROW, name) == value


def test_the_names_that_there_are() -> None:
    assert set(names_of(ROW)) == {
        "q", "answers", "answers.text", "answers.start", "a.b", "a.b.c", "a", "a.b.d",
        "choices", "choices.text", "choices.label", "answers.flat",
    }  # fmt: skip
    deep: dict[str, object] = {}
    for _ in range(3000):
        deep = {"a": deep}
    assert len(set(names_of(deep))) == 8, "an object within an object without end"
