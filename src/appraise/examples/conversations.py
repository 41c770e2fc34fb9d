"""Conversations as prompts: their text, their messages, and where an answer stands in one.

A conversation is hashed, compared and written to a table as the JSON of its messages:
`[{"role": "user", "content": "…"}]`. Whether a prompt is one is a matter of its type; no function
here looks at a text to find out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from appraise.examples.example import Conversation, Message, Prompt
from appraise.examples.values import Refusal

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"


def turns_of(prompt: Prompt) -> tuple[Message, ...]:
    """The messages of a prompt; a text is what the user says, and none where it is empty."""
    if isinstance(prompt, Conversation):
        return prompt.messages
    return (Message(USER, prompt),) if prompt else ()


def answered(prompt: Prompt, answer: Conversation) -> tuple[Prompt, str]:
    """Prompt and completion of an answer in messages: the assistant's last one, and all before.

    The answer may begin with the prompt, as sets of preferences have it, or go on after it.

    Raises:
        Refusal: it begins with another question, or nothing in it answers one.
    """
    asked, turns = turns_of(prompt), answer.messages
    whole = _bare(turns[: len(asked)]) == _bare(asked)
    if not whole and turns[0].role != ASSISTANT:
        raise Refusal(
            f"expected an answer to the prompt, found messages that begin with another one, by the "
            f"{turns[0].role}; where they are the whole conversation, name their column as "
            "`messages` in place of prompt and completion"
        )
    rest = turns[len(asked) :] if whole else turns
    places = [place for place, turn in enumerate(rest) if turn.role == ASSISTANT]
    if not places:
        raise Refusal("expected a message by the assistant, found none")
    before = (*asked, *rest[: places[-1]])
    if not before:
        raise Refusal("expected a message that the assistant answers, found none before its own")
    unchanged = len(before) == len(asked)
    return prompt if unchanged else Conversation(before), rest[places[-1]].content


def same_turns(one: Prompt, other: Prompt) -> bool:
    """Whether two prompts are the same messages, white space around them aside."""
    return _bare(turns_of(one)) == _bare(turns_of(other))


def _bare(turns: Sequence[Message]) -> list[tuple[str, str]]:
    return [(turn.role, turn.content.strip()) for turn in turns]


def as_messages(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as chat templates take it; a text is what the user says."""
    turns = (Message(USER, prompt),) if isinstance(prompt, str) else prompt.messages
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def with_texts(prompt: Prompt, change: Callable[[str], str]) -> Prompt:
    """The prompt with its text, or that of each message, changed."""
    if isinstance(prompt, str):
        return change(prompt)
    return Conversation(tuple(Message(turn.role, change(turn.content)) for turn in prompt))


def text_of(prompt: Prompt) -> str:
    """The text that stands for a prompt in hashes and tables: itself, or a conversation's JSON."""
    if isinstance(prompt, str):
        return prompt
    return json.dumps(as_messages(prompt), ensure_ascii=False)


def conversation_of(text: str) -> Conversation:
    """The conversation of which `text_of` made this text.

    Raises:
        ValueError: there is none.
    """
    try:
        turns = tuple(Message(turn["role"], turn["content"]) for turn in json.loads(text))
    except (TypeError, KeyError) as error:
        raise ValueError(f"no list of messages: {error}") from None
    return Conversation(turns)
