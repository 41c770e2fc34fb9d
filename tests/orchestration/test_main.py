"""`python -m appraise.orchestration` on a project with one offer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fake_pipeline import dvc  # type: ignore[import-not-found]
from one_offer import one_offer  # type: ignore[import-not-found]

from appraise.orchestration.__main__ import main, prepare_home

INFRA = Path(__file__).parents[2] / "infra"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder: Path = one_offer(tmp_path / "project")
    monkeypatch.setenv("DAGSTER_HOME", str(folder / ".dagster"))
    return folder


def everything(root: Path) -> Result:
    return CliRunner().invoke(main, ["--project", str(root)])


def test_every_step_is_run_and_recorded(root: Path) -> None:
    done = everything(root)
    assert done.exit_code == 2, "a pool alone makes no decision"
    assert "expected data/valuation_decision/desk/manifest.json, found nothing" in done.stderr
    assert (root / "data" / "offers" / "offers.json").is_file()
    assert (root / ".dagster" / "event_log.db").is_file()
    assert "up to date" in dvc(root, "status").stdout


def test_an_error_of_a_step_is_one_line(root: Path) -> None:
    pool = json.loads((root / "pool.json").read_text())
    (root / "pool.json").write_text(json.dumps(pool | {"offers": []}))
    done = everything(root)
    assert done.exit_code == 2
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("appraise: "))
    assert "pool.json" in line
    assert "Traceback" not in done.stderr


def test_the_instance_has_the_projects_settings_or_ours(root: Path) -> None:
    settings = prepare_home(root) / "dagster.yaml"
    assert settings.read_bytes() == (INFRA / "dagster.yaml").read_bytes()
    settings.unlink()
    (root / "infra").mkdir()
    (root / "infra" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert prepare_home(root) == settings.parent
    assert settings.read_text() == "telemetry: {enabled: false}\n"
    (root / "infra" / "dagster.yaml").write_text("# another\n")
    prepare_home(root)
    assert settings.read_text() == "telemetry: {enabled: false}\n", "an instance keeps its own"
