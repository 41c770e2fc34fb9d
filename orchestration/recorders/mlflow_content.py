"""What decisions, adapters and outcomes show in MLflow: read from artifacts, without MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from appraise.errors import ArtifactError
from appraise.presentation import pictures
from appraise.project import Project
from appraise.review.sketch_costs import costs, total
from appraise.storage.files import read_arrays, read_json, read_table

GRADIENT_COSTS = ("examples", "tokens", "seconds", "tokens_per_second", "stored")


@dataclass(frozen=True)
class DatasetUse:
    """A dataset as the input of a run.

    Attributes:
        context: what it was to the run: bought, refused, value, test or training.
        source: where it comes from.
    """

    name: str
    sha256: str
    context: str
    source: Mapping[str, object]


@dataclass(frozen=True)
class RunContent:
    """What is to be logged in a run.

    Attributes:
        sha256: of the artifacts it is read from, by part; logged last, so that what is logged
            whole is not logged again.
        metrics: (name, value, step).
        files: paths; they keep their names.
        pictures: name → PNG.
        model: the folder of an adapter in PEFT's layout.
    """

    sha256: dict[str, str]
    params: dict[str, object] = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    datasets: list[DatasetUse] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    model: Path | None = None


def decision(project: Project, target: str) -> RunContent:
    """The valuation and the decision drawn from it."""
    folder = project.open("valuation_decision", target)
    made = read_json(folder / "decision.json")
    weights, kernel = project.open("kmm_weights", target), project.open("kernel_matrix")
    numbers = {**made["certificate"], "cost": made.get("cost")}
    numbers |= {name: made["reached"][name] for name in ("objective", "bound", "exchange_rate")}
    numbers |= {"bought": len(made["bought"]), "refused": len(made["refused"])}
    numbers |= {f"weight.{one['id']}": one["weight"] for one in made["bought"] + made["refused"]}
    gradients = total(costs(project, target)).as_json()
    numbers |= {f"gradients.{name}": gradients[name] for name in GRADIENT_COSTS}
    return RunContent(
        sha256={"decision": project.content("valuation_decision", target)},
        params=dict(_flat(made["asked"])) | {"target": target},
        metrics=_numbers(numbers),
        datasets=[*_offered(project, made), *_target(project, target)],
        files=[folder / "decision.json", weights / "weights.parquet", weights / "certificate.json"],
        pictures=_valuation_pictures(made, weights, kernel),
    )


def adapter(project: Project, target: str, policy: str) -> RunContent:
    """An adapter: what it was trained on and how."""
    key = f"{target}/{policy}"
    folder = project.open("lora_adapter", key)
    training = read_json(folder / "training.json")
    subset = read_json(project.open("selected_subset", key) / "subset.json")
    params = dict(_flat(project.manifest("lora_adapter", key)["settings"]))
    params |= {"policy": policy, "target": target, "datasets": ", ".join(subset["datasets"])}
    scalars = {name: training[name] for name in ("tokens", "examples") if name in training}
    return RunContent(
        sha256={"adapter": project.content("lora_adapter", key)},
        params=params,
        metrics=[
            *(("train_loss", float(loss), step) for step, loss in enumerate(training["loss"])),
            *(("train_reward", one, step) for step, one in enumerate(training["reward"])),
            *_numbers(scalars),
        ],
        datasets=[
            DatasetUse(one, project.content("auxiliary_datasets", one), "training", {"id": one})
            for one in subset["datasets"]
        ],
        files=[folder / "training.json"],
        model=folder,
    )


def trained_policies(project: Project, target: str) -> list[str]:
    """The policies whose adapters were trained on the subsets that the decision names."""
    made = read_json(project.open("valuation_decision", target) / "decision.json")
    return [
        policy
        for policy in project.params.policies()
        if _trained_as_decided(project, f"{target}/{policy}", made["evidence"])
    ]


def _trained_as_decided(project: Project, key: str, evidence: Mapping[str, str]) -> bool:
    try:
        trained = project.manifest("lora_adapter", key)["settings"]
        subset = read_json(project.open("selected_subset", key) / "subset.json")
    except ArtifactError:
        return False  # not made yet
    decided = evidence.get(f"selected_subset/{key}") == project.content("selected_subset", key)
    return decided and trained.get("datasets") == sorted(subset["datasets"])


def evaluation(project: Project, target: str, policy: str) -> RunContent:
    """What an adapter scored on the target's test split."""
    key = f"{target}/{policy}"
    folder = project.open("evaluation", key)
    metrics = read_json(folder / "metrics.json")
    return RunContent(
        sha256={"evaluation": project.content("evaluation", key)},
        metrics=_numbers({f"test.{name}": value for name, value in _flat(metrics)}),
        datasets=[use for use in _target(project, target) if use.context == "test"],
        files=[folder / "metrics.json"],
    )


