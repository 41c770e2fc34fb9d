"""The buyer's limits: what may be taken, what is left, and why not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from appraise.errors import ParamsError
from appraise.numerics.buying import BuyerLimits, buyer_limits
from appraise.numerics.lots import lots_of

PRICES = [10.0, 20.0, 30.0, 40.0, 50.0]


def limits(**more: Any) -> BuyerLimits:
    """Five datasets, of which 1 and 3 are one lot, 0 excludes 2, and 4 is barred."""
    return buyer_limits(5, PRICES, lots=lots_of(5, [(1, 3)], [(0, 2)], [4]), **more)


def test_each_reason_that_keeps_a_lot_out_in_its_order() -> None:
    basket = limits(k=2, budget=100).basket([0])
    # lots: 0 → (0,), 1 → (1, 3), 2 → (2,), 3 → (4,)
    assert basket.refusal(3) == basket.refusal(3, 0.0) == "ineligible"
    assert basket.refusal(1, 0.0) == "no_score"
    assert basket.refusal(1) == "beyond_k", "a bundle of two where one place is left"
    assert limits(k=3, budget=60).basket([0]).refusal(1) == "over_budget"
    assert basket.refusal(2) == "excluded"
    assert limits(k=3, budget=70).basket([0]).refusal(1) is None


def test_what_is_left() -> None:
    basket = limits(k=4, budget=100).basket([0, 1])
    assert (basket.taken, basket.size, basket.cost) == ((0, 1), 3, 70.0)
    assert (basket.places_left, basket.money_left) == (1, 30.0)
    free = limits().basket([0])
    assert (free.places_left, free.money_left) == (math.inf, math.inf)
    assert limits().most == 5
    assert limits(k=9).most == 5
    assert limits(k=2).most == 2


def test_a_whole_set_is_allowed_or_not() -> None:
    asked = limits(k=3, budget=90)
    assert asked.allows([])
    assert asked.allows([0, 1])
    assert asked.allows([1, 2])
    assert not asked.allows([0, 2]), "they exclude each other"
    assert not asked.allows([3]), "barred"
    assert not limits(k=2, budget=90).allows([1, 2])
    assert not limits(k=3, budget=89).allows([1, 2])


def test_rounding_does_not_make_a_purchase_too_dear() -> None:
    asked = buyer_limits(3, [0.1, 0.1, 0.1], budget=0.3)  # 0.1 + 0.1 + 0.1 > 0.3
    assert asked.basket([0, 1]).refusal(2) is None
    assert asked.allows([0, 1, 2])
    assert buyer_limits(3, [0.1, 0.1, 0.101], budget=0.3).basket([0, 1]).refusal(2) == "over_budget"


def test_lifted_nothing_binds_but_what_is_barred() -> None:
    lifted = limits(k=1, budget=5).lifted()
    assert lifted.basket([0, 1]).refusal(2) is None
    assert lifted.basket([0, 1]).refusal(3) == "ineligible"


def test_what_a_part_of_the_target_is_worth() -> None:
    assert limits(exchange_rate=200.0).worth(0.1) == 20
    assert limits().worth(0.1) == math.inf
    assert limits(exchange_rate=200.0).lifted().exchange_rate is None


def test_without_a_dataset_nothing_that_is_sold_with_it() -> None:
    asked = limits(budget=100).without(3)
    refusals = [asked.basket().refusal(lot) for lot in range(4)]
    assert refusals == [None, "ineligible", None, "ineligible"]
    assert asked.budget == 100
    assert limits(budget=100).basket().refusal(1) is None


def test_at_other_prices() -> None:
    asked = limits(budget=100).at(np.full(5, 60.0))
    assert asked.basket().refusal(1) == "over_budget"
    assert limits(budget=100).lot_prices == (10, 60, 30, 50)
    with pytest.raises(ParamsError, match="price of dataset 1: expected ≥ 0, found -1"):
        limits().at(np.array([1.0, -1, 1, 1, 1]))
