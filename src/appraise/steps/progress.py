"""A step's progress: one bar, of partitions or of whatever is smaller."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm


class Progress:
    """One bar for a run of a step: of partitions, unless the step counts something smaller."""

    def __init__(self, noun: str, partitions: int) -> None:
        self.noun = noun
        self._bar = tqdm(
            total=partitions, desc=noun, unit="partition", disable=None, file=sys.stderr,
            smoothing=0.02,
        )  # fmt: skip
        self._by_partition, self._started = True, time.monotonic()

    def count(self, total: int, unit: str, of: str = "") -> None:
        """Count so many units, of a partition if it is named, in place of partitions."""
        self._by_partition, self._started = False, time.monotonic()
        self._bar.reset(total)
        self._bar.unit = unit
        self._bar.set_description(f"{self.noun} {of}".strip())

    def step(self, units: int = 1, note: str = "") -> None:
        """So many more are done."""
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(units)

    def skip(self, units: int) -> None:
        """So many were done by a run that was stopped: no measure of this one's speed."""
        if self._bar.disable:
            return
        self._bar.initial, self._bar.n = self._bar.initial + units, self._bar.n + units
        self._bar.last_print_n += units

    @property
    def elapsed(self) -> float:
        """Seconds since the counting began."""
        return time.monotonic() - self._started

    def say(self, line: str) -> None:
        """A line for whoever watches."""
        self._bar.write(f"{self.noun}: {line}", file=sys.stderr)

    def partition_done(self) -> None:
        """A partition is on disk."""
        if self._by_partition:
            self._bar.update(1)

    def close(self) -> None:
        """The bar stays as it is."""
        self._bar.close()


@contextmanager
def progress_of(noun: str, partitions: int) -> Iterator[Progress]:
    """A bar that is closed at the end, whatever happens."""
    progress = Progress(noun, partitions)
    try:
        yield progress
    finally:
        progress.close()
