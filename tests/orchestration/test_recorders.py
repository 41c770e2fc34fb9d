"""Recorders: all of one kind, found by entry points, called by whoever runs a step."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import yaml
from click.testing import CliRunner, Result
from dagster import DagsterEventType, DagsterInstance
from fake_pipeline import TinyProject, dvc, make_project, offer  # type: ignore[import-not-found]
from finished_project import TARGET, valued  # type: ignore[import-not-found]
from installed import installed, ours  # type: ignore[import-not-found]
from ledger import Broken, Ledger  # type: ignore[import-not-found]
from mlflow_database import with_database  # type: ignore[import-not-found]
from one_offer import one_offer  # type: ignore[import-not-found]

from appraise.cli import main
from appraise.errors import OfferError, ParamsError
from appraise.orchestration import jobs
from appraise.orchestration.recorders import RECORDERS, registered
from appraise.project import Project
from appraise.steps.flow import NOUNS
from appraise.steps.recorder import By, discovered
from appraise.steps.recording import not_recorded, unrecorded
from appraise.steps.runner import run
from appraise.storage.files import read_json

DECISION = "valuation-decision"


@pytest.fixture
def tiny_project(tmp_path: Path) -> TinyProject:
    return TinyProject(make_project(tmp_path / "project"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packages are installed; this one is."""
    folder: Path = ours(tmp_path / "site")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    return folder


def appraise(project: Project, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(project.root), *words])


def ledger(project: Project) -> list[str]:
    path = project.root / "ledger.txt"
    return path.read_text().splitlines() if path.is_file() else []


@pytest.mark.parametrize("name", RECORDERS)
def test_each_has_its_name_and_answers_for_every_step(name: str, tiny_project: TinyProject) -> None:
    recorder = RECORDERS[name]()
    assert recorder.name == name
    answers = {
        (noun, by): recorder.applies(tiny_project.project, noun, by)
        for noun in NOUNS
        for by in get_args(By)
    }
    assert set(answers.values()) == {True, False}


def test_lineage_comes_last() -> None:
    assert [recorder.name for recorder in registered()][-3:] == ["dvc", "mlflow", "lineage"]


def test_installed_packages_are_asked_first_and_ours_once(site: Path) -> None:
    installed(site, "zeal", {"more": "ledger:RECORDERS"})
    names = ["ledger", "dvc", "mlflow", "lineage"]
    assert [recorder.name for recorder in discovered()] == names
    assert [recorder.name for recorder in registered()] == names


def test_a_package_whose_recorders_cannot_be_loaded_is_named(site: Path) -> None:
    installed(site, "zeal", {"more": "ledger:NOTHING"})
    with pytest.raises(ParamsError, match=r"more = ledger:NOTHING .* run with --no-record"):
        discovered()


def test_a_fourth_recorder_needs_no_other_file(tiny_project: TinyProject) -> None:
    made = run(tiny_project.step("offers"), tiny_project.project, recorders=[Ledger()])
    assert made.recorded["ledger"].facts[""] == {"ledger_page": "page of offers"}
    assert ledger(tiny_project.project) == ["offers: 1 partitions, run none"]
    run(tiny_project.step("offers"), tiny_project.project, recorders=[Ledger()])
    assert len(ledger(tiny_project.project)) == 2, "what is up to date is recorded too"


def test_a_fourth_recorder_from_dagster(tiny_project: TinyProject) -> None:
    old = tiny_project.pipeline
    pipeline = dataclasses.replace(old, recorders=[*old.recorders, Ledger()])
    with DagsterInstance.ephemeral() as instance:
        result = jobs.everything(pipeline).execute_in_process(instance=instance)
    assert result.success
    events = [
        e for e in result.all_events if e.event_type == DagsterEventType.ASSET_MATERIALIZATION
    ]
    for event in events:
        shown = event.step_materialization_data.materialization.metadata
        assert ("ledger_page" in shown) == (event.asset_key.to_user_string() != "kernel_matrix")
        assert str(shown["dvc_md5"].value).endswith(".dir"), "as it was"
    assert f"dataset_values: 2 partitions, run {result.run_id}" in ledger(tiny_project.project)
    assert set((tiny_project.root / "asked.txt").read_text().split()[1::2]) == {"dagster"}


