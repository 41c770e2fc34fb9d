"""Files that are read as they are needed: tables of examples, a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Self

from appraise.examples.example import Example
from appraise.records import examples as columns


@dataclass(frozen=True)
class ExampleTable:
    """A table of examples, read when it is asked for: it may be large.

    Attributes:
        path: of the file; of a table that is to be written, none.
        given: the examples of a table that is to be written.
    """

    FILE: ClassVar[str]
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str]

    path: Path = field(default_factory=Path)
    given: Sequence[Example] = ()

    @classmethod
    def of(cls, examples: Sequence[Example]) -> Self:
        """The table of some examples, to be written."""
        return cls(given=examples)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The table in a partition's folder; nothing is read yet."""
        return cls(folder / cls.FILE)

    def write(self, folder: Path) -> None:
        """Write the examples."""
        columns.write(folder / self.FILE, self.given)

    def all(self) -> list[Example]:
        """All examples, in their order."""
        return columns.read(self.path)

    def batches(self, rows: int) -> Iterator[list[Example]]:
        """The examples, so many at a time."""
        return columns.batches(self.path, rows)


class DatasetExamples(ExampleTable):
    """The kept rows of an auxiliary dataset."""

    FILE: ClassVar[str] = columns.EXAMPLES
    STEP: ClassVar[str] = "auxiliary_datasets"


class ValueSplit(ExampleTable):
    """The examples of a target that its gradient is taken of."""

    FILE: ClassVar[str] = columns.split_file("value")
    STEP: ClassVar[str] = "target_sets"


class TrainSplit(ExampleTable):
    """The examples of a target that training may mix in."""

    FILE: ClassVar[str] = columns.split_file("train")
    STEP: ClassVar[str] = "target_sets"


class TestSplit(ExampleTable):
    """The examples of a target that are only ever evaluated."""

    FILE: ClassVar[str] = columns.split_file("test")
    STEP: ClassVar[str] = "target_sets"


SPLITS: dict[str, type[ExampleTable]] = {
    "value": ValueSplit,
    "train": TrainSplit,
    "test": TestSplit,
}


@dataclass(frozen=True)
class TokenizerFile:
    """The base model's tokenizer, for counting tokens without the model.

    Attributes:
        path: of `tokenizer.json`.
    """

    FILE: ClassVar[str] = "tokenizer.json"
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str] = "base_model"

    path: Path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The file in the base model's folder."""
        return cls(folder / cls.FILE)
