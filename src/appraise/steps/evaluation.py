"""Held-out loss (nats per completion token) and lm-eval accuracy of each adapter.

On the target's test split, which nothing else ever reads. The loss of an item is the negative
log-likelihood of its completion; with choices, lm-eval counts an item as right when the right
choice is the likeliest. Where adapters are trained on a reward (GRPO), also the reward of each
item's greedy completion. Beside it lm-eval scores the tasks that `evaluation.tasks` asks for.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from appraise.examples.example import Example
from appraise.language_model.scores import Accuracy, as_metrics
from appraise.language_model.tasks import contents
from appraise.project import Project, Recipe
from appraise.records.examples import read
from appraise.steps.lora_adapter import keys
from appraise.steps.step import Step
from appraise.storage.files import write_json, write_table

if TYPE_CHECKING:
    from appraise.language_model.evaluation import Item, Likelihood
    from appraise.language_model.harness import Tasks


def _recipe(project: Project, key: str) -> Recipe:
    target = key.split("/")[0]
    inputs = {
        f"lora_adapter/{key}": project.content("lora_adapter", key),
        f"target_sets/{target}/test.parquet": project.content(
            "target_sets", target, file="test.parquet"
        ),
        "base_model": project.content("base_model"),
    }
    settings, objective = project.params.evaluation, project.params.gradient_sketches.objective
    stated = settings.model_dump(mode="json")
    if objective.rewarded:
        stated["objective"] = objective.model_dump(mode="json")
    if settings.tasks:
        stated["contents"] = contents(settings.tasks, project.root)
    return Recipe(STEP.version, stated, inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    from appraise.language_model import adapters, base, evaluation
    from appraise.language_model.placement import Placement
    from appraise.language_model.trunk import Trunk

    folder, params = project.open("base_model"), project.params.base_model
    sketches, settings = project.params.gradient_sketches, project.params.evaluation
    tokenizer = base.load_tokenizer(folder)
    model = base.load(folder, Placement.of(sketches.device, sketches.dtype))
    trunk, tasks = Trunk(model, params.lora), _tasks(project)
    for key in keys:
        adapted = adapters.with_trained_adapter(model, project.open("lora_adapter", key))
        tuned = adapted.get_base_model()
        examples = read(project.open("target_sets", key.split("/")[0]) / "test.parquet")
        items = evaluation.items_of(examples, tokenizer, params)
        with tqdm(total=len(items), desc=f"{STEP.noun} {key}", unit="item", file=sys.stderr) as bar:
            answers = evaluation.likelihoods(
                tuned, trunk, tokenizer, params.max_length, items, bar.update
            )
        rows = _rows(examples, items, answers, settings.lm_eval)
        reward = sketches.objective.rewarding(tuned, tokenizer, params)
        if reward is not None:
            shown = f"{STEP.noun} {key}, rewards"
            with tqdm(total=len(examples), desc=shown, file=sys.stderr) as bar:
                rows["reward"] = evaluation.rewards(reward, examples, bar.update)
        parts = {str(name): _metrics(part) for name, part in rows.groupby("component")}
        metrics = {**_metrics(rows), "components": parts}
        if tasks is not None:
            metrics["tasks"] = as_metrics(tasks.scores(tuned, tokenizer, params.chat))
        with STEP.writing(project, key) as written:
            write_table(written / "items.parquet", rows)
            write_json(written / "metrics.json", metrics)
        model = adapted.unload()


def _tasks(project: Project) -> Tasks | None:
    """lm-eval's tasks that were asked for, with their data; None without any."""
    settings = project.params.evaluation
    if not settings.tasks:
        return None
    from appraise.language_model.harness import Tasks

    return Tasks(settings.tasks, project.root, settings.limit)


def _rows(
    examples: Sequence[Example],
    items: Sequence[Item],
    answers: Sequence[tuple[Likelihood, ...]],
    lm_eval: bool,
) -> pd.DataFrame:
    """A row for each item: the right answer's likelihood and, by lm-eval, whether it is chosen."""
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
    if lm_eval:
        from appraise.language_model.harness import accuracies

        for component, result in accuracies(items, answers).items():
            rows.loc[rows["component"] == component, "correct"] = list(result.correct)
    return rows.astype({"correct": "boolean"})


def _metrics(rows: pd.DataFrame) -> dict[str, Any]:
    """Loss, accuracy (None where lm-eval was not run) and, where there is one, reward of items."""
    correct = rows["correct"].dropna()
    scored = Accuracy.of([bool(right) for right in correct]) if len(correct) else None
    return {
        "loss": float(rows["nats"].sum() / rows["tokens"].sum()),
        "tokens": int(rows["tokens"].sum()),
        "items": len(rows),
        "accuracy": scored.accuracy if scored else None,
        "accuracy_stderr": scored.stderr if scored else None,
        **({"reward": float(rows["reward"].mean())} if "reward" in rows else {}),
    }


STEP = Step(
    noun="evaluation",
    needs=("lora_adapter", "target_sets", "base_model"),
    partitions="target/policy",
    keys=keys,
    recipe=_recipe,
    make=_make,
)
