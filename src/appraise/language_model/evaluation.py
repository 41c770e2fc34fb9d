"""Likelihood of held-out answers, and rewards of greedy completions.

The choices of an item share its prompt, so the prompt is read once and each choice continues from
its cached keys and values. lm-eval is given these likelihoods (`harness`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from appraise.examples.example import Example
from appraise.language_model.prompts import cut, texts, token_ids
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.trunk import Trunk
from appraise.language_model.workers import workers
from appraise.settings.model import BaseModelParams


@dataclass(frozen=True)
class Item:
    """A held-out prompt with the answers that are asked for.

    Attributes:
        asked: the prompt as the model reads it.
        answers: the choices as the model would write them; without choices the right answer alone.
        gold: index of the right answer.
    """

    component: str
    asked: str
    answers: tuple[str, ...]
    gold: int
    choices: bool


@dataclass(frozen=True)
class Likelihood:
    """Of one answer.

    Attributes:
        nats: negative log-likelihood, summed over its tokens.
        tokens: how many tokens it has.
        greedy: whether greedy decoding gives it.
    """

    nats: float
    tokens: int
    greedy: bool


def items_of(
    examples: Iterable[Example], tokenizer: Tokenizer, params: BaseModelParams
) -> list[Item]:
    """Items of a target's split."""
    items = []
    for example in examples:
        asked, right = texts(tokenizer, params, example.prompt, example.completion)
        if example.choices is None or example.answer is None:
            items.append(Item(example.component, asked, (right,), 0, False))
            continue
        answers = tuple(
            texts(tokenizer, params, example.prompt, choice)[1] for choice in example.choices
        )
        items.append(Item(example.component, asked, answers, example.answer, True))
    return items


def continuations(
    top: LanguageModel, trunk: Trunk, left: Sequence[int], rights: Sequence[Sequence[int]]
) -> list[Likelihood]:
    """Likelihood of each continuation (token ids, not empty) of one prompt (token ids)."""
    prompt, *rest = trunk.read_on(left, [right[:-1] for right in rights])
    with torch.no_grad():
        out = top(**prompt, use_cache=True, logits_to_keep=1)
        logits = out.logits[:, -1:].expand(len(rights), -1, -1)
        if rest:
            cache = out.past_key_values
            cache.batch_repeat_interleave(len(rights))
            more = top(**rest[0], past_key_values=cache, use_cache=True)
            logits = torch.cat([logits, more.logits], dim=1)
        return [_likelihood(logits[i, : len(right)], right) for i, right in enumerate(rights)]


def _likelihood(logits: torch.Tensor, right: Sequence[int]) -> Likelihood:
    wanted = torch.tensor(list(right), device=logits.device)
    losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
    greedy = bool((logits.argmax(-1) == wanted).all())
    return Likelihood(float(losses.double().sum()), len(right), greedy)


def likelihoods(
    model: LanguageModel,
    trunk: Trunk,
    tokenizer: Tokenizer,
    max_length: int,
    items: Sequence[Item],
    progress: Callable[[], object] = lambda: None,
) -> list[tuple[Likelihood, ...]]:
    """Likelihood of each answer of each item; a prompt that is too long loses its start.

    Args:
        model: the base model or one with an adapter.
        trunk: of the base model.
    """
    top = trunk.top(model)

    def of_item(item: Item) -> tuple[Likelihood, ...]:
        pairs = [token_ids(tokenizer, item.asked, answer) for answer in item.answers]
        rights = [right for _, right in pairs]
        left = cut(tokenizer, pairs[0][0], max_length - max(map(len, rights)))
        answers = tuple(continuations(top, trunk, left, rights))
        progress()
        return answers

    with workers() as each:
        return list(each(of_item, items))


def rewards(
    reward: Callable[[Example], float],
    examples: Sequence[Example],
    progress: Callable[[], object] = lambda: None,
) -> list[float]:
    """Reward of the greedy completion of each example's prompt.

    Raises:
        ModelError: the reward function raised, or gave no number.
    """

    def of_example(example: Example) -> float:
        value = reward(example)
        progress()
        return value

    with workers() as each:
        return list(each(of_example, examples))
