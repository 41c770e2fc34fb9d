"""The entries of a pool: each an offer, or set aside with everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from appraise.errors import OfferError
from appraise.examples import licences
from appraise.examples.sources import SourceError, kind, source_sha256
from appraise.examples.templates import RowTemplates
from appraise.records.offers import Offer, Unusable
from appraise.settings.data import Source
from appraise.settings.section import described, expected_one_of


@dataclass(frozen=True)
class Entries:
    """What a pool lists.

    Attributes:
        offers: id → offer, in the order of the file.
        set_aside: the entries that cannot be used, in that order.
    """

    offers: Mapping[str, Offer]
    set_aside: tuple[Unusable, ...]


@dataclass(frozen=True)
class _Entry:
    """An entry as it stands in the file.

    Attributes:
        name: its id, or what stands for it in a message.
        offer: None where a field is wrong.
        wrong: what is wrong with its fields.
        right: the fields with which nothing is wrong, as they were written.
    """

    name: str
    offer: Offer | None
    wrong: tuple[str, ...]
    right: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Any, number: int) -> _Entry:
        """The entry, its fields checked."""
        fields = entry if isinstance(entry, dict) else {}
        name = str(fields.get("id") or f"offer {number}")[:80]
        try:
            return cls(name, Offer.model_validate(entry), (), fields)
        except ValidationError as error:
            bad = {item["loc"][0] for item in error.errors() if item["loc"]}
            right = {key: value for key, value in fields.items() if key not in bad}
            return cls(name, None, tuple(described(error)), right)


def checked(listed: Sequence[Any], root: Path, accepted: Collection[str] | None = None) -> Entries:
    """The entries of a pool, checked one by one and against each other.

    Args:
        listed: as they stand in the file.
        accepted: the licences that may be bought (`licences.refusal`); None for any.
    """
    entries = [_Entry.of(entry, number) for number, entry in enumerate(listed, start=1)]
    offers: dict[str, Offer] = {}
    set_aside: list[Unusable] = []
    for number, entry in enumerate(entries, start=1):
        wrong = [*entry.wrong, *_refused(entry, root, accepted), *_unrelated(entry, entries)]
        if any(entry.name == other.name for other in entries[: number - 1]):
            wrong.append(
                f"expected each id once, found {entry.name} a second time (offer {number}); the "
                "first one stands: give this one an id of its own"
            )
        if entry.offer is None or wrong:
            set_aside.append(Unusable(id=entry.name, reason="; ".join(wrong)))
        else:
            offers[entry.name] = entry.offer
    return Entries(offers, tuple(set_aside))


def checked_offer(entry: Any, root: Path, accepted: Collection[str] | None = None) -> Offer:
    """One entry by itself, as an offer.

    Raises:
        OfferError: it cannot be used.
    """
    found = checked([entry], root, accepted)
    if found.set_aside:
        raise OfferError(found.set_aside[0].reason)
    return next(iter(found.offers.values()))


def _refused(entry: _Entry, root: Path, accepted: Collection[str] | None) -> list[str]:
    """What is wrong with the templates, the pin and the licence of an entry."""
    right, checks, reasons = entry.right, list[Callable[[], object]](), []
    if "source" in right:
        source = Source(**{name: right[name] for name in Source.model_fields if name in right})
        checks += [partial(RowTemplates.of, source), partial(check_pinned, source, root)]
    if "licence" in right:
        checks.append(partial(_check_licence, right["licence"], accepted))
    for check in checks:
        try:
            check()
        except OfferError as error:
            reasons.append(str(error))
    return reasons


def _check_licence(licence: str, accepted: Collection[str] | None) -> None:
    licences.check(licence)
    barred = licences.refusal(licence, accepted)
    if barred is not None:
        raise OfferError(barred)


def check_pinned(source: Source, root: Path) -> None:
    """A source is of one content: pinned by SHA-256 or, for a hub id, by a revision.

    Raises:
        OfferError: it is not; the message has the SHA-256 of what is there now.
    """
    if source.sha256 is not None:
        return
    try:
        if kind(source.source, root) == "hub":
            if source.revision is None:
                raise OfferError(
                    f"expected the revision (a commit) of the hub id {source.source}, found none; "
                    "add `revision:`"
                )
            return
        now = f"sha256: {source_sha256(source.source, root)}` (what the source is now)"
    except SourceError as error:
        now = f"sha256:` with the SHA-256 of the source's bytes ({error})"
    raise OfferError(f"expected the SHA-256 of the source, found none; add `{now}")


def _unrelated(entry: _Entry, entries: Sequence[_Entry]) -> list[str]:
    """What is wrong with what an entry says of others."""
    reasons, bundle = [], entry.right.get("bundle")
    together = {other.name for other in entries if bundle and other.right.get("bundle") == bundle}
    if bundle and len(together) == 1:
        reasons.append(
            f"bundle: expected another offer in {bundle}, found none; correct the name, or leave "
            "it out"
        )
    for name in entry.right.get("excludes", ()):
        if name in together | {entry.name}:
            reasons.append(
                f"excludes: expected a dataset that can be bought apart from this one, found "
                f"{name}; correct it, or the bundle"
            )
        elif all(name != other.name for other in entries):
            reasons.append(f"excludes: {expected_one_of([other.name for other in entries], name)}")
    return reasons
