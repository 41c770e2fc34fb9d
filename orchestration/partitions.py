"""Partitions: datasets come and go with the offers, all else is named in `params.yaml`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from dagster import (
    AllPartitionMapping,
    BetaWarning,
    DagsterInstance,
    DimensionPartitionMapping,
    DynamicPartitionsDefinition,
    IdentityPartitionMapping,
    MultiPartitionKey,
    MultiPartitionMapping,
    MultiPartitionsDefinition,
    MultiToSingleDimensionPartitionMapping,
    PartitionMapping,
    PartitionsDefinition,
    StaticPartitionsDefinition,
)

from appraise.orchestration.pipeline import Pipeline
from appraise.project import Project
from appraise.project.keys import Partitions, joined, name_of, target_of

DATASETS = "auxiliary_datasets"


def definitions(pipeline: Pipeline) -> dict[Partitions, PartitionsDefinition | None]:
    """The partitions definition for each kind of key."""
    params = pipeline.project().params
    targets = StaticPartitionsDefinition(sorted(params.target_sets))
    return {
        "": None,
        "dataset": DynamicPartitionsDefinition(name=pipeline.named(DATASETS)),
        "target": targets,
        "target/method": _of_targets(targets, "method", params.methods()),
        "target/policy": _of_targets(targets, "policy", params.policies()),
    }


def _of_targets(
    targets: PartitionsDefinition, dimension: str, names: Sequence[str]
) -> MultiPartitionsDefinition:
    return MultiPartitionsDefinition(
        {"target": targets, dimension: StaticPartitionsDefinition(list(names))}
    )


def mapping(ours: Partitions, theirs: Partitions) -> PartitionMapping | None:
    """How a partition of an asset rests on those of an asset that it needs."""
    if theirs == "":
        return None
    if ours == theirs:
        return IdentityPartitionMapping()
    with warnings.catch_warnings(category=BetaWarning, action="ignore"):
        if second(ours) and second(theirs):  # every method or policy of the same target
            same = DimensionPartitionMapping("target", IdentityPartitionMapping())
            return MultiPartitionMapping({"target": same})
        if "target" in (ours, theirs) and (second(ours) or second(theirs)):
            return MultiToSingleDimensionPartitionMapping("target")
    return AllPartitionMapping()


def second(kind: Partitions) -> str:
    """The dimension beside the target: `method`, `policy`, or none."""
    return kind.partition("/")[2]


def dagster_key(kind: Partitions, key: str) -> str | None:
    """A key of the library as Dagster's partition key."""
    if kind == "":
        return None
    dimension = second(kind)
    if dimension:
        return MultiPartitionKey({"target": target_of(key), dimension: name_of(key)})
    return key


def library_key(kind: Partitions, key: str | None) -> str:
    """Dagster's partition key as a key of the library."""
    if key is None:
        return ""
    dimension = second(kind)
    if dimension:
        names = (
            key.keys_by_dimension
            if isinstance(key, MultiPartitionKey)
            else dict(zip(sorted(("target", dimension)), key.split("|"), strict=True))
        )
        return joined(names["target"], names[dimension])
    return key


def offered(pipeline: Pipeline, project: Project, instance: DagsterInstance) -> tuple[str, ...]:
    """Make the dataset partitions equal to what is on offer now; the keys that are new."""
    wanted = pipeline.step(DATASETS).keys(project)
    name = pipeline.named(DATASETS)
    known = set(instance.get_dynamic_partitions(name))
    new = tuple(key for key in wanted if key not in known)
    if new:
        instance.add_dynamic_partitions(name, list(new))
    for key in sorted(known - set(wanted)):
        instance.delete_dynamic_partition(name, key)
    return new
