"""Where rows come from: JSONL and Parquet files, members of archives, URLs, the hub's layout.

Nothing that arrives is trusted: the content is hashed before it is parsed, rows and files have a
size limit, a line that is not JSON becomes a row that could not be read, and no code that comes
with a dataset is ever run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp
import fsspec
import pyarrow
from pyarrow import parquet

from appraise.errors import OfferError
from appraise.examples.single_precision import widened
from appraise.examples.values import Number
from appraise.settings.data import Source
from appraise.storage.files import sha256_file, sha256_json

LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet",)
MAX_SOURCE_BYTES = 4 * 2**30
MAX_DECODED_BYTES = 2 * 2**30
_IN_MEMORY = 32 * 2**20
_PARQUET_ROWS = 256
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# what reading raises: also for a damaged or encrypted archive and a failing connection
_READING_ERRORS = (
    OSError, ValueError, ImportError, EOFError, RuntimeError,
    zipfile.BadZipFile, zlib.error, aiohttp.ClientError,
)  # fmt: skip


class SourceError(OfferError):
    """A source cannot be read, or is not the file that was offered.

    Another attempt may succeed, once the file was repaired or the network is back. Every other
    OfferError comes from the content itself and stays.
    """


@dataclass(frozen=True)
class Row:
    """A row as it came.

    Attributes:
        number: line (JSONL) or row number, from 1.
        size: bytes of the line, or of the row's values as text.
        columns: column → value; empty when the row could not be read.
        unreadable: why not, or None.
    """

    number: int
    size: int
    columns: Mapping[str, Any]
    unreadable: str | None = None


def kind(source: str, root: Path) -> str:
    """What a source is: `file` (local or URL), `folder` (hub layout) or `hub` (an id).

    Raises:
        SourceError: it is none of these.
    """
    if "://" in source:
        return "file"
    path = root / source
    if path.is_dir():
        return "folder"
    if path.is_file() or Path(source).suffix in (*LINES, *PARQUET):
        return "file"
    if _HUB_ID.fullmatch(source):
        return "hub"
    raise SourceError(
        f"{source}: expected a JSONL or Parquet file, a folder in the hub's layout or a hub id "
        "owner/name, found nothing by that name; check the source"
    )


def source_sha256(source: str, root: Path) -> str | None:
    """SHA-256 of the source's bytes; of a folder: of its files' names and hashes. None of a hub id.

    Raises:
        SourceError: it cannot be read.
    """
    what = kind(source, root)
    if what == "hub":
        return None
    if what == "folder":
        files = sorted(path for path in (root / source).rglob("*") if path.is_file())
        hashes = {path.relative_to(root / source).as_posix(): sha256_file(path) for path in files}
        return sha256_json(hashes)
    with _opened(source, root) as (_, digest):
        return digest


def read_rows(source: Source, root: Path, max_row_bytes: int) -> Iterator[Row]:
    """The rows of a source, after its SHA-256 was checked.

    Raises:
        SourceError: missing, damaged, out of reach, or not the file that was offered.
        OfferError: the content is not what its name says, or larger than this reads.
    """
    what = kind(source.source, root)
    if what in ("folder", "hub"):
        _check(source, source_sha256(source.source, root))
        yield from _hub_rows(source, root)
        return
    with _opened(source.source, root) as (file, digest):
        _check(source, digest)
        suffix = Path(source.source.split("::", 1)[0]).suffix
        if suffix in LINES:
            yield from _lines(file, max_row_bytes)
        elif suffix in PARQUET:
            yield from _parquet_rows(source.source, file)
        else:
            raise OfferError(
                f"{source.source}: expected a name that ends in "
                f"{', '.join((*LINES, *PARQUET))}, found {suffix or 'nothing'}; convert the file"
            )


def _check(source: Source, digest: str | None) -> None:
    if source.sha256 is not None and digest is not None and digest != source.sha256:
        raise SourceError(
            f"{source.source}: expected SHA-256 {source.sha256[:12]}…, found {digest[:12]}…; the "
            "file is damaged or another version: get it again, or offer it as a new version"
        )


@contextlib.contextmanager
def _opened(source: str, root: Path) -> Iterator[tuple[IO[bytes], str]]:
    """A copy of the source's bytes and their SHA-256: what is hashed is what is parsed."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
        digest = _copy(source, root, copy)
        copy.seek(0)
        yield copy, digest


