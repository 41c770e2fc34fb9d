"""What the adapters of a decision's policies scored, and which differences are more than chance.

The held-out loss of a policy is Σ nats / Σ tokens over the items of the target's test split. Two
policies are compared on the same items, resampled in pairs: one is better when the interval of the
difference leaves out zero; otherwise there is no detectable difference, and that is said.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appraise.errors import ArtifactError
from appraise.project import Project, Recipe
from appraise.steps.step import Step, each_target
from appraise.storage.files import read_json, read_table, write_bytes, write_json

if TYPE_CHECKING:
    import numpy as np

PIVOT = "kmm"
NO_DIFFERENCE = "no detectable difference"


@dataclass(frozen=True)
class _Scored:
    """One policy's evaluation: its metrics.json and, item by item, nats and tokens, each (n,)."""

    metrics: dict[str, Any]
    items: list[tuple[str, str]]
    nats: np.ndarray
    tokens: np.ndarray


def verdict(a: str, b: str, low: float, high: float) -> str:
    """What the interval of loss(a) − loss(b) says."""
    if high < 0:
        return f"{a} is better"
    return f"{b} is better" if low > 0 else NO_DIFFERENCE


def outcome(project: Project, target: str) -> dict[str, Any]:
    """Every policy's loss with its interval, and `kmm` against each of the others.

    Raises:
        ArtifactError: an evaluation is missing or damaged, or two were made on different items.
    """
    from appraise.numerics.comparison import mean_interval, paired_difference

    params = project.params.decision_outcome
    settings = (params.resamples, params.confidence, params.seed)
    decision = read_json(project.open("valuation_decision", target) / "decision.json")
    scored = {policy: _read(project, target, policy) for policy in decision["policies"]}
    _check_same_items(target, scored)
    policies = {}
    for policy, one in scored.items():
        interval = mean_interval(one.nats, one.tokens, *settings)
        policies[policy] = {
            "loss": interval.estimate,
            "low": interval.low,
            "high": interval.high,
            "accuracy": one.metrics.get("accuracy"),
            "accuracy_stderr": one.metrics.get("accuracy_stderr"),
            **({"reward": one.metrics["reward"]} if "reward" in one.metrics else {}),
            **decision["policies"][policy],
        }
    ours, comparisons = scored[PIVOT], []
    for policy in scored:
        if policy == PIVOT:
            continue
        difference = paired_difference(ours.nats, scored[policy].nats, ours.tokens, *settings)
        comparisons.append(
            {
                "a": PIVOT,
                "b": policy,
                "difference": difference.estimate,
                "low": difference.low,
                "high": difference.high,
                "verdict": verdict(PIVOT, policy, difference.low, difference.high),
            }
        )
    return {
        "decision_id": decision["decision_id"],
        "items": len(ours.items),
        "confidence": params.confidence,
        "policies": policies,
        "comparisons": comparisons,
    }


def _read(project: Project, target: str, policy: str) -> _Scored:
    folder = project.open("evaluation", f"{target}/{policy}")
    table = read_table(folder / "items.parquet").sort_values(["component", "id"], ignore_index=True)
    items = list(zip(table["component"], table["id"], strict=True))
    nats, tokens = table["nats"].to_numpy("float64"), table["tokens"].to_numpy("int64")
    return _Scored(read_json(folder / "metrics.json"), items, nats, tokens)


def _check_same_items(target: str, scored: Mapping[str, _Scored]) -> None:
    ours = scored[PIVOT]
    for policy, one in scored.items():
        if one.items != ours.items or (one.tokens != ours.tokens).any():
            raise ArtifactError(
                f"evaluation of {target}: expected the same items for every policy, found "
                f"others for {policy} than for {PIVOT}; run `appraise evaluation` again"
            )


def flat_metrics(result: dict[str, Any]) -> dict[str, Any]:
    """The numbers that `dvc metrics` shows: each policy's, and each difference."""
    metrics: dict[str, Any] = {}
    for policy, found in result["policies"].items():
        numbers = {name: found.get(name) for name in ("loss", "accuracy", "reward", "cost")}
        metrics[policy] = {name: value for name, value in numbers.items() if value is not None}
    for pair in result["comparisons"]:
        metrics[f"{pair['a']}_minus_{pair['b']}"] = pair["difference"]
    return metrics


def _loss_csv(result: dict[str, Any]) -> str:
    rows = [
        f"{policy},{found['loss']!r},{found['low']!r},{found['high']!r}"
        for policy, found in result["policies"].items()
    ]
    return "\n".join(["policy,loss,low,high", *rows]) + "\n"


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {f"valuation_decision/{key}": project.content("valuation_decision", key)}
    for policy in project.params.policies():
        part = f"{key}/{policy}"
        inputs[f"evaluation/{part}"] = project.content("evaluation", part)
    settings = {"decision_outcome": project.params.decision_outcome.model_dump(mode="json")}
    return Recipe(STEP.version, settings=settings, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    from tqdm import tqdm

    for key in tqdm(keys, desc="decision_outcome", unit="target", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            result = outcome(project, key)
            write_json(folder / "outcome.json", result)
            write_json(folder / "metrics.json", flat_metrics(result))
            write_bytes(folder / "loss.csv", _loss_csv(result).encode())


STEP = Step(
    noun="decision_outcome",
    needs=("evaluation", "valuation_decision"),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
)
