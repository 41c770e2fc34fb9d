"""Sensors: what `dvc repro` made outside, and new offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRunStatus,
    RunRequest,
    SensorResult,
    SkipReason,
    build_sensor_context,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.test_utils import create_run_for_test
from fake_pipeline import TinyProject, dvc, make_project, offer  # type: ignore[import-not-found]

from appraise.orchestration import jobs, sensors
from appraise.orchestration.partitions import dagster_key


@pytest.fixture
def tiny_project(tmp_path: Path) -> TinyProject:
    return TinyProject(make_project(tmp_path / "project"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as one:
        yield one


def version(
    instance: DagsterInstance, tiny_project: TinyProject, noun: str, key: str
) -> str | None:
    partition = dagster_key(tiny_project.pipeline.partitions(noun), key)
    record = instance.get_latest_data_version_record(AssetKey(noun), False, partition)
    return (record.event_log_entry.tags or {}).get(DATA_VERSION_TAG) if record else None


def test_dagster_learns_what_repro_made(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    sensor = sensors.reported_versions(tiny_project.pipeline)
    context = build_sensor_context(instance)
    assert "no dvc.lock" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    assert dvc(tiny_project.root, "repro").returncode == 0
    assert "Reported 10 versions" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    for noun in tiny_project.pipeline.stages:
        for key in tiny_project.project.partitions(noun):
            content = tiny_project.project.content(noun, key)
            assert version(instance, tiny_project, noun, key) == content
    assert sorted(instance.get_dynamic_partitions("auxiliary_datasets")) == ["a", "b"]
    assert "as it was" in str(sensor(context).skip_message)  # type: ignore[union-attr]


def test_only_what_changed_is_reported(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    job = jobs.everything(tiny_project.pipeline)
    assert job.execute_in_process(instance=instance).success
    sensor = sensors.reported_versions(tiny_project.pipeline)
    context = build_sensor_context(instance)
    assert "All known" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    offer(tiny_project.root, a=1, b=12, c=30)
    assert dvc(tiny_project.root, "repro").returncode == 0
    message = str(sensor(context).skip_message)  # type: ignore[union-attr]
    assert "gradient_sketches c" in message
    assert "gradient_sketches a" not in message


@pytest.mark.parametrize(("job", "waits"), [("everything", True), ("somebody_elses", False)])
def test_it_waits_for_runs_of_this_project_alone(
    tiny_project: TinyProject, instance: DagsterInstance, job: str, waits: bool
) -> None:
    tiny_project.run("offers")
    (tiny_project.root / "dvc.lock").write_text("stages: {}")
    create_run_for_test(instance, job_name=job, status=DagsterRunStatus.STARTED)
    context = build_sensor_context(instance)
    said = str(sensors.reported_versions(tiny_project.pipeline)(context).skip_message)  # type: ignore[union-attr]
    assert ("A run is at work" in said) is waits
    assert ("Reported 1 versions" in said) is not waits


def test_a_changed_pool_asks_for_one_run(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    job = jobs.everything(tiny_project.pipeline)
    assert job.execute_in_process(instance=instance).success
    sensor = sensors.new_offers(tiny_project.pipeline, job)
    context = build_sensor_context(instance)
    assert isinstance(sensor(context), SkipReason), "this pool was valued"
    keys = []
    for pool in ({"a": 5}, {"a": 1, "b": 12}, {"a": 5}):
        offer(tiny_project.root, **pool)
        result = sensor(context)
        assert isinstance(result, SensorResult)
        assert result.run_requests
        request = result.run_requests[0]
        assert isinstance(request, RunRequest)
        keys.append(request.run_key)
        context.update_cursor(result.cursor)
        assert isinstance(sensor(context), SkipReason)
    assert len(set(keys)) == 3, "a pool that comes back is a change"


def test_the_weekly_schedule_waits_to_be_switched_on(tiny_project: TinyProject) -> None:
    schedule = sensors.revaluation(tiny_project.pipeline, jobs.everything(tiny_project.pipeline))
    assert schedule.default_status.value == "STOPPED"
