"""Parquet and Arrow: rows in small batches, because footers can lie about sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

import pyarrow
from pyarrow import feather, ipc, parquet

from appraise.errors import OfferError
from appraise.examples.formats.arrow_values import VALUE_ERRORS, values
from appraise.examples.formats.class_labels import Classes, classes_of, named
from appraise.examples.formats.row import Options, Row, by_column, check_decoded, column_names

_ROWS = 256
_LARGE = 2**26  # bytes of a batch that is taken row by row: its values may share their memory
_IPC_FILE, _OLD_FEATHER = b"ARROW1", b"FEA1"


def parquet_rows(file: IO[bytes], options: Options) -> Iterator[Row]:
    """The rows of a Parquet file.

    Raises:
        OfferError: it is none, announces or has too much, or has two columns of one name.
    """
    try:
        table = parquet.ParquetFile(file)
        groups = [table.metadata.row_group(i) for i in range(table.metadata.num_row_groups)]
        check_decoded(sum(group.total_byte_size for group in groups))
        _check_names(table.schema_arrow)
        classes = classes_of(table.schema_arrow)
        yield from _rows(table.iter_batches(batch_size=_ROWS), classes, options.max_row_bytes)
    except (pyarrow.ArrowException, OSError) as error:
        what = " ".join(str(error).split())
        raise OfferError(f"expected a Parquet file, found: {what}") from None


def arrow_rows(file: IO[bytes], options: Options) -> Iterator[Row]:
    """The rows of an Arrow file or stream, as pyarrow, Feather and `datasets` write them.

    Raises:
        OfferError: it is none, has too much, or has two columns of one name.
    """
    try:
        schema, batches = _batches(file)
        _check_names(schema)
        yield from _rows(batches, classes_of(schema), options.max_row_bytes)
    except (pyarrow.ArrowException, OSError) as error:
        what = " ".join(str(error).split())
        raise OfferError(f"expected an Arrow file or stream, found: {what}") from None


def _batches(file: IO[bytes]) -> tuple[pyarrow.Schema, Iterable[pyarrow.RecordBatch]]:
    begin = file.read(len(_IPC_FILE))
    file.seek(0)
    if begin == _IPC_FILE:
        opened = ipc.open_file(file)
        return opened.schema, (opened.get_batch(i) for i in range(opened.num_record_batches))
    if begin.startswith(_OLD_FEATHER):
        table = feather.read_table(file)
        return table.schema, table.to_batches()
    stream = ipc.open_stream(file)
    return stream.schema, stream


def _rows(
    batches: Iterable[pyarrow.RecordBatch], classes: Classes, max_row_bytes: int
) -> Iterator[Row]:
    number = taken = 0
    for batch in batches:
        check_decoded(batch.nbytes)
        step = 1 if batch.nbytes > _LARGE else _ROWS
        for start in range(0, batch.num_rows, step):
            for row in _sliced(batch.slice(start, step), classes, number, max_row_bytes):
                number, taken = row.number, taken + row.size
                check_decoded(taken)
                yield row


def _sliced(
    batch: pyarrow.RecordBatch, classes: Classes, before: int, max_row_bytes: int
) -> Iterator[Row]:
    """The rows of a small batch; one with a value that nothing stands for could not be read."""
    names = column_names(batch.schema.names)
    try:
        columns = [
            named(values(column), classes[name]) if name in classes else values(column)
            for name, column in zip(batch.schema.names, batch.columns, strict=True)
        ]
    except VALUE_ERRORS as error:
        if batch.num_rows == 1:
            yield Row(before + 1, batch.nbytes, {}, " ".join(str(error).split()))
            return
        for place in range(batch.num_rows):
            yield from _sliced(batch.slice(place, 1), classes, before + place, max_row_bytes)
        return
    for number, row in enumerate(zip(*columns, strict=True), start=before + 1):
        size = sum(_size(value) for value in row)
        large = size > max_row_bytes
        yield Row(number, size, {} if large else by_column(names, row), too_large=large)


def _size(value: object) -> int:
    return len(value) if isinstance(value, bytes) else len(str(value).encode("utf-8", "replace"))


def _check_names(schema: pyarrow.Schema) -> None:
    """Refuse two columns of one name, also within objects."""
    column_names(schema.names)
    for column in schema:
        _check_fields(column.name, column.type)


def _check_fields(place: str, kind: pyarrow.DataType) -> None:
    inner = [kind.field(i) for i in range(kind.num_fields)] if kind.num_fields else []
    names = [one.name for one in inner]
    if pyarrow.types.is_struct(kind) and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise OfferError(f"expected each name once, found {twice!r} twice in {place}")
    for one in inner:
        _check_fields(f"{place}.{one.name}", one.type)
