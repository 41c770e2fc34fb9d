"""Numbers of single precision as the doubles that they are written as: 0.1, not 0.100000001490116.

Arrow hands out a number of 16 or 32 bits as the nearest double, whose shortest form has digits
that the file does not say.
"""

from __future__ import annotations

import pyarrow


def widened(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """The batch with doubles in place of shorter numbers, also within lists and objects."""
    columns = [
        column
        if (text := _with(column.type, pyarrow.string())) == column.type
        else column.cast(text).cast(_with(column.type, pyarrow.float64()))
        for column in batch.columns
    ]
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _with(kind: pyarrow.DataType, leaf: pyarrow.DataType) -> pyarrow.DataType:
    """The type with another one in place of short floating-point numbers."""
    if pyarrow.types.is_float32(kind) or pyarrow.types.is_float16(kind):
        return leaf
    if pyarrow.types.is_struct(kind):
        return pyarrow.struct([part.with_type(_with(part.type, leaf)) for part in kind])
    if pyarrow.types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(_with(kind.value_type, leaf)))
    if pyarrow.types.is_large_list(kind):
        return pyarrow.large_list(kind.value_field.with_type(_with(kind.value_type, leaf)))
    return kind
