from __future__ import annotations

import hashlib

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.projection import count_sketch_tables


def sketch(x: np.ndarray, dimension: int, seed: int) -> np.ndarray:
    buckets, signs = count_sketch_tables(len(x), dimension, seed)
    return np.bincount(buckets, signs * x, minlength=dimension)


def test_tables_are_the_same_for_ever() -> None:
    buckets, signs = count_sketch_tables(1000, 64, 7)
    assert (buckets.dtype, signs.dtype) == (np.int64, np.float32)
    digest = hashlib.sha256(buckets.tobytes() + signs.tobytes()).hexdigest()
    assert digest.startswith("9672c15b0e67024d"), (
        "another table makes every stored sketch worthless"
    )


def test_a_shorter_table_is_a_prefix() -> None:
    for short, long in zip(
        count_sketch_tables(10, 64, 1), count_sketch_tables(500, 64, 1), strict=True
    ):
        np.testing.assert_array_equal(short, long[:10])


def test_buckets_and_signs_are_even_and_independent() -> None:
    buckets, signs = count_sketch_tables(64_000, 64, 3)
    assert abs(float(signs.mean())) < 0.02
    per_bucket = np.bincount(buckets, minlength=64)
    assert per_bucket.min() > 850
    assert per_bucket.max() < 1150
    assert np.abs(np.bincount(buckets, signs, minlength=64)).max() < 4.5 * np.sqrt(1000)


def test_inner_products_are_kept_with_the_stated_error() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 5000))
    y += x
    found = [sketch(x, 256, seed) @ sketch(y, 256, seed) for seed in range(200)]
    spread = np.linalg.norm(x) * np.linalg.norm(y) / np.sqrt(256)
    assert abs(np.mean(found) - x @ y) < 4 * spread * np.sqrt(2 / 200)
    assert np.std(found) < 1.6 * spread


@pytest.mark.parametrize("arguments", [(0, 4, 0), (4, 0, 0), (4, 4, -1)])
def test_bad_sizes(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ParamsError, match="expected size ≥ 1, dimension ≥ 1 and seed ≥ 0"):
        count_sketch_tables(*arguments)
