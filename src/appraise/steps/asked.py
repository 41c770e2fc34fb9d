"""What was asked for, checked before anything is computed: settings, pool, and the files they name.

All that is wrong is said in one answer. `check` does so at the start of every job; `faults` is for
whoever wants to know without starting one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from appraise.errors import AppraiseError, ArtifactError, OfferError, ParamsError, SolverError
from appraise.examples import licences
from appraise.examples.first_rows import first_fault
from appraise.examples.sources import kind
from appraise.language_model.tasks import folders_of
from appraise.numerics.limits import limits_by_id
from appraise.project import Project
from appraise.project.params import read_sections
from appraise.records.offers import Offer, Offers
from appraise.settings.data import AuxiliaryDatasetsParams, Component, OffersParams, TargetParams
from appraise.settings.section import expected_one_of
from appraise.settings.valuation import KmmWeightsParams
from appraise.steps.entries import check_pinned
from appraise.steps.offers import pool_path, read_pool

PARAMS = "params.yaml"
READING = ("base_model", "offers", "target_sets", "auxiliary_datasets")  # what others wrote
_POOL, _DATASETS, _TARGETS = "offers", "auxiliary_datasets", "target_sets"


@dataclass(frozen=True)
class Fault:
    """Something that is wrong with what was asked for.

    Attributes:
        says: the place, what was expected, what was found, what to do.
        offer: the dataset that is set aside for it, while the others go on; "" where nothing can
            be computed before it is put right.
    """

    says: str
    offer: str = ""


def check(project: Project, noun: str = "") -> tuple[Fault, ...]:
    """Refuse what cannot be computed.

    Args:
        noun: the step that is about to run; "" for all of them.

    Returns:
        What sets single datasets aside.

    Raises:
        ParamsError: with a line for everything that is wrong, of single datasets too.
    """
    found = faults(project, reading=not noun or noun in READING)
    if any(not fault.offer for fault in found):
        raise ParamsError(*(fault.says for fault in found))
    return found


def faults(project: Project, reading: bool = True) -> tuple[Fault, ...]:
    """Everything that is wrong with what was asked for, as far as it can be known at once.

    Of the data it looks at what has not been read yet, is on this machine and small.

    Args:
        reading: whether pool and data are read; else the offers as they were read count.
    """
    try:
        sections, wrong = read_sections(project.root / PARAMS)
    except ParamsError as error:
        return tuple(map(Fault, error.faults))
    found = [Fault(f"{PARAMS}: {line}") for line in wrong]
    asked = _Asked(project, sections)
    for look in (_settings, _targets, _pool) if reading else (_settings, _made):
        found += look(asked)
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class _Asked:
    """A project and those of its settings that can be used.

    Attributes:
        sections: by their names in `params.yaml`.
    """

    project: Project
    sections: Mapping[str, Any]

    @property
    def pairs(self) -> bool:
        """Whether every row needs a worse answer."""
        sketches = self.sections.get("gradient_sketches")
        return sketches is not None and bool(sketches.objective.pairs)

    @property
    def max_row_bytes(self) -> int:
        """The largest row."""
        default = AuxiliaryDatasetsParams.model_fields["max_row_bytes"].default
        return int(getattr(self.sections.get(_DATASETS), "max_row_bytes", default))

    def was_read(self, noun: str, key: str, name: str, value: Any) -> bool:
        """Whether a partition was made from this setting or fact: its source is not read again."""
        try:
            recipe = self.project.manifest(noun, key).recipe
        except ArtifactError:
            return False
        return {**recipe.settings, **recipe.facts}.get(name) == value


def _settings(asked: _Asked) -> Iterator[Fault]:
    """Names of things outside of the settings."""
    offers, sketches = asked.sections.get(_POOL), asked.sections.get("gradient_sketches")
    for licence in (offers.licences or ()) if offers else ():
        yield from _said("offers.licences: ", partial(licences.check, licence))
    if sketches:
        yield from _said("gradient_sketches.", sketches.objective.check)
    evaluation = asked.sections.get("evaluation")
    for task in evaluation.tasks if evaluation else ():
        yield from _said("", partial(folders_of, [task], asked.project.root))


def _said(place: str, attempt: Callable[[], object]) -> Iterator[Fault]:
    """What an attempt is refused with, behind the place in `params.yaml`."""
    try:
        attempt()
    except AppraiseError as error:
        for fault in error.faults:
            yield Fault(f"{PARAMS}: {place}{fault}")


def _targets(asked: _Asked) -> Iterator[Fault]:
    """Each component of each target."""
    targets: Mapping[str, TargetParams] = asked.sections.get(_TARGETS, {})
    root, limit = asked.project.root, asked.max_row_bytes
    for name, target in targets.items():
        if asked.was_read(_TARGETS, name, "target_sets.*", target.model_dump(mode="json")):
            continue
        for component in target.components:
            place = f"target_sets.{name}.components.{component.name}"
            if not _is_own_file(component, root):
                yield from _said(f"{place}: ", partial(check_pinned, component, root))
            fault = first_fault(component, root, limit, group=component.group, pairs=asked.pairs)
            if fault is not None:
                yield Fault(f"{PARAMS}: {place}: {fault}")


def _is_own_file(component: Component, root: Path) -> bool:
    """Whether it is a file here, which is hashed whenever the target is looked at."""
    try:
        what = kind(component.source, root)
    except OfferError:
        return True  # there is nothing, which is said where it is looked at
    return what == "file" and "://" not in component.source.split("::")[-1]


def _pool(asked: _Asked) -> Iterator[Fault]:
    """The pool, each of its offers, and what settings say of them."""
    params: OffersParams | None = asked.sections.get(_POOL)
    if params is None:
        return
    try:
        path = pool_path(asked.project.root, params)
        pool = read_pool(path, asked.project.root, _valid(params.licences))
    except OfferError as error:
        yield from map(Fault, error.faults)
        return
    for each in pool.set_aside:
        yield Fault(f"{path.name}: {each.id}: {each.reason}", each.id)
    refused = [fault for offer in pool.offers for fault in _of_offer(asked, path.name, offer)]
    yield from refused
    aside = {fault.offer for fault in refused}
    usable = [offer for offer in pool.offers if offer.id not in aside]
    if not usable:
        yield Fault(f"{path.name}: expected an offer that can be used, found none; correct these")
    yield from _limits(asked, pool, usable)


def _made(asked: _Asked) -> Iterator[Fault]:
    """What settings say of the offers as they were read."""
    try:
        pool = asked.project.read(Offers, _POOL)
    except ArtifactError:
        return
    yield from _limits(asked, pool, pool.offers)


def _valid(accepted: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The accepted licences that are licences; the others are said with the settings."""
    return None if accepted is None else tuple(filter(_is_licence, accepted))


