"""Work side by side: one thread for each core, each with one thread of matrix products.

A pack of short sequences is too small to keep two cores busy in one product, so that two packs at
once are faster than two cores on one; and as every pack is computed by one thread, its bytes do not
depend on the number of cores.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


@contextlib.contextmanager
def workers() -> Iterator[Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]]:
    """Give a `map` that uses all cores, keeps the order of items and asks for few ahead."""
    before = torch.get_num_threads()
    count = len(os.sched_getaffinity(0))
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(count) as pool:

            def each(compute: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
                due: deque[Future[R]] = deque()
                try:
                    for item in items:
                        due.append(pool.submit(compute, item))
                        if len(due) > 2 * count:
                            yield due.popleft().result()
                    while due:
                        yield due.popleft().result()
                finally:
                    for future in due:
                        future.cancel()

            yield each
    finally:
        torch.set_num_threads(before)