def test_a_step_that_fails_is_noted_by_those_that_can(tiny_project: TinyProject) -> None:
    offer(tiny_project.root)
    with pytest.raises(OfferError, match="expected offers") as raised:
        run(tiny_project.step("offers"), tiny_project.project, recorders=[Broken(), Ledger()])
    (note,) = raised.value.__notes__
    assert note.startswith("broken did not take note of this failure: refused")
    assert "no ink for errors" in note
    assert ledger(tiny_project.project) == [
        "offers failed: pool.json: expected offers, found none; add one"
    ]


def test_a_wrong_key_is_no_failure_of_the_step(tiny_project: TinyProject) -> None:
    with pytest.raises(ParamsError, match="expected one of"):
        run(tiny_project.step("offers"), tiny_project.project, ["x"], recorders=[Ledger()])
    assert ledger(tiny_project.project) == []


def test_a_recorder_that_fails_does_not_keep_the_others_from_it(tiny_project: TinyProject) -> None:
    project = tiny_project.project
    made = run(tiny_project.step("offers"), project, recorders=[Broken(), Ledger()])
    assert made.made == ("",)
    assert list(made.unrecorded) == ["broken"]
    assert project.intact("offers")
    assert ledger(project) == ["offers: 1 partitions, run none"]
    assert unrecorded(project) == {"offers": made.unrecorded}


def test_a_recorder_that_works_again_makes_up_for_what_it_missed(tiny_project: TinyProject) -> None:
    project = tiny_project.project
    run(tiny_project.step("offers"), project, recorders=[Broken()])
    run(tiny_project.step("auxiliary_datasets"), project, recorders=[Ledger("broken")])
    assert [line.split(":")[0] for line in ledger(project)] == ["auxiliary_datasets", "offers"]
    assert unrecorded(project) == {}


def test_steps_of_one_reason_are_said_together() -> None:
    missed = {"offers": {"dvc": "no disk"}, "report": {"dvc": "no disk", "mlflow": "no server"}}
    assert str(not_recorded(missed)).splitlines() == [
        "offers, report: made, but not recorded by dvc: no disk",
        "report: made, but not recorded by mlflow: no server",
    ]


def test_a_recorder_that_fails_stops_no_step_and_fails_the_run(tiny_project: TinyProject) -> None:
    pipeline = dataclasses.replace(tiny_project.pipeline, recorders=[Broken()])
    with DagsterInstance.ephemeral() as instance:
        result = jobs.everything(pipeline).execute_in_process(
            instance=instance, raise_on_error=False
        )
    assert [e.node_name for e in result.all_events if e.is_step_failure] == ["recorded"]
    made = {e.asset_key.to_user_string() for e in result.get_asset_materialization_events()}
    assert made == set(pipeline.stages)
    failure = result.failure_data_for_node("recorded")
    assert failure
    assert failure.user_failure_data
    lines = failure.user_failure_data.description.splitlines()
    assert len(lines) == len(pipeline.stages) - 1, "but the one that does not concern it"
    assert lines[0].startswith("offers: made, but not recorded by broken: refused")
    assert "no ink for offers in Dagster" in lines[0]


def lineage(project: Project) -> dict[str, object]:
    decision = read_json(project.folder("valuation_decision", TARGET) / "decision.json")
    path = project.root / "lineage" / f"{decision['decision_id']}.json"
    found: dict[str, object] = json.loads(path.read_text()) if path.is_file() else {}
    return found


@pytest.fixture(scope="module")
def decided_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project: Project = valued(tmp_path_factory.mktemp("decided") / "project")
    return project.root


@pytest.fixture
def decided(decided_once: Path, tmp_path: Path) -> Project:
    """A project with a decision, not yet recorded."""
    return Project(shutil.copytree(decided_once, tmp_path / "decided"))


@pytest.mark.usefixtures("site")
def test_the_command_line_records_in_mlflow_and_lineage(decided: Project) -> None:
    project = decided
    assert appraise(project, DECISION, "--no-record").exit_code == 0
    assert not (project.root / ".appraise" / "mlflow.db").exists()
    assert lineage(project) == {}
    done = appraise(project, DECISION, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["current"] == [TARGET]
    assert (project.root / ".appraise" / "mlflow.db").is_file()
    joined = lineage(project)
    assert joined["mlflow"]["experiment"] == f"appraise/{TARGET}"  # type: ignore[index]
    assert joined["dagster"] == {"run_id": None}
    assert (project.root / "lineage.dvc").is_file()


def test_lineage_keeps_what_a_recorder_reported_elsewhere(decided: Project) -> None:
    project = decided
    RECORDERS["lineage"]().record(project, "valuation_decision", "first")
    decision_id = str(lineage(project)["decision_id"])
    for name in ("mlflow", "ledger"):
        folder = project.root / ".appraise" / "reported" / decision_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({"page": 1}))
        RECORDERS["lineage"]().record(project, "valuation_decision", "second")
        (folder / f"{name}.json").unlink()  # as in another checkout
    joined = lineage(project)
    assert (joined["mlflow"], joined["ledger"]) == ({"page": 1}, {"page": 1})
    assert joined["dagster"] == {"run_id": "second"}


