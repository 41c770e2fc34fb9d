"""Bring partitions of an asset up to date and tell Dagster, DVC and MLflow of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    Failure,
    MetadataValue,
    OpExecutionContext,
)

from appraise.errors import AppraiseError
from appraise.orchestration.data_versions import DataVersions
from appraise.orchestration.dvc_record import Recorded, record
from appraise.orchestration.mlflow_log import MlflowLog
from appraise.orchestration.partitions import dagster_key, offered
from appraise.orchestration.pipeline import Check, Pipeline
from appraise.project import Project
from appraise.steps.step import Made, run

Context = AssetExecutionContext | OpExecutionContext


@dataclass(frozen=True)
class Materialised:
    """One partition of an asset after a run: what Dagster is to know of it."""

    noun: str
    key: str
    partition: str | None
    tags: dict[str, str]
    metadata: dict[str, Any]

    def event(self) -> AssetMaterialization:
        """The event that Dagster keeps."""
        return AssetMaterialization(
            AssetKey(self.noun), partition=self.partition, metadata=self.metadata, tags=self.tags
        )


def materialise(
    pipeline: Pipeline,
    noun: str,
    context: Context,
    mlflow: MlflowLog,
    keys: Sequence[str] | None = None,
) -> list[Materialised]:
    """Run a step in this process, record it in DVC, log it in MLflow.

    Args:
        keys: the partitions wanted; None for all, of which those come back that Dagster does not
            yet know as they are.

    Raises:
        Failure: with the one line of an error of the library.
    """
    project = pipeline.project()
    started = time.monotonic()
    try:
        made = _run(pipeline, project, noun, mlflow, keys)
        if noun == "offers":
            offered(pipeline, project, context.instance)
        recorded = record(project, pipeline.step(noun))
        runs = mlflow.log(project, noun, context.run_id)
    except AppraiseError as error:
        raise Failure(
            str(error), metadata={"exit_code": error.exit_code}, allow_retries=False
        ) from error
    context.log.info(_said(made, time.monotonic() - started))
    if recorded.reason:
        context.log.warning(f"{noun}: not recorded in DVC: {recorded.reason}")
    versions = DataVersions(pipeline, project, context.instance, noun)
    done = sorted((*made.made, *made.current))
    if keys is None:
        done = [key for key in done if key in made.made or not versions.known(key)]
    return [
        Materialised(
            noun,
            key,
            dagster_key(pipeline.partitions(noun), key),
            versions.tags(key),
            _metadata(pipeline, project, noun, key, recorded, runs.get(key)),
        )
        for key in done
    ]


def _run(
    pipeline: Pipeline,
    project: Project,
    noun: str,
    mlflow: MlflowLog,
    keys: Sequence[str] | None,
) -> Made:
    try:
        return run(pipeline.step(noun), project, keys)
    except Exception as error:
        try:
            mlflow.failed(project, noun, error)
        except AppraiseError as second:  # the first is the one to tell
            error.add_note(f"MLflow was not told: {second}")
        raise


def _said(made: Made, seconds: float) -> str:
    removed = f", {len(made.removed)} removed" if made.removed else ""
    counts = f"{len(made.made)} made, {len(made.current)} already up to date{removed}"
    return f"{made.noun:20} {counts} ({seconds:.1f} s)"


def _metadata(
    pipeline: Pipeline,
    project: Project,
    noun: str,
    key: str,
    recorded: Recorded,
    mlflow_run: str | None,
) -> dict[str, Any]:
    found = dict(pipeline.shown[noun].describe(project, key))
    found["content_sha256"] = project.content(noun, key)
    found["folder"] = MetadataValue.path(str(project.folder(noun, key).relative_to(project.root)))
    if recorded.md5:
        found["dvc_md5"] = recorded.md5
    if mlflow_run:
        found["mlflow_run_id"] = mlflow_run
    return found


def examine(pipeline: Pipeline, noun: str, check: Check) -> AssetCheckEvaluation:
    """Make a check and say what it found, as the event that Dagster shows."""
    try:
        verdict = check.examine(pipeline.project())
    except AppraiseError as error:
        raise Failure(
            str(error), metadata={"exit_code": error.exit_code}, allow_retries=False
        ) from error
    return AssetCheckEvaluation(
        asset_key=AssetKey(noun),
        check_name=check.name,
        passed=verdict.passed,
        metadata={
            name: MetadataValue.text(v) if isinstance(v, str) else v
            for name, v in verdict.metadata.items()
        },
        severity=verdict.severity,
        blocking=check.blocking,
    )
