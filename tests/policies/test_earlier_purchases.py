"""What policies bought of the demo's pool when they were branches of one function.

`earlier_purchases.json` was written by that code: the pool's program and valuation, and for three
questions (as in the demo; with bundles, exclusions, a bar and a budget; without k) what each policy
bought, and what every budget bought and what would have had to change by the largest weights. The
best set, `kmm`, was found there by trying all sets, or by SCIP. Its program has penalties that
follow the prices, as the program of that time had: to a policy they are penalties like others.
"""

from __future__ import annotations

import itertools
import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls

from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import changes, frontier, shadow_prices, walk_away_price
from appraise.numerics.lots import lots_of
from appraise.numerics.program import Program
from appraise.numerics.selection import Given
from appraise.numerics.subsets import refit
from appraise.policies import POLICIES

EARLIER: dict[str, Any] = json.loads(
    (Path(__file__).parent / "earlier_purchases.json").read_text(encoding="utf-8")
)
PROGRAM = Program(
    *(np.array(EARLIER[name]) for name in ("K", "c")),
    EARLIER["tau"],
    np.array(EARLIER["penalties"]),
)
PRICES = np.array(EARLIER["prices"])
VALUES = {"kmm": np.array(EARLIER["weights"]), "alignment": np.array(EARLIER["cosines"])}
each_question = pytest.mark.parametrize(
    "question", EARLIER["questions"], ids=["demo", "bundles", "budget"]
)


def given(asked: dict[str, Any], method: str | None) -> Given:
    n, solved = len(EARLIER["ids"]), method == "kmm"
    sold = lots_of(n, asked["bundles"], asked["exclusions"], asked["barred"])
    return Given(
        tuple(EARLIER["ids"]),
        buyer_limits(n, PRICES, k=asked["k"], budget=asked["budget"], lots=sold),
        None if method is None else VALUES[method],
        np.array(EARLIER["mean_weights"]) if solved else None,
        PROGRAM if solved else None,
        EARLIER["lambda"] if solved else None,
        asked["seed"],
    )


@pytest.mark.parametrize("name", EARLIER["questions"][0]["purchases"])
@each_question
def test_each_policy_buys_what_it_bought(question: dict[str, Any], name: str) -> None:
    policy, earlier = POLICIES[name], question["purchases"][name]
    purchase = policy.choose(given(question["asked"], policy.method))
    assert list(purchase.chosen) == earlier["chosen"]
    assert list(purchase.ranking) == earlier["ranking"]
    assert list(purchase.reasons) == earlier["reasons"]
    assert purchase.cost == earlier["cost"]
    np.testing.assert_allclose(purchase.scores, earlier["scores"], rtol=1e-9, atol=1e-12)
    objective = refit(PROGRAM, EARLIER["lambda"], sorted(purchase.chosen))[0]
    assert objective == pytest.approx(earlier["objective"], rel=1e-12)
    assert (purchase.proof is None) == (earlier["bound"] is None)
    if purchase.proof is not None:
        assert purchase.proof.objective == pytest.approx(objective, rel=1e-12)
        assert purchase.proof.bound >= earlier["bound"] - 1e-9
        assert purchase.proof.bound <= objective + 1e-12


@each_question
def test_other_budgets_and_changes_are_what_they_were(question: dict[str, Any]) -> None:
    of, choose = given(question["asked"], "kmm"), POLICIES["largest_weights"].choose
    points = frontier(choose, of)
    assert [[p.budget, list(p.chosen), p.cost] for p in points] == [
        earlier[:3] for earlier in question["frontier"]
    ]
    for point, earlier in zip(points, question["frontier"], strict=True):
        assert [point.objective, point.matched] == pytest.approx(earlier[3:], rel=1e-9)
    assert shadow_prices(points, of.limits) == pytest.approx(tuple(question["shadow_prices"]))
    assert [[c.index, c.k, c.budget] for c in changes(choose, of, points)] == question["changes"]


@cache
def objective(one: tuple[int, ...]) -> float:
    """Of a set, by non-negative least squares: ½‖Lᵀw − L⁻¹b‖² differs from it by a constant."""
    on = list(one)
    if not on:
        return 0.5 * PROGRAM.tau
    L = np.linalg.cholesky(PROGRAM.K[np.ix_(on, on)])
    b = PROGRAM.c[on] - EARLIER["lambda"] * PROGRAM.penalties[on]
    goal = np.linalg.solve(L, b)
    missed = nnls(L.T, goal)[1]
    return float(0.5 * missed**2 - 0.5 * goal @ goal + 0.5 * PROGRAM.tau)


def sets_on_sale(asked: dict[str, Any]) -> list[tuple[int, ...]]:
    """All sets within k whose bundles are whole, without what excludes each other or is barred."""
    eligible = sorted(set(range(16)) - set(asked["barred"]))
    bundles, pairs = ([set(each) for each in asked[name]] for name in ("bundles", "exclusions"))
    return [
        one
        for size in range((asked["k"] or 5) + 1)  # six cost more, even if one is free
        for one in itertools.combinations(eligible, size)
        if all(len(lot & set(one)) in (0, len(lot)) for lot in bundles)
        and not any(pair <= set(one) for pair in pairs)
    ]


@each_question
def test_no_set_is_better_than_the_best_at_any_budget(question: dict[str, Any]) -> None:
    asked = question["asked"]
    of, choose = given(asked, "kmm"), POLICIES["kmm"].choose
    on_sale = sets_on_sale(asked)
    proof = choose(of).proof
    assert proof is not None
    assert proof.exact
    points = frontier(choose, of)
    for budget in np.arange(0.0, 430.0, 30.0):  # six cost more
        lowest = min(objective(one) for one in on_sale if PRICES[list(one)].sum() <= budget)
        point = max((p for p in points if p.budget <= budget), key=lambda p: p.budget)
        assert point.objective == pytest.approx(lowest, abs=1e-9)
        assert point.chosen == () or tuple(sorted(point.chosen)) in on_sale


@each_question
def test_a_walk_away_price_leaves_what_the_cheapest_better_set_needs(
    question: dict[str, Any],
) -> None:
    asked = question["asked"]
    of, choose = given(asked, "kmm"), POLICIES["kmm"].choose
    on_sale = sets_on_sale(asked)
    budget = math.inf if asked["budget"] is None else asked["budget"]
    for i in range(16):
        without = min(
            objective(one) for one in on_sale if i not in one and PRICES[list(one)].sum() <= budget
        )
        left = [
            budget - PRICES[list(one)].sum() + PRICES[i]
            for one in on_sale
            if i in one and objective(one) < without - 1e-9
        ]
        largest = max(left, default=-1.0)
        found = walk_away_price(choose, of, i)
        assert found == (None if largest < 0 else pytest.approx(largest, abs=1e-6))
