"""Completions sampled from the base model, and what a reward says of them.

Each prompt has a random stream of its own, seeded by its id, so that what is sampled for it does
not depend on the prompts before it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from appraise.examples.example import Example
from appraise.language_model.prompts import Encoded, encode, texts
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.rewards import Reward
from appraise.settings.model import BaseModelParams


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled.

    Attributes:
        generations: completions of a group.
        max_new_tokens: of each completion.
        temperature: by which logits are divided.
        seed: of the random streams.
    """

    generations: int
    max_new_tokens: int
    temperature: float
    seed: int


@dataclass(frozen=True)
class Rollout:
    """A completion sampled for a prompt, and its reward."""

    encoded: Encoded
    completion: str
    reward: float


class Sampler:
    """Samples a group of completions for an example's prompt and rewards each."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        base: BaseModelParams,
        sampling: Sampling,
        reward: Reward,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._base, self._sampling, self._reward = base, sampling, reward

    def __call__(self, example: Example) -> tuple[Rollout, ...]:
        """A group of `generations` completions.

        Raises:
            TooLong: the right answer leaves no room for the prompt.
            ModelError: the reward function raised, or gave no number.
        """
        prompt, cut = self._prompt(example)
        with _seeded(f"{self._sampling.seed}:{example.id}"):
            sampled = self._completions(
                prompt,
                do_sample=True,
                temperature=self._sampling.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self._sampling.generations,
            )
        group = []
        for ids in sampled:
            text = self._text(ids)
            reward = self._reward(text, example.completion)
            group.append(Rollout(Encoded((*prompt, *ids), len(prompt), cut), text, reward))
        return tuple(group)

    def greedy(self, example: Example) -> tuple[str, float]:
        """The completion of which each token is the likeliest one, and its reward.

        Raises:
            As when called.
        """
        prompt, _ = self._prompt(example)
        (ids,) = self._completions(prompt, do_sample=False)
        text = self._text(ids)
        return text, self._reward(text, example.completion)

    def _prompt(self, example: Example) -> tuple[tuple[int, ...], int]:
        """The prompt's tokens that leave room for a completion, and how many were cut."""
        known = encode(self._tokenizer, self._base, example.prompt, example.completion)
        room = max(1, self._base.max_length - self._sampling.max_new_tokens)
        prompt = known.ids[: known.n_prompt][-room:]
        return prompt, known.truncated + known.n_prompt - len(prompt)

    def _text(self, ids: tuple[int, ...]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _completions(self, prompt: tuple[int, ...], **how: float) -> list[tuple[int, ...]]:
        """Token ids of each completion, up to its end."""
        ends = self._ends()
        with torch.no_grad():
            out = self._model.generate(
                torch.tensor([prompt], device=self._model.device),
                attention_mask=torch.ones((1, len(prompt)), device=self._model.device).long(),
                max_new_tokens=self._sampling.max_new_tokens,
                eos_token_id=sorted(ends) or None,
                pad_token_id=min(ends, default=0),
                **how,
            )
        return [_until(ends, ids) for ids in out[:, len(prompt) :].tolist()]

    def _ends(self) -> set[int]:
        """What ends a completion: the end of a sequence or turn; in plain format, of a line."""
        eos = self._tokenizer.eos_token_id
        ends = set() if eos is None else {eos}
        if self._base.chat:
            answer = texts(self._tokenizer, self._base, "?", "!")[1].strip()
            ends |= set(self._tokenizer(answer, add_special_tokens=False)["input_ids"][-1:])
        if not self._base.chat and self._base.completion.endswith("\n"):
            line = self._tokenizer("\n", add_special_tokens=False)["input_ids"]
            ends |= set(line[-1:])
        return ends


def _until(ends: set[int], ids: list[int]) -> tuple[int, ...]:
    """The tokens up to the first end, which belongs to them."""
    for number, token in enumerate(ids):
        if token in ends:
            return tuple(ids[: number + 1])
    return tuple(ids)


@contextlib.contextmanager
def _seeded(text: str) -> Iterator[None]:
    """PyTorch's random stream, seeded by a text and put back at the end."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
