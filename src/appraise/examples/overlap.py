"""When are two prompts the same? Normalisation, identity and overlap between pool and target.

Two prompts overlap when they are equal after normalisation, or when their questions are: the
prompt without the lines of its options. So a question is recognised when a pool writes its options
in another way than the target does. A conversation's question is the last message of its user.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterable

from appraise.examples.conversations import USER, text_of
from appraise.examples.example import Conversation, Prompt

_OPTION = re.compile(r"\(?[A-Z][.:)]\s")
_HEADING = re.compile(r"(question|options|choices|answer)\s*:?", re.IGNORECASE)
_GENERIC = 4  # words; a shorter question ("True or false?") says too little to be recognised by


@functools.cache
def _punctuation() -> dict[int, str]:
    codes = range(sys.maxunicode + 1)
    return {code: " " for code in codes if unicodedata.category(chr(code))[0] == "P"}


def normalise(text: str) -> str:
    """Text without case, punctuation and repeated white space (symbols such as + and < stay).

    Text of nothing but punctuation keeps it, so that "..." is not the same as "?".
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_punctuation()).split()) or " ".join(folded.split())


def fingerprint(text: str) -> str:
    """First 16 hex digits of the SHA-256 of the normalised text."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()[:16]


def example_id(prompt: Prompt, completion: str) -> str:
    """First 16 hex digits of the SHA-256 of normalised prompt, U+001F and completion."""
    content = f"{normalise(text_of(prompt))}\x1f{completion}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def question(prompt: Prompt) -> str:
    """The prompt without the lines of its options (`A. …`, `B: …`) and without bare headings.

    Of a conversation the same of its user's last message.
    """
    if isinstance(prompt, Conversation):
        asked = [message.content for message in prompt if message.role == USER]
        return question(asked[-1] if asked else text_of(prompt))
    lines = prompt.splitlines()
    first = next((i for i, line in enumerate(lines) if _OPTION.match(line.strip())), len(lines))
    if first == 0 or not any(_OPTION.match(line.strip()) for line in lines[first + 1 :]):
        return prompt  # fewer than two options: an initial or an enumeration, not a choice
    kept = [line for line in lines[:first] if not _HEADING.fullmatch(line.strip())]
    return "\n".join(kept)


def fingerprints(prompt: Prompt) -> tuple[str, ...]:
    """What a prompt is recognised by: its question (unless too short) first, then the whole."""
    asked, whole = question(prompt), text_of(prompt)
    if asked == whole or len(normalise(asked).split()) < _GENERIC:
        return (fingerprint(whole),)
    return (fingerprint(asked), fingerprint(whole))


def known_fingerprints(prompts: Iterable[Prompt]) -> list[str]:
    """The fingerprints of all prompts, sorted, each once."""
    return sorted({mark for prompt in prompts for mark in fingerprints(prompt)})
