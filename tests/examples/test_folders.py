"""Folders and the hub's datasets: which files a split has, and what is no split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import parquet

from appraise.errors import OfferError
from appraise.examples.sources import Row, SourceError, read_rows, source_sha256
from appraise.settings.data import Source

SPLITS = {"train": ["x", "y"], "test": ["z"]}


def read(root: Path, **fields: Any) -> list[Row]:
    return list(read_rows(Source(**{"source": "d"} | fields), root, 1000))


def texts(root: Path, **fields: Any) -> list[Any]:
    found = read(root, **fields)
    assert [one.unreadable for one in found] == [None] * len(found)
    assert [one.number for one in found] == sorted({one.number for one in found})
    return [one.columns["a"] for one in found]


def refused(root: Path, **fields: Any) -> str:
    with pytest.raises(OfferError) as caught:
        read(root, **fields)
    said = str(caught.value)
    assert said.startswith("d: ")
    assert "\n" not in said
    return said.removeprefix("d: ")


def line(*values: str) -> str:
    return "".join(json.dumps({"a": value}) + "\n" for value in values)


def folder(root: Path, files: dict[str, str | bytes], card: str = "") -> Path:
    if card:
        files = files | {"README.md": f"---\n{card}---\n# A card\n"}
    for name, content in files.items():
        path = root / "d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


CONFIGS = """configs:
- config_name: en
  data_files:
  - {split: train, path: en/train*}
  - {split: test, path: en/test*}
