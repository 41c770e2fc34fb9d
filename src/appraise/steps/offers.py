"""What providers offer: title, licence, price, source and SHA-256 of each dataset.

A pool is a YAML file (`pools/README.md`). An offer that cannot be used, or whose licence is not
accepted, is set aside with its reason, before any of its data is read; the others go on.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from appraise.errors import OfferError
from appraise.examples import licences
from appraise.examples.sources import SourceError, kind, source_sha256
from appraise.examples.templates import RowTemplates
from appraise.project import Project
from appraise.project.reads import Given, Reads
from appraise.records.offers import Offer, Offers
from appraise.settings.section import describe
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole
from appraise.storage.yaml_files import read_yaml

_FIRST_DAY = datetime.date.min


def pool_path(project: Project) -> Path:
    """The file with the offers; OfferError where there is none."""
    path = project.root / project.params.offers.pool
    if not path.is_file():
        raise OfferError(
            f"{project.params.offers.pool}: expected a pool of offers, found no file; correct "
            "`offers.pool` in params.yaml (pools/README.md says what a pool is)"
        )
    return path


def _pool(project: Project, _: str) -> dict[str, Path]:
    return {"pool": pool_path(project)}


def read_pool(path: Path, root: Path, accepted: Collection[str] | None = None) -> Offers:
    """Read and check a pool file.

    Args:
        accepted: the licences that may be bought (`licences.refusal`); None for any.

    Raises:
        OfferError: it is not YAML, has no title or currency, or no offer that can be used.
    """
    content = read_yaml(path, OfferError)
    if not isinstance(content, dict) or not isinstance(content.get("offers"), list):
        keys = ", ".join(map(str, content)) if isinstance(content, dict) else repr(content)[:60]
        raise OfferError(
            f"{path.name}: expected title, currency and a list `offers`, found {keys or 'nothing'}"
        )
    offers: dict[str, Offer] = {}
    set_aside: list[dict[str, str]] = []
    for number, entry in enumerate(content["offers"], start=1):
        try:
            offer = checked_offer(entry, root, accepted)
            if offer.id in offers:
                raise OfferError(
                    f"expected each id once, found {offer.id} a second time (offer {number}); the "
                    "first one stands: give this one an id of its own"
                )
        except OfferError as error:
            set_aside.append({"id": _shown_id(entry, number), "reason": str(error)})
        else:
            offers[offer.id] = offer
    if not offers:
        why = "`appraise offers add FILE` adds one"
        if set_aside:
            why = f"{set_aside[0]['id']}: {set_aside[0]['reason']}"
        raise OfferError(f"{path.name}: expected offers that can be used, found none; {why}")
    head = {key: value for key, value in content.items() if key != "offers"}
    if made_here := sorted(head.keys() & {"order", "set_aside"}):
        raise OfferError(f"{path.name}: {', '.join(made_here)}: expected no such key in a pool")
    try:
        return Offers.model_validate(
            {"prices_are_examples": False}
            | head
            | {
                "offers": sorted(offers.values(), key=lambda offer: offer.id),
                "order": sorted(offers, key=lambda name: offers[name].registered or _FIRST_DAY),
                "set_aside": sorted(set_aside, key=lambda item: (item["id"], item["reason"])),
            }
        )
    except ValidationError as error:
        raise OfferError(f"{path.name}: {describe(error)}") from None


def _shown_id(entry: Any, number: int) -> str:
    identity = entry.get("id") if isinstance(entry, dict) else None
    return str(identity)[:80] if identity else f"offer {number}"


def checked_offer(entry: Any, root: Path, accepted: Collection[str] | None = None) -> Offer:
    """An entry of a pool as an offer.

    Args:
        accepted: as in `read_pool`.

    Raises:
        OfferError: it cannot be used.
    """
    try:
        offer = Offer.model_validate(entry)
    except ValidationError as error:
        raise OfferError(describe(error)) from None
    RowTemplates.of(offer)
    licences.check(offer.licence)
    barred = licences.refusal(offer.licence, accepted)
    if barred is not None:
        raise OfferError(barred)
    _check_pinned(offer, root)
    return offer


def _check_pinned(offer: Offer, root: Path) -> None:
    """An offer is of one content: pinned by SHA-256 or, for a hub id, by a revision."""
    if offer.sha256 is not None:
        return
    try:
        if kind(offer.source, root) == "hub":
            if offer.revision is None:
                raise OfferError(
                    f"expected the revision (a commit) of the hub id {offer.source}, found none; "
                    "add `revision:`"
                )
            return
        now = f"sha256: {source_sha256(offer.source, root)}` (what the source is now)"
    except SourceError as error:
        now = f"sha256:` with the SHA-256 of the source's bytes ({error})"
    raise OfferError(f"expected the SHA-256 of the source, found none; add `{now}")


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        accepted = given.params.offers.licences
        yield Output(given.key, (read_pool(given.outside("pool"), given.root, accepted),))


STEP = Step(
    noun="offers",
    partitions="",
    keys=whole,
    reads=Reads(settings=("offers",), outside=_pool),
    writes=(Offers,),
    make=_make,
    version="5",  # 5: forms in templates; 4: words of YAML with one reading
)
