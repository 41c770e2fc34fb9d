"""Class labels of `datasets`: numbers in the file, and in its schema the name of each class."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow

_WRITTEN = b"huggingface"  # under which `datasets` describes the columns, as JSON
Classes = Mapping[str, Sequence[str]]


def classes_of(schema: pyarrow.Schema) -> Classes:
    """Column → the names of its classes in their order, of the columns that are class labels."""
    try:
        features = json.loads((schema.metadata or {}).get(_WRITTEN, b"{}"))["info"]["features"]
        return {
            name: tuple(map(str, feature["names"]))
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # it says nothing of classes


def named(values: Sequence[Any], classes: Sequence[str]) -> list[Any]:
    """Labels by name; None where there is none, which `datasets` writes as -1.

    Raises:
        ValueError: a number that is no class.
    """
    return [None if value in (None, -1) else _name(value, classes) for value in values]


def _name(value: Any, classes: Sequence[str]) -> str:
    if not isinstance(value, int) or not 0 <= value < len(classes):
        raise ValueError(f"expected a class from 0 to {len(classes) - 1}, found {value}")
    return classes[value]