- config_name: de
  data_files: de/*
"""
SEVERAL: dict[str, str | bytes] = {
    "en/train-1.jsonl": line("x"), "en/train-2.jsonl": line("y"), "en/test.jsonl": line("z"),
    "de/all.jsonl": line("d"), "raw/notes.csv": "a\nnot this\n",
}  # fmt: skip


def test_a_folder_with_several_configurations(tmp_path: Path) -> None:
    folder(tmp_path, SEVERAL, CONFIGS)
    assert texts(tmp_path, config="en", split="train") == ["x", "y"]
    assert texts(tmp_path, config="en", split="test") == ["z"]
    assert texts(tmp_path, config="de", split="train") == ["d"]
    assert refused(tmp_path, split="train") == (
        "expected `config` to name one of en, de, found none; add `config:`"
    )
    assert refused(tmp_path, config="fr", split="train") == (
        "expected `config` to name one of en, de, found fr"
    )
    assert refused(tmp_path, config="en", split="dev") == (
        "expected `split` to name one of train, test, found dev"
    )
    assert refused(tmp_path, config="en") == (
        "expected `split` to name one of train, test, found none; add `split:`"
    )


def test_a_configuration_that_its_author_calls_the_default(tmp_path: Path) -> None:
    card = CONFIGS.replace("config_name: en\n", "config_name: en\n  default: true\n")
    folder(tmp_path, SEVERAL, card)
    assert texts(tmp_path, split="train") == ["x", "y"]


def test_shards_of_one_split_and_files_without_splits(tmp_path: Path) -> None:
    table = pa.table({"a": ["x"]})
    for number in range(3):
        folder(tmp_path, {f"data/train-{number:05d}-of-00003.parquet": b""})
        parquet.write_table(table, tmp_path / "d" / f"data/train-{number:05d}-of-00003.parquet")
    assert texts(tmp_path, split="train") == ["x", "x", "x"]
    folder(tmp_path / "two", {"part1.jsonl": line("x"), "part2.jsonl": line("y")})
    assert texts(tmp_path / "two", split="train") == ["x", "y"]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json"])
def test_text_stays_text_in_folders_too(tmp_path: Path, ending: str) -> None:
    values = ["007", "NA", "2024-05-01", "1.0", "", "true", "null"]
    content = {
        ".csv": "a,b\n" + "".join(f"{value},x\n" for value in values),
        ".tsv": "a\tb\n" + "".join(f"{value}\tx\n" for value in values),
        ".jsonl": line(*values),
        ".json": json.dumps([{"a": value} for value in values]),
    }[ending]
    folder(tmp_path, {f"train{ending}": content})
    assert texts(tmp_path, split="train") == values


def test_settings_of_the_card(tmp_path: Path) -> None:
    card = "configs:\n- {config_name: default, data_files: train.csv, sep: ';'}\n"
    folder(tmp_path, {"train.csv": "a;b\nx;1,5\n"}, card)
    assert texts(tmp_path, split="train") == ["x"]
    card = "configs:\n- {config_name: default, data_files: t.json, field: data}\n"
    folder(tmp_path / "two", {"t.json": '{"data": [{"a": "x"}]}'}, card)
    assert texts(tmp_path / "two", split="train") == ["x"]
    card = "configs:\n- {config_name: default, data_files: train.csv, skiprows: 1}\n"
    folder(tmp_path / "three", {"train.csv": "a,b\nx,y\n"}, card)
    assert "found the settings skiprows in README.md; offer the files themselves" in refused(
        tmp_path / "three", split="train"
    )


BAD: dict[str, tuple[dict[str, str | bytes], str, str]] = {
    "a script": (
        {"d.py": "x", "train.jsonl": line("x")},
        "",
        "found the loading script d.py, which",
    ),
    "only a script": (
        {"d.py": "raise SystemExit"},
        "",
        "found the loading script d.py, which is ne",
    ),
    "nothing": ({"README.md": "# A card"}, "", "doesn't contain any data files"),
    "two kinds": (
        {"train.jsonl": line("x"), "train.csv": "a\nx\n", "more.parquet": b""},
        "",
        "expected files of one kind, found .jsonl and .csv, .parquet; offer one of the files",
    ),
    "text": ({"train.txt": "x\n"}, "", "train.txt: expected a name that ends in .jsonl, "),
    "broken": (
        {"train.jsonl": line("x"), "README.md": "---\na: [\n---\n"},
        "",
        "while parsing a fl",
    ),
    "no such file": (
        {"train.jsonl": line("x")},
        "configs:\n- {config_name: default, data_files: 'no*'}\n",
        "expected a dataset in the hub's layout, found: No (supported) data files found",
    ),
    "outside": (
        {"train.jsonl": line("x"), "../secret.jsonl": line("s")},
        "configs:\n- {config_name: default, data_files: ../secret.jsonl}\n",
        "expected files within the folder, found ",
    ),
}


@pytest.mark.parametrize(("files", "card", "expected"), BAD.values(), ids=BAD)
def test_folders_that_are_refused(
    tmp_path: Path, files: dict[str, str | bytes], card: str, expected: str
) -> None:
    folder(tmp_path, files, card)
    assert expected in refused(tmp_path, split="train")


def test_what_is_wrong_with_a_row_names_its_file(tmp_path: Path) -> None:
    folder(tmp_path, {"train-1.jsonl": line("x", "y"), "train-2.jsonl": line("z") + "{oops\n"})
    found = read(tmp_path, split="train")
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert str(found[3].unreadable).startswith("not JSON: ")
    assert str(found[3].unreadable).endswith("(train-2.jsonl, row 2)")


def test_what_save_to_disk_wrote(tmp_path: Path) -> None:
    parts = {name: datasets.Dataset.from_dict({"a": values}) for name, values in SPLITS.items()}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d", num_shards={"train": 2, "test": 1})
    assert texts(tmp_path, split="train") == ["x", "y"]
    assert texts(tmp_path, split="test") == ["z"]
    assert refused(tmp_path) == (
        "expected `split` to name one of train, test, found none; add `split:`"
    )
    assert refused(tmp_path, split="dev") == (
        "expected `split` to name one of train, test, found dev"
    )
    assert "config: expected none, found one" in refused(tmp_path, split="test", config="x")

    single = tmp_path / "single"
    chosen = parts["train"].select([1])  # a selection is written out
    chosen.save_to_disk(single / "d")
    assert texts(single) == ["y"]
    (single / "d" / "data-00000-of-00001.arrow").unlink()
    assert "data-00000-of-00001.arrow: expected a file, found none" in refused(single)
    for content, expected in (
        ("[]", "state.json: expected it as `save_to_disk` writes it, found the whole: "),
        ("{", "Invalid JSON"),
        ("{}", "_data_files: Field required"),
        ('{"_data_files": [{}]}', "_data_files.0.filename: Field required"),
        ('{"_data_files": [], "_indices_data_files": [{"filename": "x"}]}', "without a selection"),
    ):
        (single / "d" / "state.json").write_text(content)
        assert expected in refused(single)


def test_hidden_files_are_no_part_of_what_is_pinned(tmp_path: Path) -> None:
    folder(tmp_path, {"train.jsonl": line("x")})
    before = source_sha256("d", tmp_path)
    folder(tmp_path, {".DS_Store": b"x", ".cache/huggingface/train.jsonl.metadata": "x"})
    assert source_sha256("d", tmp_path) == before
    assert texts(tmp_path, split="train", sha256=before) == ["x"]
    folder(tmp_path, {"more.txt": "x"})
    assert source_sha256("d", tmp_path) != before


def test_a_hub_id_is_resolved_at_its_revision_and_never_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, {"train.jsonl": line("x")})
    local = datasets.load_dataset_builder(str(tmp_path / "d"), cache_dir=str(tmp_path / "cache"))
    calls: list[tuple[str, dict[str, Any]]] = []

    def builder(path: str, name: str, **more: Any) -> Any:
        calls.append((path, {"name": name} | more))
        return local

    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda *_, **__: ["default"])
    monkeypatch.setattr(datasets, "get_dataset_default_config_name", lambda *_, **__: "default")
    monkeypatch.setattr(datasets, "load_dataset_builder", builder)
    assert texts(tmp_path, source="owner/name", split="train", revision="abc") == ["x"]
    ((path, more),) = calls
    assert (path, more["name"], more["revision"]) == ("owner/name", "default", "abc")
    assert "trust_remote_code" not in more

    def away(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "get_dataset_config_names", away)
    with pytest.raises(SourceError, match=r"owner/name: expected a dataset .* found: no network"):
        read(tmp_path, source="owner/name", split="train", revision="abc")

    def script(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Dataset scripts are no longer supported, but found name.py")

    monkeypatch.setattr(datasets, "get_dataset_config_names", script)
    with pytest.raises(OfferError, match=r"owner/name: .* the loading script name\.py") as caught:
        read(tmp_path, source="owner/name", split="train", revision="abc")
    assert not isinstance(caught.value, SourceError)
