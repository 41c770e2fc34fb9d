"""From a prompt and a completion to tokens: one encoding for sketches, training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appraise.errors import ModelError
from appraise.params import BaseModelParams


@dataclass(frozen=True)
class Encoded:
    """A sequence of tokens of which the last ones are the completion.

    Attributes:
        ids: token ids, at most `max_length`.
        n_prompt: how many of them are the prompt, at least 1.
        truncated: how many tokens were cut from the prompt's start.
    """

    ids: tuple[int, ...]
    n_prompt: int
    truncated: int

    @property
    def n_completion(self) -> int:
        """How many of the tokens are the completion, at least 1."""
        return len(self.ids) - self.n_prompt


def texts(tokenizer: Any, params: BaseModelParams, prompt: str, completion: str) -> tuple[str, str]:
    """Prompt and completion as the model reads them: by template, or in its chat format."""
    if not params.chat:
        asked = params.prompt.replace("{prompt}", prompt)
        return asked, params.completion.replace("{completion}", completion)
    if not tokenizer.chat_template:
        raise ModelError(
            "base_model.chat: expected a tokenizer with a chat template, found none; "
            "set chat: false and give base_model.prompt"
        )
    message = [{"role": "user", "content": prompt}]
    asked = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
    return asked, completion + (tokenizer.eos_token or "")


def encode(tokenizer: Any, params: BaseModelParams, prompt: str, completion: str) -> Encoded:
    """Tokens of a prompt with its completion; what is too long loses the prompt's start.

    Raises:
        ModelError: the completion is empty, or leaves no room for a token of the prompt.
    """
    asked, answer = texts(tokenizer, params, prompt, completion)
    left = tokenizer(asked, add_special_tokens=False)["input_ids"]
    right = tokenizer(answer, add_special_tokens=False)["input_ids"]
    if not left or not right or len(right) >= params.max_length:
        raise ModelError(
            f"expected a prompt and a completion below {params.max_length} tokens, "
            f"found {len(left)} and {len(right)}: {completion[:60]!r}"
        )
    cut = max(0, len(left) + len(right) - params.max_length)
    return Encoded(tuple(left[cut:] + right), len(left) - cut, cut)
