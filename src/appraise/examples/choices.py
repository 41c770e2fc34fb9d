"""Choices: split from a text, matched with the answer, and a wrong one drawn for a pair."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from appraise.examples.example import Example
from appraise.examples.identity import LABEL, canonical
from appraise.examples.overlap import bare, normalise


def choices_of(text: str) -> tuple[str, ...]:
    """The choices in a rendered text: its lines, or what follows `A.`, `B.`, … when so labelled.

    A labelled choice may have several lines: only the next label in the alphabet starts the next.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    label = LABEL.match(lines[0]) if lines else None
    if label is None or label[1] != "A":
        return tuple(lines)
    choices: list[str] = []
    for line in lines:
        label = LABEL.match(line)
        if label is not None and label[1] == chr(ord("A") + len(choices)):
            choices.append(line)
        else:
            choices[-1] += f"\n{line}"
    return tuple(choices)


def answer_of(completion: str, choices: Sequence[str]) -> int | None:
    """Index of the choice that the completion is, in the strictest sense in which it is one.

    Letter by letter; else up to white space and Unicode form; else normalised; else without
    quotation marks around it. None where it is no choice, or several in the same sense.
    """
    if completion in choices:
        return choices.index(completion)
    for form in (canonical, normalise, bare):
        alike = [i for i, choice in enumerate(choices) if form(choice) == form(completion)]
        if alike:
            return alike[0] if len(alike) == 1 else None
    return None


def differs(completion: str, rejected: str | None) -> bool:
    """Whether there is a worse answer that differs from the completion in more than white space."""
    return canonical(rejected or "") not in ("", canonical(completion))


def is_pair(example: Example) -> bool:
    """Whether an example has two different answers, a better and a worse one."""
    return differs(example.completion, example.rejected)


def wrong_choice(identity: str, completion: str, choices: Sequence[str], seed: int) -> str | None:
    """The wrong choice with the smallest SHA-256(seed, id, choice); None when none is wrong.

    The draw depends on the row alone: not on other rows, nor on the order of its choices.
    """
    right = answer_of(completion, choices)
    wrong = (
        choice
        for place, choice in enumerate(choices)
        if place != right and differs(completion, choice)
    )
    return min(
        wrong,
        key=lambda choice: hashlib.sha256(f"{seed}\x1f{identity}\x1f{choice}".encode()).digest(),
        default=None,
    )
