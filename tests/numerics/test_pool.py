"""Exact copies in a pool, found without a kernel matrix."""

from __future__ import annotations

import numpy as np
import pytest

from appraise.numerics.pool import Pool


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_copy_is_told_by_its_content_and_penalty(dtype: type) -> None:
    rng = np.random.default_rng(0)
    G = rng.normal(size=(300, 20)).astype(dtype)
    G[[50, 70, 90]] = G[7]
    G[60] = G[7] * (1 + 1e-6)  # nearly the same is not the same
    G[100:200] = G[33]
    p = np.ones(300)
    p[90] = 2.0
    pool = Pool(G)
    c = pool.products(rng.normal(size=20))
    asked = np.array([90, 7, 50, 60, 70, 250, 33, 150])
    np.testing.assert_array_equal(pool.first_copies(asked, c, p), [90, 7, 7, 60, 7, 250, 33, 33])


def test_products_that_are_all_equal_do_not_make_copies() -> None:
    G = np.zeros((200, 8))
    G[:, 1:] = np.random.default_rng(1).normal(size=(200, 7))
    G[150] = G[20]
    pool = Pool(G)
    c = pool.products(np.eye(8)[0])  # orthogonal to all of them
    found = pool.first_copies(np.arange(200), c, np.ones(200))
    assert found[150] == 20
    np.testing.assert_array_equal(np.delete(found, 150), np.delete(np.arange(200), 150))
