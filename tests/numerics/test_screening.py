"""Candidates of a pool: every feature of the valuation against every other, over all and screened.

The answer over the candidates must be the answer over all datasets, or be refused in words.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from programs import asked

from appraise.errors import ParamsError, SolverError
from appraise.numerics.kernel import Floats, inner_products, mean_gradient
from appraise.numerics.kmm import Solution, solve_program
from appraise.numerics.path import Path, path_of
from appraise.numerics.pool import Pool
from appraise.numerics.program import Program
from appraise.numerics.question import Question, question
from appraise.numerics.rule import Lambda, LambdaRule
from appraise.numerics.screening import Screening, screening
from appraise.numerics.working_set import solve_pool


@dataclass(frozen=True)
class Made:
    """A made-up pool: gradients (n, d), targets (T, d)."""

    G: Floats
    T: Floats

    @cached_property
    def K(self) -> Floats:  # noqa: N802
        return inner_products(self.G, self.G)

    def program(self, target: int, asks: Question, keep: Any = slice(None)) -> Program:
        g = self.T[target]
        c = inner_products(self.G, g[None])[:, 0]
        return asks.program(self.K[keep][:, keep], c[keep], float(g @ g))

    def screened(self, asks: Question, largest: int, dtype: type = np.float64) -> Screening:
        named = {f"t{i}": g for i, g in enumerate(self.T)}
        return screening(Pool(self.G.astype(dtype)), named, asks, largest, batch=8)

    def screened_or_refused(self, asks: Question, largest: int) -> Screening | str:
        try:
            return self.screened(asks, largest)
        except SolverError as error:
            return str(error)


def made(n: int, d: int, seed: int, themes: int = 6, noise: float = 1.2, **how: Any) -> Made:
    """Datasets that share themes; of a few of the most aligned three copies each.

    Args:
        how: normalize, "unit" or "none"; copies, whether there are any; targets, how many.
    """
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(themes, d))
    raw = rng.normal(size=(n, themes)) @ centres + noise * rng.normal(size=(n, d))
    normalize = how.get("normalize", "unit")
    if normalize == "none":
        raw *= np.exp(0.4 * rng.normal(size=(n, 1))) / np.sqrt(d)
    T = rng.normal(size=(how.get("targets", 1), themes)) @ centres
    T += 0.6 * rng.normal(size=T.shape)
    G = np.array([mean_gradient(row[None], normalize) for row in raw])
    T = np.array([mean_gradient(row[None], normalize) for row in T])
    for g in T if how.get("copies") else ():
        for best in np.argsort(-(G @ g))[:8:2]:
            G[rng.choice(n, 3, replace=False)] = G[best]
    return Made(G, T)


def answer(of: Program, asks: Question, path: Path | None = None) -> tuple[Lambda, Solution]:
    """λ and weights over the datasets of a program, as `weigh` has them."""
    lam = asks.rule.chosen(path or path_of(of), of.tau)
    return lam, solve_program(of, lam.value, asks.tolerance)


def assert_same_answer(
    pool: Made, asks: Question, largest: int, paths: list[Path] | None = None, **how: Any
) -> Screening:
    """λ and weights over the candidates are those over all, and so is the proof."""
    found, n = pool.screened(asks, largest, **how), len(pool.G)
    keep = found.candidates
    assert (np.diff(keep) > 0).all()
    assert len(keep) >= min(largest, n)
    for t, proof in enumerate(found.solutions.values()):
        lam, whole = answer(pool.program(t, asks), asks, None if paths is None else paths[t])
        part = asks.among(keep)
        lam_part, screened = answer(pool.program(t, part, keep), part)
        weights = np.zeros(n)
        weights[keep] = screened.weights
        scale = max(1.0, float(whole.weights.max(initial=0.0)))
        np.testing.assert_allclose(weights, whole.weights, atol=1e-9 * scale)
        assert lam_part.value == pytest.approx(lam.value, abs=1e-12 * lam.top)
        exact = how.get("dtype", np.float64) is np.float64
        assert proof.lam.value == pytest.approx(lam.value, abs=(1e-12 if exact else 1e-6) * lam.top)
        assert proof.optimality.relative_error <= asks.tolerance
        np.testing.assert_array_equal(proof.support, np.flatnonzero(whole.weights))
        np.testing.assert_allclose(
            proof.weights, whole.weights[proof.support], atol=(1e-9 if exact else 1e-4) * scale
        )
        signed = np.abs(pool.program(t, asks).c)
        assert signed[keep].max() == signed.max(), "λ_max of the signed program"
    return found


N, D, LARGEST = 120, 32, 30
OWNERS = [f"o{i % 13}" for i in range(N)]
RULES = {
    "absolute": LambdaRule(absolute=0.05),
    "relative": LambdaRule("relative", relative=0.15),
    "number": LambdaRule("number", number=14),
}
LIMITS = [
    dict(zip(("cap", "caps", "owner_cap", "total"), values, strict=True))
    for values in itertools.product(
        (None, 0.05), ({}, {f"d{i}": 0.02 for i in range(0, N, 3)}), (None, 0.15), (None, 1.0)
    )
]
CASES = list(itertools.product(RULES, (0.0, 0.3), ("unit", "none"), (False, True)))
POOLS = {
    (normalize, copies): made(N, D, 3, targets=2, normalize=normalize, copies=copies)
    for normalize in ("unit", "none")
    for copies in (False, True)
}


@pytest.mark.parametrize(("rule", "ridge", "normalize", "copies"), CASES)
def test_every_feature_against_every_other(
    rule: str, ridge: float, normalize: str, copies: bool
) -> None:
    pool, place = POOLS[normalize, copies], CASES.index((rule, ridge, normalize, copies))
    paths: list[Path] = []
    for at in range(place % 4, len(LIMITS), 4):  # with each case a quarter of all limits in turn
        limits = LIMITS[(at + place // 4) % len(LIMITS)]
        asks = question(
            [f"d{i}" for i in range(N)], rule=RULES[rule], owners=OWNERS,
            ridge=ridge * float(np.median((pool.G**2).sum(axis=1))), **limits,
        )  # fmt: skip
        paths = paths or [path_of(pool.program(t, asks)) for t in range(2)]
        dtype = (np.float32, np.float64)[at // 4 % 2]
        assert_same_answer(pool, asks, LARGEST, paths, dtype=dtype)


def test_all_limits_are_tried_with_every_other_feature() -> None:
    tried = {
        (feature, value, (at + place // 4) % len(LIMITS))
        for place, case in enumerate(CASES)
        for feature, value in enumerate(case)
        for at in range(place % 4, len(LIMITS), 4)
    }
    values = sum(len(set(column)) for column in zip(*CASES, strict=True))
    assert len(tried) == values * len(LIMITS)


@pytest.fixture(scope="module")
def six_hundred() -> dict[str, Made]:
    """Few themes, and so much noise that with a ridge many have a weight."""
    return {
        "themes": made(600, 200, 1, themes=8, noise=2.0),
        "noise": made(600, 400, 1, themes=8, noise=14.0),
    }


@pytest.mark.parametrize(
    ("of", "asks", "lost"),
    [
        ("themes", {"rule": LambdaRule("number", number=150)}, 0.4),
        ("themes", {"cap": 0.01}, 0.2),
        ("themes", {"cap": 0.005, "total": 1.0}, 0.5),
        ("noise", {"ridge": 0.5}, 0.02),
    ],
    ids=["number", "cap", "total", "ridge"],
)
def test_what_a_proof_of_another_program_left_out(
    six_hundred: dict[str, Made], of: str, asks: dict[str, Any], lost: float
) -> None:
    pool = six_hundred[of]
    ids = [f"d{i}" for i in range(600)]
    asked_for = question(ids, **asks)
    other = pool.screened(question(ids), 100).candidates
    _, whole = answer(pool.program(0, asked_for), asked_for)
    assert 1 - whole.weights[other].sum() / whole.weights.sum() > lost
    found = assert_same_answer(pool, asked_for, 100)
    (proof,) = found.solutions.values()
    assert len(proof.support) == np.count_nonzero(whole.weights)


def test_the_path_that_ends_before_the_rule_is_broken_is_followed_to_its_end() -> None:
    pool = made(150, 24, 2)  # more datasets than dimensions: at λ = 0 the target is matched
    asks = question([str(i) for i in range(150)], rule=LambdaRule("number", number=100))
    found = assert_same_answer(pool, asks, 30)
    (proof,) = found.solutions.values()
    assert proof.lam.relative < 0.01
    assert len(proof.support) <= 24


def test_a_fixed_sum_that_the_most_aligned_cannot_hold() -> None:
    pool = made(150, 24, 4)
    owners = ["a"] * 150
    for i in np.argsort(pool.G @ pool.T[0])[:20]:
        owners[i] = f"b{i}"  # those that point away have the room
    asks = question([str(i) for i in range(150)], owners=owners, owner_cap=0.05, total=1.0)
    assert_same_answer(pool, asks, 30)


def test_thousands_of_copies_need_one_place_or_as_many_as_their_caps() -> None:
    pool = made(80, 24, 6)
    where = np.sort(np.random.default_rng(0).choice(4080, 80, replace=False))
    of_all = Question(80, LambdaRule())
    _, alone = answer(pool.program(0, of_all), of_all)
    best = int(alone.weights.argmax())
    G = np.tile(pool.G[best], (4080, 1))
    G[where] = pool.G
    copies = np.flatnonzero((pool.G[best] == G).all(axis=1))
    ids, named = [str(i) for i in range(4080)], {"t": pool.T[0]}
    plain = screening(Pool(G), named, question(ids), 30).solutions["t"]
    np.testing.assert_array_equal(np.intersect1d(plain.support, copies), copies[:1])
    assert plain.weights.max() == pytest.approx(alone.weights[best], abs=1e-12)
    assert len(plain.needed) < 30
    cap = float(alone.weights[best]) / 5.5
    others = {str(i): 9.0 for i in where}
    capped = screening(Pool(G), named, question(ids, cap=cap, caps=others), 30).solutions["t"]
    held = copies[~np.isin(copies, where)]
    inside = np.intersect1d(capped.support, copies)
    assert len(inside) <= 7
    np.testing.assert_array_equal(inside, copies[: len(inside)])
    assert len(np.intersect1d(capped.support, held)) <= 6


def test_what_is_left_out_is_below_its_threshold_and_the_rest_lacks_least() -> None:
    pool = made(300, 60, 8, targets=2)
    asks = question([str(i) for i in range(300)], cap=0.05, total=1.0)
    found = pool.screened(asks, 60)
    out = np.setdiff1d(np.arange(300), found.candidates)
    for proof in found.solutions.values():
        assert (proof.margins[out] < proof.thresholds[out]).all()
    assert len(pool.screened(asks, 10).candidates) > 10, "never fewer than needed"
    assert len(pool.screened(asks, 300).candidates) == 300


def test_nothing_serves() -> None:
    G = -np.abs(np.random.default_rng(0).normal(size=(60, 20)))
    for rule in RULES.values():
        asks = question([str(i) for i in range(60)], rule=rule)
        found = screening(Pool(G), {"t": np.ones(20)}, asks, 25)
        assert len(found.candidates) == 25
        assert len(found.solutions["t"].support) == 0
        assert found.solutions["t"].lam.value == (1.0 if rule.name == "absolute" else 0)
        assert found.solutions["t"].lam.top == 0


def test_what_cannot_be_answered_is_refused_in_words() -> None:
    pool = made(60, 20, 1)
    with pytest.raises(SolverError, match=r"^t0: question: expected one about 60 datasets"):
        pool.screened(asked(59), 20)
    with pytest.raises(SolverError, match=r"^t: target: expected a gradient of 20"):
        screening(Pool(pool.G), {"t": np.zeros(20)}, asked(60), 20)
    by_number = Question(60, LambdaRule("number", number=0))
    with pytest.raises(ParamsError, match="number: expected at least 1 dataset, found 0"):
        pool.screened(by_number, 20)
    with pytest.raises(SolverError, match="signed weights: expected a lambda for the rule number"):
        solve_pool(Pool(pool.G), pool.T[0], by_number, nonnegative=False)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["rank 5", "one step of the grid apart", "mixes of two"])
def test_where_rounding_decides_the_mixture_is_the_same_or_it_is_refused(
    kind: str, seed: int
) -> None:
    rng, pool = np.random.default_rng(seed), made(90, 24, seed)
    G = pool.G.copy()
    if kind == "rank 5":
        G = rng.normal(size=(90, 5)) @ rng.normal(size=(5, 24))
    for best in np.argsort(-(G @ pool.T[0]))[:10:2]:
        for i in rng.choice(90, 3, replace=False):
            step = 2.0**-26 * rng.integers(-1, 2, size=24)
            mix = G[best] + G[rng.integers(90)]
            G[i] = {"rank 5": G[i], "mixes of two": mix}.get(kind, G[best] + step)
    pool = Made(np.array([mean_gradient(row[None]) for row in G]), pool.T)
    for rule in (RULES["absolute"], RULES["relative"], LambdaRule("number", number=8)):
        asks = question([str(i) for i in range(90)], rule=rule)
        found = pool.screened_or_refused(asks, 20)
        if isinstance(found, str):
            assert rule.needs_path
            assert "t0: lambda cannot be proven: expected a path that is exact" in found
            continue
        keep, part = found.candidates, asks.among(found.candidates)
        lam, whole = answer(pool.program(0, asks), asks)
        lam_part, screened = answer(pool.program(0, part, keep), part)
        assert lam_part.value == pytest.approx(lam.value, abs=1e-6 * lam.top)
        np.testing.assert_allclose(
            screened.weights @ pool.G[keep], whole.weights @ pool.G, atol=1e-5
        )
