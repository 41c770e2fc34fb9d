"""lm-eval: its accuracy on a target's own items, and its score on the tasks that a user asks for.

The items are put to the model in the words that training used, through an LM in lm-eval's sense
that answers from likelihoods computed before. Tasks run as lm-eval runs them, in its own prompts.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow
import yaml
from lm_eval.api.model import LM
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from appraise.errors import ModelError, ParamsError
from appraise.language_model.evaluation import Item, Likelihood
from appraise.language_model.protocols import LanguageModel, Tokenizer
from appraise.language_model.scores import Accuracy, TaskScore
from appraise.language_model.tasks import folders_of

BATCH = 8  # sequences of a task that are computed together
RESAMPLES = 1000  # for the standard errors that have no formula
SEED = 1234  # lm-eval's own, for the examples that it puts before a question
_PREFIX = "appraise_"
_UNSCORED = ("alias", "name", "sample_len", "sample_count", "sample_alias")


def accuracies(
    items: Sequence[Item], found: Sequence[tuple[Likelihood, ...]]
) -> dict[str, Accuracy]:
    """lm-eval's accuracy on each component, from likelihoods already computed. Offline.

    Args:
        items: with choices.
        found: the likelihoods of each item's choices.

    Raises:
        ModelError: lm-eval gives no result.
    """
    components = sorted({item.component for item in items})
    with tempfile.TemporaryDirectory() as temporary, _quiet(bars=False), _offline(temporary):
        folder = Path(temporary)
        names = [
            _write_task(folder, component, [i for i in items if i.component == component])
            for component in components
        ]
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        results = evaluate(
            lm=_Known(items, found),
            task_dict=manager.load(names),
            bootstrap_iters=0,
            log_samples=True,
        )
    if results is None:
        raise ModelError("lm-eval: expected results, found none")
    return {name.removeprefix(_PREFIX): _accuracy(results["samples"][name]) for name in names}


class _Known(LM):
    """An LM in lm-eval's sense that answers from the likelihoods computed for these items."""

    def __init__(
        self, items: Sequence[Item], likelihoods: Sequence[tuple[Likelihood, ...]]
    ) -> None:
        super().__init__()
        self._known = {
            (item.asked, answer): (-likelihood.nats, likelihood.greedy)
            for item, each in zip(items, likelihoods, strict=True)
            for answer, likelihood in zip(item.answers, each, strict=True)
        }

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        return [self._known[request.args] for request in requests]

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:  # noqa: ARG002
        raise ModelError("evaluation: rolling likelihood is not asked for by these tasks")

    def generate_until(self, requests: Sequence[Any]) -> list[str]:  # noqa: ARG002
        raise ModelError("evaluation: generation is not asked for by these tasks")


def _accuracy(samples: Sequence[Mapping[str, Any]]) -> Accuracy:
    in_order = sorted(samples, key=lambda sample: int(sample["doc_id"]))
    return Accuracy.of([bool(sample["acc"]) for sample in in_order])


def _write_task(folder: Path, component: str, items: Sequence[Item]) -> str:
    """The items as JSON lines and a task over them, in the words that training used."""
    name = f"{_PREFIX}{component}"
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
        **kind,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    return name


