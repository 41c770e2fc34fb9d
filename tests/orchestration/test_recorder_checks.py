"""What the recorders say before anything is computed, and when they are asked all the same."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow_database import with_database  # type: ignore[import-not-found]
from one_offer import one_offer  # type: ignore[import-not-found]

from appraise.orchestration.recorders import RECORDERS
from appraise.orchestration.recorders.dvc import Dvc
from appraise.orchestration.recorders.lineage import Lineage
from appraise.orchestration.recorders.mlflow import Mlflow
from appraise.project import Project
from appraise.project.finding import Finding, Level
from appraise.steps.flow import step
from appraise.steps.recording import unrecorded
from appraise.steps.runner import run


def git(root: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(("git", *identity, *words), cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    folder: Path = one_offer(tmp_path / "project")
    return folder


def only(found: object) -> Finding:
    (one,) = found  # type: ignore[misc]
    assert isinstance(one, Finding)
    return one


@pytest.mark.parametrize("name", RECORDERS)
def test_each_finds_nothing_wrong_where_nothing_is(name: str, root: Path) -> None:
    found = only(RECORDERS[name]().check(Project(root), "dagster"))
    assert found.level == Level.OK, found.says


def tracked_by_git(root: Path) -> None:
    (root / ".gitignore").write_text("/.appraise/\n")
    (root / "data" / "offers").mkdir(parents=True)
    (root / "data" / "offers" / "old.txt").write_text("old")
    git(root, "add", "--all")
    git(root, "commit", "-qm", "with data")


def a_link(root: Path) -> None:
    disk = root.parent / "larger disk"
    disk.mkdir()
    (root / "data").symlink_to(disk)


def a_section_less(root: Path) -> None:
    stages = yaml.safe_load((root / "dvc.yaml").read_text())
    stages["stages"]["offers"]["params"].append("near_copies")
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages))


OBSTACLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "git tracks data": (tracked_by_git, "run `git rm -r --cached --quiet data lineage"),
    "data is a link": (a_link, "mount that disk here"),
    "no such section": (a_section_less, "found no near_copies; add `near_copies: {}`"),
    "lock is empty": (lambda r: (r / "dvc.lock").write_text(""), "`git checkout dvc.lock`"),
    "lock is torn": (lambda r: (r / "dvc.lock").write_text("stages:\n - : {"), "torn or no lock"),
    "lock is other YAML": (lambda r: (r / "dvc.lock").write_text("[1]"), "torn or no lock"),
    "settings of DVC": (
        lambda r: (r / ".dvc/config").write_text("[core\n"),
        ".dvc/config: expected",
    ),
}


@pytest.mark.parametrize("name", OBSTACLES)
def test_what_is_in_the_way_of_dvc_is_found_before_and_said_after(name: str, root: Path) -> None:
    break_it, words = OBSTACLES[name]
    break_it(root)
    project = Project(root)
    found = only(Dvc().check(project, "command"))
    assert found.level == Level.ERROR
    assert words in found.says
    made = run(step("offers"), project, recorders=[Dvc()])
    assert project.intact("offers"), "the step stays made"
    assert made.unrecorded == {"dvc": found.says} == unrecorded(project)["offers"]


def test_a_link_to_the_project_is_no_obstacle(root: Path) -> None:
    link = root.parent / "a link"
    link.symlink_to(root)
    project = Project(link)
    assert only(Dvc().check(project, "command")).level == Level.OK
    assert run(step("offers"), project, recorders=[Dvc()]).unrecorded == {}


@pytest.mark.parametrize(
    ("arrange", "command"),
    [
        (lambda root: shutil.rmtree(root / ".git"), "dvc init --no-scm"),
        (lambda root: (root / ".git").rename(root.parent / ".git"), "dvc init --subdir"),
        (lambda _: None, "dvc init"),
    ],
    ids=["outside of git", "below the root of git", "in git"],
)
def test_the_command_that_sets_dvc_up_is_the_one_that_works(
    root: Path, arrange: Callable[[Path], object], command: str
) -> None:
    shutil.rmtree(root / ".dvc")
    arrange(root)
    assert only(Dvc().check(Project(root), "command")).level == Level.OK
    found = only(Dvc().check(Project(root), "dagster"))
    assert found.level == Level.ERROR
    assert f"run `{command}` in it" in found.says


def test_a_torn_list_of_readers_is_found(root: Path) -> None:
    (root / ".dvc" / "tmp").mkdir()
    (root / ".dvc" / "tmp" / "rwlock").write_text("{}")
    assert only(Dvc().check(Project(root), "command")).level == Level.OK
    (root / ".dvc" / "tmp" / "rwlock").write_text('{"a": {"rea')
    assert "rwlock" in only(Dvc().check(Project(root), "command")).says


def test_two_projects_in_one_checkout(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / ".git")
    other = one_offer(tmp_path / "other")
    shutil.rmtree(other / ".git")
    git(tmp_path, "init", "-q")
    for folder in (root, other):
        assert only(Dvc().check(Project(folder), "command")).level == Level.OK
        assert run(step("offers"), Project(folder), recorders=[Dvc()]).unrecorded == {}
        assert (folder / "dvc.lock").is_file()


def test_a_checkout_without_a_commit_is_worth_a_warning(root: Path) -> None:
    shutil.rmtree(root / ".git")
    git(root, "init", "-q")
    found = only(Lineage().check(Project(root), "dagster"))
    assert found.level == Level.WARNING
    assert "expected a commit, found none yet" in found.says
    assert run(step("offers"), Project(root), recorders=[Dvc()]).unrecorded == {}


def test_a_missing_git_is_worth_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    found = only(Lineage().check(Project(root), "dagster"))
    assert found.level == Level.WARNING
    assert "no such program on PATH" in found.says


def test_a_checkout_that_git_refuses_is_worth_a_warning(root: Path) -> None:
    (root / ".git" / "HEAD").write_text("rubbish\n")
    found = only(Lineage().check(Project(root), "dagster"))
    assert found.level == Level.WARNING
    assert "safe.directory" in found.says


def test_a_detached_head_is_a_commit_like_any(root: Path) -> None:
    git(root, "checkout", "-q", "--detach")
    assert only(Lineage().check(Project(root), "dagster")).level == Level.OK


def database(root: Path) -> Path:
    path = root / ".appraise" / "mlflow.db"
    path.parent.mkdir(exist_ok=True)
    return path


def half_made(root: Path) -> None:
    with sqlite3.connect(database(root)) as one:
        one.execute("create table experiments (name text)")


@pytest.mark.parametrize(
    ("arrange", "words"),
    [
        (lambda root: database(root).write_text("rubbish" * 100), "file is not a database; move"),
        (half_made, "found no alembic_version, runs; move"),
    ],
    ids=["no database", "half made"],
)
def test_a_database_that_mlflow_cannot_use(
    root: Path, arrange: Callable[[Path], object], words: str
) -> None:
    arrange(root)
    found = only(Mlflow().check(Project(root), "dagster"))
    assert found.level == Level.ERROR
    assert words in found.says


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://127.0.0.1:9", "Connection refused; start that server"),
        ("postgresql+psycopg2://me@127.0.0.1:9/mlflow", "Connection refused"),
        ("file:///tmp/mlruns", "in which MLflow logs no more"),
        ("mlruns", "in which MLflow logs no more"),
    ],
)
def test_a_place_where_mlflow_cannot_log(root: Path, uri: str, words: str) -> None:
    found = only(Mlflow(uri).check(Project(root), "dagster"))
    assert found.level == Level.ERROR
    assert words in found.says


def test_a_server_that_answers(root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert only(Mlflow(uri).check(Project(root), "dagster")).level == Level.OK
    assert "was not tried" in only(Mlflow("databricks").check(Project(root), "dagster")).says


def test_a_deleted_experiment_is_worth_a_warning(root: Path) -> None:
    from mlflow.tracking import MlflowClient

    project = with_database(Project(root))
    client = MlflowClient(f"sqlite:///{database(root)}")
    client.delete_experiment(client.create_experiment("another"))
    assert only(Mlflow().check(project, "dagster")).level == Level.OK, "it is not ours"
    client.delete_experiment(client.create_experiment("appraise/desk"))
    found = only(Mlflow().check(project, "dagster"))
    assert found.level == Level.WARNING
    assert "appraise/desk was deleted; its next decision restores it" in found.says


@pytest.mark.skipif(os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_database_that_may_not_be_written(root: Path) -> None:
    with_database(Project(root))
    database(root).chmod(0o400)
    assert "expected permission" in only(Mlflow().check(Project(root), "dagster")).says
