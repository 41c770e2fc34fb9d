"""An example: a prompt and its completion, one type from reading until it is tokens.

A row that could not be read is `Unreadable`, one whose values make no example `NotUnderstood`; both
say why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Message:
    """One turn of a conversation: who says it, and what."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """A prompt of several turns, at least one."""

    messages: tuple[Message, ...]

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)


Prompt = str | Conversation


@dataclass(frozen=True)
class Origin:
    """Where an example stands in its source; nothing once it was written to an artifact.

    Attributes:
        row: line or row number in the source, from 1; 0 where it is not known any more.
        size: bytes of the row in the source.
        group: what no two splits may share; None: the prompt itself.
    """

    row: int = 0
    size: int = 0
    group: str | None = None


@dataclass(frozen=True)
class Example:
    """A prompt and its completion.

    Attributes:
        id: of prompt, completion and choices (`identity.example_id`).
        prompt: what the model is given; a text or a conversation.
        completion: what the model should write.
        rejected: the worse answer of a pair, where there is one.
        choices: the answers to choose from, where there are any.
        answer: index of the completion in `choices`; None without choices or without a match.
        component: the part of a target that it belongs to; "" for an example of a dataset.
        source: where it was read.
    """

    id: str
    prompt: Prompt
    completion: str
    rejected: str | None = None
    choices: tuple[str, ...] | None = None
    answer: int | None = None
    component: str = ""
    source: Origin = Origin()


@dataclass(frozen=True)
class Unreadable:
    """A row of a source that could not be read.

    Attributes:
        row: line or row number in the source, from 1.
        size: bytes of the row in the source.
        reason: why not; None: it is larger than a row may be.
    """

    row: int
    size: int
    reason: str | None


@dataclass(frozen=True)
class NotUnderstood:
    """A row of a source that was read, and whose values make no example.

    Attributes:
        row: line or row number in the source, from 1.
        size: bytes of the row in the source.
        reason: why not.
    """

    row: int
    size: int
    reason: str
