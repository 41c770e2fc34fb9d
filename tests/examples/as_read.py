"""Examples as they are read from a source, for tests that do not read any."""

from __future__ import annotations

from appraise.examples.example import Conversation, Example, Origin, Prompt
from appraise.examples.identity import example_id
from appraise.examples.layouts import conversation


def as_read(
    row: int,
    prompt: Prompt,
    completion: str,
    *,
    size: int = 1,
    group: str | None = None,
    rejected: str | None = None,
    choices: tuple[str, ...] | None = None,
    answer: int | None = None,
) -> Example:
    """An example of this row, with the id that reading gives it."""
    return Example(
        example_id(prompt, completion, choices), prompt, completion, rejected, choices, answer,
        source=Origin(row, size, group),
    )  # fmt: skip


def talk(*turns: tuple[str, str]) -> Conversation:
    """A conversation of roles and contents."""
    made = conversation([{"role": role, "content": content} for role, content in turns])
    assert made is not None
    return made
