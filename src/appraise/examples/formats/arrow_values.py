"""Values of Arrow's types as Python's: what a reader of the file would say that stands there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow
from pyarrow import types

from appraise.examples.formats.json_text import DECODER

VALUE_ERRORS = (ValueError, OverflowError, LookupError, RecursionError, pyarrow.ArrowException)
Convert = Callable[[Any], Any]


def values(column: pyarrow.Array) -> list[Any]:
    """The values of a column.

    Python's own types, with objects as dictionaries and bytes as they are. Single and half
    precision give the shortest number that reads back the same (0.1 and not 0.10000000149),
    JSON what it says, a map an object.

    Raises:
        VALUE_ERRORS: a value that Python has nothing for, such as a day in the year 300,000, or
            text that is not UTF-8.
    """
    if column.type == pyarrow.time64("ns"):
        column = column.cast(pyarrow.time64("us"))  # Python would drop nanoseconds without a word
    convert = _converter(column.type)
    plain = column.to_pylist()
    return plain if convert is None else [_unless_none(convert, value) for value in plain]


def _unless_none(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _converter(kind: pyarrow.DataType) -> Convert | None:
    """What to do with a value of a type; None where nothing is to be done."""
    if types.is_float16(kind) or types.is_float32(kind):
        single = np.float16 if types.is_float16(kind) else np.float32
        return lambda value: float(str(single(value)))
    if isinstance(kind, pyarrow.JsonType):
        return DECODER.decode
    if isinstance(kind, pyarrow.BaseExtensionType):
        return _converter(kind.storage_type)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        return _converter(kind.value_type)
    if types.is_map(kind):
        return _object_of(_converter(kind.item_type))
    if types.is_struct(kind):
        return _fields_of({field.name: _converter(field.type) for field in kind})
    if types.is_nested(kind) and not types.is_union(kind):
        return _elements_of(_converter(kind.value_type))
    return None


def _elements_of(inner: Convert | None) -> Convert | None:
    if inner is None:
        return None
    return lambda items: [_unless_none(inner, item) for item in items]


def _fields_of(inner: dict[str, Convert | None]) -> Convert | None:
    changed = {name: convert for name, convert in inner.items() if convert is not None}
    if not changed:
        return None
    return lambda value: (
        value | {name: _unless_none(convert, value[name]) for name, convert in changed.items()}
    )


def _object_of(inner: Convert | None) -> Convert:
    def convert(pairs: list[tuple[Any, Any]]) -> Mapping[str, Any]:
        made = {str(key): _unless_none(inner, value) if inner else value for key, value in pairs}
        if len(made) < len(pairs):
            raise ValueError(
                f"a map with a key twice among {', '.join(str(key) for key, _ in pairs)}"
            )
        return made

    return convert
