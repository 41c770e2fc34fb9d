"""Errors of other software in our words: what was expected, what was found, what to do."""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
import zipfile
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pyarrow
import pytest
import torch
import yaml
from huggingface_hub.errors import StrictDataclassError
from jinja2 import Environment
from pyarrow import parquet
from safetensors import SafetensorError, safe_open
from sqlalchemy.exc import SQLAlchemyError

from appraise.errors import AppraiseError, DefectError, MachineError, OfferError
from appraise.errors.edge import as_ours, said
from appraise.errors.foreseen import FORESEEN, explained


def open_the_folder(folder: Path) -> object:
    return folder.open()


def open_below_a_file(folder: Path) -> object:
    (folder / "file").write_text("")
    return (folder / "file" / "below").open()


def follow_a_circle(folder: Path) -> object:
    (folder / "link").symlink_to(folder / "link")
    return (folder / "link").open()


def parse_parquet(folder: Path) -> object:
    (folder / "table").write_text("no table at all")
    return parquet.read_table(folder / "table")


def parse_safetensors(folder: Path) -> object:
    (folder / "arrays").write_text("no arrays at all")
    return safe_open(folder / "arrays", framework="numpy")


def unpack(folder: Path) -> object:
    (folder / "archive").write_text("no archive")
    return zipfile.ZipFile(folder / "archive")


def query(folder: Path) -> object:
    (folder / "database").write_text("no database at all")
    return sqlite3.connect(folder / "database").execute("select * from sqlite_master")


def fill_the_disk(_: Path) -> object:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


RAISED: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder for a file": (open_the_folder, "expected a file, found: Is a directory; move"),
    "file for a folder": (open_below_a_file, "expected a folder, found: Not a directory; move"),
    "link to itself": (follow_a_circle, "expected a link that leads somewhere"),
    "full disk": (fill_the_disk, "expected room on the disk, found: No space left on device; make"),
    "no JSON": (lambda _: json.loads("{"), "expected JSON, found: Expecting property name"),
    "no YAML": (lambda _: yaml.safe_load("a: ["), "expected YAML, found: while parsing"),
    "no UTF-8": (lambda _: b"\xff".decode(), "expected text in UTF-8"),
    "no Parquet": (parse_parquet, "expected Parquet or Arrow, found: Could not open Parquet"),
    "no safetensors": (parse_safetensors, "expected safetensors, found: "),
    "no archive": (unpack, "expected an archive, found: File is not a zip file"),
    "no database": (query, "expected a database that can be used, found: file is not a database"),
    "no expression": (lambda _: re.compile("(q_proj"), "expected a regular expression"),
    "no template": (lambda _: Environment().from_string("{% if %}"), "expected a template"),
    "no package": (lambda _: __import__("no_such_package"), "`pip install no_such_package`"),
}


@pytest.mark.parametrize("name", RAISED)
def test_what_a_user_can_put_right_is_said_in_our_words(name: str, tmp_path: Path) -> None:
    cause, words = RAISED[name]
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of another library each
        cause(tmp_path)
    found = explained(raised.value)
    assert isinstance(found, AppraiseError)
    assert words in str(found)
    assert "\n" not in str(found)
    assert found.exit_code == 2


@pytest.mark.parametrize(
    "kind",
    [
        *(SafetensorError, SQLAlchemyError, StrictDataclassError, torch.OutOfMemoryError),
        *(BrokenProcessPool, MemoryError, pyarrow.ArrowInvalid),
    ],
)
def test_classes_are_known_by_the_names_that_they_have(kind: type[Exception]) -> None:
    names = {f"{each.__module__}.{each.__qualname__}" for each in kind.__mro__}
    assert names & set(FORESEEN)
    assert isinstance(explained(kind("x")), MachineError)


def test_a_full_disk_is_said_whatever_it_was_turned_into() -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device", "/data/x")
        except OSError as error:
            raise ValueError("could not be written") from error
    except ValueError as error:
        found = explained(error)
    assert str(found).startswith("/data/x: expected room on the disk")
    rust = SafetensorError("I/O error: No space left on device (os error 28)")
    assert "expected room on the disk" in str(explained(rust))


def test_no_memory_is_said_whoever_asked_for_it() -> None:
    error = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
    assert "expected enough memory" in str(explained(error))


@pytest.mark.parametrize(
    "error",
    [KeyError("x"), TypeError("x"), AssertionError(), ImportError("x", name="appraise.steps.x")],
)
def test_a_defect_is_nothing_that_was_foreseen(error: Exception) -> None:
    assert explained(error) is None


def test_what_is_ours_stays_as_it_is(tmp_path: Path) -> None:
    error = OfferError("expected a, found b; do c")
    error.add_note("seen twice")
    assert as_ours(error, tmp_path) is error
    assert said(error) == "expected a, found b; do c; seen twice"
    assert not list(tmp_path.iterdir())


def test_a_defect_is_one_line_and_its_traceback_a_file(tmp_path: Path) -> None:
    def fails() -> None:
        raise KeyError("no such\nkey")

    kept = []
    for _ in range(2):
        with pytest.raises(KeyError) as raised:
            fails()
        found = as_ours(raised.value, tmp_path)
        assert isinstance(found, DefectError)
        assert found.exit_code == 1
        (path,) = (tmp_path / ".appraise" / "errors").iterdir()
        kept.append(path.read_text())
        expected = f"please report it with {path.relative_to(tmp_path)}, which has all of it"
        assert str(found).endswith(expected)
        assert "\n" not in str(found)
    assert "in fails" in kept[0]
    assert "appraise " in kept[0].splitlines()[0]


def test_where_the_project_cannot_be_written_the_traceback_is_kept_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").write_text("a file, in which no folder can be made")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = as_ours(KeyError("x"), tmp_path / "project")
    (path,) = (tmp_path / "appraise-errors").iterdir()
    assert str(path) in str(found)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "project"))
    assert str(as_ours(KeyError("x"), tmp_path / "project")).endswith("KeyError: 'x'")
