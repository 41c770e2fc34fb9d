"""Projects as Dagster's `Definitions`: the one that Dagster loads from here, or any other.

`definitions_of` gives a project's assets, checks, jobs, sensors and schedule, to be merged with the
definitions of a code location. `defs` is what Dagster loads when it is given this module.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import dagster
from dagster import Definitions

from appraise.assets.shown import SHOWN
from appraise.orchestration.graph import read_graph
from appraise.orchestration.jobs import asset_checks, assets, everything, step_executor
from appraise.orchestration.pipeline import Pipeline
from appraise.orchestration.recorders import registered
from appraise.orchestration.sensors import new_offers, reported_versions, revaluation
from appraise.steps.recorder import Recorder


def definitions_of(
    root: Path | str,
    *,
    key_prefix: str | Sequence[str] = (),
    group: str = "",
    executor: str = "",
    recorders: Sequence[Recorder] | None = None,
) -> Definitions:
    """Everything that Dagster is to know of a project. Nothing is read from the environment or the
    current folder, but for what APPRAISE_EXECUTOR and MLFLOW_TRACKING_URI say when a step runs.

    Args:
        root: the project's folder, with `params.yaml` and `dvc.yaml`.
        key_prefix: of the asset keys; with `_` also of the names of jobs, sensors, ops, resources,
            dynamic partitions and groups, so that two projects fit one code location.
        group: the group of all assets; "" for groups by what the assets are of.
        executor: where partitions are made: `here`, `processes:N`, or "" for APPRAISE_EXECUTOR.
            A run can be configured otherwise, at the resource `step_executor`.
        recorders: what keeps a record of what is made; None for all that are registered.

    Raises:
        ParamsError: the project has no `dvc.yaml` or `params.yaml`, or one that cannot be used; or
            a prefix or group is no name for Dagster.
    """
    return definitions(
        pipeline_of(root, key_prefix=key_prefix, group=group, recorders=recorders), executor
    )


def definitions(pipeline: Pipeline, executor: str = "") -> Definitions:
    """Everything that Dagster is to know of a pipeline."""
    resources = step_executor(pipeline, executor)
    job = everything(pipeline, resources)
    return Definitions(
        assets=assets(pipeline),
        asset_checks=asset_checks(pipeline),
        jobs=[job],
        sensors=[reported_versions(pipeline), new_offers(pipeline, job)],
        schedules=[revaluation(pipeline, job)],
        resources=resources,
    )


def pipeline_of(
    root: Path | str,
    *,
    key_prefix: str | Sequence[str] = (),
    group: str = "",
    recorders: Sequence[Recorder] | None = None,
) -> Pipeline:
    """The pipeline of a project; see `definitions_of`."""
    folder = Path(root).resolve()
    prefix = (key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix)
    recorders = registered() if recorders is None else recorders
    return Pipeline(folder, read_graph(folder), SHOWN, recorders, prefix, group)


@dagster.definitions
def defs() -> Definitions:
    """The project that APPRAISE_PROJECT names; without it, that in the current folder."""
    return definitions_of(os.environ.get("APPRAISE_PROJECT", "."))
