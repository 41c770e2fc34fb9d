from __future__ import annotations

from typing import Any

import numpy as np
import osqp
import pytest
from programs import asked, lambda_max, solve

from appraise.errors import SolverError
from appraise.numerics.kernel import mean_gradient
from appraise.numerics.question import question
from appraise.numerics.randomness import fraction, resampled_indices
from appraise.numerics.rule import Lambda
from appraise.numerics.uncertainty import bootstrap, resampled_programs


def sketches(n: int = 6, m: int = 12, d: int = 64, noise: float = 1.0) -> tuple[list, np.ndarray]:
    rng = np.random.default_rng(0)
    themes = rng.normal(size=(3, d))
    means = rng.normal(size=(n, 3)) @ themes
    rows = [(mean + noise * rng.normal(size=(m, d))).astype(np.float32) for mean in means]
    target = (means[0] + 0.5 * means[1] + noise * rng.normal(size=(m, d))).astype(np.float32)
    return rows, target


RELATIVE = Lambda(2.0, 10.0, 40.0, 0.2, "relative")
ABSOLUTE = Lambda(2.0, 10.0, 40.0, 0.2, "absolute")  # 0.05 of the target


@pytest.mark.parametrize("lam", [RELATIVE, ABSOLUTE], ids=["relative", "absolute"])
@pytest.mark.parametrize("normalize", ["unit", "none"])
def test_each_resample_is_the_main_solve_on_its_rows(normalize: str, lam: Lambda) -> None:
    rows, target = sketches()
    settings: dict[str, Any] = {"lam": lam, "normalize": normalize, "resamples": 8, "seed": 3}
    found = bootstrap(rows, target, asked(6), **settings)
    limited = question("abcdef", cap=0.1, ridge=0.0)
    drawn_programs = resampled_programs(
        rows, target, limited, names=[str(i) for i in range(6)], **settings
    )
    programs = list(drawn_programs)
    assert len(programs) == 8
    drawn = [resampled_indices(3, f"dataset/{i}", 8, 12) for i in range(6)]
    of_target = resampled_indices(3, "target", 8, 12)
    for b in range(8):
        G = [mean_gradient(r[index[b]], normalize) for r, index in zip(rows, drawn, strict=True)]
        G, g = np.array(G), mean_gradient(target[of_target[b]], normalize)
        K, c, tau = G @ G.T, G @ g, float(g @ g)
        for nonnegative, weights in ((True, found.weights), (False, found.signed_weights)):
            own = 0.2 * lambda_max(c, None, nonnegative) if lam is RELATIVE else 0.05 * tau
            one = solve(K, c, tau, lam=own, nonnegative=nonnegative)
            np.testing.assert_allclose(weights[b], one.weights, atol=1e-8 * one.weights.max())
            np.testing.assert_array_equal(weights[b] != 0, one.weights != 0)
        of, own = programs[b]
        np.testing.assert_allclose(of.K, K, atol=1e-9 * tau)
        np.testing.assert_allclose(of.c, c, atol=1e-9 * tau)
        assert of.tau == pytest.approx(tau)
        assert own == pytest.approx(0.2 * lambda_max(c) if lam is RELATIVE else 0.05 * tau)
        assert (of.nonnegative, of.limits) == (True, None)


def test_summary_of_the_resamples() -> None:
    rows, target = sketches()
    found = bootstrap(rows, target, asked(6), lam=RELATIVE, resamples=40, confidence=0.8)
    np.testing.assert_allclose(found.weight_probability, (found.weights > 0).mean(axis=0))
    np.testing.assert_allclose(found.low, np.quantile(found.weights, 0.1, axis=0))
    np.testing.assert_allclose(found.high, np.quantile(found.weights, 0.9, axis=0))
    np.testing.assert_allclose(found.signed_high, np.quantile(found.signed_weights, 0.9, axis=0))
    assert (found.signed_low < 0).any()


def test_draws_follow_the_name_and_not_the_place() -> None:
    rows, target = sketches()
    names = list("abcdef")
    settings = {"lam": RELATIVE, "resamples": 10}
    found = bootstrap(rows, target, asked(6), names=names, **settings).weights
    order = [3, 0, 5, 1, 4, 2]
    moved = bootstrap(
        [rows[i] for i in order], target, asked(6), names=[names[i] for i in order], **settings
    ).weights
    np.testing.assert_allclose(moved, found[:, order], atol=1e-9)
    more = bootstrap(rows, target, asked(6), names=names, lam=RELATIVE, resamples=20).weights
    np.testing.assert_array_equal(more[:10], found)


def test_noise_widens_and_certainty_closes_the_interval() -> None:
    widths = []
    for noise in (0.0, 0.3, 3.0):
        rows, target = sketches(noise=noise)
        found = bootstrap(rows, target, asked(6), lam=RELATIVE, resamples=50)
        widths.append(float((found.high - found.low).max()))
    assert widths[0] < 1e-9
    assert widths[0] < widths[1] < widths[2]


def test_no_resamples_no_interval() -> None:
    rows, target = sketches()
    found = bootstrap(rows, target, asked(6), lam=RELATIVE, resamples=0)
    assert found.weights.shape == (0, 6)
    assert np.isnan(found.low).all()
    assert np.isnan(found.weight_probability).all()


def test_rows_of_other_dimension_are_refused() -> None:
    rows, target = sketches()
    with pytest.raises(SolverError, match=r"rows of one dimension, found 63, 64"):
        bootstrap([*rows[:5], rows[5][:, 1:]], target, asked(6), lam=RELATIVE, resamples=2)


def test_rows_that_cancel_earn_nothing() -> None:
    rows, target = sketches()
    rows[2] = np.stack([np.ones(64), -np.ones(64)])  # half of the resamples add up to 0
    found = bootstrap(rows, target, asked(6), lam=RELATIVE, resamples=20)
    assert np.isfinite(found.weights).all()


def test_a_hundred_resamples_of_the_demo_ask_osqp_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    solver = osqp.OSQP
    monkeypatch.setattr(osqp, "OSQP", lambda: calls.append(1) or solver())
    rows, target = sketches(16, 24, 4096, noise=3.0)
    bootstrap(rows, target, asked(16), lam=RELATIVE, resamples=100)
    assert not calls, "the active-set method should not need OSQP"


def test_random_numbers_are_the_same_for_ever_and_even() -> None:
    np.testing.assert_array_equal(
        resampled_indices(0, "x", 2, 5), [[1, 4, 3, 3, 0], [2, 3, 4, 2, 4]]
    )
    assert fraction(0, "x") == pytest.approx(0.687077502897, abs=1e-12)
    drawn = resampled_indices(1, "y", 1000, 10)
    assert np.bincount(drawn.ravel()).min() > 850
    numbers = [fraction(seed, "z") for seed in range(2000)]
    assert np.histogram(numbers, bins=4, range=(0, 1))[0].min() > 430
