"""What records have in common: a file's name, the version of its layout, one reader, one writer.

A record is the content of one file of a partition. JSON files are pydantic models (`JsonRecord`),
tables and arrays frozen dataclasses (`TableRecord`, `ArrayRecord`). A file that does not fit its
record is an ArtifactError of one line, which names the step that has to run again.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
import pandas as pd
from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    JsonValue,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from appraise.errors import ArtifactError
from appraise.numerics.kernel import Floats
from appraise.settings.section import describe
from appraise.storage.files import (
    read_arrays,
    read_json,
    read_table,
    write_arrays,
    write_json,
    write_table,
)

Json = dict[str, JsonValue]
Arrays = dict[str, np.ndarray]


class Record(Protocol):
    """The content of one file of a partition.

    Attributes:
        FILE: its name within the partition's folder.
        SCHEMA: version of its layout; raised when a reader of the old one could not read the new.
        STEP: noun of the step that writes it.
    """

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int]
    STEP: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it from a partition's folder; ArtifactError if it is missing or does not fit."""

    def write(self, folder: Path) -> None:
        """Write it to a partition's folder; the same content gives the same bytes."""


class Readable(Protocol):
    """What can be read from a partition's folder."""

    FILE: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it."""


R = TypeVar("R", bound=Readable)


def misfit(path: Path, step: str, expected: str, found: str) -> ArtifactError:
    """The error for a file that does not fit its record."""
    command = step.replace("_", "-")
    return ArtifactError(
        f"{path}: expected {expected}, found {found}; run `appraise {command}` again"
    )


def read_if_there(record: type[R], folder: Path | None) -> R | None:
    """A record that a method may or may not write; None where there is no such file, or folder."""
    if folder is None or not (folder / record.FILE).is_file():
        return None
    return record.read(folder)


class Part(BaseModel):
    """A part of a JSON record: unknown names are refused, values never change.

    Attributes:
        SPARSE: names of fields that are left out of the file when they are None.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        ser_json_inf_nan="constants",
    )
    SPARSE: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _serialised(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return self.shaped(serialise(self))

    def shaped(self, content: Json) -> Json:
        """The fields as the file has them: by name, without those that are absent."""
        absent = {name for name in self.SPARSE if getattr(self, name) is None}
        return {name: value for name, value in content.items() if name not in absent}

    def as_json(self) -> Json:
        """As the file has it."""
        return self.model_dump(mode="json", by_alias=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With what the docstring says of each field beside it."""
        found = handler.resolve_ref_schema(handler(schema))
        text, _ = _docstring(cls)
        said: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            said |= _docstring(base)[1] if issubclass(base, Part) else {}
        names = {field.serialization_alias or n: n for n, field in cls.model_fields.items()}
        for name, value in found.get("properties", {}).items():
            value.pop("title", None)
            if names.get(name) in said:
                value["description"] = said[names[name]]
        return found | {"description": text}


class JsonRecord(Part):
    """A record in JSON."""

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or does not fit."""
        path = folder / cls.FILE
        try:
            return cls.model_validate(cls.from_file(read_json(path)))
        except ValidationError as error:
            said = describe(error, most=3)
            raise misfit(path, cls.STEP, "it as this version writes it", said) from None

    def write(self, folder: Path) -> None:
        """Write it, with sorted keys."""
        write_json(folder / self.FILE, self.as_json())

    @classmethod
    def from_file(cls, content: JsonValue) -> JsonValue:
        """The fields by name, of the file's content: for a file that has no names for them."""
        return content


@dataclass(frozen=True)
class TableRecord:
    """A record in Parquet: a row for each of something.

    Attributes:
        table: the rows.
        COLUMNS: those that every such table has.
    """

    table: pd.DataFrame

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str]
    COLUMNS: ClassVar[tuple[str, ...]]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or lacks a column."""
        path = folder / cls.FILE
        table = read_table(path)
        missing = [name for name in cls.COLUMNS if name not in table]
        if missing:
            has = ", ".join(map(str, table.columns)) or "none"
            raise misfit(path, cls.STEP, f"columns {', '.join(missing)}", f"the columns {has}")
        return cls(table)

    def write(self, folder: Path) -> None:
        """Write it, without an index."""
        write_table(folder / self.FILE, self.table)

    def texts(self, column: str) -> list[str]:
        """A column of text."""
        return [str(value) for value in self.table[column]]

    def numbers(self, column: str) -> Floats:
        """A column of numbers (n,) float64; NaN where the table has none."""
        return self.table[column].to_numpy("float64")

    def records(self) -> list[dict[str, Any]]:
        """The rows by column, of Python's own types; None where the table has no value."""
        rows = self.table.to_dict("records")
        return [{str(name): plain(value) for name, value in row.items()} for row in rows]


@dataclass(frozen=True)
class ArrayRecord:
    """A record in safetensors: the subclass's fields are its arrays and its description.

    A subclass says its arrays with a letter for the length of each axis; the same letter is the
    same length.
    """

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str]
    AXES: ClassVar[Mapping[str, str]]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or does not fit."""
        path = folder / cls.FILE
        arrays, meta = read_arrays(path)
        cls.check(path, arrays)
        try:
            return cls.of(arrays, meta)
        except (KeyError, TypeError, ValueError) as error:
            found = " ".join(str(error).split())[:200]
            raise misfit(path, cls.STEP, "its description to fit its arrays", found) from None

    def write(self, folder: Path) -> None:
        """Write it."""
        arrays = {name: getattr(self, name) for name in self.AXES}
        write_arrays(folder / self.FILE, arrays, self.meta())

    @classmethod
    def of(cls, arrays: Arrays, meta: Json) -> Self:
        """The record, of its arrays and the description that the file has of them."""
        raise NotImplementedError

    def meta(self) -> Json:
        """What the file says besides its arrays."""
        raise NotImplementedError

    @classmethod
    def check(cls, path: Path, arrays: Arrays) -> None:
        """All arrays are there, and their axes fit each other; ArtifactError otherwise."""
        missing = sorted(set(cls.AXES) - set(arrays))
        if missing:
            has = ", ".join(sorted(arrays)) or "none"
            raise misfit(path, cls.STEP, f"arrays {', '.join(missing)}", f"the arrays {has}")
        lengths: dict[str, int] = {}
        for name, axes in cls.AXES.items():
            shape = arrays[name].shape
            sizes = " × ".join(str(lengths.get(axis, axis)) for axis in axes)
            fits = len(shape) == len(axes)
            for axis, length in zip(axes, shape, strict=False):
                fits = fits and lengths.setdefault(axis, length) == length
            if not fits:
                raise misfit(path, cls.STEP, f"{name} of {sizes}", f"shape {shape}")


def _docstring(cls: type) -> tuple[str, dict[str, str]]:
    """What a class is, and what each of its attributes means, as JSON calls things."""
    text, _, attributes = inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:\n")
    said: dict[str, str] = {}
    for entry in re.split(r"\n {4}(?=\S)", "\n" + attributes):
        names, _, meaning = " ".join(entry.split()).partition(": ")
        said |= dict.fromkeys(names.split(", "), meaning.replace("None", "null"))
    return text.strip().replace("None", "null"), said


def texts(value: JsonValue) -> tuple[str, ...]:
    """A JSON list of strings; ValueError otherwise."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected a list of texts, found {value!r:.60}")
    return tuple(str(item) for item in value)


def mapping(value: JsonValue) -> Json:
    """A JSON object; ValueError otherwise."""
    if not isinstance(value, dict):
        raise ValueError(f"expected names with values, found {value!r:.60}")
    return value


def plain(value: object) -> Any:
    """Python's own value for one of a table; None for NaN, which Parquet has for null."""
    own = value.item() if isinstance(value, np.generic) else value
    return None if own is pd.NA or (isinstance(own, float) and math.isnan(own)) else own


def number(value: float) -> float | None:
    """A number as JSON has it: None where it is not finite."""
    return float(value) if math.isfinite(value) else None
