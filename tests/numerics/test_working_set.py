"""Working sets against the solver that has the whole kernel, and the proof over all datasets."""

from __future__ import annotations

import numpy as np
import pytest
from programs import asked, certify, lambda_max, solve

from appraise.errors import SolverError
from appraise.numerics.kernel import Floats
from appraise.numerics.pool import Pool
from appraise.numerics.question import Question
from appraise.numerics.rule import LambdaRule
from appraise.numerics.working_set import LargeSolution, Pass, solve_pool


def vectors(n: int, d: int, seed: int = 0, groups: int = 12) -> tuple[Floats, Floats]:
    """Unit gradients in groups, and a target that is a mixture of some of them."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, d))
    G = centres[rng.integers(groups, size=n)] + 0.8 * rng.normal(size=(n, d))
    target = centres[: groups // 3].sum(axis=0) + 0.5 * rng.normal(size=d)
    return G / np.linalg.norm(G, axis=1, keepdims=True), target / np.linalg.norm(target)


def full(found: LargeSolution, n: int) -> Floats:
    weights = np.zeros(n)
    weights[found.support] = found.weights
    return weights


@pytest.mark.parametrize("nonnegative", [True, False])
@pytest.mark.parametrize("part", [0.7, 0.2, 0.05])
def test_it_is_the_optimum_of_the_whole_program(part: float, nonnegative: bool) -> None:
    G, target = vectors(600, 80)
    found = solve_pool(Pool(G), target, asked(600, part), nonnegative=nonnegative)
    K, c = G @ G.T, G @ target
    K = (K + K.T) / 2
    tau = float(target @ target)
    assert found.lam.value == part * lambda_max(c, None, nonnegative)
    whole = solve(K, c, tau, lam=found.lam.value, nonnegative=nonnegative)
    weights = full(found, len(G))
    np.testing.assert_allclose(weights, whole.weights, atol=1e-6)
    proof = certify(K, c, tau, weights, found.lam.value, None, 0.0, nonnegative)
    assert proof.relative_error <= 1e-7
    assert found.optimality.relative_error <= 1e-7


@pytest.mark.parametrize("nonnegative", [True, False])
def test_an_absolute_lambda_is_a_part_of_the_target_whatever_the_pool(nonnegative: bool) -> None:
    G, target = vectors(300, 40)
    asks = Question(300, LambdaRule(absolute=0.02))
    found = solve_pool(Pool(G), 3 * target, asks, nonnegative=nonnegative)
    assert found.lam.value == pytest.approx(0.02 * 9)
    few = solve_pool(Pool(G[:20]), 3 * target, Question(20, LambdaRule(absolute=0.02)))
    assert few.lam.value == found.lam.value
    K, c = G @ G.T, 3 * G @ target
    whole = solve((K + K.T) / 2, c, 9.0, lam=0.18, nonnegative=nonnegative)
    np.testing.assert_allclose(full(found, 300), whole.weights, atol=1e-6)
    assert found.passes
    assert found.rounds == 0, "no path is needed"


def test_what_is_screened_has_no_weight_at_the_optimum() -> None:
    G, target = vectors(2000, 60)
    passes: list[Pass] = []
    found = solve_pool(Pool(G), target, asked(2000, 0.3), progress=passes.append)
    assert found.passes == tuple(passes)
    assert passes[-1].screened > 1000, "most of the pool is never looked at again"
    assert [p.screened for p in passes] == sorted(p.screened for p in passes)
    assert (found.margins[full(found, len(G)) == 0] <= found.lam.value * (1 + 1e-6)).all()


def test_float32_on_disk_gives_the_same(tmp_path) -> None:  # type: ignore[no-untyped-def]
    G, target = vectors(500, 40)
    np.save(tmp_path / "G.npy", G.astype(np.float32))
    mapped = np.load(tmp_path / "G.npy", mmap_mode="r")
    in_memory = solve_pool(Pool(G.astype(np.float32).astype(np.float64)), target, asked(500))
    on_disk = solve_pool(Pool(mapped), target, asked(500))
    np.testing.assert_array_equal(on_disk.support, in_memory.support)
    np.testing.assert_array_equal(on_disk.weights, in_memory.weights)


def test_an_arrival_from_the_support_that_was() -> None:
    G, target = vectors(1500, 60)
    before = solve_pool(Pool(G[:-1]), target, asked(1499))
    cold = solve_pool(Pool(G), target, asked(1500), lam=before.lam.value)
    start = [*before.support, len(G) - 1]
    warm = solve_pool(Pool(G), target, asked(1500), lam=before.lam.value, start=start)
    assert len(warm.passes) <= 2 <= len(cold.passes)
    np.testing.assert_allclose(full(warm, len(G)), full(cold, len(G)), atol=1e-7)


def test_the_order_of_the_datasets_does_not_matter() -> None:
    G, target = vectors(400, 50)
    order = np.random.default_rng(3).permutation(len(G))
    there, here = (solve_pool(Pool(of), target, asked(400)) for of in (G[order], G))
    np.testing.assert_array_equal(np.sort(order[there.support]), here.support)
    np.testing.assert_allclose(full(there, len(G)), full(here, len(G))[order], atol=1e-9)


def test_blocks_do_not_matter() -> None:
    G, target = vectors(300, 50)
    whole = solve_pool(Pool(G), target, asked(300))
    parts = solve_pool(Pool(G, block_bytes=8 * 50 * 7), target, asked(300))
    np.testing.assert_allclose(parts.weights, whole.weights, atol=1e-12)


def test_nothing_serves_and_nothing_is_worth_it() -> None:
    G, target = vectors(50, 20)
    assert len(solve_pool(Pool(G), target, asked(50, 1.0)).support) == 0
    away = solve_pool(Pool(-np.abs(G)), np.ones(20), asked(50))
    assert len(away.support) == 0
    assert away.lam.top == 0


def test_one_dataset() -> None:
    g = np.array([[0.6, 0.8]])
    found = solve_pool(Pool(g), np.array([1.0, 0.0]), asked(1), lam=0.1)
    np.testing.assert_allclose(found.weights, [0.5])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lam": -1.0}, "lambda: expected a number above 0, found -1"),
        ({"lam": float("nan")}, "found nan"),
        ({"target": np.zeros(20)}, "target: expected a gradient of 20"),
        ({"target": np.ones(3)}, r"found shape \(3,\)"),
        ({"question": asked(51)}, "found one about 51"),
        ({"question": asked(3)}, "found one about 3;"),
    ],
)
def test_bad_input_is_one_line(change: dict[str, object], message: str) -> None:
    G, target = vectors(50, 20)
    with pytest.raises(SolverError, match=message) as error:
        solve_pool(Pool(G), **({"target": target, "question": asked(50)} | change))  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_bad_gradients_are_named() -> None:
    G, _ = vectors(50, 20)
    G[7, 3] = np.nan
    with pytest.raises(SolverError, match="in dataset 7"):
        Pool(G)
    with pytest.raises(SolverError, match="datasets × dimensions"):
        Pool(np.empty((0, 4)))
