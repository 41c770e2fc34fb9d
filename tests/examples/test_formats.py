"""Files as people have them: each gives what it says, or a refusal in words."""

from __future__ import annotations

import bz2
import datetime
import decimal
import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from appraise.errors import OfferError
from appraise.examples import formats, opening
from appraise.examples.formats import FORMATS, row
from appraise.examples.sources import Row, read_rows
from appraise.settings.data import Source

ROWS = [{"a": "x", "b": "1"}, {"a": "é\u2028\n", "b": ""}]
LIMIT = 1000
BOM = b"\xef\xbb\xbf"


def read(root: Path, name: str, content: bytes | None = None, **fields: Any) -> list[Row]:
    if content is not None:
        (root / name).write_bytes(content)
    return list(read_rows(Source(source=name, **fields), root, LIMIT))


def columns(root: Path, name: str, content: bytes | None = None, **fields: Any) -> list[Any]:
    found = read(root, name, content, **fields)
    assert [one.unreadable for one in found] == [None] * len(found)
    return [one.columns for one in found]


def refused(root: Path, name: str, content: bytes | None = None, **fields: Any) -> str:
    """Why the file is refused, or else the first of its rows."""
    try:
        found = read(root, name, content, **fields)
    except OfferError as error:
        said = str(error)
        assert said.startswith(f"{name}: ")
        assert "\n" not in said
        return said.removeprefix(f"{name}: ")
    return next(f"row {one.number}: {one.unreadable}" for one in found if one.unreadable)


def lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in rows)


def parquet_of(table: pa.Table, **more: Any) -> bytes:
    file = io.BytesIO()
    parquet.write_table(table, file, **more)
    return file.getvalue()


def arrow_of(table: pa.Table, stream: bool = False, **more: Any) -> bytes:
    file = io.BytesIO()
    opened = pa.ipc.new_stream if stream else pa.ipc.new_file
    with opened(file, table.schema, options=pa.ipc.IpcWriteOptions(**more)) as writer:
        writer.write_table(table, max_chunksize=1)
    return file.getvalue()


def feather_of(table: pa.Table, **more: Any) -> bytes:
    file = io.BytesIO()
    feather.write_feather(table, file, **more)
    return file.getvalue()


def zstd(content: bytes) -> bytes:
    made = pa.BufferOutputStream()
    with pa.CompressedOutputStream(made, "zstd") as file:
        file.write(content)
    return made.getvalue().to_pybytes()


TABLE = pa.Table.from_pylist(ROWS)
CSV = 'a,b\r\nx,1\r\n"é\u2028\n",\r\n'.encode()
AS_ROWS: dict[str, bytes] = {
    ".jsonl": lines(ROWS),
    ".ndjson": lines(ROWS),
    ".json": json.dumps(ROWS, indent=2).encode(),
    ".csv": CSV,
    ".tsv": CSV.replace(b",", b"\t"),
    ".parquet": parquet_of(TABLE),
    ".arrow": arrow_of(TABLE, stream=True),
    ".feather": feather_of(TABLE),
}
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstd,
}


