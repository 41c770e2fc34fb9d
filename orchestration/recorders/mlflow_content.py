"""What decisions, adapters and outcomes show in MLflow: read from artifacts, without MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from appraise.errors import ArtifactError
from appraise.presentation.costs import total
from appraise.presentation.valuation_pictures import (
    of_valuation,
    outcome_picture,
    training_picture,
)
from appraise.project import Project
from appraise.project.keys import joined
from appraise.records.adapter import AdapterTraining, EvaluationMetrics
from appraise.records.certificate import ProgramCertificate
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.outcome import LossTable, Outcome, OutcomeMetrics
from appraise.records.record import Json, read_if_there
from appraise.records.subset import Subset
from appraise.records.values import PathKnots, WeightsTable
from appraise.review.sketch_costs import costs
from appraise.steps.report import Page

GRADIENT_COSTS = ("examples", "tokens", "seconds", "tokens_per_second", "stored")
REACHED = ("objective", "bound")


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
    source: Json


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
    params: Json = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)
    datasets: list[DatasetUse] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    model: Path | None = None


def decision(project: Project, target: str) -> RunContent:
    """The valuation and the decision drawn from it."""
    folder = project.open("valuation_decision", target)
    made = Decision.read(folder)
    method = made.method
    values = None if method is None else project.open("dataset_values", joined(target, method))
    written = [folder / Decision.FILE]
    if values is not None:
        written += [values / WeightsTable.FILE, values / ProgramCertificate.FILE]
    return RunContent(
        sha256={"decision": project.content("valuation_decision", target)},
        params=dict(_flat(made.asked.as_json())) | {"target": target, "policy": made.policy},
        metrics=_numbers(_measured(project, made)),
        datasets=[*_offered(project, made), *_target(project, target)],
        files=[path for path in written if path.is_file()],
        pictures=_as_png(
            of_valuation(
                made,
                Kernel.read(project.open("kernel_matrix")),
                read_if_there(WeightsTable, values),
                read_if_there(PathKnots, values),
            )
        ),
    )


def _measured(project: Project, made: Decision) -> Json:
    """The numbers of a decision."""
    certificate: Json = made.certificate.as_json() if made.certificate else {}
    reached: Json = {n: getattr(made.reached, n) for n in REACHED} if made.reached else {}
    gradients = total(costs(project, made.target)).as_json()
    return {
        **certificate,
        "cost": made.cost,
        **reached,
        "bought": len(made.bought),
        "refused": len(made.refused),
        **{f"weight.{item.id}": item.weight for item in made.valued()},
        **{f"gradients.{name}": gradients[name] for name in GRADIENT_COSTS},
    }


def _as_png(pictures: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.png": png for name, png in pictures.items()}


def adapter(project: Project, target: str, policy: str) -> RunContent:
    """An adapter: what it was trained on and how."""
    key = f"{target}/{policy}"
    folder = project.open("lora_adapter", key)
    training = AdapterTraining.read(folder)
    bought = Subset.read(project.open("selected_subset", key)).datasets
    params = dict(_flat(project.manifest("lora_adapter", key).settings))
    params |= {"policy": policy, "target": target, "datasets": ", ".join(bought)}
    return RunContent(
        sha256={"adapter": project.content("lora_adapter", key)},
        params=params,
        metrics=[
            *(("train_loss", loss, step) for step, loss in enumerate(training.loss)),
            *(("train_reward", reward, step) for step, reward in enumerate(training.reward)),
            ("tokens", float(training.tokens), 0),
        ],
        datasets=[
            DatasetUse(one, project.content("auxiliary_datasets", one), "training", {"id": one})
            for one in bought
        ],
        files=[folder / training.FILE],
        model=folder,
    )


def trained_policies(project: Project, target: str) -> list[str]:
    """The policies whose adapters were trained on the subsets that the decision names."""
    made = Decision.read(project.open("valuation_decision", target))
    return [
        policy
        for policy in project.params.policies()
        if _trained_as_decided(project, f"{target}/{policy}", made.evidence)
    ]


def _trained_as_decided(project: Project, key: str, evidence: Mapping[str, str]) -> bool:
    try:
        trained = project.manifest("lora_adapter", key).facts
        subset = Subset.read(project.open("selected_subset", key))
    except ArtifactError:
        return False  # not made yet
    decided = evidence.get(f"selected_subset/{key}") == project.content("selected_subset", key)
    return decided and trained.get("datasets") == sorted(subset.datasets)


def evaluation(project: Project, target: str, policy: str) -> RunContent:
    """What an adapter scored on the target's test split."""
    key = f"{target}/{policy}"
    folder = project.open("evaluation", key)
    metrics = EvaluationMetrics.read(folder)
    return RunContent(
        sha256={"evaluation": project.content("evaluation", key)},
        metrics=_numbers({f"test.{name}": value for name, value in _flat(metrics.as_json())}),
        datasets=[use for use in _target(project, target) if use.context == "test"],
        files=[folder / metrics.FILE],
    )


def outcome(project: Project, target: str) -> RunContent:
    """What the policies of a decision scored, compared."""
    folder = project.open("decision_outcome", target)
    compared, metrics = Outcome.read(folder), OutcomeMetrics.read(folder)
    trainings = {
        policy: AdapterTraining.read(project.open("lora_adapter", f"{target}/{policy}"))
        for policy in compared.policies
    }
    drawn = {"outcome": outcome_picture(compared)}
    training = training_picture(trainings, compared.policy)
    return RunContent(
        sha256={"outcome": project.content("decision_outcome", target)},
        metrics=_numbers({f"outcome.{n}": value for n, value in _flat(metrics.as_json())}),
        files=[folder / record.FILE for record in (Outcome, LossTable)],
        pictures=_as_png(drawn if training is None else drawn | {"training": training}),
    )


def report(project: Project, target: str) -> RunContent:
    """The page for somebody who buys data."""
    page = project.open("report", target) / Page.FILE
    return RunContent(sha256={"report": project.content("report", target)}, files=[page])


def _offered(project: Project, made: Decision) -> Iterator[DatasetUse]:
    offers = Offers.read(project.open("offers"))
    shown = ("provider", "version", "licence", "price", "source")
    for context, items in (("bought", made.bought), ("refused", made.refused)):
        for item in items:
            source: Json = {name: getattr(offers[item.id], name) for name in shown}
            sha256 = project.content("auxiliary_datasets", item.id)
            yield DatasetUse(item.id, sha256, context, source)


def _target(project: Project, target: str) -> Iterator[DatasetUse]:
    for split in ("value", "test"):
        sha256 = project.content("target_sets", target, f"{split}.parquet")
        yield DatasetUse(f"{target}_{split}", sha256, split, {"target": target, "split": split})


def _flat(value: JsonValue, name: str = "") -> Iterator[tuple[str, JsonValue]]:
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{name}.{key}" if name else str(key))


def _numbers(values: Json) -> list[tuple[str, float, int]]:
    """Those that are finite numbers, as metrics."""
    flat = [(name, value) for name, value in _flat(values) if isinstance(value, int | float)]
    return [(name, float(value), 0) for name, value in flat if abs(float(value)) < float("inf")]
