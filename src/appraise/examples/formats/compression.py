"""Compressed files: unpacked to a temporary file, at most as much as is taken in."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

import pyarrow

from appraise.errors import OfferError
from appraise.examples.formats.row import check_decoded

IN_MEMORY = 32 * 2**20  # bytes of a temporary file that are not yet on the disk
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}  # as pyarrow calls them


def split_name(name: str) -> tuple[str, str]:
    """The ending of a file's name and that of its compression, or "": `.jsonl` and `.gz`."""
    path = PurePosixPath(name)
    if path.suffix.lower() in COMPRESSIONS:
        return PurePosixPath(path.stem).suffix.lower(), path.suffix.lower()
    return path.suffix.lower(), ""


@contextlib.contextmanager
def unpacked(file: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    """The file's content without its compression.

    Raises:
        OfferError: it is damaged, of another kind, or too large when it is unpacked.
    """
    if not compression:
        yield file
        return
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as copy:
        size = 0
        try:
            stream = pyarrow.CompressedInputStream(file, COMPRESSIONS[compression])
            while block := stream.read(2**20):
                size += len(block)
                check_decoded(size)
                copy.write(block)
        except (OSError, pyarrow.ArrowException) as error:
            what = " ".join(str(error).split())
            raise OfferError(
                f"expected a whole file in the format {compression}, found: {what}"
            ) from None
        copy.seek(0)
        yield copy
