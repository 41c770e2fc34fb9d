"""Messages in the layouts in which people have them, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from as_read import talk  # type: ignore[import-not-found]

from appraise.examples.layouts import ROLES, conversation, looks_like_messages
from appraise.examples.values import Number, Refusal

TALK = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
SHARED = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]
EXPECTED = talk(("user", "Why?"), ("assistant", "So."))
PARTS = [{"type": "text", "text": "Wh"}, {"type": "text", "text": "y?", "image": None}]


@pytest.mark.parametrize(
    "value",
    [
        TALK,
        tuple(TALK),
        SHARED,
        [{"role": "user", "text": "Why?"}, {"role": "model", "text": "So."}],
        [{"role": "user", "parts": [{"text": "Why?"}]}, {"role": "model", "parts": ["So."]}],
        [{"role": "user", "content": PARTS}, {"role": "assistant", "content": "So."}],
        [{"role": "user", "content": [{"type": "input_text", "text": "Why?"}]}, TALK[1]],
        {"role": ["user", "assistant"], "content": ["Why?", "So."]},
        {"from": ["human", "gpt"], "value": ["Why?", "So."]},
        [TALK[0] | {"name": "Ann", "weight": 1}, TALK[1] | {"tool_calls": []}],
        json.dumps(TALK),
        json.dumps(SHARED),
        repr(TALK),
        "\n\nHuman: Why?\n\nAssistant: So.",
        "Human: Why?\n\nAssistant: So.",
    ],
)
def test_layouts(value: object) -> None:
    assert conversation(value) == EXPECTED


def test_a_single_message_and_none() -> None:
    assert conversation(TALK[1]) == talk(("assistant", "So."))
    for nothing in (None, "", " \n", [], (), "[]"):
        assert conversation(nothing) is None


@pytest.mark.parametrize(
    ("said", "role"),
    [(name, role) for role, names in ROLES.items() for name in names]
    + [("Assistant", "assistant"), ("USER", "user"), (" System ", "system"), ("GPT", "assistant")],
)
def test_roles_in_any_case(said: str, role: str) -> None:
    assert conversation([{"from": said, "value": "x"}]) == talk((role, "x"))


def test_a_text_is_kept_to_the_last_space() -> None:
    assert conversation([{"role": "user", "content": "  def f():\n"}]) == talk(
        ("user", "  def f():\n")
    )
    assert conversation([{"role": "user", "content": "a\x00b\ud800"}]) == talk(
        ("user", "a\ufffdb\ufffd")
    )
    assert conversation([{"role": "user", "content": None}]) == talk(("user", ""))


ASKED: dict[str, Any] = {"role": "user", "content": "Why?"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([ASKED, {"role": "narrator", "content": "x"}], "message 2: .* found the role 'narrator'"),
        ([{"role": "tool", "content": "x"}], "found the role 'tool'"),
        ([{"role": "function_call", "content": "x"}], "found the role 'function_call'"),
        ([{"role": None, "content": "x"}], "found the role None"),
        ([{"role": 3, "content": "x"}], "found the role 3"),
        (
            [ASKED, {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}],
            "message 2: expected text, found a call of a tool, which is not read",
        ),
        ([{"role": "assistant", "function_call": {"name": "f"}}], "found a call of a tool"),
        (
            [{"role": "user", "content": [*PARTS, {"type": "image", "url": "x"}]}],
            "message 1: expected text, found a part of the type image",
        ),
        ([{"role": "user", "content": {"a": 1}}], "expected text, found an object with a"),
        ([{"role": "user", "content": 3}], "expected text, found a value of the type int"),
        ([{"role": "user", "content": Number("3")}], "expected text, found '3'"),
        ([{"role": "user"}], "message 1: expected an object with role or from and one of content"),
        ([ASKED, {}], "message 2: expected an object with role or from"),
        ([ASKED, "So."], "message 2: .* found 'So.'"),
        (["Why?", "So."], "message 1: .* found 'Why\\?'"),
        ("Why?", "expected messages, as JSON or as lines that begin with Human: .* found 'Why\\?'"),
        ("So. Human: Why?", "expected messages"),
        ('[{"role": "user", "content": "Why?"', "expected messages"),
        (3, "expected a list of messages, found a value of the type int"),
        (b"Why?", "expected a list of messages"),
        ("[" * 100_000, "expected messages"),
    ],
)
def test_what_is_not_read_is_named(value: object, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        conversation(value)


def test_what_looks_like_messages() -> None:
    for value in (TALK, SHARED, TALK[0], {"role": ["user"], "content": ["x"]}):
        assert looks_like_messages(value)
    assert looks_like_messages([{"role": "narrator", "content": 3}]), "to be refused by name"
    assert looks_like_messages([{"role": "assistant", "tool_calls": [{}]}])
    for other in (None, [], {}, "x", json.dumps(TALK), ["x"], [{"text": "a", "label": "A"}], [3]):
        assert not looks_like_messages(other)