def test_every_format_is_tried() -> None:
    assert set(AS_ROWS) == set(FORMATS)
    assert set(COMPRESSED) == set(formats.COMPRESSIONS)


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_gives_the_same_rows_packed_or_not(tmp_path: Path, ending: str) -> None:
    content = AS_ROWS[ending]
    assert columns(tmp_path, f"a{ending}", content) == ROWS
    assert columns(tmp_path, f"B{ending.upper()}", content) == ROWS
    for compression, pack in COMPRESSED.items():
        assert columns(tmp_path, f"a{ending}{compression}", pack(content)) == ROWS
    with zipfile.ZipFile(tmp_path / "z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"in/a{ending}", content)
        archive.writestr(f"in/a{ending}.gz", gzip.compress(content))
    assert columns(tmp_path, f"zip://in/a{ending}::z.zip") == ROWS
    assert columns(tmp_path, f"zip://in/a{ending}.gz::z.zip") == ROWS


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".parquet", ".arrow"])
@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_packed_file_that_is_cut_short_is_refused(
    tmp_path: Path, ending: str, compression: str
) -> None:
    packed = COMPRESSED[compression](AS_ROWS[ending])
    name = f"a{ending}{compression}"
    expected = f"expected a whole file in the format {compression}, found: "
    for damaged in (packed[:-6], packed[: len(packed) // 2], b"no such thing", packed + b"zz"):
        assert expected in refused(tmp_path, name, damaged)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_parts_that_were_packed_one_by_one_and_joined(tmp_path: Path, compression: str) -> None:
    joined = b"".join(COMPRESSED[compression](BOM + lines([one])) for one in ROWS)
    assert columns(tmp_path, f"a.jsonl{compression}", joined) == ROWS


@pytest.mark.parametrize("compression", COMPRESSED)
def test_what_grows_without_end_when_it_is_unpacked(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row, "MAX_DECODED_BYTES", 10**6)
    packed = COMPRESSED[compression](b"\n" * 3 * 10**6)
    assert len(packed) < 10**4
    assert refused(tmp_path, f"a.jsonl{compression}", packed) == (
        "expected at most 1000000 bytes when decoded, found more; offer it in parts"
    )


def test_rows_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_ROWS", 300)
    nothing = parquet_of(pa.table({"a": pa.nulls(301)}))
    assert "expected at most 300 rows, found more" in refused(tmp_path, "a.parquet", nothing)
    assert "expected at most 300 rows" in refused(tmp_path, "a.jsonl", b"{}\n" * 301)
    assert len(read(tmp_path, "a.jsonl", b"{}\n" * 300)) == 300


ENDS: dict[str, tuple[bytes, list[dict[str, str]]]] = {
    "windows": (b'{"a": "x"}\r\n{"a": "y"}\r\n', [{"a": "x"}, {"a": "y"}]),
    "no end": (b'{"a": "x"}\n{"a": "y"}', [{"a": "x"}, {"a": "y"}]),
    "empty lines": (b'\n{"a": "x"}\n \t\n\n{"a": "y"}\n\n', [{"a": "x"}, {"a": "y"}]),
    "marks": (BOM + b'{"a": "x"}\n' + BOM + b'{"a": "y"}\n' + BOM, [{"a": "x"}, {"a": "y"}]),
    "within": (b'{"a": "\\ufeffx\\r\\n"}', [{"a": "\ufeffx\r\n"}]),
    "line ends of Unicode": ('{"a": "\u2028\x85\x0b"}'.encode(), []),
    "array": (b'[{"a": "x"}, {"a": "y"}]', [{"a": "x"}, {"a": "y"}]),
    "array by lines": (BOM + b' [\n{"a": "x"}\r\n,\n{"a": "y"}]\n', [{"a": "x"}, {"a": "y"}]),
    "empty array": (b" [ ] ", []),
    "nothing": (b"", []),
    "white space": (b" \n\n", []),
}


@pytest.mark.parametrize(("content", "expected"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_json_with_other_ends_of_lines(
    tmp_path: Path, ending: str, content: bytes, expected: list[dict[str, str]]
) -> None:
    if "\x0b" in content.decode():
        assert refused(tmp_path, f"a{ending}", content).startswith("row 1: not JSON: Invalid contr")
    elif len(expected) == 1 and ending == ".json":
        assert "found an object with a (a text); name the key under" in refused(
            tmp_path, f"a{ending}", content
        )
    else:
        assert columns(tmp_path, f"a{ending}", content) == expected


def test_an_array_larger_than_what_is_read_at_once(tmp_path: Path) -> None:
    many = [{"a": "é" * (i % 400), "n": i, "c": {"d": [i]}} for i in range(20_000)]
    content = json.dumps(many, ensure_ascii=False).encode()
    assert len(content) > 4 * 2**20
    assert [one["a"] for one in columns(tmp_path, "a.json", content)] == [o["a"] for o in many]


JSON: dict[str, tuple[bytes, str]] = {
    "twice": (b'{"a": 1}\n{"a": 1, "b": 2, "a": 3}\n', "row 2: an object with the key 'a' twice"),
    "twice within": (b'{"a": [{"b": {"c": 1, "c": 1}}]}', "an object with the key 'c' twice"),
    "twice in an array": (b'[{"a": 1}, {"a": 1, "a": 2}]', "row 2: expected JSON, found an object"),
    "look alike": (
        b'{"b": 1}\n{"a": 1, "a ": 2}',
        "row 2: two keys that look the same among 'a', 'a '",
    ),
    "look alike in Unicode": (
        '{"b": 1}\n{"\u00e9": 1, "e\u0301": 2}'.encode(),
        "row 2: two keys that look",
    ),
    "lists": (
        b'["x", "y"]\n["z", "w"]\n',
        "array of objects and nothing after it, or an object in",
    ),
    "two arrays": (b'[{"a": 1}]\n[{"a": 2}]\n', "nothing after it, or an object in each line, fou"),
    "an array without end": (b'[{"a": 1}, {"a": ', "row 2: expected JSON, found: Expecting value"),
    "an array within a text": (b'[{"a": 1}, {"a": "', "row 2: expected JSON, found: Unterminated"),
    "an array after its first": (b'[{"a": 1}', "expected JSON with ',' next, found 'its end'"),
    "a comma too many": (b'[{"a": 1},]', "row 2: expected JSON, found: Expecting value"),
    "a comma too few": (b'[{"a": 1} {"a": 2}]', "expected JSON with ',' next, found '{'"),
    "an array of numbers": (b"[1, 2]", "row 1: not a JSON object but a number"),
    "an array with nothing": (b"[null]", "row 1: not a JSON object but null"),
    "not UTF-8": (b'{"a": "x"}\n{"a": "\xe9"}\n', "row 2: not UTF-8: byte 0xe9 at 7"),
    "an array not in UTF-8": (b'[\n{"a": "\xe9"}]', "line 2: expected UTF-8, found byte 0xe9 at 7"),
    "UTF-16": ('{"a": 1}\n'.encode("utf-16"), "expected UTF-8, found the mark of UTF-16; convert"),
    "a deep array": (b'[{"a": ' + b"[" * 100_000, "row 1: expected JSON, found maximum recursion"),
    "words": (b"hello\n", "row 1: not JSON: Expecting value"),
    "a web page": (b"<!DOCTYPE html>\n<html>", "row 1: not JSON: Expecting value"),
    "not quoted": (b"{a: 1}\n", "row 1: not JSON: Expecting property name"),
    "Python": (b"{'a': 'x'}\n", "row 1: not JSON: Expecting property name"),
    "packed and not said": (gzip.compress(b"{}"), "row 1: not UTF-8: byte 0x8b at 1"),
    "two rows in a line": (b'{"a": 1} {"a": 2}\n', "row 1: not JSON: Extra data"),
    "several lines": (
        b'{\n"a": 1,\n"b": [2]}',
        "found an object with a (a number), b (an array); ",
    ),
    "several rows in lines": (b'{\n"a": 1}\n{\n"a": 2}', "found an object with a (a number); name"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\n", "row 1: not JSON: "),
}


@pytest.mark.parametrize(("content", "expected"), JSON.values(), ids=JSON)
@pytest.mark.parametrize("ending", [".jsonl", ".json"])
def test_json_that_is_refused(tmp_path: Path, ending: str, content: bytes, expected: str) -> None:
    assert expected in refused(tmp_path, f"a{ending}", content)


def test_json_that_is_too_deep(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": ' + b"[" * 100_000)
    (found,) = read_rows(Source(source="a.jsonl"), tmp_path, 10**6)
    assert "not JSON: maximum recursion depth" in str(found.unreadable)


def test_rows_under_a_key_of_an_object(tmp_path: Path) -> None:
    whole = {"version": "1", "more": [{"a": 9}], "data": [{"a": "x"}, {"a": "y"}], "z": {"data": 1}}
    for indent in (None, 2):
        content = json.dumps(whole, indent=indent).encode()
        found = columns(tmp_path, "a.json", BOM + content, field="data")
        assert found == [{"a": "x"}, {"a": "y"}]
        assert refused(tmp_path, "a.json", content) == (
            "expected an array of objects, or an object in each line, found an object with version "
            "(a text), more (an array), data (an array), z (an object); name the key under which "
            "the rows are, as in `field: data`"
        )
        assert "field: expected one of version, more, data, z, found 'rows'" in refused(
            tmp_path, "a.json", content, field="rows"
        )
        assert "expected an array of objects under 'version', found a text" in refused(
            tmp_path, "a.json", content, field="version"
        )
        assert "expected JSON" in refused(tmp_path, "a.json", content[:-2], field="data")
    twice = b'{"data": [{"a": 1}], "data": []}'
    assert "expected the key 'data' once" in refused(tmp_path, "a.json", twice, field="data")
    assert "expected JSON with '{' next" in refused(tmp_path, "a.json", b"[{}]", field="data")


def test_a_conversation_alone_in_its_file_is_a_row(tmp_path: Path) -> None:
    content = b'{"messages": [{"role": "user", "content": "x"}]}\n'
    assert len(columns(tmp_path, "a.jsonl", content)) == 1


def test_one_row_too_large_costs_that_row(tmp_path: Path) -> None:
    large = [{"a": "x"}, {"a": "é" * 600}, {"a": "y"}]
    text = json.dumps(large, ensure_ascii=False).encode()
    made = {
        ".jsonl": b"".join(json.dumps(o, ensure_ascii=False).encode() + b"\n" for o in large),
        ".json": text,
        ".csv": ("a,b\nx,\n" + "é" * 600 + ",\ny,\n").encode(),
        ".parquet": parquet_of(pa.Table.from_pylist(large)),
        ".arrow": arrow_of(pa.Table.from_pylist(large)),
    }
    for ending, content in made.items():
        found = read(tmp_path, f"a{ending}", content)
        assert [one.columns.get("a") for one in found] == ["x", None, "y"], ending
        assert [one.unreadable for one in found] == [None] * 3
        assert [one.too_large for one in found] == [False, True, False]
        assert found[1].size > LIMIT


CSVS: dict[str, tuple[str, list[dict[str, str]]]] = {
    "types": (
        "a,b\n007,NA\n1.0,\nnull,None\n2024-05-01,TRUE\n1e3,nan\n",
        [
            {"a": "007", "b": "NA"}, {"a": "1.0", "b": ""}, {"a": "null", "b": "None"},
            {"a": "2024-05-01", "b": "TRUE"}, {"a": "1e3", "b": "nan"},
        ],
    ),
    "quotes": ('a,b\n"x ""y"" z","p,q"\n', [{"a": 'x "y" z', "b": "p,q"}]),
    "quotes within": ('a,b\nsay "x",y\n', [{"a": 'say "x"', "b": "y"}]),
    "lines in a field": ('a,b\n"x\ny\r\n\nz",1\n', [{"a": "x\ny\r\n\nz", "b": "1"}]),
    "white space stays": ("a,b\n x ,\ty\n", [{"a": " x ", "b": "\ty"}]),
    "names": (" a , \u0065\u0301\nx,y\n", [{"a": "x", "é": "y"}]),
    "old Mac": ("a,b\rx,y\rz,w\r", [{"a": "x", "b": "y"}, {"a": "z", "b": "w"}]),
    "no end": ("a,b\nx,y", [{"a": "x", "b": "y"}]),
    "empty lines": ("a,b\n\nx,y\n  \n\n", [{"a": "x", "b": "y"}]),
    "pandas' index": (",a\n0,x\n1,y\n", [{"a": "x"}, {"a": "y"}]),
    "spreadsheet": ("a,b,,\nx,y,,\n", [{"a": "x", "b": "y"}]),
    "one column": ("a\nx\ny\n", [{"a": "x"}, {"a": "y"}]),
    "one column of sentences": ("a\nx; y\n", [{"a": "x; y"}]),
    "tabs in a field": ("a,b\nx\ty,z\n", [{"a": "x\ty", "b": "z"}]),
    "only names": ("a,b\n", []),
    "nothing": ("", []),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), CSVS.values(), ids=CSVS)
def test_csv_says_what_stands_there(
    tmp_path: Path, content: str, expected: list[dict[str, str]]
) -> None:
    assert columns(tmp_path, "a.csv", content.encode()) == expected
    assert columns(tmp_path, "a.csv", BOM + content.encode()) == expected
    with_tabs = content.replace("\t", " ").replace(",", "\t").encode()
    assert len(columns(tmp_path, "a.tsv", with_tabs)) == len(expected)


BAD_CSV: dict[str, tuple[bytes, str]] = {
    "too few": (b'a,b\n"x\ny",z\nx\n', "row 4: 1 fields where the first line has 2"),
    "too many": (b"a,b\nx,y,z\n", "row 2: 3 fields where the first line has 2"),
    "a comma in a text": (b"a,b\nYes, sure,y\n", "row 2: 3 fields where the first line has 2"),
    "twice": (b"a,b,a\nx,y,z\n", "expected each column's name once, found 'a' and 'a'; ask the"),
    "look alike": (b"a, a\nx,y\n", "found 'a' and ' a'; ask the provider"),
    "look alike in Unicode": ("\u00e9,e\u0301\n".encode(), "expected each column's name once"),
    "a quote without end": (b'a,b\n"x,y\nz,w\n', "line 3: expected fields separated by ','"),
    "a quote in the middle": (b'a,b\n"x"y,z\n', "line 2: expected fields separated by ',', within"),
    "backslashes": (b'a,b\n"x \\"y\\" z",w\n', "line 2: expected fields separated by ','"),
    "semicolons": (b"a;b\nx;y\n", "found the first line 'a;b'; say what separates them: `delimite"),
    "tabs": (
        b"a\tb\nx\ty\n",
        "found the first line 'a\\tb'; say what separates them: `delimiter: ",
    ),
    "Excel's own": (b"sep=;\na;b\n", "found the first line 'sep=;'; say what separates them"),
    "not UTF-8": (b"a,b\nx,y\ncaf\xe9,z\n", "line 3: expected UTF-8, found byte 0xe9 at 3; conve"),
    "UTF-16": ("a,b\n".encode("utf-16"), "expected UTF-8, found the mark of UTF-16"),
    "joined": (
        b"a,b\nx,y\n" + BOM + b"a,b\nz,w\n",
        "row 3: the first line again, as in files that",
    ),
    "a field without end": (b'a,b\n"' + b"x\n" * 2000, "found: field larger than field limit (200"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_CSV.values(), ids=BAD_CSV)
def test_csv_that_is_refused(
    tmp_path: Path, content: bytes, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(formats.delimited, "_LARGEST", 2000)
    assert expected in refused(tmp_path, "a.csv", content)


def test_another_character_between_columns(tmp_path: Path) -> None:
    for mark in (";", "|", "\t", ",", "\u00a6"):
        content = f"a{mark}b\nx{mark}1,5\n" if mark != "," else 'a,b\nx,"1,5"\n'
        found = columns(tmp_path, "a.csv", content.encode(), delimiter=mark)
        assert found == [{"a": "x", "b": "1,5"}]
    assert columns(tmp_path, "a.csv", b"a;b\nx\n", delimiter=",") == [{"a;b": "x"}]


def one(values: list[Any], kind: pa.DataType) -> bytes:
    return parquet_of(pa.table({"a": pa.array(values, kind)}))


TYPES: dict[str, tuple[pa.Array, list[Any]]] = {
    "string": (pa.array(["x", None]), ["x", None]),
    "large_string": (pa.array(["x"], pa.large_string()), ["x"]),
    "string_view": (pa.array(["x"], pa.string_view()), ["x"]),
    "binary": (pa.array(["é".encode(), None], pa.binary()), ["é".encode(), None]),
    "large_binary": (pa.array([b"x"], pa.large_binary()), [b"x"]),
    "binary_view": (pa.array([b"x"], pa.binary_view()), [b"x"]),
    "fixed_size_binary": (pa.array([b"xy"], pa.binary(2)), [b"xy"]),
    "dictionary": (pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    "dictionary of bytes": (pa.array([b"x", b"x"]).dictionary_encode(), [b"x", b"x"]),
    "bool": (pa.array([True, None]), [True, None]),
    "int64": (pa.array([2**62, None]), [2**62, None]),
    "uint64": (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    "float64": (pa.array([0.1, 1.0]), [0.1, 1.0]),
    "float32": (pa.array([0.1, 1.0, None], pa.float32()), [0.1, 1.0, None]),
    "float16": (pa.array([np.float16(0.1), None], pa.float16()), [0.1, None]),
    "decimal": (pa.array([decimal.Decimal("1.10")]), [decimal.Decimal("1.10")]),
    "date32": (pa.array([datetime.date(2024, 5, 1)]), [datetime.date(2024, 5, 1)]),
    "date64": (pa.array([datetime.date(2024, 5, 1)], pa.date64()), [datetime.date(2024, 5, 1)]),
    "time64": (pa.array([datetime.time(9, 30)], pa.time64("ns")), [datetime.time(9, 30)]),
    "timestamp": (
        pa.array([datetime.datetime(2024, 5, 1, 9)], pa.timestamp("s")),
        [datetime.datetime(2024, 5, 1, 9)],
    ),
    "list": (pa.array([["x"], [], None]), [["x"], [], None]),
    "list of bytes": (pa.array([[b"x", None]], pa.list_(pa.binary())), [[b"x", None]]),
    "list of halves": (pa.array([[0.1, None], None], pa.list_(pa.float32())), [[0.1, None], None]),
    "fixed list": (pa.array([[0.1]], pa.list_(pa.float32(), 1)), [[0.1]]),
    "struct": (pa.array([{"b": "x", "c": [1]}, None]), [{"b": "x", "c": [1]}, None]),
    "struct of halves": (
        pa.array([{"b": 0.1, "c": "x"}, None], pa.struct({"b": pa.float32(), "c": pa.string()})),
        [{"b": 0.1, "c": "x"}, None],
    ),
    "map": (pa.array([[("k", 0.1)], None], pa.map_("string", pa.float32())), [{"k": 0.1}, None]),
    "json": (
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"b": ["x"]}', '"t"', None])),
        [{"b": ["x"]}, "t", None],
    ),
    "nothing": (pa.nulls(2), [None, None]),
}  # fmt: skip
ONLY_ARROW: dict[str, tuple[pa.Array, list[Any]]] = {
    "run_end_encoded": (
        pa.RunEndEncodedArray.from_arrays(pa.array([2], pa.int32()), pa.array([0.1], pa.float32())),
        [0.1, 0.1],
    ),
    "list_view": (pa.array([["x"]], pa.list_view(pa.string())), [["x"]]),
    "union": (
        pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array("xy")]),
        [1, "y"],
    ),
    "bool8": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8())), [True]),
    "tensor": (
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float32(), [1]), pa.array([[0.1]], pa.list_(pa.float32(), 1))
        ),
        [[0.1]],
    ),
}


@pytest.mark.parametrize(("array", "expected"), TYPES.values(), ids=TYPES)
def test_types_of_parquet(tmp_path: Path, array: pa.Array, expected: list[Any]) -> None:
    found = columns(tmp_path, "a.parquet", parquet_of(pa.table({"a": array})))
    assert [one["a"] for one in found] == expected
    assert [type(one["a"]) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("array", "expected"), (TYPES | ONLY_ARROW).values(), ids=TYPES | ONLY_ARROW
)
@pytest.mark.parametrize("stream", [True, False])
def test_types_of_arrow(tmp_path: Path, array: pa.Array, expected: list[Any], stream: bool) -> None:
    content = arrow_of(pa.table({"a": array}), stream=stream)
    assert [one["a"] for one in columns(tmp_path, "a.arrow", content)] == expected


def test_arrow_packed_within(tmp_path: Path) -> None:
    for compression in ("lz4", "zstd"):
        content = arrow_of(TABLE, compression=compression)
        assert columns(tmp_path, "a.arrow", content) == ROWS
    for version in (1, 2):
        content = feather_of(TABLE, version=version)
        assert columns(tmp_path, "a.feather", content) == ROWS


def not_text(content: bytes) -> pa.Array:
    ends = pa.py_buffer(np.array([0, len(content)], "<i4").tobytes())
    return pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(content)])


