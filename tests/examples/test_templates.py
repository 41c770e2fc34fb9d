"""Templates: plain column names, nothing else; lists, pairs, conversations, rows left out."""

from __future__ import annotations

import json

import pytest

from appraise.errors import OfferError
from appraise.examples.choices import is_pair
from appraise.examples.conversations import as_messages
from appraise.examples.example import Conversation, Origin
from appraise.examples.identity import example_id
from appraise.examples.template import Template
from appraise.examples.templates import SEARCHED, RowTemplates
from appraise.examples.values import Number, Refusal
from appraise.settings.data import Source


def prompt(text: str, **row: object) -> str:
    return Template(text, "prompt").render(row)


def completion(text: str, **row: object) -> str:
    return Template(text, "completion").render(row)


def test_columns_and_text() -> None:
    assert prompt("{passage}\n{question} {{a}}", passage="P", question="Q?") == "P\nQ? {a}"
    assert prompt("{a b-c}", **{"a b-c": 1.5}) == "1.5"
    assert prompt("x{none}y{nan}", none=None, nan=float("nan")) == "xy"
    assert prompt("{absent}") == ""
    assert prompt("{0}", **{"0": "a column of a table without names"}).startswith("a column")
    assert completion("{flag}", flag=True) == "true"


def test_white_space_of_a_column_stays_and_that_of_the_template_goes() -> None:
    code = "    return x\n"
    assert completion("{code}", code=code) == code
    assert prompt("{code}\n", code=code) == code
    assert prompt(" {a}\n{b}", a="Do it.", b="") == "Do it.", "as alpaca has empty inputs"
    assert prompt("{a}\n\n{b}", a=None, b=" b ") == " b "
    assert prompt("Q: {a}\nA: ", a=" why ") == "Q:  why \nA:"
    assert completion("{code:trimmed}", code=code) == "return x"
    for role in ("where", "group", "choices"):
        assert Template("{code}", role).render({"code": code}) == "return x"


def test_prefix_is_left_out_where_it_is() -> None:
    assert prompt("{q:-Question:}", q=" Question:\nWhy?") == "Why?"
    assert prompt("{q:-Question:}", q="Why?") == "Why?"
    assert prompt("{q:trimmed:-Q: }", q="Q: Why? ") == "Why?"


LISTED = ["one", "two"]


@pytest.mark.parametrize(
    "value", [LISTED, "['one', 'two']", '["one", "two"]', ("one",), "one", ["one", ["two"]]]
)
def test_the_first_of_a_list_where_it_is_asked_for(value: object) -> None:
    assert completion("{answer:first}", answer=value) == "one"


def test_a_text_that_looks_like_a_list_or_a_conversation_is_a_text() -> None:
    for text in ("['France', 'UK']", '["a"]', json.dumps(TALK), "[1]"):
        assert completion("{answer}", answer=text) == text
        assert prompt("{answer}", answer=text) == text
        assert Template("{answer}", "completion").given({"answer": text}) == text


def test_lists() -> None:
    assert prompt("{options}", options=["A. x", None, "B. y"]) == "A. x\nB. y"
    assert prompt("{options}", options="['x', 'y']") == "['x', 'y']"
    assert prompt("{options:elements}", options="['x', 'y']") == "x\ny"
    assert completion("{answer:first}", answer=[]) == ""
    assert completion("{answer:first:unlabelled}", answer=["B. y"]) == "y"
    assert completion("{answers.text:first}", answers={"text": ["a", "b"]}) == "a"
    assert prompt("{parts.text}", parts=[{"text": "a"}, {"text": "b"}]) == "a\nb"


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("{a}", LISTED, r"{a}: expected one text, found a list of 2; say which, as in {a:first}"),
        ("{a}", ["one"], r"found a list of 1; say which, as in {a:first}"),
        ("{a.t}", {"t": LISTED}, r"{a.t}: .* a list of 2; say which, as in {a.t:first}"),
        (
            "{a}",
            {"t": ["x"], "s": [1]},
            r"{a}: .* with t, s; name .* in {a.t}, .* as {a:json}",
        ),
        ("{a}", {}, r"{a}: expected a text, found an object with nothing in it"),
        ("{a:first}", [{"t": "x"}], r"{a:first}: .* an object with t; name .* as in {a.t}"),
        ("{a:first}", [["x"]], r"{a:first}: expected one text, found a list of 1$"),
        ("{a:at b}", LISTED, r"{a:at b}: expected one element for b '', found a list of 2"),
        ("{a}", float("inf"), r"{a}: expected a text, found inf"),
        ("{a}", b"\xff", r"{a}: expected bytes that are UTF-8"),
        ("see {a}", [{"role": "user", "content": "x"}], r"found a list of 1"),
    ],
)
def test_what_is_no_answer_is_refused_with_what_to_do(
    text: str, value: object, reason: str
) -> None:
    with pytest.raises(Refusal, match=reason):
        completion(text, a=value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([["a"], ["b"]], r"{a}: expected a text, found a list of 1"),
        ([{"t": "x"}], r"{a}: expected a text, found an object with t; name .* as in {a.t}"),
        ([{"role": "user", "content": "x"}], "messages are a prompt or an answer by themselves"),
    ],
)
def test_lists_of_lists_and_of_objects_are_no_lines(value: object, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        prompt("see {a}", a=value)


QUIZ = {"o": ["x", "y"], "n": 1, "letter": "b", "named": {"A": "x", "B": "y"}}


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("{o:at n}", QUIZ),
        ("{o:at n}", QUIZ | {"n": Number("1")}),
        ("{o:at letter}", QUIZ),
        ("{named:at letter}", QUIZ | {"letter": "B"}),
        ("{o:at letter of named.labels}", QUIZ | {"letter": "7", "named": {"labels": [6, 7]}}),
        ("{named.text:at n of named.label}", {"named": [{"text": "y", "label": 1}], "n": 1}),
        ("{o:at n:unlabelled}", QUIZ | {"o": ["A. x", "B. y"]}),
    ],
)
def test_an_element_that_another_column_names(text: str, row: dict[str, object]) -> None:
    assert Template(text, "completion").render(row) == "y"


