"""Tables of examples, as steps write and read them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appraise.examples.conversations import messages_of
from appraise.examples.example import Conversation, Example, Message, Prompt
from appraise.storage.files import table_batches

AT_ONCE = 65_536  # rows


def read(path: Path) -> list[Example]:
    """All examples of a table; ArtifactError if it is missing or damaged."""
    return [example for batch in batches(path, AT_ONCE) for example in batch]


def batches(path: Path, rows: int) -> Iterator[list[Example]]:
    """The examples of a table, so many at a time; ArtifactError if it is missing or damaged."""
    for table in table_batches(path, None, rows):
        yield [_example(row) for row in table.to_dict("records")]


def _example(row: dict[Any, Any]) -> Example:
    choices, answer = row.get("choices"), row.get("answer")
    rejected = row.get("rejected")
    return Example(
        id=row["id"],
        prompt=prompt_of(row["prompt"]),
        completion=row["completion"],
        rejected=rejected if isinstance(rejected, str) else None,
        choices=None if choices is None else tuple(choices),
        answer=None if answer is None or answer != answer else int(answer),
        component=row.get("component") or "",
    )


def prompt_of(text: str) -> Prompt:
    """The prompt that stands in a table as this text: itself, or the JSON of a conversation."""
    messages = messages_of(text)
    if messages is None:
        return text
    return Conversation(tuple(Message(one["role"], one["content"]) for one in messages))
