"""A step's progress: one bar, of partitions or of whatever is smaller; in a log a line a minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS = 60  # between two lines where nobody looks


class Lines:
    """A line a minute, in a log: how far it is, and how long it will take from here."""

    def __init__(self, desc: str, total: int, unit: str, clock: Callable[[], float]) -> None:
        self.unit, self._desc, self._clock, self._note = unit, desc, clock, ""
        self._said = clock()
        self.reset(total)

    def reset(self, total: int) -> None:
        """As tqdm's."""
        self._total, self._done, self._before = total, 0, 0
        self._started = self._clock()

    def set_description(self, desc: str) -> None:
        """As tqdm's."""
        self._desc = desc

    def set_postfix_str(self, s: str, refresh: bool) -> None:  # noqa: ARG002 - tqdm's
        """As tqdm's."""
        self._note = f" ({s})"

    def skip(self, units: int) -> None:
        """So many were done before."""
        self._done, self._before = self._done + units, self._before + units

    def update(self, n: int) -> None:
        """As tqdm's."""
        self._done += n
        now = self._clock()
        if now - self._said < SECONDS:
            return
        self._said = now
        here = self._done - self._before
        left = (self._total - self._done) * (now - self._started) / here / 60 if here else 0
        share = f"{self._done:,} of {self._total:,} {self.unit}s"
        print(f"{self._desc}: {share}{self._note}, {left:.0f} min left", file=sys.stderr)

    def write(self, s: str, file: TextIO) -> None:
        """As tqdm's."""
        print(s, file=file)

    def close(self) -> None:
        """Nothing is open."""


class Progress:
    """One bar for a run of a step: of partitions, unless the step counts something smaller."""

    def __init__(
        self, noun: str, partitions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.noun, unit = noun, "partition"
        self._shown: tqdm[NoReturn] | Lines = Lines(noun, partitions, unit, clock)
        if sys.stderr.isatty():
            from tqdm import tqdm  # elsewhere other libraries' bars are off, which it reads once

            self._shown = tqdm(
                total=partitions, desc=noun, unit=unit, smoothing=0.02, file=sys.stderr
            )
        self._by_partition, self._started = True, time.monotonic()

    def count(self, total: int, unit: str, of: str = "") -> None:
        """Count so many units, of a partition if it is named, in place of partitions."""
        self._by_partition, self._started = False, time.monotonic()
        self._shown.reset(total)
        self._shown.unit = unit
        self._shown.set_description(f"{self.noun} {of}".strip())

    def step(self, units: int = 1, note: str = "") -> None:
        """So many more are done."""
        if note:
            self._shown.set_postfix_str(note, refresh=False)
        self._shown.update(units)

    def skip(self, units: int) -> None:
        """So many were done by a run that was stopped: no measure of this one's speed."""
        bar = self._shown
        if isinstance(bar, Lines):
            bar.skip(units)
            return
        bar.initial, bar.n = bar.initial + units, bar.n + units
        bar.last_print_n += units

    @property
    def elapsed(self) -> float:
        """Seconds since the counting began."""
        return time.monotonic() - self._started

    def say(self, line: str) -> None:
        """A line for whoever watches."""
        self._shown.write(f"{self.noun}: {line}", file=sys.stderr)

    def partition_done(self) -> None:
        """A partition is on disk."""
        if self._by_partition:
            self._shown.update(1)

    def close(self) -> None:
        """The bar stays as it is."""
        self._shown.close()


@contextmanager
def progress_of(noun: str, partitions: int) -> Iterator[Progress]:
    """A bar that is closed at the end, whatever happens."""
    progress = Progress(noun, partitions)
    try:
        yield progress
    finally:
        progress.close()
