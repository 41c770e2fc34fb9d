"""One self-contained page per decision, for somebody who buys data.

What the page says is the business of `presentation.report_page`; here its inputs are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from appraise.presentation.costs import Cost
from appraise.presentation.report_page import TEMPLATES, Report
from appraise.presentation.valuation_pictures import (
    frontier_picture,
    of_valuation,
    training_picture,
    transfer_picture,
)
from appraise.project import Project
from appraise.project.keys import joined, name_of
from appraise.project.reads import Fact, Given, Part, Reads, same
from appraise.records.adapter import AdapterTraining
from appraise.records.cards import DatasetCard
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel, Transfer
from appraise.records.offers import Offers
from appraise.records.outcome import Outcome
from appraise.records.record import read_if_there
from appraise.records.sketch import SKETCH, Sketch
from appraise.records.values import PathKnots, WeightsTable
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, each_target
from appraise.steps.valuation_decision import DATASETS, VALUES, offered, sketched
from appraise.storage.files import sha256_bytes, sha256_file, write_bytes

SKETCHES, TARGET_SKETCHES = "gradient_sketches", "target_sketches"


@dataclass(frozen=True)
class Page:
    """The content of `report.html`."""

    FILE: ClassVar[str] = "report.html"
    SCHEMA: ClassVar[int] = 1

    html: str

    def write(self, folder: Path) -> None:
        """Write it."""
        write_bytes(folder / self.FILE, self.html.encode())


def _decision(project: Project, key: str) -> Decision:
    return project.read(Decision, "valuation_decision", key)


def _values(project: Project, key: str) -> list[str]:
    method = _decision(project, key).method
    return [] if method is None else [joined(key, method)]


def _trained(project: Project, key: str) -> list[str]:
    return [joined(key, policy) for policy in _decision(project, key).policies]


def _template(_: Project, __: str) -> str:
    """SHA-256 of what the page is made of."""
    drawn = "".join(sha256_file(path) for path in sorted(TEMPLATES.glob("report.*")))
    return sha256_bytes(drawn.encode())


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        decision = given.read(Decision, "valuation_decision", given.key)
        outcome = given.read(Outcome, "decision_outcome", given.key)
        cards = {name: given.read(DatasetCard, DATASETS, name) for name in given.keys(DATASETS)}
        report = Report.of(decision, outcome, cards, _costs(given), _pictures(given, decision))
        yield Output(given.key, (Page(report.html()),))


def _costs(given: Given) -> list[Cost]:
    """Of the target's sketch, then of each dataset's; seconds are of a machine, not of the page."""
    parts = [
        (TARGET_SKETCHES, given.key),
        *((SKETCHES, dataset) for dataset in given.keys(SKETCHES)),
    ]
    costs = []
    for noun, key in parts:
        folder = given.folder(noun, key)
        sketch = read_if_there(Sketch, folder)  # a dataset may have been set aside
        if sketch is not None:
            costs.append(Cost.of(key, sketch, (folder / SKETCH).stat().st_size))
    return costs


def _pictures(given: Given, decision: Decision) -> dict[str, bytes]:
    """Name → SVG."""
    keys = given.keys(VALUES)
    folder = given.folder(VALUES, keys[0]) if keys else None
    drawn = of_valuation(
        decision,
        given.read(Kernel, "kernel_matrix"),
        read_if_there(WeightsTable, folder),
        read_if_there(PathKnots, folder),
        "svg",
    )
    transfer = given.read(Transfer, "transfer_matrix")
    drawn["transfer"] = transfer_picture(transfer, decision.bought_ids, "svg")
    names = {item.id: item.name for item in decision.valued()}
    points = decision.reached.frontier if decision.reached else ()
    money = (decision.cost, decision.currency)
    more = {
        "frontier": frontier_picture(points, names, *money, "svg"),
        "training": training_picture(_trainings(given), decision.policy, "svg"),
    }
    return drawn | {name: picture for name, picture in more.items() if picture is not None}


def _trainings(given: Given) -> Mapping[str, AdapterTraining]:
    keys = given.keys("lora_adapter")
    return {name_of(key): given.read(AdapterTraining, "lora_adapter", key) for key in keys}


STEP = Step(
    noun="report",
    partitions="target",
    keys=each_target,
    reads=Reads(
        parts=(
            Part("offers", (Offers,)),
            Part(DATASETS, (DatasetCard,), offered),
            Part(TARGET_SKETCHES, keys=same),
            Part(SKETCHES, keys=sketched),
            Part("kernel_matrix", (Kernel,)),
            Part("transfer_matrix", (Transfer,)),
            Part(VALUES, keys=_values),
            Part("valuation_decision", (Decision,), same),
            Part("lora_adapter", (AdapterTraining,), _trained),
            Part("decision_outcome", (Outcome,), same),
        ),
        facts=(Fact("template", _template),),
    ),
    writes=(Page,),
    make=_make,
    version="2",  # 2: by any policy and method
)