NO_VALUES: dict[str, tuple[pa.Array, str]] = {
    "a moment beyond the calendar": (pa.array([2**50], pa.timestamp("s")), "row 1: "),
    "a day beyond the calendar": (
        pa.array([2**31 - 1], pa.int32()).view(pa.date32()),
        "row 1: day",
    ),
    "a zone that is none": (pa.array([5], pa.timestamp("s", tz="No/Where")), "row 1: 'No/Where'"),
    "nanoseconds": (pa.array([5], pa.time64("ns")), "row 1: Casting from time64[ns] to time64[us]"),
    "text that is none": (not_text(b"\xff"), "row 1: 'utf-8' codec can't decode byte 0xff"),
    "a map with a key twice": (
        pa.array([[("k", "x"), ("k", "y")]], pa.map_("string", "string")),
        "row 1: a map with a key twice among k, k",
    ),
    "json that is none": (
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": '])),
        "row 1: Expecting value",
    ),
    "json with a key twice": (
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1, "a": 2}'])),
        "row 1: an object with the key 'a' twice",
    ),
}


@pytest.mark.parametrize(("array", "expected"), NO_VALUES.values(), ids=NO_VALUES)
def test_values_that_nothing_stands_for(tmp_path: Path, array: pa.Array, expected: str) -> None:
    for name, content in (
        ("a.parquet", parquet_of(pa.table({"a": array}))),
        ("a.arrow", arrow_of(pa.table({"a": array}))),
    ):
        assert expected in refused(tmp_path, name, content)