@pytest.mark.usefixtures("site")
def test_a_recorder_that_fails_on_the_command_line_is_one_line(
    decided: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = decided
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    done = appraise(project, DECISION, "--force")
    assert done.exit_code == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "valuation_decision: made, but not recorded by mlflow: MLflow at http" in done.stderr
    assert project.intact("valuation_decision", TARGET)
    assert lineage(project)["target"] == TARGET, "the others have recorded it"


REPRO = {"cmd": f"{sys.executable} -m appraise.cli valuation-decision"}


def test_repro_records_in_mlflow_and_lineage_and_leaves_dvc_to_itself(
    decided: Project, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = with_database(decided)
    installed(site, "zeal", {"more": "ledger:RECORDERS"})
    path = f"{site}:{Path(__file__).parent}:{':'.join(sys.path)}"
    monkeypatch.setenv("PYTHONPATH", path)
    stage = REPRO | {"outs": [{"data/valuation_decision": {"persist": True}}], "desc": "x"}
    (project.root / "dvc.yaml").write_text(
        yaml.safe_dump({"stages": {"valuation_decision": stage}})
    )
    done = dvc(project.root, "repro")
    assert done.returncode == 0, done.stderr
    assert "Running stage" in done.stdout
    assert (project.root / "asked.txt").read_text() == "valuation_decision dvc\n"
    assert ledger(project) == ["valuation_decision: 1 partitions, run none"]
    assert "mlflow" in lineage(project)
    assert "up to date" in dvc(project.root, "status").stdout
    assert "Running stage" not in dvc(project.root, "repro").stdout


@pytest.mark.usefixtures("site")
def test_the_command_line_records_in_dvc_where_it_is_set_up(
    pool: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    done = appraise(pool, "offers")
    assert done.exit_code == 0, done.output
    assert "up to date" in dvc(pool.root, "status").stdout
    assert "Running stage" not in dvc(pool.root, "repro").stdout


@pytest.fixture
def pool(tmp_path: Path) -> Project:
    return Project(one_offer(tmp_path / "pool"))


SAY_IMPORTED = """
import json, sys
from appraise.cli import main
main(["--project", sys.argv[1], "offers"], standalone_mode=False)
print(json.dumps([m for m in ("dagster", "dvc", "mlflow") if m in sys.modules]))
"""


@pytest.mark.parametrize("under_dvc", [True, False])
def test_only_recorders_with_an_interest_import_their_packages(
    pool: Project, site: Path, monkeypatch: pytest.MonkeyPatch, under_dvc: bool
) -> None:
    if not under_dvc:
        (pool.root / ".dvc").rename(pool.root / "not-dvc")
    monkeypatch.setenv("PYTHONPATH", f"{site}:{':'.join(sys.path)}")
    words = [sys.executable, "-c", SAY_IMPORTED, str(pool.root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == (["dvc"] if under_dvc else [])


ABSENT = """
import sys
from importlib.machinery import PathFinder
class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.split(".")[0] in ("dagster", "dvc", "mlflow"):
            return None
        return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
for name in ("dagster", "dvc", "mlflow"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} is not absent")
import appraise
from appraise.steps.recorder import discovered
appraise.value
assert [recorder.name for recorder in discovered()] == ["dvc", "mlflow", "lineage"]
from appraise.cli import main
main(["--project", sys.argv[1], *sys.argv[2:]])
"""


def test_the_command_line_works_without_the_extra(
    site: Path, decided: Project, pool: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = decided
    monkeypatch.setenv("PYTHONPATH", f"{site}:{':'.join(sys.path)}")
    for root, words in (
        (pool.root, ["offers"]),
        (pool.root, ["status"]),
        (project.root, ["valuation-decision", "--force"]),
        (project.root, ["summary"]),
    ):
        command = [sys.executable, "-c", ABSENT, str(root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    assert not (project.root / ".appraise" / "mlflow.db").exists()
    assert not (pool.root / "dvc.lock").exists()
