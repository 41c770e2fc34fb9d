"""Conversations: lists of messages, in the layouts in which chat sets come.

Of a message its role and its text count, nothing else. A conversation is hashed, compared and
written to a table as the JSON of its messages: `[{"role": "user", "content": "…"}]`. Whether a
prompt is one is a matter of its type; no function here looks at a text to find out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from appraise.examples.example import Conversation, Message, Prompt

ASSISTANT, USER = "assistant", "user"
_LAYOUTS = (("role", "content"), ("from", "value"))  # the hub's own, and ShareGPT's
_KEYS = tuple(key for layout in _LAYOUTS for key in layout)
_ROLES = {"human": USER, "gpt": ASSISTANT}
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # JSON would hide a NUL behind its escape


def conversation(value: Any) -> Conversation | None:
    """The conversation that a column of a row holds, as a list of messages or as its JSON.

    None when there is anything else in it, or a message without a role.
    """
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        return None
    messages = [_message(item) for item in value]
    whole = tuple(message for message in messages if message is not None)
    return Conversation(whole) if whole and len(whole) == len(messages) else None


def _parsed(text: str) -> Any:
    """The list that a text is the JSON of, if its first object begins as a message does.

    Other JSON is an answer in JSON, and may well have a `role` among its keys.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    first = value[0] if isinstance(value, list) and value else None
    return value if isinstance(first, dict) and next(iter(first), None) in _KEYS else None


def _message(item: Any) -> Message | None:
    """A message, or None when it is none. A call of a tool has no content."""
    if not isinstance(item, Mapping):
        return None
    for role_key, content_key in _LAYOUTS:
        role, content = item.get(role_key), item.get(content_key)
        if isinstance(role, str) and (content is None or isinstance(content, str)):
            content = _NO_TEXT.sub("\ufffd", content or "").strip()
            return Message(_ROLES.get(role, role), content)
    return None


def last_answer(messages: Conversation) -> tuple[Prompt, str]:
    """What comes before the assistant's last message, and its content.

    The empty text stands for what is not there: ("", "") without an answer of the assistant.
    """
    turns = messages.messages
    places = [place for place, message in enumerate(turns) if message.role == ASSISTANT]
    if not places:
        return "", ""
    before = turns[: places[-1]]
    return Conversation(before) if before else "", turns[places[-1]].content


def as_messages(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as chat templates take it; a text is what the user says."""
    turns = (Message(USER, prompt),) if isinstance(prompt, str) else prompt.messages
    return [{"role": message.role, "content": message.content} for message in turns]


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
