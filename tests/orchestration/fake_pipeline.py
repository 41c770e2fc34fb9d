"""A project of six tiny steps, which Dagster and `dvc repro` both can run; nothing is computed.

Run as a program it is the `cmd` of the stages: `python fake_pipeline.py NOUN`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from appraise.errors import OfferError
from appraise.orchestration.graph import read_graph
from appraise.orchestration.pipeline import Check, Pipeline, Shown, Verdict
from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.lineage import Lineage
from appraise.orchestration.recorders.mlflow import Mlflow
from appraise.project import Project, Recipe
from appraise.project.keys import Partitions
from appraise.steps.recorder import Recorded
from appraise.steps.runner import run
from appraise.steps.step import Step
from appraise.storage.files import read_json, sha256_file, write_json

TARGET = "desk"
GRAPH: dict[str, tuple[Partitions, tuple[str, ...]]] = {
    "offers": ("", ()),
    "auxiliary_datasets": ("dataset", ("offers",)),
    "gradient_sketches": ("dataset", ("auxiliary_datasets",)),
    "kernel_matrix": ("", ("gradient_sketches",)),
    "kmm_weights": ("target", ("kernel_matrix", "gradient_sketches", "offers")),
    "selected_subset": ("target/policy", ("kmm_weights", "offers")),
}


PARAMS = {
    "offers": ["offers"],
    "kmm_weights": ["target_sets"],
    "selected_subset": ["selected_subset", "offers.pool"],
}


class Fake:
    """Makes a partition out of its inputs' values; remembers what it made.

    A dataset's value is that of its offer; a sketch rounds it to tens, so that a small change of
    an offer changes the dataset but not its sketch.
    """

    def __init__(self, noun: str) -> None:
        partitions, needs = GRAPH[noun]
        self.noun, self.made = noun, []
        self.step = Step(noun, needs, partitions, self.keys, self.recipe, self.make)

    def keys(self, project: Project) -> list[str]:
        kind = self.step.partitions
        if kind == "dataset":
            return sorted(read_json(project.open("offers") / "value.json"))
        if kind == "target":
            return [TARGET]
        return [f"{TARGET}/{p}" for p in project.params.policies()] if kind else [""]

    def recipe(self, project: Project, key: str) -> Recipe:
        if self.noun == "offers":
            return Recipe("1", {}, {"pool": sha256_file(project.root / "pool.json")})
        if self.noun == "auxiliary_datasets":  # only its own offer
            offers = read_json(project.folder("offers") / "value.json")
            return Recipe("1", {"offer": offers[key]})
        inputs = {
            f"{need}/{one}": project.content(need, one)
            for need in self.step.needs
            for one in project.partitions(need)
            if self.step.partitions != "dataset" or one == key
        }
        return Recipe("1", {}, inputs)

    def make(self, project: Project, keys: Sequence[str]) -> None:
        for key in keys:
            with self.step.writing(project, key) as folder:
                write_json(folder / "value.json", self.value(project, key))
            self.made.append(key)

    def value(self, project: Project, key: str) -> Any:
        if self.noun == "offers":
            offers = json.loads((project.root / "pool.json").read_text())
            if not offers:
                raise OfferError("pool.json: expected offers, found none; add one")
            return offers
        if self.noun == "auxiliary_datasets":
            return read_json(project.open("offers") / "value.json")[key]
        if self.noun == "gradient_sketches":
            return 10 * (read_json(project.open("auxiliary_datasets", key) / "value.json") // 10)
        return [self.noun, key, self.recipe(project, key).inputs]


def steps() -> dict[str, Fake]:
    return {noun: Fake(noun) for noun in GRAPH}


def offer(root: Path, **offers: int) -> None:
    """Write the pool."""
    (root / "pool.json").write_text(json.dumps(offers))


def make_project(root: Path, *, git: bool = True) -> Path:
    """A project folder with DVC in it, a checkout of git or not."""
    root.mkdir(parents=True)
    component = {"name": "c", "source": "c.jsonl"}
    params = {
        "base_model": {"source": "none"},
        "offers": {"pool": "pool.json"},
        "target_sets": {TARGET: {"title": "A desk", "components": [component]}},
        "selected_subset": {"policies": ["none", "kmm"]},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    offer(root, a=1, b=12)
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages()}, sort_keys=False))
    (root / ".dvc").mkdir()
    site = root.parent / f"{root.name}-site"
    (root / ".dvc" / "config").write_text(
        f"[core]\n    analytics = false\n    autostage = false\n    site_cache_dir = {site}\n"
    )
    (root / ".dvc" / ".gitignore").write_text("/config.local\n/tmp\n/cache\n")
    (root / ".dvcignore").write_text(".tmp-*\n.gitignore\n.appraise\n.dagster\n")
    (root / ".gitignore").write_text("/data/\n/lineage/\n/.appraise/\n/.dagster/\n")
    if git:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-qm", "x")):
            subprocess.run(("git", *words), cwd=root, check=True)
    return root


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


def stages() -> dict[str, Any]:
    found = {}
    for noun, (_, needs) in GRAPH.items():
        deps = [f"data/{need}" for need in needs] or ["pool.json"]
        found[noun] = {
            "desc": f"The {noun}.",
            "cmd": f"{sys.executable} {Path(__file__).resolve()} {noun}",
            "deps": deps,
            "outs": [{f"data/{noun}": {"persist": True}}],
        } | ({"params": PARAMS[noun]} if noun in PARAMS else {})
    return found


def dvc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """DVC's own command line, as a user would call it."""
    program = Path(sys.executable).parent / "dvc"
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(
        (program, *words), cwd=root, capture_output=True, text=True, check=False, env=environment
    )


if __name__ == "__main__":
    run(Fake(sys.argv[1]).step, Project("."))
