"""Conversations as prompts, and the answers in them."""

from __future__ import annotations

import json

import pytest
from as_read import talk  # type: ignore[import-not-found]

from appraise.examples.conversations import (
    answered,
    as_messages,
    conversation_of,
    same_turns,
    text_of,
    with_texts,
)
from appraise.examples.example import Conversation
from appraise.examples.values import Refusal

ASKED = talk(("user", "Why?"))
ONE = talk(("assistant", "So."))
BOTH = talk(("user", "Why?"), ("assistant", "So."))
MORE = talk(("assistant", "So."), ("user", "Really?"), ("assistant", "Yes."))


def test_the_last_answer_and_what_goes_before_it() -> None:
    assert answered("", BOTH) == (ASKED, "So.")
    thanked = talk(("user", "Why?"), ("assistant", "So."), ("user", "Thanks"))
    assert answered("", thanked) == (ASKED, "So."), "nothing answers the last message"


def test_an_answer_goes_on_after_its_prompt_or_begins_with_it() -> None:
    assert answered("Why?", ONE) == ("Why?", "So.")
    assert answered(" Why?\n", BOTH) == (" Why?\n", "So."), "the prompt is not doubled"
    assert answered(ASKED, BOTH) == (ASKED, "So.")
    longer = talk(("user", "Why?"), ("assistant", "So."), ("user", "Really?"))
    assert answered("Why?", MORE) == (longer, "Yes.")


@pytest.mark.parametrize(
    ("prompt", "answer", "reason"),
    [
        ("How?", BOTH, r"messages that begin with another one, by the user; .* as `messages`"),
        ("Why?", ASKED, "expected a message by the assistant, found none"),
        ("", ASKED, "expected a message by the assistant, found none"),
        ("", ONE, "expected a message that the assistant answers, found none"),
    ],
)
def test_an_answer_to_nothing_is_refused(prompt: str, answer: Conversation, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        answered(prompt, answer)


def test_the_same_turns() -> None:
    assert same_turns("Why?", talk(("user", "Why? ")))
    assert not same_turns("Why?", BOTH)


def test_the_text_of_a_conversation_gives_it_back() -> None:
    prompt = talk(("user", 'Ünd "why"?\n[{}]'), ("assistant", ""))
    assert text_of(prompt).startswith('[{"role": "user", "content": "Ünd ')
    assert json.loads(text_of(prompt)) == as_messages(prompt)
    assert conversation_of(text_of(prompt)) == prompt
    for text in ("", "Why?", '[{"role": "user"', '[{"role": "user"}]', "[3]", "3"):
        with pytest.raises(ValueError):  # noqa: PT011 - json's own among them
            conversation_of(text)


def test_a_text_is_a_text_whatever_it_looks_like() -> None:
    looks = json.dumps(as_messages(ASKED))
    assert text_of(looks) == looks
    assert as_messages(looks) == [{"role": "user", "content": looks}]


def test_all_texts_of_a_prompt_can_be_changed() -> None:
    assert with_texts("a", str.upper) == "A"
    assert with_texts(BOTH, str.upper) == talk(("user", "WHY?"), ("assistant", "SO."))
