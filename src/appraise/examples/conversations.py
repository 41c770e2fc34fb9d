"""Conversations: lists of messages, in the layouts in which chat sets come.

Of a message its role and its text count, nothing else. A conversation stands in a table of
examples as the JSON of its messages: `[{"role": "user", "content": "…"}]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

Messages = list[dict[str, str]]

ASSISTANT, USER = "assistant", "user"
_LAYOUTS = (("role", "content"), ("from", "value"))  # the hub's own, and ShareGPT's
_ROLES = {"human": USER, "gpt": ASSISTANT}
_START = re.compile(r'\s*\[\s*\{\s*"(role|content|from|value)"')
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # JSON would hide a NUL behind its escape


def conversation(value: Any) -> Messages | None:
    """The messages in a row's column, which holds a list of them or its JSON; None: it does not."""
    if isinstance(value, str):
        value = _parsed(value)
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping)):
        return None
    messages = [_message(item) for item in value]
    found = [message for message in messages if message is not None]
    return found if found and len(found) == len(messages) else None


def _parsed(text: str) -> Any:
    if not _START.match(text):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _message(item: Any) -> dict[str, str] | None:
    """A message as role and content; None when it is none. A call of a tool has no content."""
    if not isinstance(item, Mapping):
        return None
    for role_key, content_key in _LAYOUTS:
        role, content = item.get(role_key), item.get(content_key)
        if isinstance(role, str) and (content is None or isinstance(content, str)):
            content = _NO_TEXT.sub("\ufffd", content or "").strip()
            return {"role": _ROLES.get(role, role), "content": content}
    return None


def last_answer(messages: Messages) -> tuple[Messages, str]:
    """The messages before the assistant's last one, and its content; ([], "") without any."""
    places = [at for at, message in enumerate(messages) if message["role"] == ASSISTANT]
    if not places:
        return [], ""
    return messages[: places[-1]], messages[places[-1]]["content"]


def as_prompt(messages: Messages) -> str:
    """Messages as a prompt: their JSON, one text for each conversation; none give no text."""
    return json.dumps(messages, ensure_ascii=False) if messages else ""


def messages_of(prompt: str) -> Messages | None:
    """The messages of a prompt that is a conversation; None of one that is plain text."""
    if not prompt.startswith('[{"role": "'):
        return None
    messages = conversation(prompt)
    return messages if messages and as_prompt(messages) == prompt else None
