"""A project of six tiny steps, which Dagster and `dvc repro` both can run; nothing is computed.

Run as a program it is the `cmd` of the stages, and imports no Dagster: `python fake_steps.py NOUN`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import yaml

from appraise.errors import OfferError
from appraise.orchestration.recorders.dvc import Dvc
from appraise.project import Project
from appraise.project.keys import Partitions
from appraise.project.reads import Fact, Given, Part, Reads, same
from appraise.steps.progress import Progress
from appraise.steps.runner import run
from appraise.steps.step import Keys, Output, Step
from appraise.storage.files import read_json, write_json

TARGET = "desk"
GRAPH: dict[str, tuple[Partitions, tuple[str, ...]]] = {
    "offers": ("", ()),
    "auxiliary_datasets": ("dataset", ("offers",)),
    "gradient_sketches": ("dataset", ("auxiliary_datasets",)),
    "kernel_matrix": ("", ("gradient_sketches",)),
    "dataset_values": ("target/method", ("kernel_matrix", "gradient_sketches", "offers")),
    "selected_subset": ("target/policy", ("dataset_values", "offers")),
}


PARAMS = {
    "offers": ["offers"],
    "dataset_values": ["target_sets", "dataset_values"],
    "selected_subset": ["selected_subset", "offers.pool"],
}


@dataclass(frozen=True)
class Value:
    """What a partition of a fake step holds."""

    FILE: ClassVar[str] = "value.json"
    SCHEMA: ClassVar[int] = 1
    value: Any

    @classmethod
    def read(cls, folder: Path) -> Value:
        return cls(read_json(folder / cls.FILE))

    def write(self, folder: Path) -> None:
        write_json(folder / self.FILE, self.value)


def offers(project: Project) -> dict[str, int]:
    """Dataset → the value that is offered."""
    offered: dict[str, int] = project.read(Value, "offers").value
    return offered


def keys_of(noun: str) -> Callable[[Project], list[str]]:
    """The keys of a fake step, by what its partitions are."""
    kind = GRAPH[noun][0]

    def keys(project: Project) -> list[str]:
        if kind == "dataset":
            return sorted(offers(project))
        names = {
            "target/method": project.params.methods(),
            "target/policy": project.params.policies(),
        }
        return [f"{TARGET}/{name}" for name in names[kind]] if kind else [""]

    return keys


def reads_of(noun: str) -> Reads:
    """What a fake step reads: the pool, its own offer, or what it needs."""
    if noun == "offers":
        return Reads(outside=lambda project, _: {"pool": project.root / "pool.json"})
    if noun == "auxiliary_datasets":  # only its own offer
        own = Fact("offer", lambda project, key: offers(project)[key], ("offers",))
        return Reads(facts=(own,))
    if noun == "gradient_sketches":
        return Reads(parts=(Part("auxiliary_datasets", keys=same),))
    return Reads(parts=tuple(Part(need, keys=all_of(need)) for need in GRAPH[noun][1]))


def all_of(noun: str) -> Callable[[Project, str], list[str]]:
    return lambda project, _: project.partitions(noun)


class Fake:
    """Makes a partition out of its inputs' values; remembers what it made.

    A dataset's value is that of its offer; a sketch rounds it to tens, so that a small change of
    an offer changes the dataset but not its sketch.
    """

    def __init__(self, noun: str) -> None:
        self.noun, self.made = noun, list[str]()
        keys = Keys(keys_of(noun), nouns=("offers",) * (GRAPH[noun][0] == "dataset"))
        self.step = Step(noun, GRAPH[noun][0], keys, reads_of(noun), (Value,), self.make)

    def make(self, partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG002
        for given in partitions:
            yield Output(given.key, (Value(self.value(given)),))
            self.made.append(given.key)

    def value(self, given: Given) -> Any:
        if self.noun == "offers":
            pool = json.loads(given.outside("pool").read_text())
            if not pool:
                raise OfferError("pool.json: expected offers, found none; add one")
            return pool
        if self.noun == "auxiliary_datasets":
            return given.fact("offer")
        if self.noun == "gradient_sketches":
            return 10 * (given.read(Value, "auxiliary_datasets", given.key).value // 10)
        inputs = {each.name: sha256 for each, sha256 in given.recipe.inputs.items()}
        return [self.noun, given.key, inputs]


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
        "dataset_values": {"methods": ["kmm", "alignment"]},
        "selected_subset": {"policies": ["none", "kmm"]},
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "c.jsonl").write_text('{"prompt": "Why?", "completion": "So."}\n')
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


def record(root: Path, noun: str) -> None:
    """Have DVC record a step; for a process of its own, which imports no Dagster for it."""
    recorder = Dvc(lambda name: Fake(name).step)
    assert recorder.record(Project(root), noun, "").facts


def dvc(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """DVC's own command line, as a user would call it."""
    program = Path(sys.executable).parent / "dvc"
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(
        (program, *words), cwd=root, capture_output=True, text=True, check=False, env=environment
    )


if __name__ == "__main__":
    run(Fake(sys.argv[1]).step, Project("."))
