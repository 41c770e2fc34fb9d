"""Each dataset beside a purchase: by the definitions, with non-negative least squares."""

from __future__ import annotations

import numpy as np
import pytest
from programs import penalties, program
from scipy.optimize import nnls

from appraise.numerics.beside import beside
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program, checked_program

N = 9


def pool(seed: int, ridge: float = 0.0) -> tuple[Program, float]:
    of = checked_program(*program(N, 60, seed), penalties(N, seed), ridge)
    return of, 0.2 * of.lambda_max()


def refitted(of: Program, lam: float, on: set[int]) -> tuple[float, np.ndarray]:
    """The least ½wᵀHw − (c − λp)ᵀw on a set of datasets, and where it is (n,)."""
    w, keep = np.zeros(N), sorted(on)
    if keep:
        L = np.linalg.cholesky(of.H[np.ix_(keep, keep)])
        b = of.c[keep] - lam * of.penalties[keep]
        w[keep] = nnls(L.T, np.linalg.solve(L, b))[0]
    return float(0.5 * w @ of.H @ w - (of.c - lam * of.penalties) @ w), w


@pytest.mark.parametrize("ridge", [0.0, 0.3])
@pytest.mark.parametrize("bought", [(), (0,), (2, 0, 5), (1, 3, 4, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_what_it_adds_and_what_covers_it(seed: int, bought: tuple[int, ...], ridge: float) -> None:
    of, lam = pool(seed, ridge)
    now, w = refitted(of, lam, set(bought))
    for i, one in enumerate(beside(of, lam, lots_of(N), bought)):
        assert one.weight == pytest.approx(w[i], abs=1e-9)
        other = refitted(of, lam, set(bought) ^ {i})[0]
        assert one.gain == pytest.approx(abs(other - now) / (0.5 * of.tau), abs=1e-9)
        assert 0 <= one.gain <= 1
        covers = {j: of.K[i, j] * w[j] for j in np.flatnonzero(w) if j != i}
        assert dict(one.covered_by) == pytest.approx(covers)
        amounts = [amount for _, amount in one.covered_by]
        assert amounts == sorted(amounts, reverse=True)
        assert one.margin == pytest.approx(of.c[i] - sum(covers.values()))
        if i not in bought and abs(one.margin / (lam * of.penalties[i]) - 1) > 1e-6:
            assert (one.gain > 0) == (one.margin > lam * of.penalties[i]), "nothing is nothing"


def test_a_bundle_adds_what_the_whole_of_it_adds() -> None:
    of, lam = pool(4)
    lots = lots_of(N, [(0, 3), (1, 2, 7)])
    for bought in ((0, 3), (0, 3, 1, 2, 7, 5)):
        found = beside(of, lam, lots, bought)
        now = refitted(of, lam, set(bought))[0]
        for lot in lots.members:
            gain = abs(refitted(of, lam, set(bought) ^ set(lot))[0] - now) / (0.5 * of.tau)
            for i in lot:
                assert found[i].gain == pytest.approx(gain, abs=1e-9)