def test_the_columns_of_an_element_are_those_that_are_looked_for() -> None:
    template = Template("{o.text:at key of o.label}", "completion")
    assert template.columns == ("o.text", "key", "o.label")


@pytest.mark.parametrize("key", [2, -1, "C", "", None, "AB", 1.5, True])
def test_an_element_that_is_not_there_is_refused(key: object) -> None:
    with pytest.raises(Refusal, match="expected one element for n"):
        completion("{o:at n}", o=["x", "y"], n=key)


def test_an_element_is_of_a_list_with_as_many_labels() -> None:
    with pytest.raises(Refusal, match="expected one element for n 'A', found a list of 2"):
        completion("{o:at n of l}", o=["x", "y"], n="A", l=["A", "A"])
    with pytest.raises(Refusal, match="expected one element for n 'A', found 'x'"):
        completion("{o:at n}", o="x", n="A")


def test_an_object_as_json_where_it_is_asked_for() -> None:
    call = {"name": "f", "b": {"x": Number("1.50"), "y": [None, True, "ü\n"]}}
    assert completion("{call:json}", call=call) == (
        '{"name": "f", "b": {"x": 1.50, "y": [null, true, "ü\\n"]}}'
    )
    assert completion("{call:json}", call=None) == ""
    assert completion("{call:json}", call=[1.5, float("nan")]) == "[1.5, null]"
    with pytest.raises(Refusal, match=r"{call:json}: expected a text or a number of JSON"):
        completion("{call:json}", call={"x": Number("NaN")})


def test_lone_surrogates_become_the_replacement_character() -> None:
    assert prompt("{q}", q="a\ud800b") == "a\ufffdb"


@pytest.mark.parametrize("text", ["{a!r}", "{a:>10}", "{a:frist}", "{}", "{ }", "{a", "a}", ""])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(OfferError, match="prompt template"):
        Template(text, "prompt")


def test_messages_are_asked_for_alone() -> None:
    for text, role in (("see {a:messages}", "prompt"), ("{a:messages}", "group")):
        with pytest.raises(OfferError, match="expected messages alone, as a prompt or an answer"):
            Template(text, role)  # type: ignore[arg-type]


def test_a_name_is_looked_up_and_never_followed() -> None:
    for text in ("{a.__class__.__mro__}", "{a[0]}", "{a.b}"):
        assert prompt(text, a="x") == ""


def test_unknown_column_lists_the_columns() -> None:
    templates = RowTemplates.of(Source(source="x", prompt="{q}", completion="{label}"))
    with pytest.raises(OfferError, match=r"expected a column label, found answer, q; name one"):
        templates.check({"q", "answer"})
    with pytest.raises(OfferError, match=r"found c00, .*, c39 …; name one"):
        templates.check({f"c{number:02}" for number in range(60)})


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


