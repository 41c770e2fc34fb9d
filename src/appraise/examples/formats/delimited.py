"""CSV and TSV: every value is the text that stands there, whatever it looks like.

Nothing is guessed: `007` stays `007`, `NA` stays `NA`, and an empty field is empty. The first line
names the columns; a field may go over several lines within quotes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, Any

from appraise.errors import OfferError
from appraise.examples.formats.row import Options, Row, by_column, column_names

_LARGEST = 2**26  # characters of a field; more is a quote that nothing closes
_OTHERS = ";\t|,"


def delimited_rows(file: IO[bytes], options: Options, *, usual: str) -> Iterator[Row]:
    """The rows of a file with columns that a character separates, each with its line.

    Args:
        usual: the character, where the options name none.

    Raises:
        OfferError: two columns of one name, another separator, or quotes that do not match.
    """
    delimiter = options.delimiter or usual
    csv.field_size_limit(_LARGEST)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    lines = (line.removeprefix("\ufeff") for line in text)  # a mark stands before a joined file
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        header = next(reader, [])
        if options.delimiter is None:
            _check_delimiter(header, usual)
        yield from _records(reader, header, options.max_row_bytes)
    except csv.Error as error:
        raise OfferError(
            f"line {reader.line_num}: expected fields separated by {delimiter!r}, within quotes "
            f"where they have one of these, found: {error}"
        ) from None
    finally:
        text.detach()


def _check_delimiter(header: list[str], usual: str) -> None:
    found = [other for other in _OTHERS if header and other != usual and other in header[0]]
    if len(header) == 1 and found:
        raise OfferError(
            f"expected columns separated by {usual!r}, found the first line {header[0][:60]!r}; "
            f"say what separates them: `delimiter: {found[0]!r}`"
        )


def _records(reader: Any, header: list[str], max_row_bytes: int) -> Iterator[Row]:
    names = column_names(header)
    before = reader.line_num
    for record in reader:
        number, before = before + 1, reader.line_num
        if len(record) <= 1 and not "".join(record).strip() and len(header) > 1:
            continue
        size = sum(len(field.encode()) for field in record) + len(record)
        if size > max_row_bytes:
            yield Row(number, size, {}, too_large=True)
        elif len(record) != len(header):
            counts = f"{len(record)} fields where the first line has {len(header)}"
            yield Row(number, size, {}, counts)
        elif record == header:
            yield Row(number, size, {}, "the first line again, as in files that were joined")
        else:
            yield Row(number, size, by_column(names, record))
