"""A whole project run with one command, and how far it is said to be when something changes."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tiny_project import appraise, write_project

from appraise.cli import main, running
from appraise.project import Project
from appraise.review.status import next_step, states
from appraise.steps.flow import NOUNS, until

AFTER = ("lora_adapter", "evaluation", "decision_outcome", "report")


@pytest.fixture(scope="module")
def ran(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project that was run up to the decision, and what was printed."""
    root = write_project(tmp_path_factory.mktemp("running") / "project", tiny)
    done = appraise(root, "run", "--until", "valuation-decision", "--no-record")
    assert done.exit_code == 0, done.stderr
    return root, done.stdout


@pytest.fixture
def root(ran: tuple[Path, str], tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(ran[0], tmp_path / "project")
    return copied


def said(root: Path) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(appraise(root, "status", "--json").stdout)
    return found


def test_it_stops_before_training_and_prints_the_decision(ran: tuple[Path, str]) -> None:
    root, printed = ran
    made = {path.name for path in (root / "data").iterdir()}
    assert made == set(until("valuation_decision"))
    assert not made & {*AFTER, "transfer_matrix"}, "what the decision does not rest on is left out"
    assert "valuation_decision: 1 made" in printed
    assert "A desk: Buy" in printed
    again = appraise(root, "run", "--until", "valuation_decision", "--no-record").stdout
    assert "gradient_sketches: 0 made, 3 already up to date" in again


def test_status_says_what_is_next(ran: tuple[Path, str]) -> None:
    found = states(Project(ran[0]))
    assert "appraise summary" in next_step(Project(ran[0]), found)
    assert "appraise run` trains" in next_step(Project(ran[0]), found)
    assert found["lora_adapter"].late == ("lora_adapter",)
    assert "Next: `appraise summary`" in appraise(ran[0], "status").stdout


def test_below_a_changed_pool_everything_waits(root: Path) -> None:
    pool = yaml.safe_load((root / "pool.yaml").read_text())
    pool["offers"][0]["price"] = 6.0
    (root / "pool.yaml").write_text(yaml.safe_dump(pool))
    found = said(root)
    assert found["offers"] == {"": "out of date"}
    for noun in ("base_model", "target_sets", "target_sketches"):
        assert set(found[noun].values()) == {"up to date"}, noun
    for noun in ("auxiliary_datasets", "kernel_matrix", "dataset_values", "valuation_decision"):
        assert set(found[noun].values()) == {"waiting for offers"}, noun
    text = appraise(root, "status").stdout
    assert "gradient_sketches    3 waiting for offers" in text
    assert "Next: `appraise run --until valuation_decision`" in text
    appraise(root, "offers", "--no-record")
    assert said(root)["auxiliary_datasets"]["colours"] == "out of date"
    for noun in ("auxiliary-datasets", "near-copies"):
        appraise(root, noun, "--no-record")
    found = said(root)
    for noun in ("gradient_sketches", "dataset_values"):
        assert set(found[noun].values()) == {"up to date"}, "a price moves no gradient and no value"
    assert set(found["selected_subset"].values()) == {"out of date"}
    assert found["valuation_decision"] == {"desk": "out of date"}


def test_what_is_missing_or_damaged_is_named_by_those_that_wait(root: Path) -> None:
    shutil.rmtree(root / "data" / "gradient_sketches" / "animals")
    (root / "data" / "target_sets" / "desk" / "card.json").write_text("{}")
    found = said(root)
    assert found["gradient_sketches"] == {
        "animals": "missing",
        "colours": "waiting for target_sets",
        "numbers": "waiting for target_sets",
    }
    assert found["target_sets"] == {"desk": "damaged"}
    assert found["kernel_matrix"][""].startswith("waiting for target_sets, gradient_sketches")


def test_the_steps_that_one_rests_on() -> None:
    assert until("report") == NOUNS
    assert until("offers") == ("offers",)
    assert until("target_sketches") == ("base_model", "target_sets", "target_sketches")


def test_a_step_that_is_none_and_settings_that_are_none(tmp_path: Path) -> None:
    done = appraise(tmp_path, "run", "--until", "decision")
    assert done.exit_code == 2
    assert "expected one of the steps base_model, offers" in done.stderr
    assert "expected the project's settings" in appraise(tmp_path, "run").stderr
    assert "expected the project's settings" in appraise(tmp_path, "status").stderr


def test_datasets_that_were_set_aside_are_said_and_exit_with_3(root: Path) -> None:
    pool = yaml.safe_load((root / "pool.yaml").read_text())
    pool["offers"][0]["sha256"] = 64 * "0"
    (root / "pool.yaml").write_text(yaml.safe_dump(pool))
    done = appraise(root, "run", "--until", "auxiliary_datasets", "--no-record")
    assert done.exit_code == 3
    assert "set aside colours: " in done.stderr
    assert "1 set aside; the others went on" in done.stderr


def test_the_pages_are_started_for_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = {}
    monkeypatch.setattr(os, "execvpe", lambda *given: called.update(given=given))
    CliRunner().invoke(main, ["--project", str(tmp_path), "ui"], catch_exceptions=False)
    program, words, environment = called["given"]
    assert (program, Path(words[1]).name, Path(words[1]).is_file()) == ("bash", "ui.sh", True)
    assert Path(words[1]).with_name("dagster.yaml").is_file()
    assert environment["APPRAISE_PROJECT"] == str(tmp_path)
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))


def test_without_dagster_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "find_spec", lambda _: None)
    done = appraise(tmp_path, "ui")
    assert done.exit_code == 2
    assert "pip install 'appraise[dagster]'" in done.stderr
