"""What became of the rows of a dataset or a target, and what was said of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from appraise.errors import ArtifactError
from appraise.examples.counts import ComponentCounts, DatasetCounts
from appraise.examples.verdicts import CheckResult
from appraise.records.offers import Offer
from appraise.settings.section import describe
from appraise.storage.files import read_json, write_json

CARD, VALIDATION = "card.json", "validation.json"
T = TypeVar("T")


@dataclass(frozen=True)
class DatasetCard:
    """The content of a dataset's `card.json`.

    Attributes:
        offer: as it was made.
        counts: what became of its rows; None where they could not be read.
    """

    FILE: ClassVar[str] = CARD
    SCHEMA: ClassVar[int] = 2
    STEP: ClassVar[str] = "auxiliary_datasets"

    offer: Offer
    counts: DatasetCounts | None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or does not fit."""
        path = folder / cls.FILE
        content = _parsed(path, dict[str, JsonValue], read_json(path), cls.STEP)
        terms = {name: content.pop(name) for name in Offer.model_fields if name in content}
        offer = _parsed(path, Offer, terms, cls.STEP)
        dropped = content.get("dropped")
        if not isinstance(dropped, dict):
            return cls(offer, None)
        content["overlap"] = dropped.pop("overlap", None)
        return cls(offer, _parsed(path, DatasetCounts, content, cls.STEP))

    def write(self, folder: Path) -> None:
        """Write it, with sorted keys."""
        terms = self.offer.model_dump(mode="json")
        if self.counts is None:
            write_json(folder / self.FILE, {**terms, "rows": 0, "usable": 0, "kept": 0})
            return
        counts = dataclasses.asdict(self.counts)
        counts["dropped"] = {**counts["dropped"], "overlap": counts.pop("overlap")}
        write_json(folder / self.FILE, {**terms, **counts})


@dataclass(frozen=True)
class TargetCard:
    """The content of a target's `card.json`.

    Attributes:
        title: of the target.
        components: what became of each component's rows.
    """

    FILE: ClassVar[str] = CARD
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str] = "target_sets"

    title: str
    components: tuple[ComponentCounts, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or does not fit."""
        path = folder / cls.FILE
        return _parsed(path, cls, read_json(path), cls.STEP)

    def write(self, folder: Path) -> None:
        """Write it, with sorted keys."""
        write_json(folder / self.FILE, dataclasses.asdict(self))


@dataclass(frozen=True)
class ValidationChecks:
    """The content of a dataset's `validation.json`: what Great Expectations said of its rows.

    Attributes:
        checks: one for each expectation; none where the rows could not be read.
    """

    FILE: ClassVar[str] = VALIDATION
    SCHEMA: ClassVar[int] = 1
    STEP: ClassVar[str] = "auxiliary_datasets"

    checks: tuple[CheckResult, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it; ArtifactError if it is missing, damaged or does not fit."""
        path = folder / cls.FILE
        return cls(_parsed(path, tuple[CheckResult, ...], read_json(path), cls.STEP))

    def write(self, folder: Path) -> None:
        """Write it, with sorted keys."""
        write_json(folder / self.FILE, [dataclasses.asdict(check) for check in self.checks])


def _parsed(path: Path, kind: type[T], content: Any, step: str) -> T:
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        raise ArtifactError(
            f"{path}: expected it as this version writes it, found {describe(error)}; "
            f"run `appraise {step.replace('_', '-')}` again"
        ) from None
