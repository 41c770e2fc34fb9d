"""A finished run of the main job: the real model, a small pool, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from real_project import command, small_project  # type: ignore[import-not-found]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project after `python -m appraise.orchestration`."""
    folder = small_project(tmp_path_factory.mktemp("finished") / "project")
    done = command(folder, "python", "-m", "appraise.orchestration")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder
