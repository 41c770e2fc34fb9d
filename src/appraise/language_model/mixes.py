"""What training sees, step by step: the mix of the target's data and the datasets bought.

A mix is asked for each step's sequences and shown their losses afterwards, so that it may follow
what it sees. `MIXES` names them for `lora_adapter.mix`; a new one is a class here or in a module of
its own, and a line there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from appraise.errors import ModelError
from appraise.examples.example import Example
from appraise.settings.training import LoraAdapterParams

TARGET = "target"  # the name of the target's own examples among the datasets
Pools = Mapping[str, Sequence[Example]]


@dataclass(frozen=True)
class Draw:
    """A sequence that training sees: an example, and the dataset that it is of.

    What else a mix may come to say of a sequence, such as which of its tokens count, belongs here.
    """

    dataset: str
    example: Example


@dataclass(frozen=True)
class Losses:
    """Of a step, before its update: as in `AdapterTraining.loss`.

    Attributes:
        mean: the batch's loss.
        each: of each sequence drawn, in the order of the draws; None where the trainer computes
            the batch as a whole (on a GPU, with dropout, for GRPO).
    """

    mean: float
    each: tuple[float, ...] | None = None


class Mix(Protocol):
    """Which sequences training sees in each step.

    `draw` is called once for each step, in order, and `observe` once after each. A mix that says
    `ahead = False` is drawn from when the step begins: every step before it was observed. Of one
    that says `ahead = True` any number of coming steps may be drawn before the present one is
    observed, as preparing many sequences at once is faster.
    """

    @property
    def ahead(self) -> bool:
        """Whether draws depend on no loss, so that they may be made at any time."""
        ...

    def draw(self, step: int) -> Sequence[Draw]:
        """The sequences of a step, numbered from 0: `lora_adapter.batch_size` of them."""
        ...

    def observe(self, step: int, losses: Losses) -> None:
        """Take note of a step's losses."""
        ...


class Planned:
    """The paper's mix: a share of target examples, the rest equal among the bought datasets.

    A dataset is gone through in shuffled order before an example of it comes again.
    """

    ahead = True

    def __init__(self, pools: Pools, settings: LoraAdapterParams) -> None:
        self._pools, self._size = pools, settings.batch_size
        self._bought = sorted(name for name in pools if name != TARGET)
        share = settings.target_share if TARGET in pools else 0.0
        self._share = share if self._bought else 1.0
        self._orders = {name: _cycle(len(pools[name]), settings.seed, name) for name in pools}
        self._due, self._turn = 0.0, 0

    def draw(self, step: int) -> list[Draw]:  # noqa: ARG002 - steps come in order
        """As in `Mix`."""
        return [self._next() for _ in range(self._size)]

    def _next(self) -> Draw:
        self._due += self._share
        if self._due >= 1 - 1e-9:
            self._due -= 1
            name = TARGET
        else:
            name = self._bought[self._turn % len(self._bought)]
            self._turn += 1
        return Draw(name, self._pools[name][next(self._orders[name])])

    def observe(self, step: int, losses: Losses) -> None:
        """It was planned before: nothing is noted."""


def _cycle(size: int, seed: int, name: str) -> Iterator[int]:
    generator = np.random.default_rng([seed, *name.encode()])
    while True:
        yield from map(int, generator.permutation(size))


MIXES: dict[str, Callable[[Pools, LoraAdapterParams], Mix]] = {
    "planned": Planned,
}


def mix_of(pools: Pools, settings: LoraAdapterParams) -> Mix | None:
    """The mix that the settings name; None when there is nothing to train on.

    Args:
        pools: the examples of each bought dataset by its name, the target's under `target`. Those
            without examples do not count, nor does the target where its share is 0.
    """
    used = {
        name: examples
        for name, examples in pools.items()
        if examples and (name != TARGET or settings.target_share > 0)
    }
    return MIXES[settings.mix](used, settings) if used else None


def drawn(mix: Mix, step: int, size: int) -> Sequence[Draw]:
    """What a mix draws for a step.

    Raises:
        ModelError: it is not as many sequences as were asked for.
    """
    draws = mix.draw(step)
    if len(draws) != size:
        raise ModelError(
            f"lora_adapter.mix: expected {size} sequences for step {step}, found {len(draws)}"
        )
    return draws