def _copy(source: str, root: Path, copy: IO[bytes]) -> str:
    digest = hashlib.sha256()
    size = 0
    try:
        with fsspec.open(absolute(source, root), "rb") as file:
            while block := file.read(2**20):
                size += len(block)
                if size > MAX_SOURCE_BYTES:
                    raise OfferError(
                        f"{source}: expected at most {MAX_SOURCE_BYTES} bytes, found more; offer "
                        "it in parts"
                    )
                digest.update(block)
                copy.write(block)
    except (FileNotFoundError, KeyError):
        raise SourceError(
            f"{source}: expected a file, found none; fetch it or fix its path"
        ) from None
    except _READING_ERRORS as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{source}: expected a file that can be read, found: {what}") from None
    return digest.hexdigest()


def absolute(source: str, root: Path) -> str:
    """The source with its last, local part made absolute: `zip://a.jsonl::b.zip` lies in root."""
    *outer, last = source.split("::")
    if "://" not in last:
        last = str(root / last)
    return "::".join([*outer, last])


def _lines(file: IO[bytes], max_row_bytes: int) -> Iterator[Row]:
    number = 0
    while line := file.readline(max_row_bytes + 1):
        number += 1
        size = len(line)
        if size > max_row_bytes and not line.endswith(b"\n"):
            while more := file.readline(2**20):
                size += len(more)
                if more.endswith(b"\n"):
                    break
            yield Row(
                number, size, {}, f"a row of {size} bytes, above the limit of {max_row_bytes}"
            )
        elif line.strip():
            yield _line(number, line)


def _line(number: int, line: bytes) -> Row:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        columns = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=Number)
    except UnicodeDecodeError as error:
        reason = f"not UTF-8: byte 0x{line[error.start]:02x} at {error.start}"
        return Row(number, len(line), {}, reason)
    except (ValueError, RecursionError) as error:
        return Row(number, len(line), {}, f"not JSON: {' '.join(str(error).split())}")
    if not isinstance(columns, dict):
        return Row(number, len(line), {}, f"not a JSON object but {type(columns).__name__}")
    return Row(number, len(line), columns)


def _parquet_rows(source: str, file: IO[bytes]) -> Iterator[Row]:
    """Rows of a Parquet file, in small batches: footers can lie about the size."""
    try:
        table = parquet.ParquetFile(file)
        groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
        decoded = sum(group.total_byte_size for group in groups)
        _limit(source, decoded)
        number = decoded = 0
        for batch in table.iter_batches(batch_size=_PARQUET_ROWS):
            decoded += batch.nbytes
            _limit(source, decoded)
            for columns in widened(batch).to_pylist():
                number += 1
                yield Row(number, _size(columns), columns)
    except (pyarrow.ArrowException, OSError) as error:
        what = " ".join(str(error).split())
        raise OfferError(f"{source}: expected a Parquet file, found: {what}") from None


def _limit(source: str, decoded: int) -> None:
    if decoded > MAX_DECODED_BYTES:
        raise OfferError(
            f"{source}: expected at most {MAX_DECODED_BYTES} bytes when decoded, found {decoded}; "
            "offer it in parts"
        )


def _size(columns: Mapping[str, Any]) -> int:
    return sum(len(str(value).encode("utf-8", "replace")) for value in columns.values())


def _hub_rows(source: Source, root: Path) -> Iterator[Row]:
    """Rows of a dataset in the hub's layout, local or from the hub; its scripts are never run."""
    import datasets

    local = (root / source.source).is_dir()
    path = str(root / source.source) if local else source.source
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_dataset(
            path,
            split=source.split,
            revision=None if local else source.revision,
            cache_dir=str(root / ".appraise" / "datasets"),
        )
    except (
        OSError,
        ValueError,
        pyarrow.ArrowException,
        datasets.exceptions.DatasetsError,
    ) as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(
            f"{source.source}: expected a dataset in the hub's layout"
            f"{f' with a split {source.split}' if source.split else ''}, found: {what[:300]}"
        ) from None
    if isinstance(loaded, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise OfferError(
            f"{source.source}: expected `split` to name one of {', '.join(sorted(loaded))}, "
            "found none; add `split:`"
        )
    for number, columns in enumerate(loaded, start=1):
        yield Row(number, _size(columns), columns)
