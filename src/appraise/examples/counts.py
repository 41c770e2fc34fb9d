"""What is counted of a source's rows: how many there are, how many were dropped and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lengths:
    """Lengths in tokens: mean, 95th percentile (nearest rank) and maximum; 0 of nothing."""

    mean: float
    p95: int
    max: int

    @classmethod
    def of(cls, tokens: Sequence[int]) -> Lengths:
        """Of so many lengths."""
        if not tokens:
            return cls(0.0, 0, 0)
        ordered = sorted(tokens)
        rank = -(-95 * len(ordered) // 100) - 1
        return cls(round(sum(ordered) / len(ordered), 3), ordered[rank], ordered[-1])


@dataclass(frozen=True)
class DatasetCounts:
    """What became of a dataset's rows.

    Attributes:
        rows: in the source.
        usable: valid, each once, and in no target.
        kept: of them, at most `max_examples`; 0 where the dataset is set aside.
        dropped: why (one of `rules.REASONS`, or "duplicate") → rows.
        overlap: target → otherwise usable rows that it has too.
        overlap_questions: target → different questions of the source, usable or not, that it has.
        tokens: lengths of what is kept.
    """

    rows: int
    usable: int
    kept: int
    dropped: Mapping[str, int]
    overlap: Mapping[str, int]
    overlap_questions: Mapping[str, int]
    tokens: Lengths


@dataclass(frozen=True)
class ComponentCounts:
    """What became of a component's rows.

    Attributes:
        name: of the component.
        source: where its rows come from.
        rows: in the source.
        usable: valid, each prompt once.
        dropped: why (one of `rules.REASONS`, or "duplicate") → rows.
        value: examples in the split for gradients.
        train: in the split to train on.
        test: in the split that is only ever evaluated.
    """

    name: str
    source: str
    rows: int
    usable: int
    dropped: Mapping[str, int]
    value: int
    train: int
    test: int
