"""Seeded draws that depend on a seed and a name, never on the order of things.

The raw stream of numpy's Philox, whose values numpy keeps the same in all versions. Each dataset
has a stream of its own, so a new one changes nobody else's draws.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def key(seed: int, name: str) -> int:
    """A 128-bit number from a seed and a name."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:16], "big")


def fraction(seed: int, name: str) -> float:
    """A number in [0, 1) from a seed and a name."""
    return (key(seed, name) >> 75) / 2**53


def resampled_indices(seed: int, name: str, resamples: int, size: int) -> NDArray[np.int64]:
    """Indices (resamples, size) drawn with replacement from range(size)."""
    raw = np.asarray(np.random.Philox(key=key(seed, name)).random_raw(resamples * size))
    return (raw % np.uint64(size)).astype(np.int64).reshape(resamples, size)
