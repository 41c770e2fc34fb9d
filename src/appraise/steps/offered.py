"""What of the offers matters to a valuation: prices and owners, and what is sold with what."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from appraise.errors import OfferError
from appraise.project import Project
from appraise.records.offers import Offers


class Offered(BaseModel):
    """Price and owner of datasets, without titles: a new title costs no new valuation.

    Attributes:
        prices: dataset → money.
        owners: dataset → who offers it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prices: dict[str, float]
    owners: dict[str, str]

    def of(self, ids: Sequence[str]) -> tuple[list[float], list[str]]:
        """Prices and owners of these datasets."""
        return [self.prices[name] for name in ids], [self.owners[name] for name in ids]


def offered(project: Project, ids: Sequence[str], remedy: str) -> Offered:
    """Prices and owners of these datasets.

    Raises:
        OfferError: a dataset has no offer any more; `remedy` says what to run.
    """
    offers = project.read(Offers, "offers").by_id
    missing = [name for name in ids if name not in offers]
    if missing:
        more = ", …" if len(missing) > 5 else ""
        raise OfferError(
            f"offers: expected an offer for every dataset that was sketched, found none for "
            f"{', '.join(missing[:5])}{more}; {remedy}"
        )
    return Offered(
        prices={name: float(offers[name].price) for name in ids},
        owners={name: offers[name].provider for name in ids},
    )


class Sold(BaseModel):
    """How datasets are sold.

    Attributes:
        currency: of the prices.
        bundles: dataset → the bundle that it is sold in; datasets sold alone are not named.
        excludes: dataset → those that are not sold to the same buyer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    currency: str
    bundles: dict[str, str]
    excludes: dict[str, tuple[str, ...]]


def sold(project: Project) -> Sold:
    """How the datasets on offer are sold."""
    offers = project.read(Offers, "offers")
    return Sold(
        currency=offers.currency,
        bundles={offer.id: offer.bundle for offer in offers.offers if offer.bundle},
        excludes={offer.id: offer.excludes for offer in offers.offers if offer.excludes},
    )
