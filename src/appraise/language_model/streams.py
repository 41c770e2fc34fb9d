"""A stream of steps, made when they are asked for: what lies between a mix and a data loader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from appraise.language_model.mixes import Losses

T = TypeVar("T")
U = TypeVar("U")


class Stream(Generic[T]):
    """So many items, a few in each step; a step is made once, when its first item is asked for.

    Args:
        count: of all items.
        make: the items of a step.
        observe: what to call after each step, with its losses.

    Attributes:
        size: items of a step; the last step may have fewer.
        ahead: whether a step may be made before those before it were observed.
    """

    def __init__(
        self,
        count: int,
        size: int,
        make: Callable[[int], Sequence[T]],
        ahead: bool = True,
        observe: Callable[[int, Losses], None] = lambda *_: None,
    ) -> None:
        self._count, self.size, self._make = count, size, make
        self.ahead, self._observe = ahead, observe
        self._kept: dict[int, Sequence[T]] = {}

    @classmethod
    def of(cls, items: Sequence[T], size: int) -> Stream[T]:
        """The stream of items that are there already."""
        return cls(len(items), size, lambda step: items[step * size : (step + 1) * size])

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> T:
        step, place = divmod(number, self.size)
        return self.step(step)[place]

    def step(self, step: int) -> Sequence[T]:
        """The items of a step; they are forgotten once it was observed."""
        if step not in self._kept:
            self._kept[step] = self._make(step)
        return self._kept[step]

    def coming(self, step: int, steps: int) -> list[T]:
        """The items of a step and, where it may be looked ahead, of those that follow: `steps`."""
        last = min(step + (steps if self.ahead else 1), -(-self._count // self.size))
        return [item for one in range(step, last) for item in self.step(one)]

    def observe(self, step: int, losses: Losses) -> None:
        """Say what a step's losses were."""
        self._kept.pop(step, None)
        self._observe(step, losses)

    def map(self, change: Callable[[T], U]) -> Stream[U]:
        """The stream of what a function makes of each item."""
        return Stream(
            self._count,
            self.size,
            lambda step: [change(item) for item in self.step(step)],
            self.ahead,
            self.observe,
        )
