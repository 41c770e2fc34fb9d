"""Lengths in tokens, counted with the base model's tokenizer alone (no model is loaded)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from appraise.examples.example import Example, Prompt
from appraise.examples.plain import measured_text
from appraise.settings.model import BaseModelParams

TOKENIZER = "tokenizer.json"


class TokenCounter:
    """Counts tokens of a prompt with its completion, as the model reads them.

    A chat template's own tokens (some for each turn) are not in the count.

    Args:
        path: of the base model's tokenizer.json.
        params: the base model's settings.
    """

    def __init__(self, path: Path, params: BaseModelParams) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._params = params

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
        texts = [
            "" if answer is None else measured_text(self._params, prompt, answer)
            for prompt, answer in answered
        ]
        encodings = self._tokenizer.encode_batch_fast(texts)  # with a BOS where the model reads one
        return [
            len(encoding.ids) if text else 0
            for text, encoding in zip(texts, encodings, strict=True)
        ]