def test_one_value_that_nothing_stands_for_costs_its_row_alone(tmp_path: Path) -> None:
    days = pa.array([1, 2**31 - 1, 3], pa.int32()).view(pa.date32())
    found = read(tmp_path, "a.parquet", parquet_of(pa.table({"a": days})))
    assert [one.unreadable is None for one in found] == [True, False, True]
    assert [one.number for one in found] == [1, 2, 3]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    x = pa.array(["x"])
    names = {"a and a": ["a", "a"], "a and ' a'": ["a", " a"], "é": ["\u00e9", "e\u0301"]}
    for two in names.values():
        table = pa.Table.from_arrays([x, x], names=two)
        expected = f"expected each column's name once, found {two[0]!r} and {two[1]!r}; ask"
        assert expected in refused(tmp_path, "a.arrow", arrow_of(table))
        assert expected in refused(tmp_path, "a.parquet", parquet_of(table))
    inner = pa.StructArray.from_arrays([x, x], names=["b", "b"])
    nested = pa.table({"a": pa.ListArray.from_arrays([0, 1], inner)})
    for name, content in (("a.arrow", arrow_of(nested)), ("a.parquet", parquet_of(nested))):
        assert "expected each name once, found 'b' twice in a." in refused(tmp_path, name, content)
    apart = pa.Table.from_arrays([x, x], names=["a", "A"])
    assert columns(tmp_path, "a.parquet", parquet_of(apart)) == [{"a": "x", "A": "x"}]


