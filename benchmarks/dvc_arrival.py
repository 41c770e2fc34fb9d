"""What DVC costs when one dataset is added to a pool of n: `python benchmarks/dvc_arrival.py`.

Two stages with a partition for each dataset (4 KiB each) and one that rests on them, as in the real
graph. Measured is the recording alone, as the Dagster job does it, with the part in it that is not
DVC's (hashing every partition against its manifest, twice), and `dvc status` afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.dvc_commit import not_current
from appraise.project import Project, Recipe
from appraise.steps.runner import run
from appraise.steps.step import Step
from appraise.storage.files import read_json, write_bytes, write_json

GRAPH = {"auxiliary_datasets": (), "gradient_sketches": ("auxiliary_datasets",)}


def names(project: Project) -> list[str]:
    return list(read_json(project.root / "pool.json"))


def partitioned(noun: str) -> Step:
    def recipe(project: Project, key: str) -> Recipe:
        return Recipe("1", {}, {need: project.content(need, key) for need in GRAPH[noun]})

    def make(project: Project, keys: Sequence[str]) -> None:
        for key in keys:
            with step.writing(project, key) as folder:
                write_bytes(folder / "rows", hashlib.sha256(key.encode()).digest() * 128)

    step = Step(noun, GRAPH[noun], "dataset", names, recipe, make)
    return step


def whole(noun: str, need: str) -> Step:
    def recipe(project: Project, _: str) -> Recipe:
        return Recipe("1", {}, {key: project.content(need, key) for key in names(project)})

    def make(project: Project, _: Sequence[str]) -> None:
        with step.writing(project, "") as folder:
            write_json(folder / "kernel.json", len(names(project)))

    step = Step(noun, (need,), "", lambda _: [""], recipe, make)
    return step


def make_project(root: Path, steps: Sequence[Step]) -> Project:
    stages = {
        step.noun: {
            "cmd": "true",
            "deps": [f"data/{need}" for need in step.needs] or ["pool.json"],
            "outs": [{f"data/{step.noun}": {"persist": True}}],
        }
        for step in steps
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (root / ".dvc").mkdir()
    site = root / "site"
    (root / ".dvc" / "config").write_text(
        f"[core]\n    analytics = false\n    no_scm = true\n    site_cache_dir = {site}\n"
    )
    (root / ".dvcignore").write_text(".tmp-*\n.gitignore\n.appraise\nsite\n")
    return Project(root)


def arrival(count: int) -> dict[str, float]:
    """Seconds of recording one dataset more, and of `dvc status`."""
    steps = [partitioned("auxiliary_datasets"), partitioned("gradient_sketches")]
    steps.append(whole("kernel_matrix", "gradient_sketches"))
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), steps)
        pool = [f"set_{number:06d}" for number in range(count)]
        write_json(project.root / "pool.json", pool)
        dvc = Dvc({step.noun: step for step in steps}.__getitem__)
        first = sum(recorded(project, step, dvc) for step in steps)
        write_json(project.root / "pool.json", [*pool, "one_more"])
        again = sum(recorded(project, step, dvc) for step in steps)
        started = time.perf_counter()
        for step in steps:
            for _ in range(2):
                assert not not_current(project, step)
        checks = time.perf_counter() - started
        started = time.perf_counter()
        words = [Path(sys.executable).parent / "dvc", "status"]
        said = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - started
        assert "up to date" in said.stdout, said.stdout
    return {
        "datasets": count,
        "first": first,
        "one more": again,
        "checks": checks,
        "status": seconds,
    }


def recorded(project: Project, step: Step, dvc: Dvc) -> float:
    run(step, project)
    started = time.perf_counter()
    done = dvc.record(project, step.noun, "")
    seconds = time.perf_counter() - started
    assert done.facts, done.left_out
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=int, nargs="+", default=[10, 100, 1000])
    print("| datasets | recording all, s | one more, s | of which DVC, s | `dvc status`, s |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    for count in parser.parse_args().datasets:
        found = arrival(count)
        print(
            f"| {count} | {found['first']:.2f} | {found['one more']:.2f} "
            f"| {found['one more'] - found['checks']:.2f} | {found['status']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
