"""What Dagster loads: the project in the current folder, or that which APPRAISE_PROJECT names."""

from __future__ import annotations

import os
from pathlib import Path

from dagster import Definitions

from appraise.assets.shown import SHOWN
from appraise.orchestration import jobs, sensors
from appraise.orchestration.graph import read_graph
from appraise.orchestration.mlflow_log import MlflowLog
from appraise.orchestration.pipeline import Pipeline


def definitions(pipeline: Pipeline) -> Definitions:
    """Everything that Dagster is to know of a project."""
    resources = {"mlflow": MlflowLog()}
    everything = jobs.everything(pipeline, resources)
    return Definitions(
        assets=jobs.assets(pipeline),
        asset_checks=jobs.asset_checks(pipeline),
        jobs=[everything],
        sensors=[sensors.reported_versions(pipeline), sensors.new_offers(pipeline, everything)],
        schedules=[sensors.revaluation(everything)],
        resources=resources,
    )


def pipeline_of(root: Path) -> Pipeline:
    """The pipeline of a project."""
    return Pipeline(root, read_graph(root), SHOWN)


defs = definitions(pipeline_of(Path(os.environ.get("APPRAISE_PROJECT", ".")).resolve()))
