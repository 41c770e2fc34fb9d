"""The buyer's limits: how many datasets, how much money, at which prices, sold in which lots.

`BuyerLimits` is the question, `Basket` what has been taken on the way to an answer. Whether a lot
may still be taken, and if not why, is decided here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from appraise.errors import ParamsError
from appraise.numerics.kernel import Floats
from appraise.numerics.lots import Lots, lots_of

Refusal = Literal["ineligible", "no_score", "beyond_k", "over_budget", "too_dear", "excluded"]
_ROUNDING = 1e-12  # of the budget: a sum of prices that exceeds it by less is within it


@dataclass(frozen=True)
class BuyerLimits:
    """What binds a buyer of n datasets.

    Attributes:
        prices: (n,) float64, money ≥ 0.
        lots: what is sold together, what excludes what, what is barred.
        k: how many datasets at most; None for no limit.
        budget: how much money at most; None for no limit.
        exchange_rate: how much money it would be worth to match the whole target; None where the
            buyer did not say.

    Raises:
        ParamsError: a price, k, budget or exchange rate is out of range, or the lots are of other
            datasets.
    """

    prices: Floats
    lots: Lots
    k: int | None = None
    budget: float | None = None
    exchange_rate: float | None = None

    def __post_init__(self) -> None:
        n = sum(map(len, self.lots.members))
        if self.prices.shape != (n,) or not np.isfinite(self.prices).all():
            raise ParamsError(
                f"prices: expected {n} finite numbers, found an array of shape "
                f"{self.prices.shape}; give a price for every dataset that is sold"
            )
        _check_prices(self.prices, ())
        rate = self.exchange_rate
        if (
            (self.k is not None and self.k < 1)
            or (self.budget is not None and not self.budget >= 0)
            or (rate is not None and not (math.isfinite(rate) and rate > 0))
        ):
            raise ParamsError(
                f"the buyer's limits: expected k ≥ 1, a budget of at least 0 and an exchange rate "
                f"above 0 (or none of them), found k = {self.k}, budget = {self.budget} and "
                f"exchange rate = {rate}; correct them, or leave them out"
            )

    @property
    def most(self) -> int:
        """How many datasets at most, as a number: k, or n where that is less or there is no k."""
        n = len(self.prices)
        return n if self.k is None else min(self.k, n)

    @property
    def ceiling(self) -> float:
        """The largest sum of prices that counts as within the budget."""
        return math.inf if self.budget is None else self.budget * (1 + _ROUNDING)

    @cached_property
    def lot_prices(self) -> tuple[float, ...]:
        """Money for each lot."""
        return tuple(self.lots.price(lot, self.prices) for lot in range(len(self.lots.members)))

    def worth(self, part: float) -> float:
        """Money that matching this part of the target is worth; infinity where nobody said."""
        return math.inf if self.exchange_rate is None else self.exchange_rate * part

    def basket(self, taken: Iterable[int] = ()) -> Basket:
        """A basket with these lots in it, whether they fit or not."""
        basket = Basket(self)
        for lot in taken:
            basket = basket.with_lot(lot)
        return basket

    def allows(self, taken: Sequence[int]) -> bool:
        """Whether a whole set of lots is within k and budget, and sold to one buyer."""
        members = list(self.lots.datasets(taken))
        affordable = len(members) <= self.most and self.prices[members].sum() <= self.ceiling
        return bool(affordable and all(self.lots.fits(lot, taken) for lot in taken))

    def at(self, prices: Floats) -> BuyerLimits:
        """The same limits at other prices (n,)."""
        return replace(self, prices=prices)

    def without(self, i: int) -> BuyerLimits:
        """The same limits for a buyer who may not have dataset i, nor what is sold with it."""
        lot = next(lot for lot, members in enumerate(self.lots.members) if i in members)
        return replace(self, lots=replace(self.lots, barred=self.lots.barred | {lot}))

    def lifted(self) -> BuyerLimits:
        """Without k, budget, exchange rate and exclusions; what is barred stays barred."""
        sold = replace(self.lots, excludes=frozenset[tuple[int, int]]())
        return replace(self, lots=sold, k=None, budget=None, exchange_rate=None)


@dataclass(frozen=True)
class Basket:
    """Lots that have been taken, in this order.

    Attributes:
        limits: the buyer's.
        taken: the lots.
        size: how many datasets they hold.
        cost: money for all of them.
    """

    limits: BuyerLimits
    taken: tuple[int, ...] = ()
    size: int = 0
    cost: float = 0.0

    @property
    def places_left(self) -> float:
        """How many datasets may still be added; infinity without k."""
        return math.inf if self.limits.k is None else self.limits.k - self.size

    @property
    def money_left(self) -> float:
        """How much may still be spent; infinity without a budget."""
        return math.inf if self.limits.budget is None else self.limits.budget - self.cost

    def refusal(self, lot: int, score: float = 1.0) -> Refusal | None:
        """Why a lot with this score may not be added now; None where it may.

        The first that applies: it may not be bought at all, its score is not above 0, it holds
        more datasets than there are places left, it costs more than is left, or something that was
        taken excludes it.
        """
        sold = self.limits.lots
        if lot in sold.barred:
            return "ineligible"
        if score <= 0:
            return "no_score"
        if sold.size(lot) > self.places_left:
            return "beyond_k"
        if self.cost + self.limits.lot_prices[lot] > self.limits.ceiling:
            return "over_budget"
        return "excluded" if sold.excluded(lot, self.taken) else None

    def with_lot(self, lot: int) -> Basket:
        """The basket with one lot more."""
        return Basket(
            self.limits,
            (*self.taken, lot),
            self.size + self.limits.lots.size(lot),
            self.cost + self.limits.lot_prices[lot],
        )


def buyer_limits(
    n: int,
    prices: ArrayLike | None = None,
    *,
    k: int | None = None,
    budget: float | None = None,
    exchange_rate: float | None = None,
    lots: Lots | None = None,
    ids: Sequence[str] = (),
) -> BuyerLimits:
    """Limits for a buyer of n datasets; what is left out does not bind.

    Args:
        n: number of datasets.
        prices: (n,) ≥ 0; None for 0.
        k: how many datasets at most.
        budget: how much money at most.
        exchange_rate: how much money it would be worth to match the whole target.
        lots: what is sold together; None for each dataset by itself.
        ids: (n,) names of the datasets, for messages.

    Raises:
        ParamsError: prices, k, budget or exchange rate are out of range.
    """
    money = np.zeros(n) if prices is None else np.asarray(prices, dtype=np.float64)
    _check_prices(money, ids)
    return BuyerLimits(money, lots or lots_of(n), k, budget, exchange_rate)


def _check_prices(prices: Floats, ids: Sequence[str]) -> None:
    if (prices < 0).any():
        i = int(prices.argmin())
        name = ids[i] if ids else f"dataset {i}"
        raise ParamsError(
            f"price of {name}: expected ≥ 0, found {prices[i]:g}; correct what is asked for it"
        )
