"""Sensors: what `dvc repro` made outside, and new offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    RunRequest,
    SensorResult,
    SkipReason,
    build_sensor_context,
)
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from fake_pipeline import House, dvc, make_project, offer  # type: ignore[import-not-found]

from appraise.orchestration import jobs, sensors
from appraise.orchestration.mlflow_log import MlflowLog
from appraise.orchestration.partitions import dagster_key


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(make_project(tmp_path / "project"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as one:
        yield one


def version(instance: DagsterInstance, house: House, noun: str, key: str) -> str | None:
    partition = dagster_key(house.pipeline.partitions(noun), key)
    record = instance.get_latest_data_version_record(AssetKey(noun), False, partition)
    return (record.event_log_entry.tags or {}).get(DATA_VERSION_TAG) if record else None


def test_dagster_learns_what_repro_made(house: House, instance: DagsterInstance) -> None:
    sensor = sensors.reported_versions(house.pipeline)
    context = build_sensor_context(instance)
    assert "no dvc.lock" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    assert dvc(house.root, "repro").returncode == 0
    assert "Reported 9 versions" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    for noun in house.pipeline.stages:
        for key in house.project.partitions(noun):
            content = house.project.content(noun, key)
            assert version(instance, house, noun, key) == content
    assert sorted(instance.get_dynamic_partitions("auxiliary_datasets")) == ["a", "b"]
    assert "as it was" in str(sensor(context).skip_message)  # type: ignore[union-attr]


def test_only_what_changed_is_reported(house: House, instance: DagsterInstance) -> None:
    job = jobs.everything(house.pipeline, {"mlflow": MlflowLog()})
    assert job.execute_in_process(instance=instance).success
    sensor = sensors.reported_versions(house.pipeline)
    context = build_sensor_context(instance)
    assert "All known" in str(sensor(context).skip_message)  # type: ignore[union-attr]
    offer(house.root, a=1, b=12, c=30)
    assert dvc(house.root, "repro").returncode == 0
    message = str(sensor(context).skip_message)  # type: ignore[union-attr]
    assert "gradient_sketches c" in message
    assert "gradient_sketches a" not in message


def test_a_changed_pool_asks_for_one_run(house: House, instance: DagsterInstance) -> None:
    job = jobs.everything(house.pipeline, {"mlflow": MlflowLog()})
    assert job.execute_in_process(instance=instance).success
    sensor = sensors.new_offers(house.pipeline, job)
    context = build_sensor_context(instance)
    assert isinstance(sensor(context), SkipReason), "this pool was valued"
    keys = []
    for pool in ({"a": 5}, {"a": 1, "b": 12}, {"a": 5}):
        offer(house.root, **pool)
        result = sensor(context)
        assert isinstance(result, SensorResult)
        assert result.run_requests
        request = result.run_requests[0]
        assert isinstance(request, RunRequest)
        keys.append(request.run_key)
        context.update_cursor(result.cursor)
        assert isinstance(sensor(context), SkipReason)
    assert len(set(keys)) == 3, "a pool that comes back is a change"


def test_the_weekly_schedule_waits_to_be_switched_on(house: House) -> None:
    schedule = sensors.revaluation(jobs.everything(house.pipeline, {"mlflow": MlflowLog()}))
    assert schedule.default_status.value == "STOPPED"
