"""What providers offer: title, licence, price, source and SHA-256 of each dataset.

A pool is a YAML file (`pools/README.md`). An offer that cannot be used, or whose licence is not
accepted, is set aside with its reason, before any of its data is read; the others go on.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from appraise.errors import OfferError
from appraise.project import Project
from appraise.project.reads import Given, Reads
from appraise.records.offers import Offers
from appraise.settings.data import OffersParams
from appraise.settings.section import described
from appraise.steps.entries import checked
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, whole
from appraise.storage.yaml_files import read_yaml

_FIRST_DAY = datetime.date.min


def _pool(project: Project, _: str) -> dict[str, Path]:
    return {"pool": pool_path(project.root, project.params.offers)}


def pool_path(root: Path, params: OffersParams) -> Path:
    """The pool's file.

    Raises:
        OfferError: there is none.
    """
    path = root / params.pool
    if not path.is_file():
        raise OfferError(
            f"{params.pool}: expected a pool of offers, found no file; correct `offers.pool` in "
            "params.yaml (pools/README.md says what a pool is)"
        )
    return path


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
    entries = checked(content["offers"], root, accepted)
    offers, faults = entries.offers, list[str]()
    if not offers:
        remedy = "correct these" if entries.set_aside else "`appraise offers add FILE` adds one"
        faults.append(f"expected offers that can be used, found none; {remedy}")
    head = {key: value for key, value in content.items() if key != "offers"}
    if made_here := sorted(head.keys() & {"order", "set_aside"}):
        raise OfferError(f"{path.name}: {', '.join(made_here)}: expected no such key in a pool")
    try:
        pool = Offers.model_validate(
            {"prices_are_examples": False}
            | head
            | {
                "offers": [offers[name] for name in sorted(offers)],
                "order": sorted(offers, key=lambda name: offers[name].registered or _FIRST_DAY),
                "set_aside": sorted(entries.set_aside, key=lambda each: (each.id, each.reason)),
            }
        )
    except ValidationError as error:
        faults += described(error)
    if faults:
        faults += [f"{each.id}: {each.reason}" for each in entries.set_aside]
        raise OfferError(*(f"{path.name}: {fault}" for fault in faults))
    return pool


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
    version="7",  # 7: sources in more formats; 6: bundles and exclusions must fit
)