def outcome(project: Project, target: str) -> RunContent:
    """What the policies of a decision scored, compared."""
    folder = project.open("decision_outcome", target)
    found = read_json(folder / "outcome.json")
    policies = found["policies"]
    trainings = {
        policy: read_json(project.open("lora_adapter", f"{target}/{policy}") / "training.json")
        for policy in policies
    }
    loss, low, high = (
        np.array([scores[name] for scores in policies.values()], dtype=float)
        for name in ("loss", "low", "high")
    )
    return RunContent(
        sha256={"outcome": project.content("decision_outcome", target)},
        metrics=_numbers({f"outcome.{n}": v for n, v in _flat(read_json(folder / "metrics.json"))}),
        files=[folder / "outcome.json", folder / "loss.csv"],
        pictures={
            "outcome.png": pictures.outcome_bar(list(policies), loss, low, high),
            "training.png": pictures.training_curves(trainings),
        },
    )


def report(project: Project, target: str) -> RunContent:
    """The page for somebody who buys data."""
    page = project.open("report", target) / "report.html"
    return RunContent(sha256={"report": project.content("report", target)}, files=[page])


def _valuation_pictures(made: Mapping[str, Any], weights: Path, kernel: Path) -> dict[str, bytes]:
    bought = [one["id"] for one in made["bought"]]
    arrays, meta = read_arrays(kernel / "kernel.safetensors")
    path, _ = read_arrays(weights / "path.safetensors")
    table = read_table(weights / "weights.parquet")
    ids = list(table["id"])
    weight, low, high = (table[name].to_numpy("float64") for name in ("weight", "low", "high"))
    lam = float(made["certificate"]["lambda"])
    return {
        "kernel.png": pictures.kernel_heat_map(arrays["K"], meta["ids"], bought),
        "weights.png": pictures.weights_bar(ids, weight, low, high, bought),
        "path.png": pictures.path_plot(path["lambdas"], path["weights"], ids, lam, bought),
    }


def _offered(project: Project, made: Mapping[str, Any]) -> Iterator[DatasetUse]:
    offers = read_json(project.open("offers") / "offers.json")["offers"]
    by_id = {offer["id"]: offer for offer in offers}
    shown = ("provider", "version", "licence", "price", "source")
    for context in ("bought", "refused"):
        for one in made[context]:
            source = {name: by_id[one["id"]].get(name) for name in shown}
            sha256 = project.content("auxiliary_datasets", one["id"])
            yield DatasetUse(one["id"], sha256, context, source)


def _target(project: Project, target: str) -> Iterator[DatasetUse]:
    for split in ("value", "test"):
        sha256 = project.content("target_sets", target, f"{split}.parquet")
        yield DatasetUse(f"{target}_{split}", sha256, split, {"target": target, "split": split})


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        yield name, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{name}.{key}" if name else str(key))


def _numbers(values: Mapping[str, Any]) -> list[tuple[str, float, int]]:
    """Those that are finite numbers, as metrics."""
    flat = [(name, value) for name, value in _flat(values) if isinstance(value, int | float)]
    return [(name, float(value), 0) for name, value in flat if abs(float(value)) < float("inf")]
