from __future__ import annotations

import hashlib

import numpy as np
import pytest

from appraise.errors import ModelError, ParamsError
from appraise.numerics.kernel import mean_gradient
from appraise.numerics.projection import (
    ALLOWED,
    CountSketch,
    Distortion,
    Identity,
    bytes_of_sketch,
    check_distortion,
    count_sketch_tables,
    dimension_for,
    distortion_of,
    kernel_standard_error,
    measured_distortion,
)


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


def test_a_gradient_fed_in_pieces_is_the_gradient_fed_whole() -> None:
    gradient = np.random.default_rng(0).normal(size=900).astype(np.float32)
    expected = {64: sketch(gradient, 64, 3), 900: gradient}
    for projection in (CountSketch(900, 64, 3), Identity(900)):
        whole, pieces = np.zeros((2, projection.dimension))
        projection.add(whole, 0, gradient)
        for start, end in ((0, 250), (250, 700), (700, 900)):
            projection.add(pieces, start, gradient[start:end])
        for found in (whole, pieces):
            np.testing.assert_allclose(found, expected[projection.dimension], atol=1e-12)


@pytest.mark.parametrize("spread", [1, 4, 2000])
def test_squared_norms_err_as_the_docstring_says(spread: int) -> None:
    """Var = 2 (‖x‖₂⁴ − ‖x‖₄⁴)/d: nothing for a single coordinate, all of 2/d for many."""
    d, x = 128, np.zeros(2000)
    x[:spread] = np.random.default_rng(1).normal(size=spread)
    x /= np.linalg.norm(x)
    found = [np.sum(sketch(x, d, seed) ** 2) for seed in range(1500)]
    stated = np.sqrt(2 * (1 - np.sum(x**4)) / d)
    assert stated <= distortion_of(d) + 1e-15
    assert np.std(found) == pytest.approx(stated, rel=0.12, abs=1e-7)


def test_dimension_and_distortion_are_each_other_s_inverse() -> None:
    assert [dimension_for(one) for one in (0.05, 0.02, 0.01)] == [832, 5056, 20032]
    for dimension in range(64, 9000, 64):
        assert dimension_for(distortion_of(dimension)) == dimension, "rounding asked for 64 more"
    for distortion in np.linspace(0.004, 0.9, 200):
        dimension = dimension_for(float(distortion))
        assert dimension % 64 == 0
        assert distortion_of(dimension) <= distortion * (1 + 1e-9)
        assert dimension == 64 or distortion_of(dimension - 64) > distortion
    for wrong in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ParamsError, match="expected a relative error between 0 and 1"):
            dimension_for(wrong)
    with pytest.raises(ParamsError, match="at least 1"):
        distortion_of(0)


@pytest.mark.parametrize("normalize", ["none", "unit"])
def test_the_error_of_the_kernel_is_the_one_stated(normalize: str) -> None:
    d, rng = 512, np.random.default_rng(2)
    G = rng.normal(size=(4, 6000)) + rng.normal(size=6000)
    G[3] = G[2] + 0.1 * rng.normal(size=6000)  # nearly a copy
    G /= np.linalg.norm(G, axis=1, keepdims=True)
    if normalize == "none":
        G *= np.array([1.0, 3.0, 0.2, 0.2])[:, None]
    K, found = G @ G.T, []
    for seed in range(400):
        S = np.array([sketch(x, d, seed) for x in G])
        if normalize == "unit":
            S = np.array([mean_gradient(x[None]) for x in S])
        found.append(S @ S.T)
    stated = kernel_standard_error(K, d, normalize)  # type: ignore[arg-type]
    spread = np.std(found, axis=0)
    np.testing.assert_array_less(spread, 1.15 * stated + 1e-6)
    np.testing.assert_array_less(0.85 * stated - 1e-6, spread)
    with pytest.raises(ParamsError, match="at least 1"):
        kernel_standard_error(K, 0)


def test_distortion_of_some_rows() -> None:
    found = measured_distortion([1.1, 0.0, 1.6, 0.0], [1.0, 0.0, 2.0, 1.0])
    assert (found.rows, found.zeroed) == (3, 1), "a gradient of length 0 cannot be lost"
    assert found.rms == pytest.approx(np.sqrt((0.01 + 0.04 + 1) / 3))
    assert found.largest == 1.0
    assert measured_distortion([0.0], [0.0]) == Distortion(0, 0.0, 0.0, 0)
    for after, before in (([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([1.0], [-1.0])):
        with pytest.raises(ModelError, match="distortion: expected"):
            measured_distortion(after, before)


def test_only_what_sampling_cannot_explain_is_refused() -> None:
    d, stated = 4096, distortion_of(4096)
    check_distortion(Distortion(24, 2 * stated, 4 * stated, 0), d, "csqa")
    with pytest.raises(ModelError, match=r"csqa: expected squared norms kept .*projection: none"):
        check_distortion(Distortion(24, 1.01 * ALLOWED * stated, 1.0, 0), d, "csqa")
    with pytest.raises(ModelError, match="no gradient projected to 0, found 1 of 24"):
        check_distortion(Distortion(24, 0.1 * stated, 1.0, 1), d, "csqa")


def test_gradients_alike_are_no_false_alarm_and_collisions_are_one() -> None:
    rng = np.random.default_rng(3)
    common = rng.normal(size=5000)
    for seed in range(60):
        rows = common + 0.1 * rng.normal(size=(4, 5000))
        after = [np.sum(sketch(x, 256, seed) ** 2) for x in rows]
        check_distortion(measured_distortion(after, np.sum(rows**2, axis=1)), 256, "alike")
    buckets, signs = count_sketch_tables(5000, 256, 0)
    pair = next(j for j in range(1, 5000) if buckets[j] == buckets[0] and signs[j] != signs[0])
    lost = np.zeros(5000)
    lost[[0, pair]] = 1.0
    after = [np.sum(sketch(lost, 256, 0) ** 2)]
    with pytest.raises(ModelError, match="projected to 0"):
        check_distortion(measured_distortion(after, [2.0]), 256, "two coordinates")


def test_bytes_of_a_sketch_are_those_of_its_arrays() -> None:
    m, d = 24, 4096
    arrays = [np.zeros((m, d), np.float32)]
    arrays += [np.zeros((2, m), np.float32), np.zeros((2, m), np.int64)]
    assert bytes_of_sketch(m, d) == sum(array.nbytes for array in arrays)
