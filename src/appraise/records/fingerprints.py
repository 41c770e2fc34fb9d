"""What a target's prompts are recognised by, chosen for a split or not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import pandas as pd

from appraise.storage.files import read_table, write_table


@dataclass(frozen=True)
class Fingerprints:
    """The content of `fingerprints.parquet`.

    Attributes:
        marks: sorted, each once (`examples.overlap.Marks`).
    """

    FILE: ClassVar[str] = "fingerprints.parquet"
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str] = "target_sets"

    marks: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read them; ArtifactError if the file is missing or damaged."""
        return cls(tuple(str(mark) for mark in read_table(folder / cls.FILE)["fingerprint"]))

    def write(self, folder: Path) -> None:
        """Write them as a table of one column."""
        table = pd.DataFrame({"fingerprint": pd.Series(self.marks, dtype="str")})
        write_table(folder / self.FILE, table)
