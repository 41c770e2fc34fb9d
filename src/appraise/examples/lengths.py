"""Lengths in tokens, counted with the base model's tokenizer alone (no model is loaded)."""

from __future__ import annotations

from collections.abc import Sequence

from appraise.errors import ArtifactError
from appraise.examples.conversations import messages_of
from appraise.examples.templates import Example
from appraise.language_model.prompts import plain_texts
from appraise.project import Project
from appraise.records.examples import prompt_of
from appraise.settings.model import BaseModelParams
from appraise.storage.files import sha256_file

TOKENIZER = "tokenizer.json"


class TokenCounter:
    """Counts tokens of a prompt with its completion, as the model reads them.

    A chat template's own tokens (some for each turn) are not in the count.

    Raises:
        ArtifactError: the base model's tokenizer has not been made or is damaged.
    """

    def __init__(self, project: Project) -> None:
        from tokenizers import Tokenizer

        expected = project.content("base_model", file=TOKENIZER)
        path = project.folder("base_model") / TOKENIZER
        if sha256_file(path) != expected:
            raise ArtifactError(
                f"base_model: expected {TOKENIZER} with SHA-256 {expected[:12]}…, found "
                f"{sha256_file(path)[:12]}…; run `appraise base-model` again"
            )
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._params = project.params.base_model

    def count(self, examples: Sequence[Example]) -> list[int]:
        """Tokens of each example; 0 for one that could not be read."""
        texts = [_text(example, self._params) for example in examples]
        encodings = self._tokenizer.encode_batch_fast(texts)  # with a BOS where the model reads one
        return [
            len(encoding.ids) if text else 0
            for text, encoding in zip(texts, encodings, strict=True)
        ]


def _text(example: Example, params: BaseModelParams) -> str:
    if example.prompt is None or example.completion is None:
        return ""
    if not params.chat:
        return "".join(plain_texts(params, prompt_of(example.prompt), example.completion))
    messages = messages_of(example.prompt)
    said = [one["content"] for one in messages] if messages else [example.prompt]
    return "\n".join(said) + example.completion


def length_settings(project: Project) -> dict[str, object]:
    """The base model's settings that decide lengths, for a step's recipe."""
    names = {"prompt", "completion", "chat", "max_length"}
    return project.params.base_model.model_dump(mode="json", include=names)