class Tasks:
    """The tasks that were asked for, with their data, to be put to one model after the other.

    Args:
        tasks: lm-eval's names of tasks, groups or tags, and folders with tasks in YAML.
        root: of the project; relative paths, of folders and of data in them, begin there.
        limit: items of each task; None for all.

    Raises:
        ParamsError: there is no such task, or no task in a folder.
        ModelError: a task's data cannot be had.
    """

    def __init__(self, tasks: Sequence[str], root: Path, limit: int | None = None) -> None:
        self._limit = limit
        folders = folders_of(tasks, root)
        known = [task for task in tasks if task not in folders]
        with _quiet(bars=False), _offline(), contextlib.chdir(root):
            manager = TaskManager(
                include_path=[str(folder) for folder in folders.values()],
                include_defaults=bool(known),
            )
            unknown = sorted(set(known) - set(manager.all_tasks))
            if unknown:
                raise ParamsError(
                    f"evaluation.tasks: expected tasks of lm-eval or folders with some, found "
                    f"{', '.join(unknown)}; `lm-eval ls tasks` lists them"
                )
            names = known + [name for task, path in folders.items() for name in _inside(task, path)]
            self._loaded = _loaded(manager, names)
        for task in self._loaded["tasks"].values():
            if task.get_config("num_fewshot") is None:
                task.set_config("num_fewshot", 0)
            task.set_fewshot_seed(SEED)

    def scores(
        self, model: LanguageModel, tokenizer: Tokenizer, chat: bool
    ) -> tuple[TaskScore, ...]:
        """lm-eval's scores of a model, by its own HFLM.

        Args:
            model: in evaluation mode, an adapter's layers in it.
            chat: whether questions are put in the chat format of the tokenizer.

        Raises:
            ModelError: lm-eval refuses a task, or gives no result.
        """
        with _quiet(bars=sys.stderr.isatty()), _offline():
            lm = HFLM(
                pretrained=model,
                backend="causal",
                tokenizer=copy.deepcopy(tokenizer),  # it is given a token to pad with
                batch_size=BATCH,
            )
            try:
                results = evaluate(
                    lm=lm,
                    task_dict=self._loaded,
                    limit=self._limit,
                    bootstrap_iters=RESAMPLES,
                    log_samples=False,
                    apply_chat_template=chat,
                    fewshot_as_multiturn=chat,
                )
            except (ValueError, KeyError, NotImplementedError) as error:
                raise ModelError(
                    f"evaluation.tasks: expected tasks that can be scored, found {_line(error)}"
                ) from error
        if results is None:
            raise ModelError("evaluation.tasks: expected results of lm-eval, found none")
        return tuple(
            score for name in sorted(results["results"]) for score in _scores(name, results)
        )


def _inside(task: str, folder: Path) -> list[str]:
    """Names of the tasks in a folder, each for itself and not by the groups that it may be in."""
    names = TaskManager(include_path=str(folder), include_defaults=False).all_subtasks
    if not names:
        raise ParamsError(
            f"evaluation.tasks: expected tasks of lm-eval in the folder {task} (YAML files with "
            "`task:`), found none"
        )
    return names


def _loaded(manager: TaskManager, names: list[str]) -> Any:
    """The tasks with their data, as lm-eval has them."""
    try:
        return manager.load(names)
    except (
        OSError,
        ValueError,
        KeyError,
        ImportError,
        pyarrow.ArrowException,
        datasets.exceptions.DatasetsError,
        yaml.YAMLError,
    ) as error:
        raise ModelError(
            f"evaluation.tasks: expected the data of {', '.join(names)}, found {_line(error)}; "
            "put it where the task looks for it, or set HF_DATASETS_OFFLINE=0 to have it downloaded"
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _scores(task: str, results: Mapping[str, Any]) -> Iterator[TaskScore]:
    """A task's numbers, which lm-eval has as `metric,filter` and `metric_stderr,filter`."""
    values = results["results"][task]
    for key in sorted(values):
        metric, _, answers = key.partition(",")
        if key in _UNSCORED or metric.endswith("_stderr") or not isinstance(values[key], float):
            continue
        stderr = values.get(f"{metric}_stderr,{answers}")
        name = metric if answers in ("", "none") else f"{metric}/{answers}"
        known = isinstance(stderr, float)
        yield TaskScore(task, name, float(values[key]), stderr if known else None)


@contextlib.contextmanager
def _offline(cache: str | None = None) -> Iterator[None]:
    """Data from this machine alone, unless the user says otherwise; none kept beyond `cache`."""
    config = datasets.config
    before = (config.HF_HUB_OFFLINE, config.HF_DATASETS_CACHE)
    if "HF_DATASETS_OFFLINE" not in os.environ:
        config.HF_HUB_OFFLINE = True
    if cache is not None:
        config.HF_DATASETS_CACHE = Path(cache) / "cache"
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, config.HF_DATASETS_CACHE = before


@contextlib.contextmanager
def _quiet(bars: bool) -> Iterator[None]:
    """Without the chatter of lm-eval and of the libraries that it starts.

    Args:
        bars: whether its own progress bars are shown.
    """
    loggers = [logging.getLogger(name) for name in ("lm_eval", "lm_eval.evaluator")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    datasets.disable_progress_bars()
    try:
        with contextlib.nullcontext() if bars else contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        datasets.enable_progress_bars()
