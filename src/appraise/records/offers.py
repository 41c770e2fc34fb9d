"""What providers offer, as the step `offers` leaves it: each offer, and their order."""

from __future__ import annotations

import datetime
import re
from functools import cached_property
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from appraise.errors import OfferError
from appraise.records.record import JsonRecord, Part
from appraise.settings.data import Source
from appraise.settings.section import Name

Text = Annotated[str, Field(min_length=1, max_length=500)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day(value: object) -> object:
    """A number is no day, though pydantic counts it as seconds since 1970."""
    if isinstance(value, datetime.date) or _DAY.fullmatch(str(value)):
        return value
    raise ValueError("expected a day as in 2026-05-01")


Day = Annotated[datetime.date, BeforeValidator(_day)]


class Offer(Source):
    """A dataset that a provider offers.

    Attributes:
        id: our name for it: lower case letters, digits and underscores.
        licence: SPDX expression, or NOASSERTION where the terms are not known.
        price: in the pool's currency.
        registered: day from which it was on offer; of two with the same rows the earlier one has
            them. Offers without a day come before all others, in the order of the pool's file.
        bundle: name of what it is sold with; all offers of one name are bought, or none.
        excludes: ids of datasets that are not sold to the same buyer.
        sha256: of the bytes of the source file (of the member, for `zip://member::archive`).
    """

    id: Name
    title: Text
    provider: Text
    version: Text
    licence: Text
    price: Price
    registered: Day | None = None
    bundle: Name | None = None
    excludes: tuple[Name, ...] = ()


class Unusable(Part):
    """An entry of the pool that was set aside; its id is whatever stands there."""

    id: str
    reason: str


class Offers(JsonRecord):
    """The content of `offers.json`: offers by id, and their ids in the order of registration."""

    FILE: ClassVar[str] = "offers.json"
    SCHEMA: ClassVar[int] = 4
    STEP: ClassVar[str] = "offers"

    title: str
    currency: str
    prices_are_examples: bool
    offers: tuple[Offer, ...]
    order: tuple[str, ...]
    set_aside: tuple[Unusable, ...] = ()

    def __getitem__(self, identity: str) -> Offer:
        try:
            return self.by_id[identity]
        except KeyError:
            raise OfferError(
                f"offers: expected an offer {identity!r}, found none; see the pool file"
            ) from None

    @cached_property
    def by_id(self) -> dict[str, Offer]:
        """The offers by id."""
        return {offer.id: offer for offer in self.offers}
