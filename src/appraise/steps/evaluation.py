"""Held-out loss (nats per completion token) and lm-eval accuracy of each adapter.

On the target's test split, which nothing else ever reads. The loss of an item is the negative
log-likelihood of its completion; with choices, lm-eval counts an item as right when the right
choice is the likeliest. Where adapters are trained on a reward (GRPO), also the reward of each
item's greedy completion.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from appraise.project import Project, Recipe
from appraise.settings.objectives import Grpo
from appraise.steps.lora_adapter import keys
from appraise.steps.step import Step
from appraise.storage.files import read_table, write_json, write_table

if TYPE_CHECKING:
    import pandas as pd


def _recipe(project: Project, key: str) -> Recipe:
    target = key.split("/")[0]
    inputs = {
        f"lora_adapter/{key}": project.content("lora_adapter", key),
        f"target_sets/{target}/test.parquet": project.content(
            "target_sets", target, file="test.parquet"
        ),
        "base_model": project.content("base_model"),
    }
    settings, objective = project.params.evaluation.model_dump(mode="json"), _rewarded(project)
    if objective:
        settings["objective"] = objective.model_dump(mode="json")
    return Recipe(STEP.version, settings, inputs)


def _rewarded(project: Project) -> Grpo | None:
    objective = project.params.gradient_sketches.objective
    return objective if isinstance(objective, Grpo) else None


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    from appraise.language_model import base, evaluation
    from appraise.language_model.trunk import Trunk

    folder, params = project.open("base_model"), project.params.base_model
    tokenizer, model = base.load_tokenizer(folder), base.load(folder)
    trunk, objective = Trunk(model, params.lora), _rewarded(project)
    for key in keys:
        adapter = project.open("lora_adapter", key)
        adapted = evaluation.with_adapter(model, adapter)
        table = read_table(project.open("target_sets", key.split("/")[0]) / "test.parquet")
        items = evaluation.items_of(table, tokenizer, params)
        with tqdm(total=len(items), desc=f"{STEP.noun} {key}", unit="item", file=sys.stderr) as bar:
            found = evaluation.likelihoods(
                adapted.get_base_model(), trunk, tokenizer, params.max_length, items, bar.update
            )
        rows = table[["id", "component"]].copy()
        gold = [each[item.gold] for item, each in zip(items, found, strict=True)]
        rows["nats"] = [one.nats for one in gold]
        rows["tokens"] = [one.tokens for one in gold]
        rows["correct"] = None
        if project.params.evaluation.lm_eval:
            for component, result in evaluation.accuracies(items, found).items():
                rows.loc[rows["component"] == component, "correct"] = list(result.correct)
        rows["correct"] = rows["correct"].astype("boolean")
        if objective:
            asked: list[Any] = table.to_dict("records")
            with tqdm(total=len(asked), desc=f"{STEP.noun} {key}, rewards", file=sys.stderr) as bar:
                rows["reward"] = evaluation.rewards(
                    adapted.get_base_model(), tokenizer, params, objective, asked, bar.update
                )
        with STEP.writing(project, key) as written:
            write_table(written / "items.parquet", rows)
            parts = {str(name): _metrics(part) for name, part in rows.groupby("component")}
            write_json(written / "metrics.json", {**_metrics(rows), "components": parts})
        model = adapted.unload()


def _metrics(rows: pd.DataFrame) -> dict[str, Any]:
    """Loss, accuracy (None where lm-eval was not run) and, where there is one, reward of items."""
    from appraise.language_model.evaluation import accuracy_of

    correct = rows["correct"].dropna()
    scored = accuracy_of([bool(one) for one in correct]) if len(correct) else None
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
