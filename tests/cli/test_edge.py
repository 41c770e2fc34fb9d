"""Projects that are broken on disk: every command that looks says what is wrong, on one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from steps import fabricated  # type: ignore[import-not-found]

from appraise.cli import main
from appraise.project import Project
from appraise.review import verification


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made") / "project"
    root.mkdir()
    project: Project = fabricated.project(root)
    return project.root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project"))


def appraise(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(root), *words])


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def deeply_nested(path: Path) -> None:
    path.write_text("[" * 100_000)


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "a folder": a_folder,
    "nothing": Path.unlink,
    "an empty file": lambda path: path.write_bytes(b""),
    "no UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "a list": lambda path: path.write_text("[1, 2]"),
    "a number": lambda path: path.write_text("3"),
    "another object": lambda path: path.write_text('{"files": 1}'),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
    "deep nesting": deeply_nested,
}
FILES = (
    "offers/manifest.json",
    "offers/offers.json",
    "kernel_matrix/kernel.safetensors",
    "dataset_values/clinic_desk/kmm/weights.parquet",
)


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_file_that_is_something_else_is_a_fault_of_one_line(
    root: Path, file: str, breakage: str
) -> None:
    BREAKAGES[breakage](root / "data" / file)
    verified = appraise(root, "verify", "--json")
    assert verified.exit_code == 2, verified.output
    faults = json.loads(verified.stdout)["faults"]
    assert any(Path(file).name in fault for fault in faults)
    assert not any("\n" in fault for fault in faults)
    states = appraise(root, "status", "--json")
    assert states.exit_code == 0, states.output
    summary = appraise(root, "summary")
    assert summary.exit_code in (0, 2), summary.output
    assert len(summary.stderr.splitlines()) == (summary.exit_code == 2)


def test_a_defect_is_one_line_that_names_its_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(verification, "step", fails)
    done = appraise(root, "verify")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("appraise: a defect of appraise: KeyError: 'nobody foresaw this'")
    (kept,) = (root / ".appraise" / "errors").iterdir()
    assert f".appraise/errors/{kept.name}" in line
    assert "in fails" in kept.read_text()


def test_wrong_usage_is_said_by_click(root: Path) -> None:
    done = appraise(root, "verify", "--no-such-option")
    assert done.exit_code == 2
    assert "No such option" in done.stderr
    assert not (root / ".appraise" / "errors").exists()


def test_a_reader_that_has_gone_is_no_defect(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(verification, "step", gone)
    done = appraise(root, "verify")
    assert "defect" not in done.output
    assert not (root / ".appraise" / "errors").exists()
