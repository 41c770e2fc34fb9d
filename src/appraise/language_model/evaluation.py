"""Likelihood of held-out answers, and lm-eval's accuracy on the same items in the same words.

The choices of an item share its prompt, so the prompt is read once and each choice continues from
its cached keys and values. lm-eval asks for these likelihoods through an LM of its own interface.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from appraise.errors import ModelError
from appraise.language_model.lora import peft_quiet
from appraise.language_model.objectives import Row
from appraise.language_model.prompts import cut, texts, token_ids
from appraise.language_model.rollouts import Sampler
from appraise.language_model.trunk import Trunk
from appraise.language_model.workers import workers
from appraise.settings.model import BaseModelParams
from appraise.settings.objectives import Grpo

if TYPE_CHECKING:
    import pandas as pd

_PREFIX = "appraise_"


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


@dataclass(frozen=True)
class Accuracy:
    """lm-eval's result for one component.

    Attributes:
        accuracy: share of items answered rightly. With choices: the likeliest choice is the
            answer; without: greedy decoding gives the completion.
        stderr: its standard error.
        correct: for each item whether it was answered rightly, in the items' order.
    """

    accuracy: float
    stderr: float
    correct: tuple[bool, ...]


def items_of(table: pd.DataFrame, tokenizer: Any, params: BaseModelParams) -> list[Item]:
    """Items of a target's split (columns component, prompt, completion, choices, answer)."""
    found = []
    columns = (table[name] for name in ("component", "prompt", "completion", "choices", "answer"))
    for component, prompt, completion, choices, answer in zip(*columns, strict=True):
        asked, right = texts(tokenizer, params, prompt, completion)
        if choices is None:
            found.append(Item(component, asked, (right,), 0, False))
            continue
        answers = tuple(texts(tokenizer, params, prompt, choice)[1] for choice in choices)
        found.append(Item(component, asked, answers, int(answer), True))
    return found


def with_adapter(model: Any, folder: Path) -> Any:
    """The base model with a trained adapter, in PEFT's layout, for evaluation."""
    from peft import PeftModel

    with peft_quiet():
        return PeftModel.from_pretrained(model, str(folder)).eval()


def continuations(
    top: Any, trunk: Trunk, left: Sequence[int], rights: Sequence[Sequence[int]]
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
    wanted = torch.tensor(list(right))
    losses = torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="none")
    greedy = bool((logits.argmax(-1) == wanted).all())
    return Likelihood(float(losses.double().sum()), len(right), greedy)


def likelihoods(
    model: Any,
    trunk: Trunk,
    tokenizer: Any,
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

    def one(item: Item) -> tuple[Likelihood, ...]:
        pairs = [token_ids(tokenizer, item.asked, answer) for answer in item.answers]
        rights = [right for _, right in pairs]
        left = cut(tokenizer, pairs[0][0], max_length - max(map(len, rights)))
        found = tuple(continuations(top, trunk, left, rights))
        progress()
        return found

    with workers() as each:
        return list(each(one, items))


def rewards(
    model: Any,
    tokenizer: Any,
    base: BaseModelParams,
    objective: Grpo,
    rows: Sequence[Row],
    progress: Callable[[], object] = lambda: None,
) -> list[float]:
    """Reward of the greedy completion of each row's prompt.

    Raises:
        ModelError: the reward function raised, or gave no number.
    """
    sampler = Sampler(model, tokenizer, base, objective)

    def one(row: Row) -> float:
        reward = sampler.greedy(row)[1]
        progress()
        return reward

    with workers() as each:
        return list(each(one, rows))


def accuracies(
    items: Sequence[Item], found: Sequence[tuple[Likelihood, ...]]
) -> dict[str, Accuracy]:
    """lm-eval's accuracy on each component, from likelihoods already computed. Offline.

    Raises:
        ModelError: lm-eval gives no result.
    """
    os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager, get_task_dict

    with tempfile.TemporaryDirectory() as temporary, _quiet(), _datasets_cache(temporary):
        folder = Path(temporary)
        names = [
            _write_task(folder, component, [i for i in items if i.component == component])
            for component in sorted({item.component for item in items})
        ]
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        results = evaluate(
            lm=_known(items, found),
            task_dict=get_task_dict(names, manager),
            bootstrap_iters=0,
            log_samples=True,
        )
    if results is None:
        raise ModelError("lm-eval: expected results, found none")
    return {name.removeprefix(_PREFIX): _accuracy(results, name) for name in names}


def _known(items: Sequence[Item], found: Sequence[tuple[Likelihood, ...]]) -> Any:
    """An LM in lm-eval's sense that answers from the likelihoods computed for these items."""
    from lm_eval.api.model import LM

    memory = {
        (item.asked, answer): (-one.nats, one.greedy)
        for item, each in zip(items, found, strict=True)
        for answer, one in zip(item.answers, each, strict=True)
    }

    class Known(LM):
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            return [memory[request.args] for request in requests]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:  # noqa: ARG002
            raise ModelError("evaluation: rolling likelihood is not asked for by these tasks")

        def generate_until(self, requests: Sequence[Any]) -> list[str]:  # noqa: ARG002
            raise ModelError("evaluation: generation is not asked for by these tasks")

    return Known()


def _accuracy(results: Mapping[str, Any], name: str) -> Accuracy:
    samples = sorted(results["samples"][name], key=lambda sample: sample["doc_id"])
    return accuracy_of([bool(sample["acc"]) for sample in samples])


def accuracy_of(correct: Sequence[bool]) -> Accuracy:
    """The share of items answered rightly, at least one, with its standard error."""
    share = sum(correct) / len(correct)
    stderr = (share * (1 - share) / max(1, len(correct) - 1)) ** 0.5
    return Accuracy(share, stderr, tuple(correct))


def _write_task(folder: Path, component: str, items: Sequence[Item]) -> str:
    """The items as JSON lines and a task over them, in the words that training used."""
    name = f"{_PREFIX}{component}"
    chosen = all(item.choices for item in items)
    with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
        for item in items:
            row = {"asked": item.asked, "answers": item.answers, "gold": item.gold}
            row["answer"] = item.answers[item.gold]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    kind = {"output_type": "multiple_choice", "doc_to_choice": "answers", "doc_to_target": "gold"}
    task = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / f"{name}.jsonl")}},
        "test_split": "test",
        "doc_to_text": "asked",
        "target_delimiter": "",
        **(kind if chosen else {"output_type": "loglikelihood", "doc_to_target": "answer"}),
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return name


@contextlib.contextmanager
def _datasets_cache(folder: str) -> Iterator[None]:
    """`datasets` keeps no copy of the items beyond this evaluation."""
    import datasets

    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = Path(folder) / "cache"
    try:
        yield
    finally:
        datasets.config.HF_DATASETS_CACHE = before


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the chatter of lm-eval and of the libraries that it starts."""
    import datasets

    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm_eval.evaluator")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # its own progress bars
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        datasets.enable_progress_bars()
