"""Control tokens, such as `<|im_end|>`: only a format writes them, in a text they are letters.

A control token is one that the tokenizer declares special. Where a text has the letters of one, it
is marked until the text is tokens, as transformers does for chat templates that are given what
users wrote (`sanitize_control_tokens`); a text without any is tokenised as it ever was.
"""

from __future__ import annotations

import functools
import re

from appraise.errors import ModelError
from appraise.language_model.protocols import Tokenizer

_START, _END = "\U000f0000", "\U000f0001"  # around a control token, as transformers marks them


def as_letters(tokenizer: Tokenizer, text: str) -> str:
    """A text in which control tokens are marked, to be part of a prompt or an answer.

    Raises:
        ModelError: it has a control token, and also the characters that mark one.
    """
    if not _control(tokenizer).search(text):
        return text
    if _START in text or _END in text:
        raise ModelError(
            "expected a text with control tokens or the private-use characters U+F0000 and "
            f"U+F0001, found both: {text[:60]!r}; leave out the row"
        )
    return _control(tokenizer).sub(rf"{_START}\g<0>{_END}", text)


def tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text: of what is marked its letters', of other control tokens their own.

    Raises:
        ModelError: the tokenizer knows no other tokens for the letters of a control token.
    """
    if not _marked(tokenizer).search(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    from transformers.utils.chat_template_utils import encode_marked_chat  # seconds, seldom needed

    try:
        ids: list[int] = encode_marked_chat(tokenizer, text)
    except ValueError as error:
        raise ModelError(
            f"expected text that can be told from control tokens, found {error}; leave out the row"
        ) from None
    return ids


@functools.lru_cache(maxsize=4)  # asked for every sequence
def _control(tokenizer: Tokenizer) -> re.Pattern[str]:
    """Any control token, the longest first; never matches where there is none."""
    declared = frozenset(tokenizer.chat_control_tokens or ())
    control = [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if token.special or token.content in declared
    ]
    return re.compile("|".join(map(re.escape, sorted(control, key=len, reverse=True))) or "(?!)")


@functools.lru_cache(maxsize=4)
def _marked(tokenizer: Tokenizer) -> re.Pattern[str]:
    return re.compile(f"{_START}(?:{_control(tokenizer).pattern}){_END}")
