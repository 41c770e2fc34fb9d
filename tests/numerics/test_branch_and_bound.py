"""The search finds what trying every set finds, and says how far it may be from it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.buying import BuyerLimits, buyer_limits
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.subsets import best, refit


def kernel(seed: int, n: int, dimensions: int = 12, noise: float = 0.0) -> tuple[Floats, Floats]:
    """K and c of gradients that share directions, with sampling noise of their own."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(4, dimensions))
    G = rng.dirichlet(np.full(4, 0.4), size=n) @ base + 0.5 * rng.normal(size=(n, dimensions))
    g = rng.dirichlet(np.ones(4)) @ base + 0.3 * rng.normal(size=dimensions)
    if noise:
        G = np.hstack([G, noise * rng.normal(size=(n, 300))])
        g = np.hstack([g, noise * rng.normal(size=300)])
    G /= np.linalg.norm(G, axis=1, keepdims=True)
    g /= np.linalg.norm(g)
    return G @ G.T, G @ g


def random_limits(rng: np.random.Generator, n: int) -> BuyerLimits | None:
    """Any mixture of limits; None where a bundle contradicts an exclusion."""
    exclusions = [tuple(rng.choice(n, 2, replace=False)) for _ in range(rng.integers(0, 3))]
    bundles = [tuple(rng.choice(n, 2, replace=False))] if rng.random() < 0.4 else []
    barred = [int(rng.integers(n))] if rng.random() < 0.3 else []
    try:
        lots = lots_of(n, bundles, exclusions, barred)
    except ParamsError:
        return None
    return buyer_limits(
        n,
        rng.choice([0.0, 60.0, 100.0, 150.0], n),
        k=[None, 1, 2, 3][rng.integers(4)],
        budget=[None, 0.0, 200.0, 310.0][rng.integers(4)],
        exchange_rate=[None, 400.0, 3000.0][rng.integers(3)],
        lots=lots,
    )


def by_trying(program: Program, lam: float, limits: BuyerLimits) -> tuple[set[int], float]:
    """The best set of all: by its objective, then its price, its size, its place."""
    lots, found = limits.lots, []
    for size in range(len(lots.members) + 1):
        for taken in itertools.combinations(range(len(lots.members)), size):
            if limits.allows(taken):
                f, _ = refit(program, lam, lots.datasets(taken))
                price = sum(limits.lot_prices[lot] for lot in taken)
                rate = limits.exchange_rate
                objective = f + (0.0 if rate is None else 0.5 * program.tau * price / rate)
                found.append((round(objective, 9), price, size, taken, objective))
    _, _, _, taken, objective = min(found)
    return set(lots.datasets(taken)), objective


@pytest.mark.parametrize("seed", range(60))
def test_it_finds_what_trying_every_set_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 10))
    limits = random_limits(rng, n)
    if limits is None:
        pytest.skip("a bundle that excludes a part of itself")
    K, c = kernel(seed, n, noise=[0.0, 0.15][seed % 2])
    program, lam = Program(K, c, 1.0, np.ones(n)), [0.0, 0.02, 0.1][seed % 3]
    chosen, objective = by_trying(program, lam, limits)
    found = best(program, lam, limits, range(n))
    assert set(found.chosen) == chosen
    assert found.objective == pytest.approx(objective, abs=1e-12)
    assert found.exact
    assert found.gap <= 2e-9


def test_raw_norms_and_a_ridge() -> None:
    rng = np.random.default_rng(7)
    G = rng.normal(size=(7, 9)) * rng.uniform(0.1, 3, size=(7, 1))
    g = G[:3].sum(axis=0) + rng.normal(size=9)
    program = Program(G @ G.T, G @ g, float(g @ g), np.ones(7), ridge=0.2)
    limits = buyer_limits(7, rng.uniform(1, 9, 7), k=3, budget=14.0, exchange_rate=60.0)
    chosen, objective = by_trying(program, 0.3, limits)
    found = best(program, 0.3, limits, range(7))
    assert (set(found.chosen), found.objective) == (chosen, pytest.approx(objective, rel=1e-12))


@pytest.mark.parametrize("nodes", [1, 3, 10])
def test_when_the_nodes_are_used_up_the_bound_holds(nodes: int) -> None:
    K, c = kernel(3, 30, dimensions=40)
    program = Program(K, c, 1.0, np.ones(30))
    limits = buyer_limits(30, k=4)
    whole = best(program, 0.02, limits, range(30))
    stopped = best(program, 0.02, limits, range(30), nodes)
    assert whole.exact
    assert not stopped.exact
    assert stopped.bound <= whole.objective <= stopped.objective + 1e-12
    again = best(program, 0.02, limits, range(30), nodes)
    assert (again.chosen, again.bound) == (stopped.chosen, stopped.bound), "nodes, not seconds"


def test_of_copies_the_cheapest_is_taken_and_a_hundred_of_them_cost_no_search() -> None:
    K, c = kernel(1, 6)
    many = np.repeat(np.arange(6), 20)
    prices = np.random.default_rng(0).permutation(len(many)) + 1.0
    program = Program(K[np.ix_(many, many)], c[many], 1.0, np.ones(len(many)))
    limits = buyer_limits(len(many), prices, k=3)
    found = best(program, 0.02, limits, range(len(many)), most_nodes=200)
    assert found.exact
    assert {many[i] for i in found.chosen} == by_trying(
        Program(K, c, 1.0, np.ones(6)), 0.02, buyer_limits(6, k=3)
    )[0]
    for i in found.chosen:
        assert prices[i] == prices[many == many[i]].min()
