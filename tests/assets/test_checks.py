"""Each check passes on a sound project and notices what it is there for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import numpy as np
import pytest
from factory import changed
from made_up import TARGET, finished  # type: ignore[import-not-found]

from appraise.assets import checks
from appraise.assets.shown import SHOWN
from appraise.examples.verdicts import CheckResult, FailedRow
from appraise.orchestration.pipeline import Verdict
from appraise.project import Project
from appraise.records import examples as tables
from appraise.records.cards import ValidationChecks
from appraise.records.certificate import ProgramCertificate
from appraise.records.kernel import Kernel
from appraise.records.sketch import Sketch
from appraise.records.subset import Subset
from appraise.records.tables import DatasetExamples
from appraise.records.values import WeightsTable

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
    changed(project, "auxiliary_datasets", "csqa", ValidationChecks((failed,)))
    verdict = checks.datasets_valid(project)
    assert verdict.passed, "the rows were dropped"
    assert records(verdict, "failed_rows") == [{"id": "csqa", **row}]


@pytest.mark.parametrize("fault", ["empty completion", "repeated", "too few examples"])
def test_bad_examples_are_noticed(project: Project, fault: str) -> None:
    rows = factory.examples("csqa", 3)
    if fault == "empty completion":
        rows[0] = replace(rows[0], completion=" ")
    elif fault == "repeated":
        rows[1] = replace(rows[1], id=rows[0].id)
    else:
        rows = rows[:2]
    kept = DatasetExamples.of(rows)
    changed(project, "auxiliary_datasets", "csqa", kept)
    verdict = checks.datasets_valid(project)
    assert not verdict.passed
    assert {row["fault"] for row in records(verdict, "faults")} == {fault}


def test_nan_in_a_sketch_is_noticed(project: Project) -> None:
    sketch = Sketch.read(project.open("gradient_sketches", "csqa"))
    rows = sketch.rows.copy()
    rows[1, 2] = np.nan
    changed(project, "gradient_sketches", "csqa", replace(sketch, rows=rows))
    verdict = checks.sketches_finite(project)
    assert not verdict.passed
    assert records(verdict, "faults")[0]["id"] == "csqa"


@pytest.mark.parametrize(("i", "j", "value"), [(0, 1, 5.0), (2, 2, -9.0), (0, 0, np.nan)])
def test_what_is_no_kernel_is_noticed(project: Project, i: int, j: int, value: float) -> None:
    kernel = Kernel.read(project.open("kernel_matrix"))
    K = kernel.K.copy()
    K[i, j] = value
    changed(project, "kernel_matrix", "", replace(kernel, K=K))
    verdict = checks.kernel_symmetric_psd(project)
    assert not verdict.passed
    assert "expected" in verdict.metadata["found"]


def test_a_weight_that_is_not_optimal_is_noticed(project: Project) -> None:
    folder = project.open("dataset_values", f"{TARGET}/kmm")
    certificate = ProgramCertificate.read(folder)
    loose = certificate.model_copy(update={"tolerance": 1e-6})
    changed(project, "dataset_values", f"{TARGET}/kmm", loose)
    verdict = checks.certificate_within_tolerance(project)
    assert verdict.passed, verdict.metadata
    table = WeightsTable.read(folder).table
    changed(
        project,
        "dataset_values",
        f"{TARGET}/kmm",
        WeightsTable(table.assign(weight=1.01 * table.weight)),
    )
    verdict = checks.certificate_within_tolerance(project)
    assert not verdict.passed
    assert records(verdict, "targets")[0]["optimal"] is False


def test_an_overlap_with_the_test_split_is_noticed(project: Project) -> None:
    bought = Subset.read(project.folder("selected_subset", f"{TARGET}/kmm")).datasets
    test = tables.read(project.folder("target_sets", TARGET) / "test.parquet")
    rows = tables.read(project.folder("auxiliary_datasets", bought[0]) / "examples.parquet")
    rows[4] = replace(rows[4], prompt=str(test[2].prompt).upper())
    kept = DatasetExamples.of(rows)
    changed(project, "auxiliary_datasets", bought[0], kept)
    verdict = checks.no_overlap_with_test(project)
    assert not verdict.passed
    assert records(verdict, "examples")[0]["dataset"] == bought[0]
