"""What was asked, what was bought and what was refused, and why; named by its own SHA-256.

The decision of a target is one JSON file. What it buys is the purchase of the policy that
`selected_subset.decide_by` names. Its `decision_id` is the SHA-256 of the canonical JSON of all
the rest, which names the content of everything it was drawn from: the same valuation gives the
same id wherever it is replayed, and a changed word in it is found out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from appraise.errors import ArtifactError
from appraise.policies import POLICIES
from appraise.project import Project
from appraise.project.keys import joined, target_of
from appraise.project.reads import Fact, Given, Part, Reads, same
from appraise.records.candidates import Candidates
from appraise.records.cards import TargetCard
from appraise.records.certificate import ProgramCertificate
from appraise.records.copies import CopiesSummary
from appraise.records.decision import Asked, Decision, SetAside
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.record import read_if_there
from appraise.records.subset import Subset
from appraise.records.values import EntriesTable, OwnersTable, Weight, WeightsTable
from appraise.steps.dataset_values import METHOD_NAMES
from appraise.steps.deciding import decide
from appraise.steps.evidence import evidence
from appraise.steps.gradient_sketches import usable
from appraise.steps.grounds import Grounds
from appraise.steps.progress import Progress
from appraise.steps.step import Output, Step, each_target

DATASETS, VALUES, SUBSETS = "auxiliary_datasets", "dataset_values", "selected_subset"

# The settings that a decision states, whole sections.
SECTIONS = (
    "base_model",
    "near_copies",
    "gradient_sketches",
    "candidates",
    "kernel_matrix",
    "dataset_values",
    "kmm_weights",
    "selected_subset",
)


def offered(project: Project, _: str = "") -> list[str]:
    """The datasets on offer, sorted."""
    return sorted(project.read(Offers, "offers").by_id)


def sketched(project: Project, _: str = "") -> list[str]:
    """The datasets of which a sketch was tried: all but those that were set aside before."""
    return sorted(usable(project))


def _values(project: Project, key: str) -> list[str]:
    """The values that the decision rests on; none where its policy reads none."""
    method = POLICIES[project.params.selected_subset.decide_by].method
    return [] if method is None else [joined(target_of(key), method)]


def _purchases(project: Project, key: str) -> list[str]:
    return [joined(key, policy) for policy in project.params.policies()]


def _policies(project: Project, _: str) -> list[str]:
    return list(project.params.policies())


def _set_aside(project: Project, _: str) -> JsonValue:
    """Datasets that did not come as far as a valuation, with the step that stopped them."""
    pool = project.read(Offers, "offers")
    stopped: list[JsonValue] = [
        {"id": entry.id, "step": "offers", "reason": entry.reason} for entry in pool.set_aside
    ]
    for dataset in sorted(pool.by_id):
        for noun in (DATASETS, "gradient_sketches"):
            why = project.set_aside(noun, dataset)
            if why is not None:
                stopped.append({"id": dataset, "step": noun, "reason": why})
                break
    return stopped


def _make(partitions: Sequence[Given], progress: Progress) -> Iterator[Output]:  # noqa: ARG001
    for given in partitions:
        yield Output(given.key, (decide(_grounds(given)),))


def _grounds(given: Given) -> Grounds:
    """What the steps before say of a target.

    Raises:
        ArtifactError: something is missing, damaged, or of another pool.
    """
    target, policies = given.key, given.fact("policies")
    policy = POLICIES[given.params.selected_subset.decide_by]
    keys = given.keys(VALUES)
    folder = given.folder(VALUES, keys[0]) if keys else None
    kernel, offers = given.read(Kernel, "kernel_matrix"), given.read(Offers, "offers")
    purchases = {name: given.read(Subset, SUBSETS, joined(target, name)) for name in policies}
    subset, table = purchases[policy.name], read_if_there(WeightsTable, folder)
    weights = table.weights() if table is not None else _by_score(subset, kernel, target, offers)
    _check_same(target, weights, offers, subset)
    owners, entries = read_if_there(OwnersTable, folder), read_if_there(EntriesTable, folder)
    return Grounds(
        target=target,
        title=given.read(TargetCard, "target_sets", target).title,
        asked=_asked(given, subset),
        offers=offers,
        method=policy.method,
        weights=weights,
        certificate=read_if_there(ProgramCertificate, folder),
        owners=tuple(owners.owners()) if owners else None,
        entered=entries.entered() if entries else {},
        subset=subset,
        purchases=purchases,
        kernel=kernel,
        copies=given.read(CopiesSummary, "near_copies"),
        candidates=given.read(Candidates, "candidates"),
        set_aside=tuple(SetAside(**each) for each in given.fact("set_aside")),
        contents={name: given.sha256(DATASETS, name) for name in weights},
        evidence=evidence(given),
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


def _asked(given: Given, subset: Subset) -> Asked:
    sections = {name: getattr(given.params, name).model_dump(mode="json") for name in SECTIONS}
    return Asked(
        k=subset.k,
        budget=subset.budget,
        exchange_rate=subset.exchange_rate,
        policies=tuple(given.fact("policies")),
        params=sections,
    )


STEP = Step(
    noun="valuation_decision",
    partitions="target",
    keys=each_target,
    reads=Reads(
        settings=SECTIONS,
        parts=(
            Part("offers"),
            Part("target_sets", keys=same),
            Part(DATASETS, keys=offered),
            Part("near_copies"),
            Part("gradient_sketches", keys=sketched),
            Part("candidates"),
            Part("kernel_matrix"),
            Part(VALUES, keys=_values),
            Part(SUBSETS, keys=_purchases),
        ),
        facts=(
            Fact("policies", _policies, settings=METHOD_NAMES),
            Fact("set_aside", _set_aside, nouns=("offers", DATASETS, "gradient_sketches")),
        ),
    ),
    writes=(Decision,),
    make=_make,
    version="5",  # 5: reasons by what is bought; 4: a record, by any policy and method
)
