"""When are two rows the same row? When their texts are, up to white space and Unicode form.

Nothing else is left out: case, punctuation and symbols carry meaning in code, formulas and
answers. White space is one space wherever it stands, so programs that differ in indentation alone
are one. Options count as a set: in another order, or under other letters, they ask the same.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

from appraise.examples.conversations import text_of
from appraise.examples.example import Conversation, Message, Prompt

LABEL = re.compile(r"([A-Z])[.:)]\s")


def canonical(text: str) -> str:
    """Text in Unicode's form C, with one space for any white space and none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def digest(*parts: str) -> str:
    """First 16 hex digits of the SHA-256 of texts with U+001F between them."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def example_id(prompt: Prompt, completion: str, choices: Iterable[str] | None = None) -> str:
    """Digest of a row: canonical prompt and completion, then its choices if it has any."""
    return digest(_prompt(prompt), canonical(completion), *_choices(choices))


def prompt_id(prompt: Prompt, choices: Iterable[str] | None = None) -> str:
    """Digest of what a row asks: canonical prompt, then its choices if it has any."""
    return digest(_prompt(prompt), *_choices(choices))


def without_label(text: str) -> str:
    """An answer without the label it starts with: `B. bank` is `bank`."""
    label = LABEL.match(text)
    return text[label.end() :].strip() if label else text


def _prompt(prompt: Prompt) -> str:
    if isinstance(prompt, str):
        return canonical(prompt)
    turns = (Message(message.role, canonical(message.content)) for message in prompt)
    return text_of(Conversation(tuple(turns)))


def _choices(choices: Iterable[str] | None) -> list[str]:
    return sorted({canonical(without_label(choice)) for choice in choices or ()})
