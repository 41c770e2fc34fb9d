"""Conversations in the layouts in which they come, and as prompts."""

from __future__ import annotations

import json

import pytest

from appraise.examples.conversations import as_prompt, conversation, last_answer, messages_of

ASKED = [{"role": "user", "content": "Why?"}]
TALK = [*ASKED, {"role": "assistant", "content": "So."}]
SHARED = [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]


@pytest.mark.parametrize("value", [TALK, tuple(TALK), SHARED, json.dumps(TALK), json.dumps(SHARED)])
def test_layouts(value: object) -> None:
    assert conversation(value) == TALK


@pytest.mark.parametrize(
    "value",
    [None, "", "Why?", '[{"role": ', '[{"role": "user"}', [], ["Why?"], TALK[0], [*TALK, {}], 3,
     [{"role": "user", "content": 3}], [{"role": None, "content": "x"}], b"Why?"],
)  # fmt: skip
def test_what_is_no_conversation(value: object) -> None:
    assert conversation(value) is None


def test_only_role_and_text_count() -> None:
    told = [
        {"role": "user", "content": " a\x00b\ud800 ", "name": "Ann"},
        SHARED[1] | {"weight": 1},
    ]
    assert conversation(told) == [
        {"role": "user", "content": "a\ufffdb\ufffd"},
        {"role": "assistant", "content": "So."},
    ]
    call = [*ASKED, {"role": "assistant", "content": None, "tool_calls": []}]
    assert conversation(call) == [*ASKED, {"role": "assistant", "content": ""}]


def test_the_last_answer_and_what_goes_before_it() -> None:
    assert last_answer([*TALK, *TALK, *ASKED]) == ([*TALK, *ASKED], "So.")
    assert last_answer(ASKED) == ([], "")
    assert last_answer([]) == ([], "")


def test_a_prompt_gives_its_messages_back() -> None:
    told = [{"role": "user", "content": 'Ünd "why"?\n[{}]'}]
    assert messages_of(as_prompt(told)) == told
    assert as_prompt(told).startswith('[{"role": "user", "content": "Ünd ')
    assert as_prompt([]) == ""
    for text in ("", "Why?", '[{"role": "user"', json.dumps([{"content": "x", "role": "user"}])):
        assert messages_of(text) is None
