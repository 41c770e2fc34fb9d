"""Rows that somebody had before: which they are, and how many of each dataset's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import pandas as pd
from pydantic import JsonValue

from appraise.errors import ArtifactError
from appraise.records.record import Json, JsonRecord, Part, TableRecord, mapping

STEP = "near_copies"


class Copied(Part):
    """How many rows a dataset has, and how many of them were there before.

    Attributes:
        rows: all of them.
        copied: those that somebody had before.
        of: whose they are, a dataset or `target:<name>` → how many.
    """

    rows: int
    copied: int
    of: dict[str, int]

    def most_first(self) -> list[tuple[str, int]]:
        """Whose rows they are and how many, most first."""
        return sorted(self.of.items(), key=lambda pair: (-pair[1], pair[0]))


class CopiesSummary(JsonRecord):
    """The content of `copies.json`."""

    FILE: ClassVar[str] = "copies.json"
    STEP: ClassVar[str] = STEP

    datasets: dict[str, Copied]

    @classmethod
    def from_file(cls, content: JsonValue) -> JsonValue:
        """The file has the datasets alone."""
        return {"datasets": content}

    def shaped(self, content: Json) -> Json:
        """Dataset → its counts."""
        return mapping(content["datasets"])

    def __getitem__(self, dataset: str) -> Copied:
        try:
            return self.datasets[dataset]
        except KeyError:
            raise ArtifactError(
                f"near_copies: expected {dataset} in {self.FILE}, found it not; "
                "run `appraise near-copies`"
            ) from None


class CopiesTable(TableRecord):
    """The content of `copies.parquet`: a row for each near copy."""

    FILE: ClassVar[str] = "copies.parquet"
    STEP: ClassVar[str] = STEP
    COLUMNS: ClassVar[tuple[str, ...]] = ("dataset", "row", "of", "of_row", "similarity")

    @classmethod
    def of_rows(cls, rows: Sequence[tuple[str, str, str, str, float]]) -> CopiesTable:
        """The table, of its rows in the order of its columns."""
        table = pd.DataFrame(rows, columns=list(cls.COLUMNS))
        return cls(table.astype(dict.fromkeys(cls.COLUMNS[:4], str)).astype({"similarity": float}))

    @cached_property
    def by_dataset(self) -> dict[str, list[str]]:
        """Dataset → ids of its rows that others had first, sorted."""
        return {str(name): sorted(group["row"]) for name, group in self.table.groupby("dataset")}
