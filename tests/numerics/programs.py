"""Random programs that come from vectors, as real ones do."""

from __future__ import annotations

import numpy as np

from appraise.numerics.kernel import inner_products, mean_gradient


def vectors(n: int, d: int, seed: int, normalize: str = "unit") -> tuple[np.ndarray, np.ndarray]:
    """Gradients (n, d) that share a few directions, and a target (d,) that some of them serve."""
    rng = np.random.default_rng(seed)
    themes = rng.normal(size=(4, d))
    raw = rng.normal(size=(n, d)) + 1.5 * rng.normal(size=(n, 4)) @ themes
    raw *= np.exp(rng.normal(size=(n, 1)))
    target = raw[: max(1, n // 3)].sum(axis=0) + rng.normal(size=d)
    G = np.array([mean_gradient(row[None], normalize) for row in raw])
    return G, mean_gradient(target[None], normalize)


def program(
    n: int, d: int, seed: int, normalize: str = "unit"
) -> tuple[np.ndarray, np.ndarray, float]:
    """K (n, n), c (n,), τ."""
    G, g = vectors(n, d, seed, normalize)
    return inner_products(G, G), inner_products(G, g[None])[:, 0], float(g @ g)
