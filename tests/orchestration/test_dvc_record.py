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
    House,
    dvc,
    make_project,
    offer,
)

from appraise.errors import ParamsError
from appraise.orchestration import dvc_record
from appraise.orchestration.dvc_record import record, record_lineage, repair
from appraise.project import Project
from appraise.steps.step import run


def run_all(house: House) -> None:
    for fake in house.fakes.values():
        run(fake.step, house.project)
        assert record(house.project, fake.step).md5


@pytest.mark.parametrize("git", [True, False], ids=["checkout", "plain folder"])
def test_status_is_clean_and_repro_runs_nothing(tmp_path: Path, git: bool) -> None:
    house = House(make_project(tmp_path / "project", git=git))
    run_all(house)
    status = dvc(house.root, "status")
    assert "up to date" in status.stdout, status.stderr
    repro = dvc(house.root, "repro")
    assert repro.returncode == 0, repro.stderr
    assert "Running stage" not in repro.stdout


def test_repro_and_record_write_the_same_lock(tmp_path: Path) -> None:
    ours, theirs = (House(make_project(tmp_path / name)) for name in ("ours", "theirs"))
    run_all(ours)
    done = dvc(theirs.root, "repro")
    assert done.returncode == 0, done.stderr
    locks = [(house.root / "dvc.lock").read_text() for house in (ours, theirs)]
    assert locks[0] == locks[1]


def test_what_is_recorded_is_not_written_again(house: House) -> None:
    run_all(house)
    before = (house.root / "dvc.lock").stat().st_mtime_ns
    again = record(house.project, house.fakes["offers"].step)
    assert not again.changed
    assert again.md5
    assert (house.root / "dvc.lock").stat().st_mtime_ns == before


def test_half_of_a_stage_is_not_recorded(house: House) -> None:
    run_all(house)
    offer(house.root, a=40, b=50)
    run(house.fakes["offers"].step, house.project)
    run(house.fakes["auxiliary_datasets"].step, house.project, ["a"])
    recorded = record(house.project, house.fakes["auxiliary_datasets"].step)
    assert recorded.md5 is None
    assert "auxiliary_datasets b is not up to date" in recorded.reason
    assert "auxiliary_datasets" in dvc(house.root, "status").stdout


def test_an_input_that_changes_while_it_is_recorded_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_all(house)
    offer(house.root, a=40, b=50)
    run(house.fakes["offers"].step, house.project)
    record(house.project, house.fakes["offers"].step)
    run(house.fakes["auxiliary_datasets"].step, house.project)
    before = (house.root / "dvc.lock").read_text()
    keep = dvc_record._keeping_copy

    def change(root: Path) -> object:
        offer(root, a=77, b=88)
        run(house.fakes["offers"].step, Project(root))
        return keep(root)

    monkeypatch.setattr(dvc_record, "_keeping_copy", change)
    recorded = record(house.project, house.fakes["auxiliary_datasets"].step)
    assert recorded.md5 is None
    assert "changed while it was recorded" in recorded.reason
    assert (house.root / "dvc.lock").read_text() == before


def test_damage_of_an_input_is_not_recorded(house: House) -> None:
    run_all(house)
    (house.root / "dvc.lock").unlink()
    (house.root / "data" / "offers" / "value.json").write_text("{}")
    recorded = record(house.project, house.fakes["auxiliary_datasets"].step)
    assert recorded.md5 is None
    assert "expected SHA-256" in recorded.reason


def _record(root: Path, noun: str) -> None:
    house = House(root)
    assert record(house.project, house.fakes[noun].step).md5


def test_two_records_at_once_lose_nothing(house: House) -> None:
    for fake in house.fakes.values():
        run(fake.step, house.project)
    context = multiprocessing.get_context("spawn")
    nouns = list(GRAPH)
    runs = [context.Process(target=_record, args=(house.root, noun)) for noun in nouns]
    for one in runs:
        one.start()
    for one in runs:
        one.join()
    assert [one.exitcode for one in runs] == [0] * len(nouns)
    assert set(yaml.safe_load((house.root / "dvc.lock").read_text())["stages"]) == set(nouns)
    assert "up to date" in dvc(house.root, "status").stdout


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
def test_a_torn_lock_is_repaired_by_the_next_record(house: House, tear) -> None:  # type: ignore[no-untyped-def]
    run_all(house)
    lock = house.root / "dvc.lock"
    whole = lock.read_text()
    (house.root / ".appraise" / "dvc.lock.copy").write_text(whole)
    lock.write_text(tear(whole))
    record(house.project, house.fakes["offers"].step)
    assert lock.read_text() == whole
    assert not (house.root / ".appraise" / "dvc.lock.copy").exists()


def test_a_lock_that_was_written_whole_before_the_kill_stays(house: House) -> None:
    run_all(house)
    lock = house.root / "dvc.lock"
    (house.root / ".appraise" / "dvc.lock.copy").write_text(lost_stage(lock.read_text()))
    whole = lock.read_text()
    assert not repair(house.root)
    assert lock.read_text() == whole


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from fake_pipeline import House
from appraise.orchestration.dvc_record import record
import dvc.dvcfile
def tear(path, *args, **kwargs):
    Path(path).write_text("")
    os.kill(os.getpid(), signal.SIGKILL)
dvc.dvcfile.dump_yaml = tear
dvc.dvcfile.modify_yaml = tear
house = House(Path(sys.argv[1]))
record(house.project, house.fakes["kernel_matrix"].step)
"""


def test_a_kill_while_dvc_writes_is_repaired(house: House) -> None:
    run_all(house)
    whole = (house.root / "dvc.lock").read_text()
    offer(house.root, a=40, b=12)
    for noun in list(GRAPH)[:4]:
        run(house.fakes[noun].step, house.project)
    for noun in list(GRAPH)[:3]:
        record(house.project, house.fakes[noun].step)
    words = [sys.executable, "-c", KILLED, str(house.root), str(Path(__file__).parent)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert (house.root / "dvc.lock").read_text() == ""
    assert record(house.project, house.fakes["kernel_matrix"].step).changed
    stages = yaml.safe_load((house.root / "dvc.lock").read_text())["stages"]
    assert set(stages) == set(yaml.safe_load(whole)["stages"])
    status = dvc(house.root, "status").stdout
    assert "kernel_matrix:" not in status


@pytest.mark.parametrize("git", [True, False], ids=["checkout", "plain folder"])
def test_lineage_is_tracked(tmp_path: Path, git: bool) -> None:
    root = make_project(tmp_path / "project", git=git)
    ignored = (root / ".gitignore").read_text()
    (root / "lineage").mkdir()
    for number in range(2):
        (root / "lineage" / f"{number}.json").write_text("{}")
        record_lineage(root)
        record_lineage(root)
    assert yaml.safe_load((root / "lineage.dvc").read_text())["outs"][0]["nfiles"] == 2
    assert (root / ".gitignore").read_text() == ignored
    (root / "lineage.dvc").write_text("")
    record_lineage(root)
    assert dvc(root, "status", "lineage.dvc").returncode == 0


def test_a_folder_without_dvc_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"found no \.dvc folder; run `dvc init`"):
        dvc_record.open_repo(tmp_path)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(make_project(tmp_path / "project"))


def test_files_that_are_written_aside_are_no_part_of_a_stamp(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    before = dvc_record._stamp(tmp_path)
    (tmp_path / ".tmp-1-b").mkdir()
    (tmp_path / ".tmp-1-b" / "half").write_text("h")
    assert dvc_record._stamp(tmp_path) == before
    (tmp_path / "a").write_text("another")
    assert dvc_record._stamp(tmp_path) != before
