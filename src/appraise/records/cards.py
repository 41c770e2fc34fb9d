"""What became of the rows of a dataset or a target, and what was said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from appraise.records.offers import Offer
from appraise.storage.files import read_json


@dataclass(frozen=True)
class DatasetCounts:
    """What became of a dataset's rows.

    Attributes:
        rows: in the source.
        usable: valid, each once, and in no target.
        kept: of them; 0 where the dataset is set aside.
        dropped: why → rows.
        overlap: target → otherwise usable rows that it has too.
    """

    rows: int
    usable: int
    kept: int
    dropped: Mapping[str, int]
    overlap: Mapping[str, int]


@dataclass(frozen=True)
class DatasetCard:
    """The content of a dataset's `card.json`.

    Attributes:
        offer: as it was made.
        counts: what became of its rows; None where they could not be read.
    """

    FILE: ClassVar[str] = "card.json"

    offer: Offer
    counts: DatasetCounts | None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it."""
        content = read_json(folder / cls.FILE)
        offer = Offer(**{name: content[name] for name in Offer.model_fields if name in content})
        dropped = dict(content.get("dropped") or {})
        if "dropped" not in content:
            return cls(offer, None)
        overlap = dropped.pop("overlap")
        numbers = (content["rows"], content["usable"], content["kept"])
        return cls(offer, DatasetCounts(*numbers, dropped, overlap))


@dataclass(frozen=True)
class ComponentCounts:
    """What became of a component's rows."""

    name: str
    rows: int
    usable: int
    value: int
    train: int
    test: int


@dataclass(frozen=True)
class TargetCard:
    """The content of a target's `card.json`.

    Attributes:
        title: of the target.
        components: what became of each component's rows.
    """

    FILE: ClassVar[str] = "card.json"

    title: str
    components: tuple[ComponentCounts, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read it."""
        content = read_json(folder / cls.FILE)
        names = ("name", "rows", "usable", "value", "train", "test")
        components = ({name: one[name] for name in names} for one in content["components"])
        return cls(content["title"], tuple(ComponentCounts(**one) for one in components))
