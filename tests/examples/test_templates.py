"""Templates: plain column names, nothing else; lists, pairs, conversations, rows left out."""

from __future__ import annotations

import json

import pytest

from appraise.errors import OfferError
from appraise.examples.choices import is_pair
from appraise.examples.conversations import as_messages
from appraise.examples.example import Conversation, Origin
from appraise.examples.identity import example_id
from appraise.examples.templates import SEARCHED, RowTemplates, Template
from appraise.settings.data import Source


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


TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "Because."},
    {"role": "user", "content": "And\nhow?"},
    {"role": "assistant", "content": " So. "},
    {"role": "user", "content": "Thanks"},
]


def test_a_conversation_is_a_prompt_and_its_last_answer() -> None:
    templates = RowTemplates.of(Source(source="x", messages="talk"))
    example = templates.example(1, 1, {"talk": TALK})
    assert example.completion == "So."
    assert isinstance(example.prompt, Conversation)
    assert as_messages(example.prompt) == TALK[:4]
    assert templates.columns == ("talk",), "the prompt's and the completion's are not looked for"
    templates.check({"talk"})
    with pytest.raises(OfferError, match="messages template: expected a column talk, found other"):
        templates.check({"other"})


@pytest.mark.parametrize(
    "talk", [TALK[:2], TALK[2:3], [], None, "Why?", [{"role": "assistant"}], [*TALK, "So."]]
)
def test_a_conversation_without_question_or_answer_has_no_text(talk: object) -> None:
    example = RowTemplates.of(Source(source="x", messages="talk")).example(1, 1, {"talk": talk})
    assert not example.prompt or not example.completion


def test_pairs_of_conversations_as_the_hub_has_them() -> None:
    worse = [*TALK[:4], {"role": "assistant", "content": "No idea."}]
    source = Source(source="x", messages="chosen", rejected="{rejected}")
    example = RowTemplates.of(source).example(1, 1, {"chosen": TALK, "rejected": worse})
    assert (example.completion, example.rejected, is_pair(example)) == ("So.", "No idea.", True)
    source = Source(source="x", completion="{chosen}", rejected="{rejected}")
    row = {"prompt": "And how?", "chosen": TALK, "rejected": json.dumps(worse)}
    example = RowTemplates.of(source).example(1, 1, row)
    assert (example.completion, example.rejected) == ("So.", "No idea.")


def test_messages_stand_in_place_of_prompt_and_completion() -> None:
    with pytest.raises(
        OfferError, match=r"messages: expected a conversation .* found `prompt` too"
    ):
        RowTemplates.of(Source(source="x", messages="talk", prompt="{question}"))
    with pytest.raises(OfferError, match=r"messages: expected the name of a column, found 'a} {b'"):
        RowTemplates.of(Source(source="x", messages="a} {b"))


def pair(completion: str, rejected: object) -> bool:
    source = Source(source="x", completion="{c}", rejected="{r}")
    return is_pair(RowTemplates.of(source).example(1, 1, {"c": completion, "r": rejected}))


def test_a_pair_has_two_answers() -> None:
    assert pair("yes", "no")
    assert pair("yes", ["no", "never"])
    assert pair("n = N", "N = n")
    assert not pair("yes", " yes\n")
    assert not pair("yes", " ")
    assert not pair("yes", None)


OPTIONS = Source(source="x", prompt="{q}", completion="{a}", choices="{o}")


def test_without_a_worse_answer_a_wrong_choice_is_drawn() -> None:
    templates = RowTemplates.of(OPTIONS)
    assert templates.gives_pairs
    rows = [{"q": f"Question {i}", "a": "one", "o": ["one", "two", "three"]} for i in range(40)]
    drawn = [templates.example(1, 1, row).rejected for row in rows]
    assert set(drawn) == {"two", "three"}, "always the same place: the order of choices decides"
    turned = [templates.example(1, 1, row | {"o": ["three", "two", "one"]}) for row in rows]
    assert [example.rejected for example in turned] == drawn
    other = RowTemplates.of(OPTIONS, seed=1)
    assert [other.example(1, 1, row).rejected for row in rows] != drawn
    only = templates.example(1, 1, {"q": "Which?", "a": "one", "o": ["one", " one"]})
    assert (only.rejected, is_pair(only)) == (None, False)
    plain = RowTemplates.of(Source(source="x"))
    assert not plain.gives_pairs
    assert plain.example(1, 1, {"prompt": "Why?", "completion": "So."}).rejected is None


def test_an_example_knows_its_id_and_where_it_was_read() -> None:
    templates = RowTemplates.of(Source(source="x"), group="{passage}")
    row = {"prompt": "Why?", "completion": "So.", "passage": "P"}
    example = templates.example(7, 40, row)
    assert example.source == Origin(7, 40, "P")
    assert example.id == example_id("Why?", "So.")
    assert example.component == ""


def keeps(where: dict[str, str], **row: object) -> bool:
    return RowTemplates.of(Source(source="x", where=where)).keeps(row)


def test_where_wants_every_expression_found() -> None:
    where = {"q": r"(?i)\bhow many\b", "kind": "^b$"}
    assert keeps(where, q="And how many?", kind="b")
    assert not keeps(where, q="And how many?", kind="bb")
    assert not keeps(where, q="How much?", kind="b")
    assert not keeps(where, q="How many?"), "a column that this row lacks is empty"
    assert keeps({"n": "^12$", "o": "(?m)^two$"}, n=12, o=["one", "two"])
    assert not keeps({"q": "end"}, q="x" * SEARCHED + "end"), "a long column is not searched whole"
    templates = RowTemplates.of(Source(source="x", where={"kind": "b"}))
    assert templates.columns == ("prompt", "completion", "kind")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"q": "(open"}, r"where: q: expected a regular expression, found '\(open': missing"),
        ({"": "x"}, "where template '{}': expected plain column names"),
        ({"q.a": "x"}, "where template '{q.a}': expected plain column names"),
    ],
)
def test_where_that_cannot_be_searched(where: dict[str, str], expected: str) -> None:
    with pytest.raises(OfferError, match=expected):
        RowTemplates.of(Source(source="x", where=where))
