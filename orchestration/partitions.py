"""Partitions: datasets come and go with the offers; targets and policies are in `params.yaml`."""

from __future__ import annotations

import warnings

from dagster import (
    AllPartitionMapping,
    BetaWarning,
    DagsterInstance,
    DynamicPartitionsDefinition,
    IdentityPartitionMapping,
    MultiPartitionKey,
    MultiPartitionsDefinition,
    MultiToSingleDimensionPartitionMapping,
    PartitionMapping,
    PartitionsDefinition,
    StaticPartitionsDefinition,
)

from appraise.orchestration.pipeline import Pipeline
from appraise.project import Project
from appraise.project.keys import Partitions

DATASETS = "auxiliary_datasets"


def definitions(pipeline: Pipeline) -> dict[Partitions, PartitionsDefinition | None]:
    """The partitions definition for each kind of key."""
    params = pipeline.project().params
    targets = StaticPartitionsDefinition(sorted(params.target_sets))
    policies = StaticPartitionsDefinition(list(params.policies()))
    return {
        "": None,
        "dataset": DynamicPartitionsDefinition(name=pipeline.named(DATASETS)),
        "target": targets,
        "target/policy": MultiPartitionsDefinition({"target": targets, "policy": policies}),
    }


def mapping(ours: Partitions, theirs: Partitions) -> PartitionMapping | None:
    """How a partition of an asset rests on those of an asset that it needs."""
    if theirs == "":
        return None
    if ours == theirs:
        return IdentityPartitionMapping()
    if {ours, theirs} == {"target", "target/policy"}:
        with warnings.catch_warnings(category=BetaWarning, action="ignore"):
            return MultiToSingleDimensionPartitionMapping("target")
    return AllPartitionMapping()


def dagster_key(kind: Partitions, key: str) -> str | None:
    """A key of the library as Dagster's partition key."""
    if kind == "":
        return None
    if kind == "target/policy":
        target, policy = key.split("/")
        return MultiPartitionKey({"target": target, "policy": policy})
    return key


def library_key(kind: Partitions, key: str | None) -> str:
    """Dagster's partition key as a key of the library."""
    if key is None:
        return ""
    if kind == "target/policy":
        dimensions = (
            key.keys_by_dimension
            if isinstance(key, MultiPartitionKey)
            else dict(zip(("policy", "target"), key.split("|"), strict=True))
        )
        return f"{dimensions['target']}/{dimensions['policy']}"
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
