"""From a prompt and a completion to tokens: one encoding for sketches, training and evaluation.

A prompt is a text or a conversation (`examples.example`). It is put to the model by the base
model's plain templates, or in the chat format of its tokenizer; nothing needs padding. Control
tokens come from these formats alone (`control_tokens`).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from jinja2 import TemplateError

from appraise.errors import ModelError
from appraise.examples.conversations import as_messages, with_texts
from appraise.examples.example import Example, Prompt
from appraise.examples.plain import plain_texts
from appraise.language_model.control_tokens import as_letters, tokens
from appraise.language_model.protocols import Tokenizer
from appraise.settings.model import BaseModelParams


class TooLong(ModelError):  # noqa: N818 - of one example, to be set aside
    """A completion that leaves no room for a token of its prompt."""


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


def encode(
    tokenizer: Tokenizer, params: BaseModelParams, prompt: Prompt, completion: str
) -> Encoded:
    """Tokens of a prompt with its completion; what is too long loses the prompt's start.

    Raises:
        TooLong: the completion leaves no room for a token of the prompt.
        ModelError: prompt or completion has no token, or cannot be put in the chat format.
    """
    left, right = token_ids(tokenizer, *texts(tokenizer, params, prompt, completion))
    fitting = cut(tokenizer, left, params.max_length - len(right))
    return Encoded((*fitting, *right), len(fitting), len(left) - len(fitting))


def fits(tokenizer: Tokenizer, params: BaseModelParams, example: Example) -> bool:
    """Whether the example's answers leave room for its prompt, as `encode` asks."""
    answers = [example.completion, *([example.rejected] if example.rejected else [])]
    try:
        for answer in answers:
            encode(tokenizer, params, example.prompt, answer)
    except TooLong:
        return False
    return True


def token_ids(tokenizer: Tokenizer, asked: str, answer: str) -> tuple[list[int], list[int]]:
    """Tokens of a prompt as the model reads it, and of the answer that follows it.

    The prompt begins with the token for a beginning (BOS) if the tokenizer puts one before a text
    and the prompt has none. The answer's tokens are those that both together have beyond the
    prompt's, unless one would span the border.

    Raises:
        ModelError: one of them has no token.
    """
    left = tokens(tokenizer, asked)
    both = tokens(tokenizer, asked + answer)
    right = both[len(left) :]
    if both[: len(left)] != left:
        right = tokens(tokenizer, answer)
    first = begins_with(tokenizer)
    if first is not None and left[:1] != [first]:
        left = [first, *left]
    if not left or not right:
        raise ModelError(
            f"expected a prompt and a completion with tokens, found {len(left)} and {len(right)}: "
            f"{asked[-60:]!r}, {answer[:60]!r}"
        )
    return left, right


def cut(tokenizer: Tokenizer, left: list[int], room: int) -> list[int]:
    """The last tokens of a prompt, at most `room`; a BOS stays first.

    Raises:
        TooLong: there is no room for a token of the prompt.
    """
    head = left[:1] if left[:1] == [begins_with(tokenizer)] else []
    body = left[len(head) :]
    room -= len(head)
    if room < min(1, len(body)):
        raise TooLong(
            f"expected a completion that leaves room for its prompt of {len(left)} tokens, found "
            f"one that leaves {max(0, room)}; raise base_model.max_length"
        )
    return head + body[max(0, len(body) - room) :]


@functools.lru_cache(maxsize=4)  # asked for every sequence
def begins_with(tokenizer: Tokenizer) -> int | None:
    """The BOS that the tokenizer puts before a plain text, as Llama's and Gemma's do, or None."""
    first: list[int] = tokenizer("a")["input_ids"][:1]
    return first[0] if first == [tokenizer.bos_token_id] else None


def texts(
    tokenizer: Tokenizer, params: BaseModelParams, prompt: Prompt, completion: str
) -> tuple[str, str]:
    """Prompt and completion as the model reads them: by template, or in its chat format.

    Control tokens in the texts of the example are marked: `token_ids` reads them as letters.

    Raises:
        ModelError: there is no chat template, it refuses the conversation or has no end of a turn.
    """
    prompt = with_texts(prompt, lambda text: as_letters(tokenizer, text))
    completion = as_letters(tokenizer, completion)
    if not params.chat:
        return plain_texts(params, prompt, completion)
    if not tokenizer.chat_template:
        raise ModelError(
            "base_model.chat: expected a tokenizer with a chat template, found none; "
            "set chat: false and give base_model.prompt"
        )
    messages = as_messages(prompt)
    asked = _rendered(tokenizer, messages, ask=True)
    whole = _rendered(
        tokenizer, [*messages, {"role": "assistant", "content": completion}], ask=False
    )
    answer = whole.removeprefix(asked) if whole.startswith(asked) else completion
    return asked, _ended(answer, completion.strip(), tokenizer.eos_token or "")


def _rendered(tokenizer: Tokenizer, messages: list[dict[str, str]], ask: bool) -> str:
    """The messages in the chat format; with `ask` up to where the assistant's answer begins."""
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
    except TemplateError as error:
        roles = ", ".join(message["role"] for message in messages)
        raise ModelError(
            f"base_model.chat: expected a conversation that the chat template takes, found {roles} "
            f"({error}); change the messages or set chat: false"
        ) from None


def _ended(answer: str, completion: str, eos: str) -> str:
    """An answer up to the end of its turn: the eos token, or what the template puts there."""
    place = answer.find(completion)
    end = "" if place < 0 else answer[place + len(completion) :]
    if eos and eos in (answer if place < 0 else end):
        return answer[: answer.rindex(eos) + len(eos)]
    if not end.strip():
        answer += eos
    if not end and not eos:
        raise ModelError(
            "base_model.chat: expected an eos token, or a chat template that ends an assistant's "
            "turn, found neither; give the tokenizer an eos_token or set chat: false"
        )
    return answer
