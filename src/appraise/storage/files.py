"""Files: the one place where artifacts are hashed, written and read.

A file is written to a temporary name in the folder where it belongs, flushed with fsync and
renamed, so that a reader sees the old file or the new one. Identity of content is SHA-256.
Formats are JSON, Parquet and safetensors; nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from appraise.errors import ArtifactError
from appraise.errors.foreseen import of_system, one_line

TEMPORARY = ".tmp-"
_META = "appraise"  # one key only: safetensors writes several in random order
_hashes: dict[Path, tuple[int, int, str]] = {}


def sha256_bytes(content: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form (sorted keys, no white space)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256_bytes(text.encode())


def sha256_file(path: Path) -> str:
    """SHA-256 of a file, in hex; remembered while size and modification time stay the same."""
    path = Path(path)
    with _reading(path, "a file"):
        stat = path.stat()
        known = _hashes.get(path)
        if known and known[:2] == (stat.st_mtime_ns, stat.st_size):
            return known[2]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    _hashes[path] = (stat.st_mtime_ns, stat.st_size, digest)
    return digest


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes its place at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON value, sorted and indented, atomically. NaN and infinity are refused."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file; ArtifactError if it is missing or damaged."""
    with _reading(path, "JSON"):
        return json.loads(path.read_text(encoding="utf-8"))


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; ArtifactError if it is missing, damaged or other JSON."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path}: expected a JSON object, found {content!r:.60}; delete it, and run the step "
            "again"
        )
    return content


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a data frame as Parquet, without its index, atomically."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet file into a data frame; ArtifactError if it is missing or damaged."""
    with _reading(path, "Parquet"), path.open("rb") as file:  # a folder is no table
        return pd.read_parquet(file)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
    """Write named arrays and a JSON description as safetensors, atomically."""
    with replacing(path) as temporary:
        contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        save_file(contiguous, temporary, {_META: json.dumps(meta, sort_keys=True)})


def table_batches(path: Path, columns: Sequence[str] | None, rows: int) -> Iterator[pd.DataFrame]:
    """A Parquet file's columns (those that it has), so many rows at a time."""
    with _reading(path, "Parquet"), parquet.ParquetFile(path) as file:
        there = file.schema_arrow.names
        wanted = there if columns is None else [name for name in columns if name in there]
        for batch in file.iter_batches(batch_size=rows, columns=wanted):
            yield batch.to_pandas()


def read_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read named arrays (memory-mapped by safetensors) and their description."""
    with _safetensors(path) as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return arrays, _described(file)


def read_meta(path: Path) -> dict[str, Any]:
    """Read the description of a file of named arrays, and not the arrays."""
    with _safetensors(path) as file:
        return _described(file)


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    with _reading(path, "safetensors"), path.open("rb"), safe_open(path, framework="numpy") as file:
        yield file


@contextlib.contextmanager
def _reading(path: Path, what: str) -> Iterator[None]:
    """Whatever keeps a file from being read is an ArtifactError: it is not there, not what it
    should be, or the system refuses."""
    try:
        yield
    except FileNotFoundError:
        raise ArtifactError(
            f"{path}: expected a file, found none; run the step that makes it"
        ) from None
    except (pyarrow.ArrowException, SafetensorError, ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path}: expected {what}, found {one_line(error)}; run the step again"
        ) from None
    except OSError as error:
        raise ArtifactError(of_system(error)) from None


def _described(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((file.metadata() or {}).get(_META, "{}"))
    return found
