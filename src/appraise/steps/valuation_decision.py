"""What was asked, what was bought and what was refused, and why; named by its own SHA-256.

The decision of a target is one JSON file. What it buys is the purchase of the policy that
`selected_subset.decide_by` names. Its `decision_id` is the SHA-256 of the canonical JSON of all
the rest, which names the content of everything it was drawn from: the same valuation gives the
same id wherever it is replayed, and a changed word in it is found out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

from tqdm import tqdm

from appraise.errors import ArtifactError
from appraise.presentation.policies import method_of
from appraise.project import Project, Recipe
from appraise.records.candidates import Candidates
from appraise.records.cards import TargetCard
from appraise.records.copies import CopiesSummary
from appraise.records.decision import Asked, SetAside
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.record import read_if_there
from appraise.records.subset import Subset
from appraise.records.values import (
    EntriesTable,
    OwnersTable,
    ProgramCertificate,
    Weight,
    WeightsTable,
)
from appraise.steps.deciding import Grounds, decide
from appraise.steps.evidence import evidence
from appraise.steps.step import Step, each_target

SECTIONS = (
    "base_model",
    "near_copies",
    "gradient_sketches",
    "kernel_matrix",
    "kmm_weights",
    "selected_subset",
)


def values_part(target: str, method: str | None) -> tuple[str, str] | None:
    """Noun and key of the partition with a method's values; None where a policy looks at none."""
    if method is None:
        return None
    return ("kmm_weights", target) if method == "kmm" else ("dataset_values", f"{target}/{method}")


def _parts(project: Project, target: str) -> list[tuple[str, str]]:
    """The partitions that are read."""
    values = values_part(target, method_of(project.params.selected_subset.decide_by))
    parts = [
        ("offers", ""),
        ("near_copies", ""),
        ("candidates", ""),
        ("kernel_matrix", ""),
        ("target_sets", target),
    ]
    parts += [values] if values else []
    parts += [("selected_subset", f"{target}/{policy}") for policy in project.params.policies()]
    for dataset in sorted(Offers.read(project.open("offers")).by_id):
        parts.append(("auxiliary_datasets", dataset))
        if project.set_aside("auxiliary_datasets", dataset) is None:
            parts.append(("gradient_sketches", dataset))
    return parts


def grounds(project: Project, target: str) -> Grounds:
    """What the steps before say of a target.

    Raises:
        ArtifactError: something is missing, damaged, or of another pool.
    """
    policy = project.params.selected_subset.decide_by
    part = values_part(target, method_of(policy))
    folder = project.open(*part) if part else None
    kernel, offers = Kernel.read(project.open("kernel_matrix")), Offers.read(project.open("offers"))
    purchases = {
        name: Subset.read(project.open("selected_subset", f"{target}/{name}"))
        for name in project.params.policies()
    }
    subset, table = purchases[policy], read_if_there(WeightsTable, folder)
    weights = table.weights() if table is not None else _by_score(subset, kernel, target, offers)
    _check_same(target, weights, offers, subset)
    owners, entries = read_if_there(OwnersTable, folder), read_if_there(EntriesTable, folder)
    return Grounds(
        target=target,
        title=TargetCard.read(project.open("target_sets", target)).title,
        asked=_asked(project, subset),
        offers=offers,
        method=method_of(policy),
        weights=weights,
        certificate=read_if_there(ProgramCertificate, folder),
        owners=tuple(owners.owners()) if owners else None,
        entered=entries.entered() if entries else {},
        subset=subset,
        purchases=purchases,
        kernel=kernel,
        copies=CopiesSummary.read(project.open("near_copies")),
        candidates=Candidates.read(project.open("candidates")),
        set_aside=tuple(_set_aside(project, offers)),
        contents={name: project.content("auxiliary_datasets", name) for name in weights},
        evidence=evidence(project, _parts(project, target)),
    )


def _by_score(subset: Subset, kernel: Kernel, target: str, offers: Offers) -> dict[str, Weight]:
    """What a policy that looks at no value ranked the datasets by."""
    alignment = dict(zip(kernel.ids, kernel.C[kernel.row(target)].tolist(), strict=True))
    cosines = dict(zip(kernel.ids, kernel.cosines(target).tolist(), strict=True))
    scores = {item.id: item.score for item in subset.ranking}
    return {
        name: Weight(
            id=name,
            owner=offers[name].provider,
            rows=0,
            price=offers[name].price,
            weight=scores[name],
            alignment=alignment[name],
            cosine=cosines[name],
            resampled=None,
            standing=None,
        )
        for name in sorted(set(scores) & set(alignment) & set(offers.by_id))
    }


def _check_same(target: str, weights: Mapping[str, Weight], offers: Offers, subset: Subset) -> None:
    ranked = {item.id for item in subset.ranking}
    others = sorted((set(weights) - set(offers.by_id)) | (set(weights) ^ ranked))
    if others:
        raise ArtifactError(
            f"decision of {target}: expected weights, subset and offers of the same datasets, "
            f"found {', '.join(others)} in some only; run the steps from `appraise offers` on"
        )


def _asked(project: Project, subset: Subset) -> Asked:
    sections = {name: getattr(project.params, name).model_dump(mode="json") for name in SECTIONS}
    policies = project.params.policies()
    return Asked(k=subset.k, budget=subset.budget, policies=policies, params=sections)


def _set_aside(project: Project, pool: Offers) -> Iterator[SetAside]:
    """Datasets that did not come as far as a valuation, with the step that stopped them."""
    for entry in pool.set_aside:
        yield SetAside(id=entry.id, step="offers", reason=entry.reason)
    for dataset in sorted(pool.by_id):
        for noun in ("auxiliary_datasets", "gradient_sketches"):
            why = project.set_aside(noun, dataset)
            if why is not None:
                yield SetAside(id=dataset, step=noun, reason=why)
                break


def _recipe(project: Project, key: str) -> Recipe:
    sections = {name: getattr(project.params, name).model_dump(mode="json") for name in SECTIONS}
    settings = {"policies": list(project.params.policies()), "params": sections}
    return Recipe(STEP.version, settings, evidence(project, _parts(project, key)))


def _make(project: Project, keys: Sequence[str]) -> None:
    for key in tqdm(keys, desc="valuation_decision", unit="target", disable=None, file=sys.stderr):
        with STEP.writing(project, key) as folder:
            decide(grounds(project, key)).write(folder)


STEP = Step(
    noun="valuation_decision",
    needs=(
        "offers",
        "target_sets",
        "auxiliary_datasets",
        "near_copies",
        "gradient_sketches",
        "candidates",
        "kernel_matrix",
        "kmm_weights",
        "selected_subset",
    ),
    partitions="target",
    keys=each_target,
    recipe=_recipe,
    make=_make,
    version="4",  # 4: a record with a schema, by any policy and method; 3: objective, owners, …
)