@pytest.mark.parametrize(
    ("template", "row", "choices"),
    [
        ("{o}", {"o": ["if a:\n    b", "c", " ", None]}, ("if a:\n    b", "c")),
        ("{o.text}", {"o": {"text": ["a", "b"], "label": ["A", "B"]}}, ("a", "b")),
        ("{o.text}", {"o": [{"text": "a"}, {"text": "b"}]}, ("a", "b")),
        ("{o:unlabelled}", {"o": ["A. a", "B. b"]}, ("a", "b")),
        ("{o:elements}", {"o": "['a', 'b']"}, ("a", "b")),
        ("{o:elements}", {"o": {"A": "a", "B": "b"}}, ("a", "b")),
        ("{o}", {"o": "['a', 'b']"}, ("['a', 'b']",)),
        ("{a}\n{b}", {"a": "x", "b": 2}, ("x", "2")),
    ],
)
def test_choices_are_the_elements_of_a_list_or_lines(
    template: str, row: dict[str, object], choices: tuple[str, ...]
) -> None:
    assert Template(template, "choices").choices(row) == choices


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
    assert example.completion == " So. "
    assert isinstance(example.prompt, Conversation)
    assert as_messages(example.prompt) == TALK[:4]
    assert templates.columns == ("talk",), "the prompt's and the completion's are not looked for"
    templates.check({"talk"})
    with pytest.raises(OfferError, match="messages template: expected a column talk, found other"):
        templates.check({"other"})


def test_no_conversation_is_empty() -> None:
    templates = RowTemplates.of(Source(source="x", messages="talk"))
    for talk in (None, "", []):
        example = templates.example(1, 1, {"talk": talk})
        assert (example.prompt, example.completion) == ("", "")


@pytest.mark.parametrize("talk", [TALK[:2], TALK[2:3], "Why?", [{"role": "assistant"}], 3])
def test_a_conversation_without_question_or_answer_is_refused(talk: object) -> None:
    with pytest.raises(Refusal, match="expected"):
        RowTemplates.of(Source(source="x", messages="talk")).example(1, 1, {"talk": talk})


def test_a_worse_answer_is_to_the_same_messages() -> None:
    worse = [*TALK[:4], {"role": "assistant", "content": "No idea."}]
    source = Source(source="x", messages="chosen", rejected="{rejected}")
    example = RowTemplates.of(source).example(1, 1, {"chosen": TALK, "rejected": worse})
    assert (example.completion, example.rejected, is_pair(example)) == (" So. ", "No idea.", True)
    parted = [*TALK[:2], {"role": "assistant", "content": "No."}, *TALK[3:4], *worse[4:]]
    with pytest.raises(Refusal, match="begin with another one"):
        RowTemplates.of(source).example(1, 1, {"chosen": TALK, "rejected": parted})
    longer = [*worse, TALK[3], *worse[4:]]
    with pytest.raises(Refusal, match="rejected: expected another answer to the same messages"):
        RowTemplates.of(source).example(1, 1, {"chosen": TALK, "rejected": longer})


def test_a_worse_answer_that_is_a_whole_conversation_as_text_is_not_taken_for_one() -> None:
    turns = "\n\nHuman: Why?\n\nAssistant: "
    row = {"chosen": f"{turns}So.", "rejected": f"{turns}No."}
    with pytest.raises(Refusal, match=r"found a text that holds messages; .* as in {rejected:mess"):
        RowTemplates.of(Source(source="x", messages="chosen", rejected="{rejected}")).example(
            1, 1, row
        )
    asked = Source(source="x", messages="chosen", rejected="{rejected:messages}")
    assert RowTemplates.of(asked).example(1, 1, row).rejected == "No."


def test_messages_stand_in_place_of_prompt_and_completion() -> None:
    with pytest.raises(
        OfferError, match=r"messages: expected a conversation .* found `prompt` too"
    ):
        RowTemplates.of(Source(source="x", messages="talk", prompt="{question}"))
    with pytest.raises(OfferError, match=r"messages template .*: expected messages alone"):
        RowTemplates.of(Source(source="x", messages="a} {b"))


def pair(completion: str, rejected: object) -> bool:
    source = Source(source="x", completion="{c}", rejected="{r}")
    return is_pair(RowTemplates.of(source).example(1, 1, {"c": completion, "r": rejected}))


def test_a_pair_has_two_answers() -> None:
    assert pair("yes", "no")
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
    assert keeps({"talk.content": "how"}, talk=[{"role": "user", "content": "how?"}])
    assert not keeps({"q": "end"}, q="x" * SEARCHED + "end"), "a long column is not searched whole"
    templates = RowTemplates.of(Source(source="x", where={"kind": "b"}))
    assert templates.columns == ("prompt", "completion", "kind")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"q": "(open"}, r"where: q: expected a regular expression, found '\(open': missing"),
        ({"": "x"}, "where template '{}': expected names of columns"),
        ({"q:x": "x"}, "where template '{q:x}': expected names of columns"),
    ],
)
def test_where_that_cannot_be_searched(where: dict[str, str], expected: str) -> None:
    with pytest.raises(OfferError, match=expected):
        RowTemplates.of(Source(source="x", where=where))
