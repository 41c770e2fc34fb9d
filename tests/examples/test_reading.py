"""Rows as people have them, through the real reader: the right value, or a refusal in words."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from appraise.errors import OfferError
from appraise.examples.conversations import as_messages
from appraise.examples.example import Conversation, Example
from appraise.examples.reading import SourceExamples, read_examples
from appraise.settings.data import Source

LIMIT = 100_000
Turns = list[tuple[str, str]]


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in turns]


def shared(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"from": role, "value": content} for role, content in turns]


SKY, BLUE, GREEN = "What colour is the sky?", "It is blue.", "It is green."
USER, BETTER, WORSE = ("user", SKY), ("assistant", BLUE), ("assistant", GREEN)
SYSTEM = ("system", "Be brief.")
AGAIN, SURE = ("user", "Sure?"), ("assistant", "Yes.")
PREFERENCE = {"completion": "{chosen}", "rejected": "{rejected}"}
IMPLICIT = {"messages": "chosen", "rejected": "{rejected}"}


@dataclass(frozen=True)
class Layout:
    """A row, the fields of its offer, and what it is.

    Attributes:
        prompt: a text, or the turns of a conversation.
        typed: whether the row can be a row of a Parquet file, and means the same there.
    """

    row: Mapping[str, Any]
    prompt: str | Turns
    completion: str
    rejected: str | None = None
    choices: tuple[str, ...] | None = None
    offer: Mapping[str, Any] = field(default_factory=dict)
    typed: bool = True


LAYOUTS = {
    # https://huggingface.co/docs/trl/dataset_formats
    "prompt and completion": Layout({"prompt": SKY, "completion": BLUE}, SKY, BLUE),
    "a completion that goes on": Layout({"prompt": "The", "completion": " sky"}, "The", " sky"),
    "preference": Layout(
        {"prompt": SKY, "chosen": BLUE, "rejected": GREEN}, SKY, BLUE, GREEN, offer=PREFERENCE
    ),
    "conversational prompt and completion": Layout(
        {"prompt": said(SYSTEM, USER), "completion": said(BETTER)}, [SYSTEM, USER], BLUE
    ),
    "conversational completion of several turns": Layout(
        {"prompt": said(USER), "completion": said(BETTER, AGAIN, SURE)},
        [USER, BETTER, AGAIN], "Yes.",
    ),
    "conversational preference": Layout(
        {"prompt": said(USER), "chosen": said(BETTER), "rejected": said(WORSE)},
        [USER], BLUE, GREEN, offer=PREFERENCE,
    ),
    "conversational preference, implicit prompt": Layout(
        {"chosen": said(SYSTEM, USER, BETTER), "rejected": said(SYSTEM, USER, WORSE)},
        [SYSTEM, USER], BLUE, GREEN, offer=IMPLICIT,
    ),
    "conversational preference, explicit prompt in both": Layout(
        {"prompt": said(USER), "chosen": said(USER, BETTER), "rejected": said(USER, WORSE)},
        [USER], BLUE, GREEN, offer=PREFERENCE,
    ),
    "messages": Layout({"talk": said(USER, BETTER)}, [USER], BLUE, offer={"messages": "talk"}),
    # others that the hub has
    "UltraFeedback, prompt as text": Layout(
        {"prompt": SKY, "chosen": said(USER, BETTER), "rejected": said(USER, WORSE)},
        SKY, BLUE, GREEN, offer=PREFERENCE,
    ),
    "hh-rlhf": Layout(
        {
            "chosen": f"\n\nHuman: {SKY}\n\nAssistant: {BLUE}",
            "rejected": f"\n\nHuman: {SKY}\n\nAssistant: {GREEN}",
        },
        [USER], BLUE, GREEN,
        offer={"messages": "chosen", "rejected": "{rejected:messages}"},
    ),
    "nested messages": Layout(
        {"conversation": {"id": 1, "messages": said(USER, BETTER)}},
        [USER], BLUE, offer={"messages": "conversation.messages"},
    ),
    "ShareGPT": Layout(
        {"conversations": shared(("system", "Be brief."), ("human", SKY), ("gpt", BLUE))},
        [SYSTEM, USER], BLUE, offer={"messages": "conversations"},
    ),
    "ShareGPT with a chatbot's name": Layout(
        {"conversations": shared(("Human", SKY), ("ChatGPT", BLUE))},
        [USER], BLUE, offer={"messages": "conversations"},
    ),
    "Gemini": Layout(
        {"contents": [{"role": "user", "parts": [{"text": SKY}]},
                      {"role": "model", "parts": [{"text": BLUE}]}]},
        [USER], BLUE, offer={"messages": "contents"},
    ),
    "content in parts": Layout(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": SKY}]},
                      {"role": "assistant", "content": [{"type": "text", "text": BLUE}]}]},
        [USER], BLUE, offer={"messages": "messages"},
    ),
    "messages as the JSON of a text": Layout(
        {"messages": json.dumps(said(USER, BETTER))}, [USER], BLUE, offer={"messages": "messages"}
    ),
    "answers as the JSON of messages": Layout(
        {"prompt": SKY, "chosen": json.dumps(said(BETTER)), "rejected": json.dumps(said(WORSE))},
        SKY, BLUE, GREEN,
        offer={"completion": "{chosen:messages}", "rejected": "{rejected:messages}"},
    ),
    "an answer that is JSON": Layout(
        {"prompt": "Write two messages.", "completion": json.dumps(said(USER, BETTER))},
        "Write two messages.", json.dumps(said(USER, BETTER)),
    ),
    "Alpaca": Layout(
        {"instruction": "Name a colour.", "input": "", "output": "Blue."},
        "Name a colour.", "Blue.",
        offer={"prompt": "{instruction}\n{input}", "completion": "{output}"},
    ),
    "SQuAD": Layout(
        {"question": SKY, "answers": {"text": ["blue", "azure"], "answer_start": [1, 9]}},
        SKY, "blue", offer={"prompt": "{question}", "completion": "{answers.text:first}"},
    ),
    "SQuAD in flat columns": Layout(
        {"question": SKY, "answers.text": ["blue"], "answers.answer_start": [1]},
        SKY, "blue", offer={"prompt": "{question}", "completion": "{answers.text:first}"},
    ),
    "Natural Questions": Layout(
        {"question": {"text": SKY}, "answer": [["blue"], "azure"][1:]},
        SKY, "azure", offer={"prompt": "{question.text}", "completion": "{answer:first}"},
    ),
    "ARC": Layout(
        {"q": SKY, "choices": {"text": ["green", "blue"], "label": ["1", "2"]}, "answerKey": "2"},
        SKY, "blue", "green", ("green", "blue"),
        offer={"prompt": "{q}", "completion": "{choices.text:at answerKey of choices.label}",
               "choices": "{choices.text}"},
    ),
    "MMLU": Layout(
        {"q": SKY, "choices": ["green", "blue"], "answer": 1},
        SKY, "blue", "green", ("green", "blue"),
        offer={"prompt": "{q}", "completion": "{choices:at answer}", "choices": "{choices}"},
    ),
    "HellaSwag": Layout(
        {"ctx": "The sky", "endings": ["is green.", "is blue."], "label": "1"},
        "The sky", "is blue.", "is green.", ("is green.", "is blue."),
        offer={"prompt": "{ctx}", "completion": "{endings:at label}", "choices": "{endings}"},
    ),
    "RACE": Layout(
        {"q": SKY, "options": ["green", "blue"], "answer": "B"},
        SKY, "blue", "green", ("green", "blue"),
        offer={"prompt": "{q}", "completion": "{options:at answer}", "choices": "{options}"},
    ),
    "MedQA": Layout(
        {"q": SKY, "options": {"A": "green", "B": "blue"}, "answer_idx": "B"},
        SKY, "blue", "green", ("green", "blue"),
        offer={"prompt": "{q}", "completion": "{options:at answer_idx}",
               "choices": "{options:elements}"},
    ),
    "a call of a function": Layout(
        {"prompt": "Call f.", "call": {"name": "f", "arguments": {"x": 1.5}}},
        "Call f.", '{"name": "f", "arguments": {"x": 1.5}}', offer={"completion": "{call:json}"},
    ),
    "options as objects": Layout(
        {"q": SKY, "a": "blue", "choices": [{"text": "green"}, {"text": "blue"}]},
        SKY, "blue", "green", ("green", "blue"),
        offer={"prompt": "{q}", "completion": "{a}", "choices": "{choices.text}"},
    ),
    "options of several lines": Layout(
        {"q": SKY, "a": "if x:\n    y", "o": ["if x:\n    z", "if x:\n    y"]},
        SKY, "if x:\n    y", "if x:\n    z", ("if x:\n    z", "if x:\n    y"),
        offer={"prompt": "{q}", "completion": "{a}", "choices": "{o}"},
    ),
    "TruthfulQA": Layout(
        {"question": SKY, "answer": ["Blue", "Azure"]},
        SKY, "Blue", offer={"prompt": "{question}", "completion": "{answer:first}"},
    ),
    "a text that is a list": Layout(
        {"prompt": "Two?", "completion": "['France', 'UK']"}, "Two?", "['France', 'UK']"
    ),
    "a list in a text, asked for": Layout(
        {"prompt": "Two?", "completion": "['France', 'UK']"},
        "Two?", "France", offer={"completion": "{completion:first}"},
    ),
    "code": Layout(
        {"prompt": "def f(x):\n", "completion": "    return x\n"}, "def f(x):\n", "    return x\n"
    ),
    "a label that is true": Layout({"prompt": "Is it?", "completion": True}, "Is it?", "true"),
    "an integer": Layout({"prompt": "How many?", "completion": 12}, "How many?", "12"),
    "a float": Layout({"prompt": "How much?", "completion": 1.0}, "How much?", "1.0"),
    "a large integer": Layout(
        {"prompt": "Which?", "completion": 2**80}, "Which?", str(2**80), typed=False
    ),
    "nothing in a column": Layout(
        {"a": None, "b": "b", "completion": "c"}, "b", "c", offer={"prompt": "{a}\n{b}"}
    ),
    "a list in a prompt": Layout(
        {"prompt": ["a", None, "b"], "completion": "c"}, "a\nb", "c"
    ),
}  # fmt: skip


def offered(folder: Path, layout: Layout | None, suffix: str, lines: list[str]) -> Source:
    path = folder / f"rows{suffix}"
    if suffix == ".parquet" and layout is not None:
        parquet.write_table(pyarrow.Table.from_pylist([dict(layout.row)]), path)
    else:
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Source(source=path.name, **(layout.offer if layout else {}))


def read(folder: Path, source: Source) -> SourceExamples:
    dataset = read_examples(source, folder, LIMIT)
    dataset.check_columns()
    return dataset


def shown(example: Example) -> tuple[Any, ...]:
    prompt: Any = example.prompt
    if isinstance(prompt, Conversation):
        prompt = [(turn["role"], turn["content"]) for turn in as_messages(prompt)]
    return prompt, example.completion, example.rejected, example.choices


FILES = [
    (name, suffix)
    for name, layout in LAYOUTS.items()
    for suffix in ([".jsonl", ".parquet"] if layout.typed else [".jsonl"])
]


@pytest.mark.parametrize(("name", "suffix"), FILES)
def test_layouts(name: str, suffix: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    source = offered(tmp_path, layout, suffix, [json.dumps(layout.row)])
    (example,) = read(tmp_path, source).examples
    expected = (layout.prompt, layout.completion, layout.rejected, layout.choices)
    assert shown(example) == expected


@pytest.mark.parametrize(
    ("written", "text"),
    [("1.0", "1.0"), ("1e3", "1e3"), ("1.50", "1.50"), ("-0", "-0"), ("true", "true"),
     ("123456789012345678901234567890", "123456789012345678901234567890"), ("null", ""),
     ('"\\u00e9"', "é")],
)  # fmt: skip
def test_a_value_of_json_is_what_the_file_says(written: str, text: str, tmp_path: Path) -> None:
    line = f'{{"prompt": "p", "completion": {written}}}'
    (example,) = read(tmp_path, offered(tmp_path, None, ".jsonl", [line])).examples
    assert example.completion == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pyarrow.array([0.1], pyarrow.float32()), "0.1"),
        (pyarrow.array([2.0], pyarrow.float32()), "2.0"),
        (pyarrow.array([1.5], pyarrow.float16()), "1.5"),
        (pyarrow.array([2**64 - 1], pyarrow.uint64()), "18446744073709551615"),
        (pyarrow.array([float("nan")]), ""),
        (pyarrow.array([Decimal("1.50")]), "1.50"),
        (pyarrow.array([datetime.date(2024, 5, 1)]), "2024-05-01"),
        (pyarrow.array([datetime.datetime(2024, 5, 1, 9)], pyarrow.timestamp("us")),
         "2024-05-01T09:00:00"),
        (pyarrow.array(["x"]).dictionary_encode(), "x"),
        (pyarrow.array(["x"], pyarrow.large_string()), "x"),
        (pyarrow.array([False]), "false"),
    ],
)  # fmt: skip
def test_a_value_of_a_typed_column(value: pyarrow.Array, text: str, tmp_path: Path) -> None:
    table = pyarrow.table({"prompt": ["p"], "completion": value})
    parquet.write_table(table, tmp_path / "rows.parquet")
    (example,) = read(tmp_path, Source(source="rows.parquet")).examples
    assert example.completion == text


def test_an_object_that_only_a_late_row_has_is_a_column_all_the_same(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{n}", "a": {} if n < 500 else {"b": {"c": "x"}}} for n in range(501)]
    lines = [json.dumps(row) for row in rows]
    source = offered(tmp_path, None, ".jsonl", lines).model_copy(update={"completion": "{a.b.c}"})
    dataset = read(tmp_path, source)
    assert [example.completion for example in dataset.examples] == [""] * 500 + ["x"]
    with pytest.raises(OfferError, match=r"expected a column a\.b\.d, found a, prompt; name one"):
        read(tmp_path, source.model_copy(update={"completion": "{a.b.d}"}))


def test_a_class_label_is_the_name_of_its_class(tmp_path: Path) -> None:
    import datasets

    kinds = datasets.ClassLabel(names=["bad", "good"])
    features = datasets.Features({"prompt": datasets.Value("string"), "completion": kinds})
    rows = {"prompt": ["a", "b", "c"], "completion": [1, 0, -1]}
    made = datasets.Dataset.from_dict(rows, features=features)
    made.to_parquet(str(tmp_path / "rows.parquet"))
    made.save_to_disk(str(tmp_path / "saved"))
    for source in ("rows.parquet", "saved"):
        dataset = read(tmp_path, Source(source=source))
        assert [one.completion for one in dataset.examples] == ["good", "bad", ""]


REFUSED = {
    "NaN": ('{"prompt": "p", "completion": NaN}', {}, "found NaN"),
    "Infinity": ('{"prompt": "p", "completion": -Infinity}', {}, "found -Infinity"),
    "a typed list": (
        '{"prompt": "p", "completion": ["a", "b"]}',
        {},
        "{completion}: expected one text, found a list of 2; say which, as in {completion:first}",
    ),
    "a struct": (
        '{"prompt": "p", "answers": {"text": ["a"], "answer_start": [1]}}',
        {"completion": "{answers}"},
        "{answers}: expected a text, found an object with text, answer_start; name what is in it, "
        "as in {answers.text}, or take all of it as {answers:json}",
    ),
    "a narrator": (
        json.dumps({"m": said(("narrator", "Once."), BETTER)}),
        {"messages": "m"},
        "{m:messages}: message 1: expected a role such as user, found the role 'narrator'",
    ),
    "an image": (
        json.dumps({"m": [{"role": "user", "content": [{"type": "image_url"}]}, *said(BETTER)]}),
        {"messages": "m"},
        "{m:messages}: message 1: expected text, found a part of the type image_url, which is not "
        "read",
    ),
    "a call of a tool": (
        json.dumps({"m": [*said(USER), {"role": "assistant", "tool_calls": [{"id": "1"}]}]}),
        {"messages": "m"},
        "{m:messages}: message 2: expected text, found a call of a tool, which is not read",
    ),
    "messages without an answer": (
        json.dumps({"m": said(USER)}),
        {"messages": "m"},
        "messages: expected a message by the assistant, found none",
    ),
    "two questions": (
        json.dumps({"prompt": "Other?", "completion": said(USER, BETTER)}),
        {},
        "completion: expected an answer to the prompt, found messages that begin with another one, "
        "by the user; where they are the whole conversation, name their column as `messages` in "
        "place of prompt and completion",
    ),
    "a conversation among text": (
        json.dumps({"m": said(USER), "completion": "c"}),
        {"prompt": "Read: {m}"},
        "{m}: expected a text, found an object with role, content; messages are a prompt or an "
        "answer by themselves: leave out other text",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why_and_what_to_do(name: str, tmp_path: Path) -> None:
    line, offer, reason = REFUSED[name]
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    dataset = read(tmp_path, Source(source=path.name, **offer))
    assert dataset.examples == ()
    assert dataset.named_rows.startswith("; row 1: ")
    assert dataset.named_rows.endswith(reason)
    assert (dataset.rows, dataset.unreadable) == (1, ())


def test_numbers_of_single_precision_within_lists_and_objects(tmp_path: Path) -> None:
    kind = pyarrow.struct([("x", pyarrow.list_(pyarrow.float32())), ("y", pyarrow.string())])
    values = pyarrow.array([{"x": [0.1, None, 2.0], "y": "z"}], kind)
    pair = pyarrow.array([[0.5, 0.3]], pyarrow.list_(pyarrow.float64(), 2))
    table = pyarrow.table({"prompt": values, "completion": pair})
    parquet.write_table(table, tmp_path / "rows.parquet")
    forms = {"prompt": "{prompt.y} {prompt.x}", "completion": "{completion:json}"}
    (example,) = read(tmp_path, Source(source="rows.parquet", **forms)).examples
    assert (example.prompt, example.completion) == ("z 0.1\n2.0", "[0.5, 0.3]")
