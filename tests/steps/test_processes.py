"""Partitions shared out among processes: the same bytes, and an error that is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import offer, rows, small_project, write_pool  # type: ignore[import-not-found]

from appraise.errors import ParamsError
from appraise.project import Project
from appraise.steps.flow import step
from appraise.steps.runner import run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found: Project = small_project(tmp_path)
    write_pool(tmp_path, [offer(tmp_path, name, rows(30, name)) for name in ("a", "b", "c")])
    for noun in ("offers", "target_sets"):
        run(step(noun), found)
    return found


def test_two_processes_make_what_one_makes(project: Project) -> None:
    one = step("auxiliary_datasets")
    run(one, project)
    before = [project.content(one.noun, key) for key in ("a", "b", "c")]
    made = run(one, project, force=True, workers=2)
    assert made.made == ("a", "b", "c")
    assert [project.content(one.noun, key) for key in ("a", "b", "c")] == before


def test_more_workers_than_cores(project: Project) -> None:
    with pytest.raises(ParamsError, match="--workers: expected 1 to"):
        run(step("auxiliary_datasets"), project, workers=4096)
