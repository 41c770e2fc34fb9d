"""What providers offer, as the step `offers` leaves it."""

from __future__ import annotations

import datetime
from typing import Annotated

from pydantic import Field

from appraise.settings.data import Source
from appraise.settings.section import Name

_HEX = r"^[0-9a-f]{64}$"
Text = Annotated[str, Field(min_length=1, max_length=500)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


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
    sha256: Annotated[str, Field(pattern=_HEX)] | None = None
    registered: datetime.date | None = None
    bundle: Name | None = None
    excludes: tuple[Name, ...] = ()
