"""One self-contained page per decision, for somebody who buys data.

What the page says is the business of `presentation.report_page`; here its inputs are read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tqdm import tqdm

from appraise.presentation.costs import Cost
from appraise.presentation.report_page import TEMPLATES, Report
from appraise.presentation.valuation_pictures import (
    frontier_picture,
    of_valuation,
    training_picture,
    transfer_picture,
)
from appraise.project import Project, Recipe
from appraise.records.adapter import AdapterTraining
from appraise.records.cards import DatasetCard
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel, Transfer
from appraise.records.offers import Offers
from appraise.records.outcome import Outcome
from appraise.records.record import read_if_there
from appraise.records.sketch import SKETCH, Sketch
from appraise.records.values import PathKnots, WeightsTable
from appraise.steps.step import Step, each_target
from appraise.steps.valuation_decision import values_part
from appraise.storage.files import sha256_bytes, sha256_file, write_bytes

REPORT = "report.html"


def page(project: Project, target: str) -> str:
    """The report of a target's decision, as HTML."""
    decision = Decision.read(project.open("valuation_decision", target))
    outcome = Outcome.read(project.open("decision_outcome", target))
    offers = Offers.read(project.open("offers"))
    cards = {
        name: DatasetCard.read(project.open("auxiliary_datasets", name)) for name in offers.by_id
    }
    pictures = _pictures(project, target, decision)
    return Report.of(decision, outcome, cards, _costs(project, target), pictures).html()


def _costs(project: Project, target: str) -> list[Cost]:
    """Of the target's sketch, then of each dataset's; seconds are of a machine, not of the page."""
    found = []
    for noun, key in _sketches(project, target):
        if project.set_aside(noun, key) is None:
            folder = project.open(noun, key)
            found.append(Cost.of(key, Sketch.read(folder), (folder / SKETCH).stat().st_size))
    return found


def _pictures(project: Project, target: str, decision: Decision) -> dict[str, bytes]:
    """Name → SVG."""
    part = values_part(target, decision.method)
    folder = project.open(*part) if part else None
    drawn = of_valuation(
        decision,
        Kernel.read(project.open("kernel_matrix")),
        read_if_there(WeightsTable, folder),
        read_if_there(PathKnots, folder),
        "svg",
    )
    transfer = Transfer.read(project.open("transfer_matrix"))
    drawn["transfer"] = transfer_picture(transfer, decision.bought_ids, "svg")
    if decision.reached and len(decision.reached.frontier) > 1:
        names = {item.id: item.name for item in decision.valued()}
        points, money = decision.reached.frontier, (decision.cost, decision.currency)
        drawn["frontier"] = frontier_picture(points, names, *money, "svg")
    trainings = {
        policy: AdapterTraining.read(project.open("lora_adapter", f"{target}/{policy}"))
        for policy in decision.policies
    }
    training = training_picture(trainings, decision.policy, "svg")
    return drawn if training is None else drawn | {"training": training}


def _sketches(project: Project, target: str) -> list[tuple[str, str]]:
    datasets = project.partitions("gradient_sketches")
    return [("target_sketches", target), *(("gradient_sketches", one) for one in datasets)]


def _parts(project: Project, target: str) -> list[tuple[str, str]]:
    """The partitions that are read."""
    decision = Decision.read(project.open("valuation_decision", target))
    values = values_part(target, decision.method)
    parts = [("offers", ""), ("kernel_matrix", ""), ("transfer_matrix", "")]
    parts += [values] if values else []
    parts += _sketches(project, target)
    parts += [("valuation_decision", target), ("decision_outcome", target)]
    parts += [("lora_adapter", f"{target}/{policy}") for policy in decision.policies]
    offered = Offers.read(project.open("offers")).by_id
    return parts + [("auxiliary_datasets", dataset) for dataset in offered]


def _recipe(project: Project, key: str) -> Recipe:
    inputs = {
        f"{noun}/{part}".rstrip("/"): project.content(noun, part)
        for noun, part in _parts(project, key)
    }
    drawn = "".join(sha256_file(path) for path in sorted(TEMPLATES.glob("report.*")))
    return Recipe(STEP.version, settings={"template": sha256_bytes(drawn.encode())}, inputs=inputs)


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in tqdm(keys, desc="report", unit="page", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            write_bytes(folder / REPORT, page(project, key).encode())


STEP = Step(
    noun="report",
    needs=(
        "offers",
        "auxiliary_datasets",
        "gradient_sketches",
        "target_sketches",
        "kernel_matrix",
        "transfer_matrix",
        "kmm_weights",
        "valuation_decision",
        "lora_adapter",
        "decision_outcome",
    ),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="2",  # 2: by any policy and method
)
