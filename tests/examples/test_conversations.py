"""Conversations in the layouts in which they come, and as prompts."""

from __future__ import annotations

import json

import pytest
from as_read import talk  # type: ignore[import-not-found]

from appraise.examples.conversations import (
    as_messages,
    conversation,
    conversation_of,
    last_answer,
    text_of,
)
from appraise.examples.example import Conversation, Message

ASKED = [{"role": "user", "content": "Why?"}]
TALK = [*ASKED, {"role": "assistant", "content": "So."}]
SHARED = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]
TURNS = (Message("user", "Why?"), Message("assistant", "So."))


@pytest.mark.parametrize("value", [TALK, tuple(TALK), SHARED, json.dumps(TALK), json.dumps(SHARED)])
def test_layouts(value: object) -> None:
    assert conversation(value) == Conversation(TURNS)


@pytest.mark.parametrize(
    "value",
    [None, "", "Why?", '[{"role": ', '[{"role": "user"}', [], ["Why?"], TALK[0], [*TALK, {}], 3,
     [{"role": "user", "content": 3}], [{"role": None, "content": "x"}], b"Why?", "[]", "[3]",
     '[{"name": "x", "role": "user", "content": "an answer in JSON"}]', "[" * 100_000],
)  # fmt: skip
def test_what_is_no_conversation(value: object) -> None:
    assert conversation(value) is None


def test_only_role_and_text_count() -> None:
    messages = [
        {"role": "user", "content": " a\x00b\ud800 ", "name": "Ann"},
        SHARED[1] | {"weight": 1},
    ]
    assert conversation(messages) == talk(("user", "a\ufffdb\ufffd"), ("assistant", "So."))
    call = [*ASKED, {"role": "assistant", "content": None, "tool_calls": []}]
    assert conversation(call) == talk(("user", "Why?"), ("assistant", ""))


def test_the_last_answer_and_what_goes_before_it() -> None:
    twice = Conversation((*TURNS, *TURNS, TURNS[0]))
    assert last_answer(twice) == (Conversation((*TURNS, TURNS[0])), "So.")
    assert last_answer(Conversation(TURNS[:1])) == ("", "")
    assert last_answer(Conversation(TURNS[1:])) == ("", "So.")


def test_the_text_of_a_conversation_gives_it_back() -> None:
    prompt = talk(("user", 'Ünd "why"?\n[{}]'), ("assistant", ""))
    assert text_of(prompt).startswith('[{"role": "user", "content": "Ünd ')
    assert json.loads(text_of(prompt)) == as_messages(prompt)
    assert conversation_of(text_of(prompt)) == prompt
    for text in ("", "Why?", '[{"role": "user"', '[{"role": "user"}]', "[3]", "3"):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own among them
            conversation_of(text)


def test_a_text_is_a_text_whatever_it_looks_like() -> None:
    looks = json.dumps(ASKED)
    assert text_of(looks) == looks
    assert as_messages(looks) == [{"role": "user", "content": looks}]
