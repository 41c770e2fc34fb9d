"""CountSketch: a seeded random projection of long gradients to d dimensions.

Coordinate j of a gradient is added, with sign s_j, to bucket h_j of the sketch. Inner products
are kept in expectation, with a standard error of about ‖x‖‖y‖/√d (Charikar, Chen and
Farach-Colton 2002; Weinberger et al. 2009, "Feature hashing", Lemma 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from appraise.errors import ParamsError


def count_sketch_tables(
    size: int, dimension: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Buckets h and signs s of a CountSketch.

    The raw stream of numpy's Philox, whose values numpy keeps the same in all versions, keyed by
    the seed: the tables depend on nothing else, and those of a smaller size are a prefix.

    Args:
        size: how many coordinates the gradient has.
        dimension: d, how many buckets there are.
        seed: key of the stream, ≥ 0.

    Returns:
        buckets (size,) int64 in [0, dimension) and signs (size,) float32 in {-1, +1}.

    Raises:
        ParamsError: size or dimension is not positive, or the seed is negative.
    """
    if size < 1 or dimension < 1 or seed < 0:
        raise ParamsError(
            f"projection: expected size ≥ 1, dimension ≥ 1 and seed ≥ 0, found {size}, {dimension} "
            f"and {seed}; mend gradient_sketches in params.yaml"
        )
    raw = np.asarray(np.random.Philox(key=seed).random_raw(size), dtype=np.uint64)
    buckets = ((raw >> np.uint64(1)) % np.uint64(dimension)).astype(np.int64)
    signs = 1 - 2 * (raw & np.uint64(1)).astype(np.float32)
    return buckets, signs
