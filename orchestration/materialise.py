"""Bring partitions of an asset up to date, have them recorded, and report them to Dagster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dagster import (
    AssetCheckEvaluation,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    Failure,
    MetadataValue,
    OpExecutionContext,
)
from dagster._core.definitions.metadata import RawMetadataValue

from appraise.errors import AppraiseError
from appraise.errors.edge import as_ours, said
from appraise.orchestration.data_versions import DataVersions
from appraise.orchestration.partitions import dagster_key, offered
from appraise.orchestration.pipeline import Check, Pipeline
from appraise.orchestration.step_executor import StepExecutor
from appraise.project import Project
from appraise.steps.runner import Made, run

Context = AssetExecutionContext | OpExecutionContext


@dataclass(frozen=True)
class Materialised:
    """One partition of an asset after a run: what Dagster is to know of it."""

    asset_key: AssetKey
    key: str
    partition: str | None
    tags: Mapping[str, str]
    metadata: Mapping[str, RawMetadataValue]

    def event(self) -> AssetMaterialization:
        """The event that Dagster keeps."""
        return AssetMaterialization(
            self.asset_key, partition=self.partition, metadata=self.metadata, tags=self.tags
        )


def materialise(
    pipeline: Pipeline,
    noun: str,
    context: Context,
    executor: StepExecutor,
    keys: Sequence[str] | None = None,
) -> list[Materialised]:
    """Run a step, and have the pipeline's recorders record it.

    Args:
        keys: the partitions wanted; None for all, of which those come back that Dagster does not
            yet know as they are.

    Raises:
        AppraiseError: whatever the step raises. A recorder that fails is an error in the log, and
            a fact of each partition.
    """
    project = pipeline.project()
    started = time.monotonic()
    pipeline.check(project, noun)
    made = run(
        pipeline.step(noun),
        project,
        keys,
        executor=executor.chosen(),
        recorders=pipeline.recorders,
        by="dagster",
        run_id=context.run_id,
    )
    if noun == "offers":
        offered(pipeline, project, context.instance)
    context.log.info(_said(made, time.monotonic() - started))
    for name, recorded in made.recorded.items():
        if recorded.left_out:
            context.log.warning(f"{noun}: not recorded by {name}: {recorded.left_out}")
    for name, why in made.unrecorded.items():
        context.log.error(f"{noun}: made, but not recorded by {name}: {why}")
    versions = DataVersions(pipeline, project, context.instance, noun)
    done = sorted((*made.made, *made.current))
    if keys is None:
        done = [key for key in done if key in made.made or not versions.known(key)]
    return [
        Materialised(
            pipeline.asset_key(noun),
            key,
            dagster_key(pipeline.partitions(noun), key),
            versions.tags(key),
            _metadata(pipeline, project, made, key),
        )
        for key in done
    ]


@contextmanager
def failing_in_one_line(pipeline: Pipeline) -> Iterator[None]:
    """Whatever is raised becomes Dagster's Failure: one line, with the command line's exit code."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:  # of any kind: this is the edge
        ours = as_ours(error, pipeline.root)
        raise failure(ours) from None


def failure(error: AppraiseError) -> Failure:
    """An error of ours as Dagster's."""
    return Failure(said(error), metadata={"exit_code": error.exit_code}, allow_retries=False)


def _said(made: Made, seconds: float) -> str:
    removed = f", {len(made.removed)} removed" if made.removed else ""
    counts = f"{len(made.made)} made, {len(made.current)} already up to date{removed}"
    return f"{made.noun:20} {counts} ({seconds:.1f} s)"


def _metadata(
    pipeline: Pipeline, project: Project, made: Made, key: str
) -> dict[str, RawMetadataValue]:
    noun = made.noun
    shown = dict(pipeline.shown[noun].describe(project, key))
    shown["content_sha256"] = project.content(noun, key)
    shown["folder"] = MetadataValue.path(str(project.folder(noun, key).relative_to(project.root)))
    for recorded in made.recorded.values():
        for of in dict.fromkeys(("", key)):
            shown |= recorded.facts.get(of, {})
    return shown | {f"not_recorded_by_{name}": why for name, why in made.unrecorded.items()}


def examine(pipeline: Pipeline, noun: str, check: Check) -> AssetCheckEvaluation:
    """Make a check and say what it found, as the event that Dagster shows."""
    verdict = check.examine(pipeline.project())
    return AssetCheckEvaluation(
        asset_key=pipeline.asset_key(noun),
        check_name=check.name,
        passed=verdict.passed,
        metadata={
            name: MetadataValue.text(v) if isinstance(v, str) else v
            for name, v in verdict.metadata.items()
        },
        severity=verdict.severity,
        blocking=check.blocking,
    )