def _is_licence(name: str) -> bool:
    try:
        licences.check(name)
    except OfferError:
        return False
    return True


def _of_offer(asked: _Asked, pool: str, offer: Offer) -> Iterator[Fault]:
    """What would set an offer aside whose entry is right."""
    if asked.was_read(_DATASETS, offer.id, "offer", offer.model_dump(mode="json")):
        return
    fault = first_fault(offer, asked.project.root, asked.max_row_bytes, pairs=asked.pairs)
    if fault is not None:
        yield Fault(f"{pool}: {offer.id}: {fault}", offer.id)


def _limits(asked: _Asked, pool: Offers, usable: Sequence[Offer]) -> Iterator[Fault]:
    """Limits on the weights of datasets that nobody offers, and limits that leave no room."""
    kmm: KmmWeightsParams | None = asked.sections.get("kmm_weights")
    if kmm is None or not usable:
        return
    known = [*pool.by_id, *(each.id for each in pool.set_aside)]
    for name in kmm.caps:
        if name not in known:
            yield Fault(f"{PARAMS}: kmm_weights.caps: {expected_one_of(known, name)}")
    ids, owners = [offer.id for offer in usable], [offer.provider for offer in usable]
    try:
        limits_by_id(ids, owners, kmm.cap, kmm.caps, kmm.owner_cap, kmm.total)
    except SolverError as error:
        yield Fault(f"{PARAMS}: kmm_weights.{error}")
