"""A project of one's own, made in one go, and never over another."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from appraise.authoring import new_project, version_control
from appraise.cli import main
from appraise.project.params import Params
from appraise.storage.files import sha256_file

ROOT = Path(__file__).parents[2]
TARGET = {"desk": {"title": "A desk", "components": [{"name": "talk", "source": "talk.jsonl"}]}}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Git as on a machine where nobody has said who he is, and a DVC that keeps to itself."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "dvc-site"))
    (tmp_path / "gitconfig").write_text("[user]\nuseConfigOnly = true\n")


def known(tmp_path: Path) -> None:
    (tmp_path / "gitconfig").write_text("[user]\nname = A\nemail = a@example.org\n")


def init(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["init", str(folder), *words], catch_exceptions=False)


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_one_command_makes_all_of_it(tmp_path: Path) -> None:
    known(tmp_path)
    folder = tmp_path / "ours"
    done = init(folder)
    assert done.exit_code == 0, done.output
    assert git(folder, "log", "--format=%s").strip() == version_control.MESSAGE
    assert git(folder, "status", "--porcelain") == ""
    assert "analytics = false" in (folder / ".dvc" / "config").read_text()
    assert "appraise target-sets add FILE" in done.output
    assert (folder / "README.md").read_text().startswith("# ours\n")
    pool = yaml.safe_load((folder / "pool.yaml").read_text())
    assert pool == {"title": "Our pool", "currency": "EUR", "offers": []}


def test_the_steps_and_the_settings_are_those_of_the_repository(tmp_path: Path) -> None:
    new_project.write_project(tmp_path)
    ours = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    assert yaml.safe_load((tmp_path / "dvc.yaml").read_text()) == {
        "stages": ours["stages"],
        "metrics": [],
        "plots": [],
    }
    settings = yaml.safe_load((ROOT / "params.yaml").read_text())
    settings["base_model"] |= {"source": new_project.MODEL, "sha256": None}
    settings |= {"offers": settings["offers"] | {"pool": "pool.yaml"}, "target_sets": {}}
    written = yaml.safe_load((tmp_path / "params.yaml").read_text())
    assert written == settings
    Params.model_validate(written | {"target_sets": TARGET})
    ignored = (tmp_path / ".gitignore").read_text().splitlines()
    assert set(ignored) < set((ROOT / ".gitignore").read_text().splitlines())
    assert (tmp_path / ".dvcignore").read_bytes() == (ROOT / ".dvcignore").read_bytes()


def test_what_the_commented_offers_say_is_a_pool() -> None:
    text = (new_project.TEMPLATE / "pool.yaml").read_text()
    example = [line[1:] for line in text.splitlines() if line.startswith("#  ")]
    offers = yaml.safe_load("\n".join(example))
    assert [offer["id"] for offer in offers] == ["contracts", "support_chats"]


@pytest.mark.parametrize("there", ["params.yaml", "pool.yaml", "README.md", ".gitignore"])
def test_nothing_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / there).write_text("mine")
    done = init(tmp_path / "ours")
    assert done.exit_code == 2
    assert f"expected a folder without a project, found {there}" in done.stderr
    assert [path.name for path in (tmp_path / "ours").iterdir()] == [there]
    file = tmp_path / "ours" / there
    assert f"found {there}" in init(file).stderr, "a file in place of a folder"


def test_without_an_identity_it_says_how_to_commit(tmp_path: Path) -> None:
    done = init(tmp_path / "ours")
    assert done.exit_code == 0
    assert "git: set up, but without a commit" in done.output
    assert "git config --global user.name" in done.output


def test_a_repository_around_it_is_left_as_it_is(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    done = init(tmp_path / "ours")
    assert f"git: in the repository {tmp_path}" in done.output
    assert not (tmp_path / "ours" / ".git").exists()
    assert (tmp_path / "ours" / ".dvc" / "config").is_file()
    assert git(tmp_path, "log", "--all") == ""


def test_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(version_control, "_ran", without("git", version_control._ran))
    done = init(tmp_path / "ours")
    assert done.exit_code == 0
    assert "git: not installed" in done.output
    assert "no_scm = True" in (tmp_path / "ours" / ".dvc" / "config").read_text()


def without(program: str, ran):  # type: ignore[no-untyped-def]
    return lambda folder, *words: "none" if words[0] == program else ran(folder, *words)


def test_without_dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known(tmp_path)
    monkeypatch.setattr(version_control, "find_spec", lambda _: None)
    done = init(tmp_path / "ours")
    assert done.exit_code == 0
    assert "DVC: not installed; `pip install 'appraise[dagster]'`" in done.output
    assert "git: set up, with a first commit" in done.output


def test_a_model_of_ones_own(tmp_path: Path) -> None:
    model = tmp_path / "elsewhere" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({}))
    gguf = tmp_path / "ours" / "a.gguf"
    gguf.parent.mkdir()
    gguf.write_bytes(b"GGUF")
    folder, file = settings(tmp_path / "one", str(model)), settings(gguf.parent, str(gguf))
    assert folder == {"source": str(model), "sha256": None}
    assert file == {"source": "a.gguf", "sha256": sha256_file(gguf)}
    assert settings(tmp_path / "hub", "owner/name")["source"] == "owner/name"


def settings(folder: Path, model: str) -> dict[str, str | None]:
    new_project.write_project(folder, model)
    base = yaml.safe_load((folder / "params.yaml").read_text())["base_model"]
    return {"source": base["source"], "sha256": base["sha256"]}


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for model, found in (("nowhere", "nothing"), (str(tmp_path / "empty"), "a folder without it")):
        done = init(tmp_path / "ours", "--model", model)
        assert done.exit_code == 2
        assert f"found {found}; name another" in done.stderr
        assert not (tmp_path / "ours").exists()


def test_a_new_project_says_what_it_lacks(tmp_path: Path) -> None:
    new_project.write_project(tmp_path)
    for words in (["status"], ["offers"], ["run"]):
        done = CliRunner().invoke(main, ["--project", str(tmp_path), *words])
        assert done.exit_code == 2
        assert "expected a target, found none; `appraise target-sets add FILE`" in done.stderr
    written = yaml.safe_load((tmp_path / "params.yaml").read_text()) | {"target_sets": TARGET}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(written))
    done = CliRunner().invoke(main, ["--project", str(tmp_path), "offers"])
    assert "found none; `appraise offers add FILE` adds one" in done.stderr
