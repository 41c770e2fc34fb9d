"""Columns by name, also within objects: `answers.text` is `text` in the object `answers`.

A column whose own name is `answers.text` comes before one within an object. Of a list of objects a
name gives the list of their values, as `choices.text` of `[{"text": "a"}, {"text": "b"}]` does.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from appraise.examples.values import is_list

DEEPEST = 8  # objects within objects whose names are listed


@functools.lru_cache(maxsize=4096)
def column_name(name: str) -> str:
    """A column's name in one Unicode form (NFC), without white space around it.

    Names that a person cannot tell apart are one name, in a file as in a template.
    """
    return unicodedata.normalize("NFC", name).strip()


def value_at(row: Mapping[str, Any], name: str) -> Any:
    """The value of a column by its name; None where this row lacks it."""
    if name in row:
        return row[name]
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        head, tail = ".".join(parts[:count]), ".".join(parts[count:])
        value = _within(row.get(head), tail)
        if value is not None:
            return value
    return None


def _within(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value_at(value, name)
    if is_list(value) and any(isinstance(item, Mapping) for item in value):
        return [_within(item, name) for item in value]
    return None


def names_of(row: Mapping[str, Any], deep: int = DEEPEST) -> Iterator[str]:
    """The names of all columns of a row and within their objects; some come more than once."""
    for name, value in row.items():
        yield name
        if deep > 1:
            for item in value if is_list(value) else (value,):
                if isinstance(item, Mapping):
                    yield from (f"{name}.{within}" for within in names_of(item, deep - 1))
