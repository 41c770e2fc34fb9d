"""Recording in DVC: whole or not at all, one at a time, in git and outside of it."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_pipeline import (  # type: ignore[import-not-found]
    GRAPH,
    TinyProject,
    dvc,
    make_project,
    offer,
)
from fake_steps import record

from appraise.errors import ParamsError
from appraise.orchestration.recorders import dvc_commit
from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.dvc_commit import track
from appraise.orchestration.recorders.dvc_lock import repair
from appraise.project import Project
from appraise.steps.recorder import Recorded


def run_all(tiny_project: TinyProject) -> None:
    for noun in GRAPH:
        tiny_project.run(noun)
        assert md5(tiny_project.record(noun)).endswith(".dir")


def md5(recorded: Recorded) -> str:
    assert not recorded.left_out
    return recorded.facts[""]["dvc_md5"]


@pytest.mark.parametrize("git", [True, False], ids=["checkout", "plain folder"])
def test_status_is_clean_and_repro_runs_nothing(tmp_path: Path, git: bool) -> None:
    tiny_project = TinyProject(make_project(tmp_path / "project", git=git))
    run_all(tiny_project)
    status = dvc(tiny_project.root, "status")
    assert "up to date" in status.stdout, status.stderr
    repro = dvc(tiny_project.root, "repro")
    assert repro.returncode == 0, repro.stderr
    assert "Running stage" not in repro.stdout


def test_repro_and_record_write_the_same_lock(tmp_path: Path) -> None:
    ours, theirs = (TinyProject(make_project(tmp_path / name)) for name in ("ours", "theirs"))
    run_all(ours)
    done = dvc(theirs.root, "repro")
    assert done.returncode == 0, done.stderr
    locks = [(tiny_project.root / "dvc.lock").read_text() for tiny_project in (ours, theirs)]
    assert locks[0] == locks[1]


def test_what_is_recorded_is_not_written_again(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    before = (tiny_project.root / "dvc.lock").stat().st_mtime_ns
    assert md5(tiny_project.record("offers"))
    assert (tiny_project.root / "dvc.lock").stat().st_mtime_ns == before


def test_half_of_a_stage_is_not_recorded(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    offer(tiny_project.root, a=40, b=50)
    tiny_project.run("offers")
    tiny_project.run("auxiliary_datasets", ["a"])
    recorded = tiny_project.record("auxiliary_datasets")
    assert recorded.facts == {}
    assert "auxiliary_datasets b is not up to date" in recorded.left_out
    assert "auxiliary_datasets" in dvc(tiny_project.root, "status").stdout


def test_an_input_that_changes_while_it_is_recorded_is_refused(
    tiny_project: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(tiny_project)
    offer(tiny_project.root, a=40, b=50)
    tiny_project.run("offers")
    tiny_project.record("offers")
    tiny_project.run("auxiliary_datasets")
    before = (tiny_project.root / "dvc.lock").read_text()
    keep = dvc_commit.keeping_copy

    def change(root: Path) -> object:
        offer(root, a=77, b=88)
        tiny_project.run("offers")
        return keep(root)

    monkeypatch.setattr(dvc_commit, "keeping_copy", change)
    recorded = tiny_project.record("auxiliary_datasets")
    assert recorded.facts == {}
    assert "changed while it was recorded" in recorded.left_out
    assert (tiny_project.root / "dvc.lock").read_text() == before


def test_damage_of_an_input_is_not_recorded(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    (tiny_project.root / "dvc.lock").unlink()
    (tiny_project.root / "data" / "offers" / "value.json").write_text("{}")
    recorded = tiny_project.record("auxiliary_datasets")
    assert recorded.facts == {}
    assert "expected SHA-256" in recorded.left_out


def test_two_records_at_once_lose_nothing(tiny_project: TinyProject) -> None:
    for noun in GRAPH:
        tiny_project.run(noun)
    context = multiprocessing.get_context("spawn")
    nouns = list(GRAPH)
    runs = [context.Process(target=record, args=(tiny_project.root, noun)) for noun in nouns]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert [one.exitcode for one in runs] == [0] * len(nouns)
    assert set(yaml.safe_load((tiny_project.root / "dvc.lock").read_text())["stages"]) == set(nouns)
    assert "up to date" in dvc(tiny_project.root, "status").stdout


def lost_stage(text: str) -> str:
    return text[: text.index("  kernel_matrix:")]


def cut_hash(text: str) -> str:
    at = text.rindex("md5: ")
    return text[: at + 12] + "\n"


TORN = {
    "empty": lambda _: "",
    "not YAML": lambda text: text[: len(text) // 2] + "\n  - : {",
    "lost a stage but parses": lost_stage,
    "half a hash but parses": cut_hash,
}


@pytest.mark.parametrize("tear", TORN.values(), ids=TORN)
def test_a_torn_lock_is_repaired_by_the_next_record(tiny_project: TinyProject, tear) -> None:  # type: ignore[no-untyped-def]
    run_all(tiny_project)
    lock = tiny_project.root / "dvc.lock"
    whole = lock.read_text()
    (tiny_project.root / ".appraise" / "dvc.lock.copy").write_text(whole)
    lock.write_text(tear(whole))
    tiny_project.record("offers")
    assert lock.read_text() == whole
    assert not (tiny_project.root / ".appraise" / "dvc.lock.copy").exists()


def test_a_lock_that_was_written_whole_before_the_kill_stays(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    lock = tiny_project.root / "dvc.lock"
    (tiny_project.root / ".appraise" / "dvc.lock.copy").write_text(lost_stage(lock.read_text()))
    whole = lock.read_text()
    assert not repair(tiny_project.root)
    assert lock.read_text() == whole


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_pipeline import TinyProject
import dvc.dvcfile
def tear(path, *args, **kwargs):
    Path(path).write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
dvc.dvcfile.dump_yaml = tear
dvc.dvcfile.modify_yaml = tear
tiny_project = TinyProject(Path(sys.argv[1]))
tiny_project.record("kernel_matrix")
"""


