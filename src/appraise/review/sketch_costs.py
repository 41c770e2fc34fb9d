"""What looking at the datasets cost: examples, tokens, seconds and storage of each sketch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from appraise.project import Project
from appraise.storage.files import read_arrays

SKETCH = "sketch.safetensors"


@dataclass(frozen=True)
class Cost:
    """Of one sketch.

    Attributes:
        examples: that have a gradient.
        left_out: too long, or not finite.
        tokens: of all their sequences.
        truncated: tokens cut from prompts that were too long.
        seconds: that it took, model loading aside; None where it was not made here.
        stored: bytes of the sketch file.
        distortion: relative error, root mean square, of the projected squared norms.
    """

    key: str
    examples: int
    left_out: int
    tokens: int
    truncated: int
    seconds: float | None
    stored: int
    distortion: float | None

    @property
    def tokens_per_second(self) -> float | None:
        """How fast it went."""
        return self.tokens / self.seconds if self.seconds else None

    def as_json(self) -> dict[str, Any]:
        """All of it, as a row of a table."""
        return asdict(self) | {"tokens_per_second": self.tokens_per_second}


def cost(project: Project, noun: str, key: str) -> Cost | None:
    """What a sketch cost, or None for a dataset that was set aside."""
    if project.set_aside(noun, key) is not None:
        return None
    path = project.open(noun, key) / SKETCH
    arrays, meta = read_arrays(path)
    distortion = meta.get("distortion") or {}
    return Cost(
        key=key,
        examples=int(meta["examples"]),
        left_out=len(meta["dropped_not_finite"]) + len(meta["too_long"]),
        tokens=int(arrays["tokens"].sum()),
        truncated=int(arrays["truncated"].sum()),
        seconds=project.measured(noun, key).get("seconds"),
        stored=path.stat().st_size,
        distortion=distortion.get("rms"),
    )


def costs(project: Project, target: str) -> list[Cost]:
    """Of the target's sketch, then of each dataset's."""
    names = [("target_sketches", target)]
    names += [("gradient_sketches", key) for key in project.partitions("gradient_sketches")]
    return [one for name in names if (one := cost(project, *name)) is not None]


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
