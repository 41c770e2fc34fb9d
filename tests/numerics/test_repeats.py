"""The same purchase whatever the order of the datasets, the number of threads, the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from programs import regularisation_path, solve, vectors

from appraise.numerics.buying import buyer_limits
from appraise.numerics.kernel import inner_products
from appraise.numerics.rule import lambda_by_number
from appraise.numerics.selection import select

N = 30


def pool() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Gradients with exact copies, nearly copies, and a target; and ids."""
    G, g = vectors(N, 80, 3)
    G[11], G[17], G[23] = G[4], G[4], G[5]
    G[8] = G[9] + 2.0**-26 * np.sign(G[9])  # one step of the grid apart
    return G, g, [f"d{i:02d}" for i in range(N)]


def bought(G: np.ndarray, g: np.ndarray, ids: list[str], lam: float | None) -> dict[str, float]:
    """What is bought of these datasets, in the order of their ids as in a project, with weights."""
    order = np.argsort(ids)
    G, names = G[order], [ids[i] for i in order]
    K, c, tau = inner_products(G, G), inner_products(G, g[None])[:, 0], float(g @ g)
    at = lambda_by_number(regularisation_path(K, c), 6) if lam is None else lam * c.max()
    w = solve(K, c, tau, lam=at).weights
    found = select(names, w, buyer_limits(N, k=6), "sum")
    return {names[i]: float(w[i]) for i in found.chosen}


@pytest.mark.parametrize("lam", [0.05, 0.2, None], ids=["5 %", "20 %", "at a knot"])
def test_a_hundred_orders_buy_the_same(lam: float | None) -> None:
    G, g, ids = pool()
    first = bought(G, g, ids, lam)
    assert first
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(N)
        assert bought(G[order], g, [ids[i] for i in order], lam) == first


@pytest.mark.parametrize("seed", range(100))
def test_the_solver_itself_depends_on_no_order(seed: int) -> None:
    G, g, ids = pool()
    order = np.random.default_rng(seed).permutation(N)
    chosen = []
    for of, names in ((G, ids), (G[order], [ids[i] for i in order])):
        K, c = inner_products(of, of), inner_products(of, g[None])[:, 0]
        w = solve(K, c, float(g @ g), lam=0.1 * c.max()).weights
        found = select(names, w, buyer_limits(N, k=6), "sum")
        # of exact copies it is the first that is bought, whichever stands first
        chosen.append({_copy_of(names[i]) for i in found.chosen})
    assert chosen[0] == chosen[1]


def _copy_of(name: str) -> str:
    return {"d11": "d04", "d17": "d04", "d23": "d05"}.get(name, name)


CODE = """
import json, sys
sys.path[:0] = {path!r}
from test_repeats import bought, pool
print(json.dumps([bought(*pool(), lam) for lam in (0.05, 0.2, None)]))
"""


def test_threads_and_restarts_change_nothing() -> None:
    here = str(Path(__file__).parent)
    found = []
    for threads in ("1", "2", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(path=[here])], capture_output=True, text=True,
            check=True, env=os.environ | dict.fromkeys(names, threads),
        )  # fmt: skip
        found.append(json.loads(done.stdout))
    for other in found[1:]:
        for one, again in zip(found[0], other, strict=True):
            assert list(one) == list(again)
            assert list(one.values()) == pytest.approx(list(again.values()), abs=1e-12)