TABLES: dict[str, tuple[str, bytes, str]] = {
    "text": ("a.parquet", b"text", "expected a Parquet file, found: "),
    "nothing": ("a.parquet", b"", "expected a Parquet file, found: "),
    "cut": ("a.parquet", AS_ROWS[".parquet"][:-20], "expected a Parquet file, found: "),
    "hole": (
        "a.parquet",
        AS_ROWS[".parquet"][:4] + bytes(60) + AS_ROWS[".parquet"][64:],
        "expected a Parquet file, found: ",
    ),
    "packed": ("a.parquet", gzip.compress(AS_ROWS[".parquet"]), "expected a Parquet file, found"),
    "text as Arrow": ("a.arrow", b"text", "expected an Arrow file or stream, found: "),
    "no Arrow": ("a.arrow", b"", "expected an Arrow file or stream, found: "),
    "Arrow cut": ("a.arrow", arrow_of(TABLE)[:-20], "expected an Arrow file or stream, found: "),
    "stream cut": ("a.arrow", arrow_of(TABLE, stream=True)[:-40], "expected an Arrow file or stre"),
    "Parquet as Arrow": ("a.arrow", AS_ROWS[".parquet"], "expected an Arrow file or stream"),
    "spreadsheet": ("a.xlsx", b"PK", "expected a name that ends in .jsonl, .ndjson, .json, .csv, "),
    "text file": ("a.txt", b"x\n", "found .txt; convert the file"),
    "no ending": ("a", b"x\n", "found nothing; convert the file"),
    "ending of a pack alone": ("a.gz", b"x\n", "found nothing.gz; convert the file"),
    "archive": ("a.tar.gz", b"x\n", "found .tar.gz; convert the file"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "expected"), TABLES.values(), ids=TABLES)
def test_tables_that_are_refused(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    assert expected in refused(tmp_path, name, content)


def test_values_that_share_their_memory_are_counted_as_often_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row, "MAX_DECODED_BYTES", 10**6)
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 200, pa.int32()), ["x" * 10_000])
    content = arrow_of(pa.table({"a": shared}))
    assert "at most 1000000 bytes when decoded" in refused(tmp_path, "a.arrow", content)


def test_the_query_of_a_url_is_no_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import contextlib

    from appraise.examples import sources

    @contextlib.contextmanager
    def opened(name: str, root: Path) -> Any:  # noqa: ARG001
        yield io.BytesIO(lines(ROWS)), "0" * 64

    monkeypatch.setattr(sources, "opened", opened)
    for url in ("https://x.org/a.jsonl?download=true#top", "http://x.org/b/a.jsonl"):
        assert [one.columns for one in read_rows(Source(source=url), Path(), LIMIT)] == ROWS


def test_a_file_that_grows_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAX_SOURCE_BYTES", 20)
    assert "expected at most 20 bytes, found more" in refused(tmp_path, "a.jsonl", lines(ROWS))
