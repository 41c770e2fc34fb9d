"""A row as it came from a file, and the limits of what is taken in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appraise.errors import OfferError
from appraise.examples.columns import column_name

MAX_DECODED_BYTES = 2 * 2**30
MAX_ROWS = 10_000_000


@dataclass(frozen=True)
class Row:
    """A row as it came.

    Attributes:
        number: line (JSONL, CSV) or row number, from 1.
        size: bytes of the line, or of the row's values as text.
        columns: column → value; empty when the row could not be read or is too large.
        unreadable: why it could not be read, or None.
        too_large: whether it is larger than a row may be.
    """

    number: int
    size: int
    columns: Mapping[str, Any]
    unreadable: str | None = None
    too_large: bool = False


@dataclass(frozen=True)
class Options:
    """How a file is read.

    Attributes:
        max_row_bytes: what is larger than this is passed on without its columns.
        delimiter: between the columns of CSV; None: as the file's name says.
        field: of a JSON object: the key under which its rows are; None: there is no such object.
    """

    max_row_bytes: int
    delimiter: str | None = None
    field: str | None = None


def by_column(names: Sequence[str], values: Iterable[Any]) -> Mapping[str, Any]:
    """Column → value; what stands under no name cannot be asked for and is left out."""
    return {name: value for name, value in zip(names, values, strict=True) if name}


def column_names(written: Iterable[str]) -> list[str]:
    """The names of a table's columns.

    Raises:
        OfferError: two are the same, or look the same.
    """
    first: dict[str, str] = {}
    names = []
    for given in written:
        name = column_name(given)
        if name and name in first:
            raise OfferError(
                f"expected each column's name once, found {first[name]!r} and {given!r}; ask the "
                "provider which of the two is meant, and leave the other out"
            )
        first[name] = given
        names.append(name)
    return names


def check_decoded(size: int) -> None:
    """Check how much was decoded so far, in bytes.

    Raises:
        OfferError: it is more than is taken in.
    """
    if size > MAX_DECODED_BYTES:
        raise OfferError(
            f"expected at most {MAX_DECODED_BYTES} bytes when decoded, found more; offer it in "
            "parts"
        )
