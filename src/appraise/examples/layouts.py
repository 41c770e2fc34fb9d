"""Lists of messages, in the layouts in which chat sets come, read into conversations.

| layout | as |
| --- | --- |
| messages | a list of objects; one object; an object of lists, as `datasets` keeps sequences |
| who | `role` or `from` |
| what | `content`, `value`, `text` or `parts`: a text, or a list of parts with a `text` each |

Of a message its role and its text count, nothing else. What would be lost by that, such as an image
or a call of a tool, and roles that are not known, are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from appraise.examples.conversations import ASSISTANT, SYSTEM, USER
from appraise.examples.example import Conversation, Message
from appraise.examples.values import Number, Refusal, described, is_list, list_of

WHO, WHAT = ("role", "from"), ("content", "value", "text", "parts")
ROLES = {
    SYSTEM: ("system", "developer"),
    USER: ("user", "human", "prompter"),
    ASSISTANT: (
        "assistant", "gpt", "model", "bot", "ai", "chatbot", "chatgpt", "bard", "bing", "claude",
    ),
}  # fmt: skip
_ROLE_OF = {name: role for role, names in ROLES.items() for name in names}
_CALLS = ("tool_calls", "function_call")
_TEXTS = (None, "text", "input_text", "output_text")  # types of a part that is a text
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")  # JSON would hide a NUL behind its escape


def looks_like_messages(value: Any) -> bool:
    """Whether a typed value (no text) is messages, well-formed or not."""
    first = value[0] if is_list(value) and value else value
    return isinstance(first, Mapping) and bool(_key(first, WHO) and _key(first, (*WHAT, *_CALLS)))


def holds_messages(value: Any) -> bool:
    """Whether a value is messages that are read, or a text that holds such."""
    try:
        return conversation(value) is not None
    except Refusal:
        return False


def _key(item: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((key for key in keys if key in item), None)


def conversation(value: Any) -> Conversation | None:
    """The conversation of messages, or of a text that is one: JSON, Python's, or `Human: …`.

    None when there is nothing.

    Raises:
        Refusal: it is none, or has something that is not read.
    """
    empty = value is None or (isinstance(value, str) and not value.strip())
    turns = [] if empty else [_message(item, n) for n, item in enumerate(_items(value), 1)]
    return Conversation(tuple(turns)) if turns else None


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        listed = list_of(value)
        if listed == [value]:
            return _transcript(value)
        return listed
    if isinstance(value, Mapping):
        who, what = _key(value, WHO), _key(value, WHAT)
        if who is not None and what is not None and is_list(value[who]) and is_list(value[what]):
            pairs = zip(value[who], value[what], strict=True)
            return [{who: role, what: content} for role, content in pairs]
        return [value]
    if is_list(value):
        return list(value)
    raise Refusal(f"expected a list of messages, found {described(value)}")


def _transcript(text: str) -> list[dict[str, str]]:
    """The turns of `\\n\\nHuman: …\\n\\nAssistant: …`, as hh-rlhf has them."""
    before, *turns = _TURN.split(text)
    if before.strip() or not turns:
        raise Refusal(
            f"expected messages, as JSON or as lines that begin with Human: and Assistant:, found "
            f"{text[:40]!r}"
        )
    return [
        {"role": role, "content": content}
        for role, content in zip(turns[::2], turns[1::2], strict=True)
    ]


def _message(item: Any, place: int) -> Message:
    who, what = (_key(item, keys) if isinstance(item, Mapping) else None for keys in (WHO, WHAT))
    if who is not None and any(item.get(call) for call in _CALLS):
        raise Refusal(f"message {place}: expected text, found a call of a tool, which is not read")
    if who is None or what is None:
        raise Refusal(
            f"message {place}: expected an object with {' or '.join(WHO)} and one of "
            f"{', '.join(WHAT)}, found {described(item)}"
        )
    role = item[who]
    known = _ROLE_OF.get(role.strip().casefold()) if isinstance(role, str) else None
    if known is None:
        raise Refusal(f"message {place}: expected a role such as user, found the role {role!r}")
    return Message(known, _NO_TEXT.sub("\ufffd", _content(item[what], place)))


def _content(content: Any, place: int) -> str:
    """A message's text: itself, or its parts one after the other, as chat templates put them."""
    if content is None:
        return ""
    if isinstance(content, str) and not isinstance(content, Number):
        return content
    parts = content if is_list(content) else [content]
    return "".join(_part(part, place) for part in parts)


def _part(part: Any, place: int) -> str:
    if isinstance(part, str) and not isinstance(part, Number):
        return part
    if (
        isinstance(part, Mapping)
        and part.get("type") in _TEXTS
        and isinstance(part.get("text"), str)
    ):
        return str(part["text"])
    kind = part.get("type") if isinstance(part, Mapping) else None
    found = f"a part of the type {kind}" if isinstance(kind, str) else described(part)
    raise Refusal(f"message {place}: expected text, found {found}, which is not read")
