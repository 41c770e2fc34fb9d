"""YAML that people write: what is written is what is understood, or it is refused with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from appraise.errors import OfferError, ParamsError
from appraise.storage.yaml_files import read_yaml


def read(tmp_path: Path, content: str | bytes) -> Any:
    path = tmp_path / "some.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path, ParamsError)


def refused(tmp_path: Path, content: str | bytes) -> str:
    with pytest.raises(ParamsError) as caught:
        read(tmp_path, content)
    said = str(caught.value)
    assert "\n" not in said
    return said.removeprefix("some.yaml: ")


@pytest.mark.parametrize(
    ("content", "again", "first"),
    [
        ("k: 1\nk: 2\n", "line 2, column 1: expected each key once, found `k` again", "line 1 "),
        ("a:\n  k: 1\n\n  # two\n  k: 1\n", "line 5, column 3", "line 2 "),
        ("offers:\n  - {id: a, price: 1,\n     price: 2}\n", "line 3, column 6", "line 2 "),
        ("a: {b: [{c: {d: 1, 'd': 2}}]}\n", "line 1, column 20", "line 1 "),
        ('{"k": 1, k: 2}', "line 1, column 10", "line 1 "),
        ("base: &b {k: 1}\na:\n  <<: *b\n  <<: *b\n", "found `<<` again", "line 3 "),
    ],
)
def test_a_key_that_stands_twice(tmp_path: Path, content: str, again: str, first: str) -> None:
    said = refused(tmp_path, content)
    assert said.startswith(again) or again in said
    assert f"which stands in {first}already; leave one of the two out" in said


def test_a_key_may_be_written_again_where_another_mapping_was_merged(tmp_path: Path) -> None:
    content = "base: &b {k: 1, m: 2}\nnext: &n\n  <<: *b\n  k: 3\nlast:\n  <<: *n\n  m: 4\n"
    found = read(tmp_path, content)
    assert found["last"] == {"k": 3, "m": 4}
    assert found["next"] == {"k": 3, "m": 2}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
        ("3", 3), ("-3", -3), ("+3", 3), ("0", 0), ("0x1f", 31), ("0.5", 0.5), (".5", 0.5),
        ("5.", 5.0), ("1e3", 1000.0), ("1E-3", 0.001), ("1.5e3", 1500.0), ("-.inf", -float("inf")),
        ("y", "y"), ("n", "n"), ("2.10.1", "2.10.1"), ("3f", "3f"), ("0b12", "0b12"),
        ("2026-05-01", "2026-05-01"), ("2026-05-01 10:00:00", "2026-05-01 10:00:00"),
        ("=", "="), ("3_hop", "3_hop"), ("e3", "e3"), ("1-2", "1-2"), ("'no'", "no"),
        ('"007"', "007"),
        ("0b" + "3f" * 31, "0b" + "3f" * 31), ("!!str no", "no"), ("!!bool yes", True),
    ],
)  # fmt: skip
def test_a_word_is_what_is_written(tmp_path: Path, word: str, value: object) -> None:
    found = read(tmp_path, f"k: {word}\n")["k"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("word", ["no", "No", "YES", "on", "Off"])
def test_truth_has_one_spelling(tmp_path: Path, word: str) -> None:
    for content in (f"k: {word}\n", f"- {word}\n", f"{word}: 1\n", f"k: [a, {word}]\n"):
        said = refused(tmp_path, content)
        assert f"found {word}; write true or false, or put it in quotes if it is text" in said
        assert said.startswith("line 1, column ")


@pytest.mark.parametrize(
    "word",
    [
        "010", "007", "08", "-012", "0o17", "0b11", "1_000", "0x_ff", "1_0.5", ".5_0", "00.5",
        "012e3", "1:30", "190:20:30", "1:30.5",
    ],
)  # fmt: skip
def test_a_number_has_one_spelling(tmp_path: Path, word: str) -> None:
    said = refused(tmp_path, f"a: 1\nk: {word}\n")
    assert said == (
        "line 2, column 4: expected what every version of YAML reads in the same way, found "
        f"{word}; write the number in plain digits, or put it in quotes if it is text"
    )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [1, 2\nb: 3\n", "line 2, column 2: expected YAML, found while parsing a flow seq"),
        ("a: 1\n\tb: 2\n", "line 2, column 1: expected YAML, found"),
        ("a: 1\n--- \nb: 2\n", "expected a single document in the stream"),
        ("a: *b\n", "line 1, column 4: expected YAML, found found undefined alias"),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor for the tag"),
        (b"a: \xff\n", "expected YAML, found"),
        ("a: " + "[" * 5000, "expected YAML, found"),
        ("a: " + "9" * 5000, "expected YAML, found"),
        ("[1]: 2\n", "found unhashable key"),
    ],
)  # fmt: skip
def test_what_is_no_yaml(tmp_path: Path, content: str | bytes, expected: str) -> None:
    assert expected in refused(tmp_path, content)


def test_windows_writes_other_line_ends_and_a_mark(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: x\r\n") == {"a": 1, "b": "x"}
    assert read(tmp_path, "a: é\n".encode("utf-16")) == {"a": "é"}


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_yaml(tmp_path / "away.yaml", OfferError)
    with pytest.raises(OfferError, match="expected a file that can be read, found: Is a directory"):
        read_yaml(tmp_path, OfferError)
