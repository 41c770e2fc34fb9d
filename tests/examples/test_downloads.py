"""Downloads: left alone when right, fetched anew when damaged, never put in place unchecked."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from appraise.errors import ArtifactError, ParamsError
from appraise.examples import downloads
from appraise.examples.downloads import fetch, main, read_downloads

ROOT = Path(__file__).parents[2]
FILE = "thing-1.0-py3-none-any.whl"
CONTENT = b"a wheel"


def project(root: Path, content: bytes = CONTENT, **change: str) -> Path:
    entry = {
        "package": "thing==1.0",
        "file": FILE,
        "sha256": hashlib.sha256(content).hexdigest(),
    } | change
    (root / "pools").mkdir(exist_ok=True)
    (root / downloads.LIST).write_text(yaml.safe_dump({"thing": entry}), encoding="utf-8")
    return root


def pip(monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> list[list[str]]:
    """A pip that gives this content, or fails as it does without a network."""
    calls: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        if content is None:
            error = "WARNING: retrying\nERROR: No matching distribution found for thing==1.0\n"
            return subprocess.CompletedProcess(command, 1, "", error)
        (Path(command[command.index("--dest") + 1]) / FILE).write_bytes(content)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


def test_fetched_once_then_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = pip(monkeypatch, CONTENT)
    project(tmp_path)
    assert fetch(tmp_path) == [tmp_path / "downloads" / FILE]
    assert fetch(tmp_path) == []
    assert len(calls) == 1
    assert {"--no-deps", "--only-binary=:all:", "thing==1.0"} <= set(calls[0])
    (tmp_path / "downloads" / FILE).write_bytes(b"damaged")
    assert len(fetch(tmp_path)) == 1
    assert (tmp_path / "downloads" / FILE).read_bytes() == CONTENT


def test_another_content_is_refused_and_takes_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip(monkeypatch, b"something else")
    with pytest.raises(ArtifactError, match=r"expected SHA-256 .* found .* do not use this file"):
        fetch(project(tmp_path))
    assert list((tmp_path / "downloads").iterdir()) == []


def test_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pip(monkeypatch, None)
    assert main([str(project(tmp_path))]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("thing==1.0: expected pip to fetch it, found: ERROR: No matching")
    assert f"put {FILE} into downloads/" in line


def test_a_file_outside_the_folder_cannot_be_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"thing\.file: String should match pattern"):
        fetch(project(tmp_path, file="../thing.whl"))
    with pytest.raises(ParamsError, match=r"thing\.package: String should match pattern"):
        fetch(project(tmp_path, package="--index-url=x"))


def test_the_demos_list() -> None:
    listed = read_downloads(ROOT / downloads.LIST)
    assert set(listed) == {"model", "datasets"}
