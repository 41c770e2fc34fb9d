"""Lots by score: order, limits, reasons, ties, bundles, exclusions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.buying import buyer_limits
from appraise.numerics.lots import Lots, lots_of
from appraise.numerics.selection import Given, Pooling, Purchase, select

IDS = ["a", "b", "c", "d", "e"]
WEIGHTS = np.array([0.1, 0.0, 0.5, 0.3, 0.2])
COSINES = np.array([0.4, 0.9, 0.8, -0.1, 0.3])
PRICES = np.array([10.0, 20.0, 70.0, 50.0, 30.0])


def bought(
    scores: Any,
    pooling: Pooling = "sum",
    prices: Any = PRICES,
    ids: Any = IDS,
    lots: Lots | None = None,
    **more: Any,
) -> Purchase:
    asked = buyer_limits(len(ids), prices, lots=lots, ids=ids, **more)
    return select(ids, np.asarray(scores, dtype=float), asked, pooling)


def names(purchase: Purchase) -> list[str]:
    return [IDS[i] for i in purchase.chosen]


def test_the_largest_scores_are_bought_and_only_positive_ones() -> None:
    assert names(bought(WEIGHTS, k=3)) == ["c", "d", "e"]
    assert names(bought(COSINES, k=3)) == ["b", "c", "a"]
    assert names(bought(WEIGHTS, k=5)) == ["c", "d", "e", "a"]
    assert names(bought(COSINES, k=5)) == ["b", "c", "a", "e"]
    assert names(bought(np.zeros(5), k=3)) == []
    assert names(bought(np.ones(5))) == IDS
    assert bought(WEIGHTS).reasons[1] == "no_score"


def test_what_costs_more_than_is_left_is_skipped() -> None:
    purchase = bought(WEIGHTS, k=3, budget=110)
    assert names(purchase) == ["c", "e", "a"]
    assert purchase.cost == 110
    assert purchase.reasons == ("chosen", "no_score", "chosen", "over_budget", "chosen")
    assert [IDS[i] for i in purchase.ranking] == ["c", "d", "e", "a", "b"]
    assert names(bought(WEIGHTS, budget=0.3, prices=[0.1, 1, 0.1, 0.1, 1])) == ["c", "d", "a"]


def test_a_budget_of_nothing_buys_what_costs_nothing() -> None:
    purchase = bought(WEIGHTS, k=3, budget=0)
    assert (purchase.chosen, purchase.cost) == ((), 0)
    assert purchase.reasons == ("over_budget", "no_score", *["over_budget"] * 3)
    assert names(bought(WEIGHTS, budget=0, prices=[0, 0, 1, 1, 0])) == ["e", "a"]


def test_ineligible_datasets_leave_their_place_to_the_next() -> None:
    purchase = bought(WEIGHTS, k=2, lots=lots_of(5, barred=[2]))
    assert names(purchase) == ["d", "e"]
    assert purchase.reasons == ("beyond_k", "no_score", "ineligible", "chosen", "chosen")


def test_ties_are_broken_by_id_whatever_the_solver_noise() -> None:
    noisy = [0.2 - 3e-10, 0.5, 0.2, 0.2 + 4e-10, 0.2 + 2e-9]
    assert names(bought(noisy)) == ["b", "e", "a", "c", "d"]


def test_an_empty_pool_buys_nothing() -> None:
    assert bought([], prices=[], ids=[]).chosen == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "expected k ≥ 1"),
        ({"budget": -0.01}, "a budget of at least 0"),
        ({"exchange_rate": 0.0}, "an exchange rate above 0"),
        ({"scores": WEIGHTS[:3]}, r"scores: expected 5 finite numbers"),
        ({"scores": [np.nan] * 5}, r"scores: expected 5 finite numbers"),
        ({"prices": [1, 2, -3, 4, 5]}, r"price of c: expected ≥ 0, found -3"),
        ({"prices": [1, 2, np.inf, 4, 5]}, r"prices: expected 5 finite numbers"),
        ({"prices": [1, 2]}, r"prices: expected 5 finite numbers, found an array of shape \(2,\)"),
        ({"lots": lots_of(4)}, r"prices: expected 4 finite numbers"),
    ],
)
def test_bad_arguments(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        bought(**({"scores": WEIGHTS} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": WEIGHTS[:3]}, "^values: expected 5 finite numbers"),
        ({"mean_values": np.full(5, np.nan)}, "^mean values: expected 5 finite numbers"),
        ({"limits": buyer_limits(4)}, "^prices: expected 5 finite numbers"),
    ],
)
def test_what_is_given_to_a_policy_fits_together(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        Given(**({"ids": tuple(IDS), "limits": buyer_limits(5)} | change))


def test_a_bundle_is_bought_whole_by_the_sum_of_its_weights() -> None:
    sold = lots_of(4, [(1, 3)])
    common: dict[str, Any] = {"ids": list("abcd"), "scores": [0.4, 0.3, 0.35, 0.2], "lots": sold}
    purchase = bought(k=2, prices=None, **common)
    assert purchase.chosen == (1, 3)
    assert purchase.lots == ((0,), (1, 3), (2,))
    assert purchase.ranking == (1, 3, 0, 2)
    assert purchase.reasons == ("beyond_k", "chosen", "beyond_k", "chosen")
    small = bought(k=1, prices=None, **common)
    assert small.chosen == (0,), "two do not fit in one place"
    dear = bought(k=3, prices=[1, 5, 1, 5], budget=9, **common)
    assert dear.chosen == (0, 2)
    assert dear.reasons[1] == dear.reasons[3] == "over_budget"


def test_the_mean_of_a_bundle_does_not_grow_with_its_size() -> None:
    sold = lots_of(4, [(1, 3)])
    common: dict[str, Any] = {"ids": list("abcd"), "prices": None, "lots": sold, "k": 2}
    assert bought([0.4, 0.3, 0.35, 0.2], "mean", **common).chosen == (0, 2)


def test_what_one_taken_excludes_is_not_taken() -> None:
    sold = lots_of(3, (), [(0, 1)])
    common: dict[str, Any] = {"ids": list("abc"), "prices": None, "lots": sold}
    assert bought([0.4, 0.3, 0.2], k=2, **common).chosen == (0, 2)
    purchase = bought([0.5, 0.6, 0.1], "mean", k=2, **common)
    assert purchase.chosen == (1, 2)
    assert purchase.reasons[0] == "excluded"
