"""Choices: split from a text, matched with the answer, and a wrong one drawn for a pair."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from appraise.examples.example import Example
from appraise.examples.overlap import normalise

_LABEL = re.compile(r"([A-Z])[.:)]\s")


def choices_of(text: str) -> tuple[str, ...]:
    """The choices in a rendered text: its lines, or what follows `A.`, `B.`, … when so labelled.

    A labelled choice may have several lines: only the next label in the alphabet starts the next.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    label = _LABEL.match(lines[0]) if lines else None
    if label is None or label[1] != "A":
        return tuple(lines)
    choices: list[str] = []
    for line in lines:
        label = _LABEL.match(line)
        if label is not None and label[1] == chr(ord("A") + len(choices)):
            choices.append(line)
        else:
            choices[-1] += f"\n{line}"
    return tuple(choices)


def without_label(text: str) -> str:
    """An answer without the label it starts with: `B. bank` is `bank`."""
    label = _LABEL.match(text)
    return text[label.end() :].strip() if label else text


def answer_of(completion: str, choices: tuple[str, ...]) -> int | None:
    """Index of the choice that the completion is: exactly, or as the only one when normalised."""
    if completion in choices:
        return choices.index(completion)
    plain = normalise(completion)
    alike = [index for index, choice in enumerate(choices) if normalise(choice) == plain]
    return alike[0] if len(alike) == 1 else None


def differs(completion: str, rejected: str | None) -> bool:
    """Whether there is a worse answer that differs from the completion."""
    return bool(rejected) and normalise(str(rejected)) != normalise(completion)


def is_pair(example: Example) -> bool:
    """Whether an example has two different answers, a better and a worse one."""
    return differs(example.completion, example.rejected)


def wrong_choice(identity: str, completion: str, choices: Iterable[str], seed: int) -> str | None:
    """The wrong choice with the smallest SHA-256(seed, id, choice); None when none is wrong.

    The draw depends on the row alone: not on other rows, nor on the order of its choices.
    """
    wrong = [choice for choice in choices if differs(completion, choice)]
    return min(
        wrong,
        key=lambda choice: hashlib.sha256(f"{seed}\x1f{identity}\x1f{choice}".encode()).digest(),
        default=None,
    )
