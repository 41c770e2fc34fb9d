"""Examples side by side: one thread for each core, each with one thread of matrix products.

A sequence is too short to keep two cores busy in one product, so that two examples at once are
faster than two cores on one; and as every example is computed by one thread, its bytes do not
depend on the number of cores.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextlib.contextmanager
def workers() -> Iterator[Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]]:
    """Give a `map` that keeps the order of its items and uses all cores."""
    before = torch.get_num_threads()
    count = len(os.sched_getaffinity(0))
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as pool:
            yield pool.map
    finally:
        torch.set_num_threads(before)
