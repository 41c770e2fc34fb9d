"""What starts by itself: reporting what `dvc repro` made; revaluing, on new offers or weekly."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps

from dagster import (
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    JobDefinition,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)

from appraise.errors.edge import as_ours, said
from appraise.orchestration.data_versions import DataVersions
from appraise.orchestration.jobs import EVERYTHING
from appraise.orchestration.partitions import dagster_key, offered
from appraise.orchestration.pipeline import Pipeline
from appraise.orchestration.recorders.dvc_lock import locked_md5
from appraise.storage.files import sha256_file

AT_WORK = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def report_versions(pipeline: Pipeline, instance: DagsterInstance) -> list[tuple[str, str]]:
    """Report to Dagster the partitions on disk that it does not know as they are: (noun, key)."""
    project = pipeline.project()
    if project.partitions("offers"):
        offered(pipeline, project, instance)
    reported = []
    for noun in pipeline.stages:
        versions = DataVersions(pipeline, project, instance, noun)
        for key in project.partitions(noun):
            if versions.known(key):
                continue
            event = AssetMaterialization(
                pipeline.asset_key(noun),
                description="Made outside of Dagster, by `dvc repro` or the command line.",
                partition=dagster_key(pipeline.partitions(noun), key),
                metadata={
                    "content_sha256": project.content(noun, key),
                    "dvc_md5": locked_md5(pipeline.root, noun) or "not recorded",
                },
                tags=versions.tags(key),
            )
            instance.report_runless_asset_event(event)
            reported.append((noun, key))
    return reported


Evaluate = Callable[[SensorEvaluationContext], SensorResult | SkipReason]


def _skipping_on_errors(pipeline: Pipeline) -> Callable[[Evaluate], Evaluate]:
    """What goes wrong in a tick is why it was skipped, on one line; the next tick tries again."""

    def guarded(evaluate: Evaluate) -> Evaluate:
        @wraps(evaluate)
        def guarding(context: SensorEvaluationContext) -> SensorResult | SkipReason:
            try:
                return evaluate(context)
            except Exception as error:  # of any kind: this is the edge
                return SkipReason(said(as_ours(error, pipeline.root)))

        return guarding

    return guarded


def reported_versions(pipeline: Pipeline) -> SensorDefinition:
    """A sensor on `dvc.lock`."""

    @sensor(
        name=pipeline.named("reported_versions"),
        description="Reports what `dvc repro` or `dvc pull` changed as new data versions.",
        minimum_interval_seconds=15,
        default_status=DefaultSensorStatus.RUNNING,
    )
    @_skipping_on_errors(pipeline)
    def evaluate(context: SensorEvaluationContext) -> SkipReason:
        lock = pipeline.root / "dvc.lock"
        if not lock.is_file():
            return SkipReason("There is no dvc.lock yet.")
        now = sha256_file(lock)
        if now == context.cursor:
            return SkipReason("dvc.lock is as it was.")
        if _at_work(pipeline, context.instance):
            return SkipReason("A run is at work; it reports what it makes itself.")
        reported = report_versions(pipeline, context.instance)
        context.update_cursor(now)
        names = ", ".join(f"{noun} {key}".strip() for noun, key in reported)
        return SkipReason(f"Reported {len(reported)} versions: {names}" if names else "All known.")

    return evaluate


def _at_work(pipeline: Pipeline, instance: DagsterInstance) -> bool:
    """Whether a run that makes assets of this project is under way; other runs do not count."""
    ours = {pipeline.asset_key(noun) for noun in pipeline.stages}
    return any(
        run.job_name == pipeline.named(EVERYTHING) or ours & (run.asset_selection or set())
        for run in instance.get_runs(RunsFilter(statuses=AT_WORK))
    )


def new_offers(pipeline: Pipeline, job: JobDefinition) -> SensorDefinition:
    """A sensor on the pool file."""

    @sensor(
        name=pipeline.named("new_offers"),
        description="Revalues when the pool of offers changes.",
        job=job,
        minimum_interval_seconds=30,
        default_status=DefaultSensorStatus.STOPPED,
    )
    @_skipping_on_errors(pipeline)
    def evaluate(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        project = pipeline.project()
        now = sha256_file(project.root / project.params.offers.pool)
        seen, changes = json.loads(context.cursor) if context.cursor else (_valued(pipeline), 0)
        if now == seen:
            return SkipReason("The pool is as it was.")
        # A number in the key: a pool that comes back to an earlier state is a change all the same.
        changes += 1
        return SensorResult(
            run_requests=[RunRequest(run_key=f"{changes}-{now}")],
            cursor=json.dumps([now, changes]),
        )

    return evaluate


def _valued(pipeline: Pipeline) -> str | None:
    """SHA-256 of the pool that the offers on disk were read from."""
    project = pipeline.project()
    if not project.partitions("offers"):
        return None
    return project.manifest("offers").outside.get("pool")


def revaluation(pipeline: Pipeline, job: JobDefinition) -> ScheduleDefinition:
    """Every Monday morning, once somebody switches it on."""
    return ScheduleDefinition(
        name=pipeline.named("revaluation"),
        description="Revalues every Monday at 06:00.",
        job=job,
        cron_schedule="0 6 * * 1",
        default_status=DefaultScheduleStatus.STOPPED,
    )
