"""The bytes of a file, wherever it is: copied once, and hashed as they are copied."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import aiohttp
import fsspec

from appraise.errors import OfferError
from appraise.examples.formats.compression import IN_MEMORY

MAX_SOURCE_BYTES = 4 * 2**30
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


@contextlib.contextmanager
def opened(name: str, root: Path) -> Iterator[tuple[IO[bytes], str]]:
    """A copy of a file's bytes and their SHA-256: what is hashed is what is parsed.

    Args:
        name: a path, absolute or from `root`, or whatever else fsspec opens.

    Raises:
        SourceError: it cannot be read.
        OfferError: it is larger than what is taken in.
    """
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        digest = _copy(name, root, copy)
        copy.seek(0)
        yield copy, digest


def _copy(name: str, root: Path, copy: IO[bytes]) -> str:
    digest = hashlib.sha256()
    size = 0
    try:
        with fsspec.open(absolute(name, root), "rb") as file:
            while block := file.read(2**20):
                size += len(block)
                if size > MAX_SOURCE_BYTES:
                    raise OfferError(
                        f"{name}: expected at most {MAX_SOURCE_BYTES} bytes, found more; offer it "
                        "in parts"
                    )
                digest.update(block)
                copy.write(block)
    except (FileNotFoundError, KeyError):
        raise SourceError(
            f"{name}: expected a file, found none; fetch it or fix its path"
        ) from None
    except _READING_ERRORS as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f"{name}: expected a file that can be read, found: {what}") from None
    return digest.hexdigest()


def absolute(name: str, root: Path) -> str:
    """The name with its last, local part made absolute: `zip://a.jsonl::b.zip` lies in root."""
    *outer, last = name.split("::")
    if "://" not in last:
        last = str(root / last)
    return "::".join([*outer, last])
