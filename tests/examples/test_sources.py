"""Sources: archives, Parquet that lies about its size, the hub."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from appraise.errors import OfferError
from appraise.examples import formats, sources
from appraise.examples.example import Conversation, Message
from appraise.examples.reading import read_examples
from appraise.examples.sources import (
    SourceError,
    kind,
    read_rows,
    source_sha256,
)
from appraise.settings.data import Source

LINE = b'{"a": "x"}\n'


def read(source: str, root: Path, **more: Any) -> list[sources.Row]:
    return list(read_rows(Source(source=source, **more), root, 1000))


def test_a_member_of_an_archive_is_pinned_by_its_own_bytes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/a.jsonl", LINE * 3)
    source = "zip://in/a.jsonl::b.zip"
    assert source_sha256(source, tmp_path) == hashlib.sha256(LINE * 3).hexdigest()
    assert [row.columns for row in read(source, tmp_path)] == [{"a": "x"}] * 3
    with pytest.raises(SourceError, match="expected a file, found none"):
        read("zip://in/b.jsonl::b.zip", tmp_path)
    damaged = bytearray((tmp_path / "b.zip").read_bytes())
    damaged[45] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(damaged)
    with pytest.raises(SourceError, match="expected a file that can be read, found"):
        read(source, tmp_path)


def test_json_that_breaks_parsers_is_told_apart(tmp_path: Path) -> None:
    deep = b"[" * 400 + b"]" * 400
    (tmp_path / "a.jsonl").write_bytes(b'{"a": ' + b"9" * 900 + b"}\n" + deep + b"\n" + b"nul\n")
    found = read("a.jsonl", tmp_path)
    assert found[0].unreadable is None
    assert "not a JSON object" in str(found[1].unreadable)
    assert "not JSON" in str(found[2].unreadable)


def test_parquet_is_limited_in_its_decoded_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    pd.DataFrame({"a": ["x" * 10_000] * 5_000}).to_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 100_000
    assert sum(1 for _ in read_rows(Source(source="bomb.parquet"), tmp_path, 10**6)) == 5_000
    monkeypatch.setattr(formats.row, "MAX_DECODED_BYTES", 10_000_000)
    with pytest.raises(OfferError, match="at most 10000000 bytes when decoded, found"):
        read("bomb.parquet", tmp_path)


def test_what_a_source_is(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    assert kind("folder", tmp_path) == "folder"
    assert kind("data/a.jsonl", tmp_path) == "file"
    assert kind("owner/name", tmp_path) == "hub"
    assert kind("zip://a.jsonl::b.zip", tmp_path) == "file"
    with pytest.raises(SourceError, match="found nothing by that name"):
        kind("a/b/c", tmp_path)


def test_rows_that_where_leaves_out_are_not_read(tmp_path: Path) -> None:
    lines = b"".join(b'{"prompt": "%d", "completion": "x"}\n' % i for i in range(20))
    (tmp_path / "a.jsonl").write_bytes(lines + b"{oops\n")
    source = Source(source="a.jsonl", where={"prompt": "[57]$"})
    dataset = read_examples(source, tmp_path, 1000)
    assert [one.source.row for one in dataset.examples] == [6, 8, 16, 18]
    lost = [one.row for one in dataset.unreadable]
    assert lost == [21], "what cannot be read cannot be left out"
    assert (dataset.rows, dataset.why(21)) == (5, dataset.unreadable[0].reason)


def test_where_that_finds_nothing_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"prompt": "p", "completion": "x"}\n')
    nothing = Source(source="a.jsonl", where={"prompt": "q"})
    with pytest.raises(OfferError, match="expected rows in which each `where` is found, found no"):
        read_examples(nothing, tmp_path, 1000)
    nowhere = Source(source="a.jsonl", where={"kind": "q"})
    with pytest.raises(OfferError, match="expected a column kind, found completion, prompt"):
        read_examples(nowhere, tmp_path, 1000)


def test_parquet_and_the_hub_give_conversations_as_lists(tmp_path: Path) -> None:
    import datasets

    talk = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}]
    (tmp_path / "hub").mkdir()
    for path in (tmp_path / "a.parquet", tmp_path / "hub" / "train.parquet"):
        datasets.Dataset.from_list([{"messages": talk}] * 2).to_parquet(path)
    for name, split in (("a.parquet", None), ("hub", "train")):
        source = Source(source=name, split=split, messages="messages")
        found = read_examples(source, tmp_path, 1000).examples
        asked = Conversation((Message("user", "Why?"),))
        assert [(one.prompt, one.completion) for one in found] == [(asked, "So.")] * 2


def test_a_name_that_looks_the_same_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("Pre\u0301nom , r\u00e9ponse\nq,a\n".encode())
    for prompt, completion in (
        ("{Pr\u00e9nom}", "{r\u00e9ponse}"),
        ("{Pre\u0301nom }", "{ re\u0301ponse}"),
    ):
        source = Source(source="a.csv", prompt=prompt, completion=completion)
        dataset = read_examples(source, tmp_path, 1000)
        dataset.check_columns()
        assert [(one.prompt, one.completion) for one in dataset.examples] == [("q", "a")]
    source = Source(source="a.csv", prompt="{prénom}", completion="{réponse}")
    with pytest.raises(OfferError, match="expected a column prénom, found Prénom, réponse"):
        read_examples(source, tmp_path, 1000).check_columns()
