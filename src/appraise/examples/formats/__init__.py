"""Formats of files: what a name's ending says, and the reader of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import IO

from appraise.errors import OfferError
from appraise.examples.formats.compression import COMPRESSIONS, split_name, unpacked
from appraise.examples.formats.delimited import delimited_rows
from appraise.examples.formats.json_text import json_rows
from appraise.examples.formats.row import MAX_ROWS, Options, Row
from appraise.examples.formats.tables import arrow_rows, parquet_rows

__all__ = ["FORMATS", "Options", "Row", "is_file_name", "rows_of"]

Reader = Callable[[IO[bytes], Options], Iterator[Row]]
FORMATS: Mapping[str, Reader] = {
    ".jsonl": json_rows,
    ".ndjson": json_rows,
    ".json": partial(json_rows, document=True),
    ".csv": partial(delimited_rows, usual=","),
    ".tsv": partial(delimited_rows, usual="\t"),
    ".parquet": parquet_rows,
    ".arrow": arrow_rows,
    ".feather": arrow_rows,
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def is_file_name(name: str) -> bool:
    """Whether a name ends as that of a file that can be read."""
    return split_name(name)[0] in FORMATS


def rows_of(name: str, file: IO[bytes], options: Options) -> Iterator[Row]:
    """The rows of a file, in its order.

    Args:
        name: whose ending says what the file is.

    Raises:
        OfferError: it is not what its name says, or larger than what is taken in.
    """
    ending, compression = split_name(name)
    if ending not in FORMATS:
        raise OfferError(
            f"expected a name that ends in {', '.join(FORMATS)}, alone or with "
            f"{', '.join(COMPRESSIONS)}, found {ending or 'nothing'}{compression}; convert the file"
        )
    with unpacked(file, compression) as plain:
        _check_encoding(plain)
        try:
            for count, row in enumerate(FORMATS[ending](plain, options), start=1):
                if count > MAX_ROWS:
                    raise OfferError(
                        f"expected at most {MAX_ROWS} rows, found more; offer it in parts"
                    )
                yield row
        except UnicodeDecodeError:
            raise OfferError(_not_utf8(plain)) from None


def _check_encoding(file: IO[bytes]) -> None:
    begin = file.read(2)
    file.seek(0)
    if begin in _UTF_16:
        raise OfferError(
            "expected UTF-8, found the mark of UTF-16; convert it: `iconv -f UTF-16 -t UTF-8`"
        )


def _not_utf8(file: IO[bytes]) -> str:
    """Where a file is not UTF-8."""
    file.seek(0)
    for number, line in enumerate(file, start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            return (
                f"line {number}: expected UTF-8, found byte 0x{line[error.start]:02x} at "
                f"{error.start}; convert it, for instance with `iconv -f WINDOWS-1252 -t UTF-8`"
            )
    return "expected UTF-8, found other bytes; convert it"
