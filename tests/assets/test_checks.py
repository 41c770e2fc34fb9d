"""Each check passes on a sound project and notices what it is there for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up import TARGET, examples, finished  # type: ignore[import-not-found]

from appraise.assets import checks
from appraise.assets.shown import SHOWN
from appraise.examples.verdicts import CheckResult, FailedRow
from appraise.orchestration.pipeline import Verdict
from appraise.project import Project, Recipe
from appraise.records.cards import ValidationChecks
from appraise.storage.files import read_arrays, read_json, read_table, write_arrays, write_table

ALL = {check.name: check for shown in SHOWN.values() for check in shown.checks}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Project:
    found: Project = finished(tmp_path_factory.mktemp("assets") / "project")
    return found


@pytest.fixture
def project(sound: Project, tmp_path: Path) -> Project:
    """A copy that a test may spoil."""
    shutil.copytree(sound.root, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")


def change(project: Project, noun: str, key: str, alter: Callable[[Path], None]) -> None:
    """Write a partition again, one of its files altered."""
    files = {
        name: (project.folder(noun, key) / name).read_bytes()
        for name in project.manifest(noun, key)["files"]
    }
    with project.writing(noun, key, Recipe("1", {})) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        alter(folder)


def records(verdict: Verdict, name: str) -> list[dict[str, Any]]:
    found = verdict.metadata[name]
    return [] if found == "none" else [record.data for record in found.records]


BLOCKING = {
    "datasets_valid",
    "sketches_finite",
    "kernel_symmetric_psd",
    "certificate_within_tolerance",
    "no_overlap_with_test",
}


def test_the_blocking_checks_are_these() -> None:
    assert {name for name, check in ALL.items() if check.blocking} == BLOCKING
    assert set(ALL) - BLOCKING == {"datasets_set_aside"}


@pytest.mark.parametrize("name", sorted(BLOCKING - {"certificate_within_tolerance"}))
def test_they_pass_on_a_sound_project(sound: Project, name: str) -> None:
    verdict = ALL[name].examine(sound)
    assert verdict.passed, verdict.metadata


def test_what_was_set_aside_is_a_warning_with_its_reason(sound: Project) -> None:
    verdict = checks.datasets_set_aside(sound)
    assert not verdict.passed
    assert verdict.severity.value == "WARN"
    reasons = {row["id"]: row["reason"] for row in records(verdict, "set_aside")}
    assert reasons["boolq"] == "boolq: expected at least 24 examples, found 3"
    assert "../../x" in reasons


def test_rows_that_failed_are_shown(project: Project) -> None:
    row = {"row": 7, "column": "prompt", "value": "", "reason": "empty"}
    failed = CheckResult("not empty", "prompt", False, 1, (FailedRow(**row),))
    change(project, "auxiliary_datasets", "csqa", ValidationChecks((failed,)).write)
    verdict = checks.datasets_valid(project)
    assert verdict.passed, "the rows were dropped"
    assert records(verdict, "failed_rows") == [{"id": "csqa", **row}]


@pytest.mark.parametrize("fault", ["empty completion", "repeated", "too few examples"])
def test_bad_examples_are_noticed(project: Project, fault: str) -> None:
    table = examples("csqa", 3)
    if fault == "empty completion":
        table.loc[0, "completion"] = " "
    elif fault == "repeated":
        table.loc[1, "id"] = table.loc[0, "id"]
    else:
        table = table.head(2)
    change(project, "auxiliary_datasets", "csqa",
           lambda folder: write_table(folder / "examples.parquet", table))  # fmt: skip
    verdict = checks.datasets_valid(project)
    assert not verdict.passed
    assert {row["fault"] for row in records(verdict, "faults")} == {fault}


def test_nan_in_a_sketch_is_noticed(project: Project) -> None:
    def spoil(folder: Path) -> None:
        arrays, meta = read_arrays(folder / "sketch.safetensors")
        arrays["rows"][1, 2] = np.nan
        write_arrays(folder / "sketch.safetensors", arrays, meta)

    change(project, "gradient_sketches", "csqa", spoil)
    verdict = checks.sketches_finite(project)
    assert not verdict.passed
    assert records(verdict, "faults")[0]["id"] == "csqa"


@pytest.mark.parametrize(("i", "j", "value"), [(0, 1, 5.0), (2, 2, -9.0), (0, 0, np.nan)])
def test_what_is_no_kernel_is_noticed(project: Project, i: int, j: int, value: float) -> None:
    def spoil(folder: Path) -> None:
        arrays, meta = read_arrays(folder / "kernel.safetensors")
        arrays["K"][i, j] = value
        write_arrays(folder / "kernel.safetensors", arrays, meta)

    change(project, "kernel_matrix", "", spoil)
    verdict = checks.kernel_symmetric_psd(project)
    assert not verdict.passed
    assert "expected" in verdict.metadata["found"]


def test_a_weight_that_is_not_optimal_is_noticed(project: Project) -> None:
    def loosen(folder: Path) -> None:
        certificate = read_json(folder / "certificate.json")
        text = json.dumps({**certificate, "tolerance": 1e-6})
        (folder / "certificate.json").write_text(text)

    change(project, "kmm_weights", TARGET, loosen)
    verdict = checks.certificate_within_tolerance(project)
    assert verdict.passed, verdict.metadata

    def spoil(folder: Path) -> None:
        table = read_table(folder / "weights.parquet")
        table["weight"] *= 1.01
        write_table(folder / "weights.parquet", table)

    change(project, "kmm_weights", TARGET, spoil)
    verdict = checks.certificate_within_tolerance(project)
    assert not verdict.passed
    assert records(verdict, "targets")[0]["optimal"] is False


def test_an_overlap_with_the_test_split_is_noticed(project: Project) -> None:
    bought = read_json(project.folder("selected_subset", f"{TARGET}/kmm") / "subset.json")
    dataset = bought["datasets"][0]
    test = read_table(project.folder("target_sets", TARGET) / "test.parquet")

    def spoil(folder: Path) -> None:
        table = read_table(folder / "examples.parquet")
        table.loc[4, "prompt"] = test.loc[2, "prompt"].upper()
        write_table(folder / "examples.parquet", table)

    change(project, "auxiliary_datasets", dataset, spoil)
    verdict = checks.no_overlap_with_test(project)
    assert not verdict.passed
    assert records(verdict, "examples")[0]["dataset"] == dataset
