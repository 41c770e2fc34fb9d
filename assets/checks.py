"""The checks: each a function of the project, which looks at all that is on disk."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from dagster import AssetCheckSeverity, MetadataValue

from appraise.assets.tables import table
from appraise.errors import ArtifactError, SolverError
from appraise.examples import rules
from appraise.examples.overlap import Marks, Question
from appraise.numerics.kernel import kernel_evidence
from appraise.orchestration.pipeline import Verdict
from appraise.project import Project
from appraise.project.keys import target_of
from appraise.records import examples as tables
from appraise.records.cards import DatasetCard, ValidationChecks
from appraise.records.certificate import ProgramCertificate
from appraise.records.fingerprints import Fingerprints
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.sketch import Sketch
from appraise.records.subset import Subset
from appraise.review.verification import recertified

MOST_ROWS = 50


def datasets_valid(project: Project) -> Verdict:
    """Every dataset that goes on keeps the rules of `examples.rules`; asked of its rows anew."""
    fewest = project.params.auxiliary_datasets.min_examples
    faults: list[dict[str, object]] = []
    rows: list[dict[str, object]] = []
    keys = _going_on(project, "auxiliary_datasets")
    for key in keys:
        folder = project.open("auxiliary_datasets", key)
        examples = tables.read(folder / tables.EXAMPLES)
        broken = rules.faults(examples, fewest)
        faults += [{"id": key, "fault": fault, "rows": n} for fault, n in broken.items()]
        checks = ValidationChecks.read(folder).checks
        met = sum(check.success for check in checks)
        counts = DatasetCard.read(folder).counts
        rows.append(
            {
                "id": key,
                "rows": counts.rows if counts else 0,
                "kept": len(examples),
                "expectations_met": f"{met} of {len(checks)}",
            }
        )
    docs = project.root / ".appraise" / "data_docs" / "index.html"
    metadata = {
        "datasets": table(rows),
        "faults": table(faults),
        "failed_rows": table(_all_failed_rows(project, keys)),
        "data_docs": MetadataValue.path(str(docs)),
    }
    return Verdict(bool(rows) and not faults, metadata)


def datasets_set_aside(project: Project) -> Verdict:
    """Whether any dataset was set aside, here or when the offers were read; a warning."""
    aside = [entry.as_json() for entry in Offers.read(project.open("offers")).set_aside]
    reasons = {
        key: project.set_aside("auxiliary_datasets", key)
        for key in project.partitions("auxiliary_datasets")
    }
    here = {key: reason for key, reason in reasons.items() if reason}
    metadata = {
        "set_aside": table(
            [*aside, *({"id": key, "reason": reason} for key, reason in here.items())]
        ),
        "failed_rows": table(_all_failed_rows(project, here)),
    }
    return Verdict(not here and not aside, metadata, AssetCheckSeverity.WARN)


def failed_rows(validation: ValidationChecks) -> list[dict[str, object]]:
    """The rows that failed an expectation, as validation.json lists them."""
    columns = ("row", "column", "reason", "value")
    return [
        {name: getattr(row, name) for name in columns}
        for check in validation.checks
        for row in check.failed_rows
    ]


def _all_failed_rows(project: Project, keys: Iterable[str]) -> list[dict[str, object]]:
    rows = [
        {"id": key, **row}
        for key in keys
        for row in failed_rows(ValidationChecks.read(project.open("auxiliary_datasets", key)))
    ]
    return rows[:MOST_ROWS]


def sketches_finite(project: Project) -> Verdict:
    """NaN, infinity or nothing but zeros in a sketch."""
    faults, examples = [], 0
    for key in _going_on(project, "gradient_sketches"):
        rows = Sketch.read(project.open("gradient_sketches", key)).rows
        examples += len(rows)
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        if bad or not rows.any():
            faults.append({"id": key, "rows_not_finite": bad, "all_zero": not rows.any()})
    return Verdict(not faults, {"examples": examples, "faults": table(faults)})


def kernel_symmetric_psd(project: Project) -> Verdict:
    """K from its file, checked anew."""
    kernel = Kernel.read(project.open("kernel_matrix"))
    tolerance = project.params.kernel_matrix.tolerance
    try:
        evidence = kernel_evidence(kernel.K, tolerance)
    except SolverError as error:
        return Verdict(False, {"found": str(error), "tolerance": tolerance})
    return Verdict(
        True,
        {
            "min_eigenvalue": evidence.min_eigenvalue,
            "max_eigenvalue": evidence.max_eigenvalue,
            "tolerance": tolerance,
        },
    )


def certificate_within_tolerance(project: Project) -> Verdict:
    """Each target's weights against K and c."""
    rows: list[dict[str, object]] = []
    passed = True
    for key in project.partitions("dataset_values"):
        if ProgramCertificate.FILE not in project.manifest("dataset_values", key).files:
            continue  # by a method that solves no program
        try:
            stated, found = recertified(project, key)
        except ArtifactError as error:
            rows.append({"target": target_of(key), "optimal": False, "found": str(error)})
            passed = False
            continue
        optimal = bool(found.relative_error <= stated.tolerance)
        passed = passed and optimal
        rows.append(
            {
                "target": target_of(key),
                "optimal": optimal,
                "gap": float(found.gap),
                "kkt_violation": float(found.kkt_violation),
                "relative_error": float(found.relative_error),
                "tolerance": stated.tolerance,
            }
        )
    return Verdict(bool(rows) and passed, {"targets": table(rows)})


def no_overlap_with_test(project: Project) -> Verdict:
    """The questions of all that any policy buys against those of the target's test split."""
    shared, compared = [], 0
    for target in project.partitions("target_sets"):
        test = tables.read(project.open("target_sets", target) / tables.split_file("test"))
        # all of the target's rows tell which questions say too little, not those of its test alone
        known = Marks(test).all & set(project.read(Fingerprints, "target_sets", target).marks)
        for dataset in _bought(project, target):
            examples = tables.read(project.open("auxiliary_datasets", dataset) / tables.EXAMPLES)
            compared += len(examples)
            shared += [
                {"target": target, "dataset": dataset, "example": example.id}
                for example in examples
                if not known.isdisjoint(Question.of(example).certain)
            ]
    metadata = {
        "examples_compared": compared,
        "shared": len(shared),
        "examples": table(shared[:MOST_ROWS]),
    }
    return Verdict(not shared, metadata)


def _bought(project: Project, target: str) -> list[str]:
    """What any policy buys for a target."""
    keys = {f"{target}/{policy}" for policy in project.params.policies()}
    subsets = [
        Subset.read(project.open("selected_subset", key)).datasets
        for key in sorted(keys & set(project.partitions("selected_subset")))
    ]
    return sorted({dataset for datasets in subsets for dataset in datasets})


def _going_on(project: Project, noun: str) -> list[str]:
    """The partitions that were not set aside."""
    return [key for key in project.partitions(noun) if project.set_aside(noun, key) is None]
