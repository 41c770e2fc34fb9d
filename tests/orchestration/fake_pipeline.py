"""The project of fake steps, and what Dagster makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fake_steps import (  # type: ignore[import-not-found]
    GRAPH,
    TARGET,
    dvc,
    make_project,
    offer,
    steps,
)

from appraise.orchestration.graph import read_graph
from appraise.orchestration.pipeline import Check, Pipeline, Shown, Verdict
from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.lineage import Lineage
from appraise.orchestration.recorders.mlflow import Mlflow
from appraise.project import Project
from appraise.steps.recorder import Recorded
from appraise.steps.runner import run
from appraise.steps.step import Step
from appraise.storage.files import read_json

__all__ = ["GRAPH", "TARGET", "TinyProject", "dvc", "make_project", "offer"]


class TinyProject:
    """A project of fake steps, and what Dagster makes of them."""

    def __init__(self, root: Path, key_prefix: tuple[str, ...] = ()) -> None:
        self.root, self.project = root, Project(root)
        self.fakes = steps()
        self.broken = False
        self.dvc = Dvc(self.step)
        check = Check("whole", "The check of a test.", lambda _: Verdict(not self.broken))
        self.shown = {
            noun: Shown(
                noun, "tests", ("json",), "tests", describe,
                (check,) if noun == "gradient_sketches" else (),
            )
            for noun in GRAPH
        }  # fmt: skip
        self.pipeline = Pipeline(
            root,
            read_graph(root),
            self.shown,
            recorders=(self.dvc, Mlflow(), Lineage()),
            key_prefix=key_prefix,
            step=self.step,
            check=lambda project, _: project.params,  # there is no data to look at
        )

    def step(self, noun: str) -> Step:
        """The fake step of a noun."""
        return self.fakes[noun].step

    def run(self, noun: str, keys: Sequence[str] | None = None) -> None:
        """Run a step without recording it."""
        run(self.step(noun), self.project, keys)

    def record(self, noun: str) -> Recorded:
        """Have DVC record a step."""
        return self.dvc.record(self.project, noun, "")

    def made(self) -> dict[str, list[str]]:
        """What was computed since the last call."""
        made = {noun: sorted(fake.made) for noun, fake in self.fakes.items() if fake.made}
        for fake in self.fakes.values():
            fake.made = []
        return made


def describe(project: Project, key: str) -> dict[str, object]:
    return {"value": str(read_json(project.open("offers") / "value.json")), "key": key}
