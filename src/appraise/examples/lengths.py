"""Lengths in tokens, counted with the base model's tokenizer alone (no model is loaded)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from appraise.examples.conversations import text_of
from appraise.examples.example import Example, Prompt
from appraise.examples.plain import measured_text
from appraise.settings.model import BaseModelParams

TOKENIZER = "tokenizer.json"


class TokenCounter:
    """Counts tokens of a prompt with its completion, as the model reads them.

    A chat template's own tokens (some for each turn) are not in the count. Control tokens in an
    example's texts count as letters, and in their company those of `base_model.prompt` do too.

    Args:
        path: of the base model's tokenizer.json.
        params: the base model's settings.
    """

    def __init__(self, path: Path, params: BaseModelParams) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._params = params
        special = [
            t.content for t in self._tokenizer.get_added_tokens_decoder().values() if t.special
        ]
        self._control = re.compile("|".join(map(re.escape, special)) or "(?!)")

    def count(self, examples: Sequence[Example], *, pairs: bool = False) -> list[int]:
        """Tokens of each example.

        Args:
            pairs: whether of a pair the longer answer counts, in place of the better one.
        """
        better = self._count([(example.prompt, example.completion) for example in examples])
        if not pairs:
            return better
        worse = self._count([(example.prompt, example.rejected) for example in examples])
        return [max(counts) for counts in zip(better, worse, strict=True)]

    def _count(self, answered: Sequence[tuple[Prompt, str | None]]) -> list[int]:
        counts = [0] * len(answered)
        for letters in (False, True):
            self._tokenizer.encode_special_tokens = letters
            texts = {
                number: measured_text(self._params, prompt, answer)
                for number, (prompt, answer) in enumerate(answered)
                if answer is not None and self._has_control(prompt, answer) == letters
            }
            # with a BOS where the model reads one
            encodings = self._tokenizer.encode_batch_fast(list(texts.values()))
            for (number, text), encoding in zip(texts.items(), encodings, strict=True):
                counts[number] = len(encoding.ids) if text else 0
        return counts

    def _has_control(self, prompt: Prompt, answer: str) -> bool:
        return self._control.search(f"{text_of(prompt)}\n{answer}") is not None