def test_a_kill_while_dvc_writes_is_repaired(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    whole = (tiny_project.root / "dvc.lock").read_text()
    offer(tiny_project.root, a=40, b=12)
    for noun in list(GRAPH)[:4]:
        tiny_project.run(noun)
    for noun in list(GRAPH)[:3]:
        tiny_project.record(noun)
    words = [sys.executable, "-c", KILLED, str(tiny_project.root), str(Path(__file__).parent)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert (tiny_project.root / "dvc.lock").read_text() == ""
    assert md5(tiny_project.record("kernel_matrix"))
    stages = yaml.safe_load((tiny_project.root / "dvc.lock").read_text())["stages"]
    assert set(stages) == set(yaml.safe_load(whole)["stages"])
    status = dvc(tiny_project.root, "status").stdout
    assert "kernel_matrix:" not in status


@pytest.mark.parametrize("git", [True, False], ids=["checkout", "plain folder"])
def test_lineage_is_tracked(tmp_path: Path, git: bool) -> None:
    root = make_project(tmp_path / "project", git=git)
    ignored = (root / ".gitignore").read_text()
    (root / "lineage").mkdir()
    for number in range(2):
        (root / "lineage" / f"{number}.json").write_text("{}")
        track(root, "lineage")
        track(root, "lineage")
    assert yaml.safe_load((root / "lineage.dvc").read_text())["outs"][0]["nfiles"] == 2
    assert (root / ".gitignore").read_text() == ignored
    (root / "lineage.dvc").write_text("")
    track(root, "lineage")
    assert dvc(root, "status", "lineage.dvc").returncode == 0


def test_a_folder_without_dvc_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"found no \.dvc folder; run `dvc init --no-scm`"):
        Dvc().record(Project(tmp_path), "base_model", "")


@pytest.fixture
def tiny_project(tmp_path: Path) -> TinyProject:
    return TinyProject(make_project(tmp_path / "project"))


def test_a_folder_is_hashed_again_when_a_file_of_it_changed(tiny_project: TinyProject) -> None:
    run_all(tiny_project)
    offers = str(tiny_project.root / "data" / "offers")
    before = tiny_project.dvc.walked[offers]
    aside = tiny_project.root / "data" / "offers" / ".tmp-1-b"
    aside.mkdir()
    (aside / "half").write_text("h")
    assert md5(tiny_project.record("auxiliary_datasets"))
    assert tiny_project.dvc.walked[offers] is before, "what is written aside is no part of it"
    offer(tiny_project.root, a=40, b=50)
    tiny_project.run("offers")
    tiny_project.run("auxiliary_datasets")
    assert md5(tiny_project.record("auxiliary_datasets"))
    assert tiny_project.dvc.walked[offers] != before


def test_it_applies_where_dvc_is_set_up_but_not_in_its_own_stages(
    tiny_project: TinyProject, tmp_path: Path
) -> None:
    recorder = Dvc()
    assert recorder.applies(tiny_project.project, "offers", "command")
    assert not recorder.applies(tiny_project.project, "offers", "dvc")
    assert not recorder.applies(tiny_project.project, "report", "command"), "no stage in dvc.yaml"
    assert not recorder.applies(Project(tmp_path), "offers", "command"), "no .dvc folder"
    assert recorder.applies(Project(tmp_path), "offers", "dagster"), "to say what is missing"
