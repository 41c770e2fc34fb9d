"""Held-out loss (nats per completion token) and lm-eval accuracy of each adapter.

On the target's test split, which nothing else ever reads, on the device and in the precision of the
training. The loss of an item is the negative log-likelihood of its completion; with choices,
lm-eval counts an item as right when the right choice is the likeliest. Where adapters are trained
on a reward (GRPO), also the reward of each item's greedy completion. Beside it lm-eval scores the
tasks that `evaluation.tasks` asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from pydantic import JsonValue

from appraise.examples.example import Example
from appraise.language_model.scores import Accuracy, as_metrics
from appraise.language_model.tasks import contents
from appraise.project import Project
from appraise.project.keys import target_of
from appraise.project.reads import Fact, Given, Part, Reads, own_target, same
from appraise.records.adapter import EvaluationMetrics, ItemsTable, Scores
from appraise.records.tables import TestSplit
from appraise.steps.base_model import USED
from appraise.steps.gradient_sketches import PLACED, PRECISION
from appraise.steps.progress import Progress
from appraise.steps.selected_subset import by_policy
from appraise.steps.step import Keys, Output, Step

if TYPE_CHECKING:
    from appraise.language_model.evaluation import Item, Likelihood
    from appraise.language_model.harness import Tasks

OBJECTIVE = "gradient_sketches.objective"


def _rewarded(project: Project, _: str) -> JsonValue:
    """The objective, where it rewards completions; None where it does not matter here."""
    objective = project.params.gradient_sketches.objective
    content: JsonValue = objective.model_dump(mode="json") if objective.rewarded else None
    return content


def _own_tasks(project: Project, _: str) -> JsonValue:
    """SHA-256 of each folder with tasks of lm-eval."""
    return dict(contents(project.params.evaluation.tasks, project.root))


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:
    from appraise.language_model import adapters, base, evaluation
    from appraise.language_model.placement import Placement
    from appraise.language_model.trunk import Trunk

    first = partitions[0]
    folder, params = first.folder("base_model"), first.params.base_model
    sketches, tokenizer = first.params.gradient_sketches, base.load_tokenizer(folder)
    model = base.load(folder, Placement.of(sketches.device, sketches.dtype))
    trunk, tasks = Trunk(model, params.lora), _tasks(first)
    for given in partitions:
        adapter = given.folder("lora_adapter", given.key)
        adapted = adapters.with_trained_adapter(model, adapter)
        tuned = adapted.get_base_model()
        examples = given.read(TestSplit, "target_sets", target_of(given.key)).all()
        items = evaluation.items_of(examples, tokenizer, params)
        progress.count(len(items), "item", given.key)
        answers = evaluation.likelihoods(
            tuned, trunk, tokenizer, params.max_length, items, progress.step
        )
        rows = _rows(examples, items, answers, given.params.evaluation.lm_eval)
        reward = sketches.objective.rewarding(tuned, tokenizer, params)
        if reward is not None:
            progress.count(len(examples), "item", f"{given.key}, rewards")
            rows["reward"] = evaluation.rewards(reward, examples, progress.step)
        scores = None if tasks is None else tasks.scores(tuned, tokenizer, params.chat)
        metrics = EvaluationMetrics(
            **vars(_scores(rows)),
            components={str(name): _scores(part) for name, part in rows.groupby("component")},
            tasks=None if scores is None else as_metrics(scores),
        )
        yield Output(given.key, (ItemsTable(rows), metrics))
        model = adapted.unload()


def _tasks(given: Given) -> Tasks | None:
    """lm-eval's tasks that were asked for, with their data; None without any."""
    settings = given.params.evaluation
    if not settings.tasks:
        return None
    from appraise.language_model.harness import Tasks

    return Tasks(settings.tasks, given.root, settings.limit)


def _rows(
    examples: Sequence[Example],
    items: Sequence[Item],
    answers: Sequence[tuple[Likelihood, ...]],
    lm_eval: bool,
) -> pd.DataFrame:
    """A row for each item: the right answer's likelihood and, by lm-eval, whether it is the
    likeliest of the choices; nothing is right or wrong where there are none."""
    gold = [each[item.gold] for item, each in zip(items, answers, strict=True)]
    rows = pd.DataFrame(
        {
            "id": [example.id for example in examples],
            "component": [example.component for example in examples],
            "nats": [answer.nats for answer in gold],
            "tokens": [answer.tokens for answer in gold],
            "correct": None,
        }
    )
    chosen = [place for place, item in enumerate(items) if item.choices]
    if lm_eval and chosen:
        from appraise.language_model.harness import accuracies

        asked = [items[place] for place in chosen], [answers[place] for place in chosen]
        among = rows.index.isin(chosen)
        for component, result in accuracies(*asked).items():
            rows.loc[among & (rows["component"] == component), "correct"] = list(result.correct)
    return rows.astype({"correct": "boolean"})


def _scores(rows: pd.DataFrame) -> Scores:
    """Loss, accuracy (None where nothing was chosen) and, where there is one, reward of items."""
    correct = rows["correct"].dropna()
    counted = Accuracy.of([bool(right) for right in correct]) if len(correct) else None
    return Scores(
        loss=float(rows["nats"].sum() / rows["tokens"].sum()),
        tokens=int(rows["tokens"].sum()),
        items=len(rows),
        accuracy=None if counted is None else counted.accuracy,
        accuracy_stderr=None if counted is None else counted.stderr,
        reward=float(rows["reward"].mean()) if "reward" in rows else None,
    )


STEP = Step(
    noun="evaluation",
    partitions="target/policy",
    keys=Keys(by_policy),
    reads=Reads(
        settings=("evaluation", *USED),
        parts=(
            Part("lora_adapter", keys=same),
            Part("target_sets", (TestSplit,), own_target),
            Part("base_model"),
        ),
        facts=(
            PRECISION,
            Fact("objective", _rewarded, settings=(OBJECTIVE,)),
            Fact("own_tasks", _own_tasks, settings=("evaluation.tasks",)),
        ),
        how=(*PLACED, OBJECTIVE),
    ),
    writes=(ItemsTable, EvaluationMetrics),
    make=_make,
    alike="adapter",
    version="5",  # 5: right answers where there are choices; 4: exact_text keeps signs
)
