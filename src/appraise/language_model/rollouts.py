"""Completions sampled from the base model, and what a reward says of them.

Each prompt has a random stream of its own, seeded by its id, so that what is sampled for it does
not depend on the prompts before it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Any

import torch

from appraise.language_model.objectives import Rollout, Row
from appraise.language_model.prompts import Encoded, encode, texts
from appraise.language_model.rewards import reward_of
from appraise.settings.model import BaseModelParams
from appraise.settings.objectives import Grpo


class Sampler:
    """Samples a group of completions for a row's prompt and rewards each."""

    def __init__(self, model: Any, tokenizer: Any, base: BaseModelParams, objective: Grpo) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._base, self._objective = base, objective
        self._reward = reward_of(objective.reward)

    def __call__(self, row: Row) -> tuple[Rollout, ...]:
        """A group of `generations` completions.

        Raises:
            TooLong: the right answer leaves no room for the prompt.
            ModelError: the reward function raised, or gave no number.
        """
        prompt, cut = self._prompt(row)
        with _seeded(f"{self._objective.seed}:{row['id']}"):
            sampled = self._completions(
                prompt,
                do_sample=True,
                temperature=self._objective.temperature,
                top_k=0,
                top_p=1.0,
                num_return_sequences=self._objective.generations,
            )
        found = []
        for ids in sampled:
            text = self._text(ids)
            reward = self._reward(text, row["completion"])
            found.append(Rollout(Encoded((*prompt, *ids), len(prompt), cut), text, reward))
        return tuple(found)

    def greedy(self, row: Row) -> tuple[str, float]:
        """The completion of which each token is the likeliest one, and its reward.

        Raises:
            As when called.
        """
        prompt, _ = self._prompt(row)
        (ids,) = self._completions(prompt, do_sample=False)
        text = self._text(ids)
        return text, self._reward(text, row["completion"])

    def _prompt(self, row: Row) -> tuple[tuple[int, ...], int]:
        """The prompt's tokens that leave room for a completion, and how many were cut."""
        known = encode(self._tokenizer, self._base, row["prompt"], row["completion"])
        room = max(1, self._base.max_length - self._objective.max_new_tokens)
        prompt = known.ids[: known.n_prompt][-room:]
        return prompt, known.truncated + known.n_prompt - len(prompt)

    def _text(self, ids: tuple[int, ...]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

    def _completions(self, prompt: tuple[int, ...], **how: Any) -> list[tuple[int, ...]]:
        """Token ids of each completion, up to its end."""
        ends = self._ends()
        with torch.no_grad():
            out = self._model.generate(
                torch.tensor([prompt], device=self._model.device),
                attention_mask=torch.ones((1, len(prompt)), device=self._model.device).long(),
                max_new_tokens=self._objective.max_new_tokens,
                eos_token_id=sorted(ends) or None,
                pad_token_id=min(ends, default=0),
                **how,
            )
        return [_until(ends, ids) for ids in out[:, len(prompt) :].tolist()]

    def _ends(self) -> set[int]:
        """What ends a completion: the end of a sequence or turn; in plain format, of a line."""
        ends = {self._tokenizer.eos_token_id} - {None}
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
