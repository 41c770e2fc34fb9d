"""What looking at a dataset cost: examples, tokens, seconds and storage of its sketch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

from appraise.records.record import Json
from appraise.records.sketch import Sketch


@dataclass(frozen=True)
class Cost:
    """Of one sketch.

    Attributes:
        key: the dataset or the target.
        examples: that have a gradient.
        left_out: too long, or not finite.
        tokens: of all their sequences.
        truncated: tokens cut from prompts that were too long.
        seconds: that it took, model loading aside; None where it was not made here.
        stored: bytes of the sketch file.
        distortion: relative error, root mean square, of the projected squared norms; None where
            nothing was projected, or of several sketches.
    """

    key: str
    examples: int
    left_out: int
    tokens: int
    truncated: int
    seconds: float | None
    stored: int
    distortion: float | None

    @classmethod
    def of(cls, key: str, sketch: Sketch, stored: int, seconds: float | None = None) -> Self:
        """Of the sketch of a dataset or a target."""
        meta = sketch.meta
        return cls(
            key=key,
            examples=meta.examples,
            left_out=len(meta.dropped_not_finite) + len(meta.too_long),
            tokens=int(sketch.tokens.sum()),
            truncated=int(sketch.truncated.sum()),
            seconds=seconds,
            stored=stored,
            distortion=None if meta.distortion is None else meta.distortion.rms,
        )

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it went."""
        return self.tokens / self.seconds if self.seconds else None

    def as_json(self) -> Json:
        """All of it, as a row of a table."""
        return {**asdict(self), "tokens_per_second": self.tokens_per_second}


def total(each: Sequence[Cost]) -> Cost:
    """All sketches as one; its seconds are known where those of every sketch are."""
    seconds = [one.seconds for one in each if one.seconds is not None]
    return Cost(
        key="all",
        examples=sum(one.examples for one in each),
        left_out=sum(one.left_out for one in each),
        tokens=sum(one.tokens for one in each),
        truncated=sum(one.truncated for one in each),
        seconds=sum(seconds) if len(seconds) == len(each) else None,
        stored=sum(one.stored for one in each),
        distortion=None,
    )
