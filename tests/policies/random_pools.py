"""Random pools for policies: bundles, exclusions, bars, k, budget and exchange rate among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from appraise.numerics.buying import buyer_limits
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.selection import Given


def given(seed: int, order: np.ndarray | None = None) -> Given:
    """What a policy may look at, of 3 to 9 datasets; the same in another order of the datasets."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 10))
    vectors = rng.normal(size=(n, 30)) + 0.7 * rng.normal(size=30)
    target = vectors[: max(1, n // 3)].sum(axis=0) + 0.5 * rng.normal(size=30)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    target /= np.linalg.norm(target)
    penalties = rng.uniform(0.5, 1.5, size=n)
    values, mean_values = rng.normal(size=n), rng.normal(size=n)
    prices = rng.integers(5, 50, size=n).astype(float)
    shuffled = rng.permutation(n).tolist()
    bundles = [shuffled[:2]] if rng.random() < 0.6 else []
    exclusions = [(shuffled[0], shuffled[2])] if rng.random() < 0.6 else []
    barred = [shuffled[-1]] if n > 3 and rng.random() < 0.4 else []
    k = int(rng.integers(1, n + 1)) if rng.random() < 0.7 else None
    budget = float(rng.uniform(10, prices.sum())) if rng.random() < 0.7 else None
    rate = float(rng.uniform(50, 1000)) if rng.random() < 0.4 else None
    if n > 3 and rng.random() < 0.3:  # a copy
        vectors[1], penalties[1] = vectors[0], penalties[0]
    K, c = vectors @ vectors.T, vectors @ target
    at = np.arange(n) if order is None else order
    place = {int(i): new for new, i in enumerate(at)}
    sold = lots_of(
        n,
        [[place[i] for i in bundle] for bundle in bundles],
        [(place[i], place[j]) for i, j in exclusions],
        [place[i] for i in barred],
    )
    program = Program(((K + K.T) / 2)[np.ix_(at, at)], c[at], 1.0, penalties[at])
    return Given(
        ids=tuple(f"d{i}" for i in at),
        limits=buyer_limits(n, prices[at], k=k, budget=budget, exchange_rate=rate, lots=sold),
        values=values[at],
        mean_values=mean_values[at],
        program=program,
        lam=0.1 * program.lambda_max(),
        seed=seed,
        search_limit=5000,
    )


def with_budget(of: Given, budget: float | None) -> Given:
    """The same with another budget."""
    return replace(of, limits=replace(of.limits, budget=budget))
