"""What policies bought of the demo's pool when they were branches of one function.

`earlier_purchases.json` was written by that code: the pool's program and valuation, and for three
questions (as in the demo; with bundles, exclusions, a bar and a budget; without k) what each policy
bought, what every budget bought, and what would have had to change.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appraise.numerics.buying import buyer_limits
from appraise.numerics.counterfactual import changes, frontier, shadow_prices
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
VALUES = {"kmm": np.array(EARLIER["weights"]), "alignment": np.array(EARLIER["cosines"])}


def given(asked: dict[str, Any], method: str | None) -> Given:
    n, solved = len(EARLIER["ids"]), method == "kmm"
    sold = lots_of(n, asked["bundles"], asked["exclusions"], asked["barred"])
    return Given(
        tuple(EARLIER["ids"]),
        buyer_limits(n, EARLIER["prices"], k=asked["k"], budget=asked["budget"], lots=sold),
        None if method is None else VALUES[method],
        np.array(EARLIER["mean_weights"]) if solved else None,
        PROGRAM if solved else None,
        EARLIER["lambda"] if solved else None,
        asked["seed"],
    )


@pytest.mark.parametrize("name", EARLIER["questions"][0]["purchases"])
@pytest.mark.parametrize("question", EARLIER["questions"], ids=["demo", "bundles", "budget"])
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
    proof = purchase.proof
    assert (proof and proof.method) == earlier["method"]
    assert proof is None or proof.bound == pytest.approx(earlier["bound"], rel=1e-9)


@pytest.mark.parametrize("question", EARLIER["questions"], ids=["demo", "bundles", "budget"])
def test_other_budgets_and_changes_are_what_they_were(question: dict[str, Any]) -> None:
    of, choose = given(question["asked"], "kmm"), POLICIES["kmm"].choose
    points = frontier(choose, of)
    assert [[p.budget, list(p.chosen), p.cost] for p in points] == [
        earlier[:3] for earlier in question["frontier"]
    ]
    for point, earlier in zip(points, question["frontier"], strict=True):
        assert [point.objective, point.matched] == pytest.approx(earlier[3:], rel=1e-9)
    assert shadow_prices(points, of.limits) == pytest.approx(tuple(question["shadow_prices"]))
    refused = changes(choose, of, points, EARLIER["penalty_scale"])
    assert [[c.index, c.price, c.k, c.budget] for c in refused] == question["changes"]
