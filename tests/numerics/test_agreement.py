"""Two valuations of the same datasets compared: correlations, regret, verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from appraise.errors import SolverError
from appraise.numerics.agreement import Valued, agreement, regret_of
from appraise.numerics.buying import buyer_limits
from appraise.numerics.optimum import optimum
from appraise.numerics.program import Program
from appraise.numerics.subsets import best

Floats = NDArray[np.float64]


def valued(G: Floats, target: Floats, k: int = 3) -> Valued:
    """The pool as the library values it: unit vectors, λ at 0.2 of its largest, the k best."""
    G = G / np.linalg.norm(G, axis=1, keepdims=True)
    program = Program(G @ G.T, G @ target, float(target @ target), np.ones(len(G)))
    lam = 0.2 * program.lambda_max()
    weights, _ = optimum(program, lam)
    ranked = np.argsort(-weights, kind="stable")[:k]
    return Valued(program, lam, weights, tuple(int(i) for i in ranked if weights[i] > 0))


def pool(n: int = 16, seed: int = 0) -> tuple[Floats, Floats]:
    """Gradients with alignments spread from −0.3 to 0.8, and a unit target."""
    rng = np.random.default_rng(seed)
    target = rng.normal(size=200)
    target /= np.linalg.norm(target)
    G = rng.normal(size=(n, 200)) / np.sqrt(200)
    return G + np.linspace(-0.3, 1.3, n)[:, None] * target, target


def test_a_valuation_agrees_with_itself() -> None:
    one = valued(*pool())
    found = agreement(one, one)
    for correlation in (found.c, found.K, found.w):
        assert correlation.spearman == pytest.approx(1)
        assert correlation.pearson == pytest.approx(1)
    assert (found.low, found.high) == pytest.approx((1, 1))
    assert (found.bought, found.same, found.regret, found.verdict) == ((3, 3), 3, 0.0, "go")


def test_correlations_are_scipy_s() -> None:
    G, target = pool()
    noise = np.random.default_rng(1).normal(size=G.shape) / 20
    small, large = valued(G + noise, target), valued(G, target)
    found, pairs = agreement(small, large), np.triu_indices(16, 1)
    for correlation, a, b in (
        (found.c, small.program.c, large.program.c),
        (found.K, small.program.K[pairs], large.program.K[pairs]),
        (found.w, small.weights, large.weights),
    ):
        assert correlation.spearman == pytest.approx(spearmanr(a, b)[0])
        assert correlation.pearson == pytest.approx(pearsonr(a, b)[0])
    assert found.low < found.c.spearman < found.high
    assert found.verdict == "go"


def test_regret_is_0_for_its_own_1_for_nothing_and_below_0_for_better() -> None:
    large = valued(*pool())
    worst = tuple(np.argsort(large.program.c)[:3])  # of which none points to the target
    assert regret_of(large.chosen, large) == 0.0
    assert regret_of(tuple(reversed(large.chosen)), large) == 0.0, "an order is no other set"
    assert regret_of((), large) == pytest.approx(1)
    assert regret_of(worst, large) == pytest.approx(1)
    poorly = replace(large, chosen=large.chosen[1:])  # bought less than it might have
    better = best(large.program, large.lam, buyer_limits(len(large.program.c), k=2), range(16))
    assert regret_of(better.chosen, poorly) < 0


def test_a_ranking_turned_round_is_no_go_whatever_the_regret() -> None:
    G, target = pool()
    large = valued(G, target)
    turned = valued(G, -target)
    assert agreement(turned, large).verdict == "no-go"
    assert agreement(turned, large).c.spearman == pytest.approx(-1)
    lucky = replace(turned, chosen=large.chosen)
    found = agreement(lucky, large)
    assert (found.regret, found.verdict) == (0.0, "no-go"), "right by luck is not enough"


def test_the_right_ranking_with_the_wrong_purchase_is_no_go() -> None:
    large = valued(*pool())
    small = replace(large, chosen=(0, 1, 2))
    found = agreement(small, large)
    assert found.low > 0.99
    assert found.same == 0
    assert found.verdict == "no-go"


def of_alignments(c: Floats) -> Valued:
    """Datasets that have nothing in common, with these alignments; the best is bought."""
    program = Program(np.eye(len(c)), c, float(c @ c), np.ones(len(c)))
    return Valued(program, 0.0, np.maximum(c, 0), (int(c.argmax()),))


def related(n: int, rng: np.random.Generator) -> tuple[Valued, Valued]:
    """Alignments whose Spearman correlation is 0.70 in the population."""
    a, b = rng.normal(size=(2, n))
    return of_alignments(a), of_alignments(0.717 * a + np.sqrt(1 - 0.717**2) * b)


def test_the_lower_end_is_below_the_true_correlation() -> None:
    rng = np.random.default_rng(3)
    lows = np.array([agreement(*related(16, rng), resamples=300).low for _ in range(200)])
    assert (lows <= 0.70).mean() > 0.92, "of 90 % intervals 95 % should lie so"
    assert lows.mean() > 0.2, "a bound that says nothing"


def test_few_datasets_prove_little() -> None:
    rng = np.random.default_rng(4)
    few, many = ([agreement(*related(n, rng)) for _ in range(10)] for n in (8, 64))
    widths = [np.mean([one.high - one.low for one in several]) for several in (few, many)]
    assert widths[0] > 2.5 * widths[1]


def test_an_order_of_four_proves_nothing() -> None:
    verdicts = [agreement(one, one).verdict for n in (4, 5) for one in [valued(*pool(n))]]
    assert verdicts == ["no-go", "go"]


def test_draws_follow_the_seed_only() -> None:
    G, target = pool()
    noise = np.random.default_rng(4).normal(size=G.shape) / 10
    small, large = valued(G + noise, target), valued(G, target)
    first, again, other = (agreement(small, large, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert (first.low, first.high) != (other.low, other.high)


def test_what_cannot_be_compared() -> None:
    G, target = pool()
    large = valued(G, target)
    with pytest.raises(SolverError, match="expected the same 3 datasets or more"):
        agreement(valued(G[:4], target), large)
    with pytest.raises(SolverError, match="expected the same 3 datasets or more"):
        agreement(valued(G[:2], target), valued(G[:2], target))
    with pytest.raises(SolverError, match="to gain by what it would buy itself, found 0 datasets"):
        agreement(large, replace(large, chosen=()))


def test_weights_that_are_all_0_have_no_correlation() -> None:
    large = valued(*pool())
    small = replace(large, weights=np.zeros(16), chosen=())
    found = agreement(small, large)
    assert np.isnan(found.w.spearman)
    assert np.isnan(found.w.pearson)
    assert found.regret == pytest.approx(1)
    assert found.verdict == "no-go"
