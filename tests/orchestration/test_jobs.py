"""The job `everything` and the assets: what is computed, what Dagster and DVC know afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetKey,
    AssetSelection,
    DagsterEventType,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    MultiPartitionKey,
    define_asset_job,
)
from dagster._core.definitions.data_version import (
    DATA_VERSION_TAG,
    CachingStaleStatusResolver,
    StaleStatus,
)
from dagster._core.definitions.dependency import NodeInvocation
from dagster._core.loader import LoadingContextForTest
from fake_pipeline import House, dvc, make_project, offer  # type: ignore[import-not-found]

from appraise.orchestration import jobs, partitions
from appraise.orchestration.mlflow_log import MlflowLog
from appraise.orchestration.partitions import dagster_key


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(make_project(tmp_path / "project"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as one:
        yield one


def everything(house: House, instance: DagsterInstance) -> ExecuteInProcessResult:
    job = jobs.everything(house.pipeline, {"mlflow": MlflowLog()})
    return job.execute_in_process(instance=instance, raise_on_error=False)


def definitions(house: House) -> Definitions:
    return Definitions(
        assets=jobs.assets(house.pipeline),
        asset_checks=jobs.asset_checks(house.pipeline),
        resources={"mlflow": MlflowLog()},
    )


def materialised(result: ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    events = [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.event_type == DagsterEventType.ASSET_MATERIALIZATION
    ]
    return sorted((e.asset_key.to_user_string(), str(e.partition or "")) for e in events)


def stale(house: House, instance: DagsterInstance) -> set[str]:
    """The partitions that Dagster shows as stale or missing, as "noun key"."""
    graph = definitions(house).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = set()
    for noun in house.pipeline.stages:
        kind = house.pipeline.partitions(noun)
        for key in house.fakes[noun].step.keys(house.project):
            status = resolver.get_status(AssetKey(noun), dagster_key(kind, key))
            if status != StaleStatus.FRESH:
                found.add(f"{noun} {key}".strip())
    return found


def test_everything_is_made_shown_and_recorded(house: House, instance: DagsterInstance) -> None:
    result = everything(house, instance)
    assert result.success
    assert materialised(result) == [
        ("auxiliary_datasets", "a"),
        ("auxiliary_datasets", "b"),
        ("gradient_sketches", "a"),
        ("gradient_sketches", "b"),
        ("kernel_matrix", ""),
        ("kmm_weights", "desk"),
        ("offers", ""),
        ("selected_subset", "kmm|desk"),
        ("selected_subset", "none|desk"),
    ]
    assert stale(house, instance) == set()
    assert "up to date" in dvc(house.root, "status").stdout
    repro = dvc(house.root, "repro")
    assert repro.returncode == 0
    assert "Running stage" not in repro.stdout


def test_data_versions_are_the_hashes_of_the_content(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    for noun in house.pipeline.stages:
        for key in house.project.partitions(noun):
            partition = dagster_key(house.pipeline.partitions(noun), key)
            record = instance.get_latest_data_version_record(AssetKey(noun), False, partition)
            assert record
            entry = record.event_log_entry
            assert (entry.tags or {})[DATA_VERSION_TAG] == house.project.content(noun, key)
            metadata = entry.asset_materialization.metadata  # type: ignore[union-attr]
            assert metadata["content_sha256"].value == house.project.content(noun, key)
            assert str(metadata["dvc_md5"].value).endswith(".dir")


def test_a_second_run_computes_nothing_and_says_nothing_again(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    house.made()
    again = everything(house, instance)
    assert again.success
    assert house.made() == {}
    assert materialised(again) == []


def test_one_more_offer_computes_one_dataset_and_one_sketch(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    house.made()
    offer(house.root, a=1, b=12, c=30)
    result = everything(house, instance)
    made = house.made()
    assert made["auxiliary_datasets"] == ["c"]
    assert made["gradient_sketches"] == ["c"]
    assert ("gradient_sketches", "a") not in materialised(result)
    assert sorted(instance.get_dynamic_partitions("auxiliary_datasets")) == ["a", "b", "c"]
    assert stale(house, instance) == set()
    assert "up to date" in dvc(house.root, "status").stdout


def test_a_withdrawn_offer_is_no_partition_any_more(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    offer(house.root, b=12)
    assert everything(house, instance).success
    assert instance.get_dynamic_partitions("auxiliary_datasets") == ["b"]
    assert house.project.partitions("gradient_sketches") == ["b"]
    assert stale(house, instance) == set()
    assert "up to date" in dvc(house.root, "status").stdout


def test_staleness_goes_by_content(house: House, instance: DagsterInstance) -> None:
    """An offer changes; its sketch does not: what rests on sketches is not stale, and stays."""
    everything(house, instance)
    house.made()
    offer(house.root, a=1, b=13)
    defs = definitions(house)
    selection = AssetSelection.assets("offers")
    job = define_asset_job("some", selection)
    defs = Definitions.merge(defs, Definitions(jobs=[job]))
    assert defs.resolve_job_def("some").execute_in_process(instance=instance).success
    assert {name for name in stale(house, instance) if "auxiliary" in name} == {
        "auxiliary_datasets a",
        "auxiliary_datasets b",
    }
    assert everything(house, instance).success
    assert house.made()["auxiliary_datasets"] == ["b"]
    assert stale(house, instance) == set()


@pytest.mark.parametrize(("value", "expected"), [(13, False), (25, True)])
def test_only_a_changed_sketch_makes_the_kernel_stale(
    house: House, instance: DagsterInstance, value: int, expected: bool
) -> None:
    everything(house, instance)
    offer(house.root, a=1, b=value)
    for noun in ("offers", "auxiliary_datasets", "gradient_sketches"):
        result = materialise_from_the_page(house, instance, noun, "b" if noun != "offers" else None)
        assert result.success
    assert ("kernel_matrix" in stale(house, instance)) is expected


def materialise_from_the_page(
    house: House, instance: DagsterInstance, noun: str, partition: str | None
) -> ExecuteInProcessResult:
    kind = partitions.definitions(house.project.params)[house.pipeline.partitions(noun)]
    job = define_asset_job("page", AssetSelection.assets(noun), partitions_def=kind)
    defs = Definitions.merge(definitions(house), Definitions(jobs=[job]))
    return defs.resolve_job_def("page").execute_in_process(
        instance=instance, partition_key=partition, raise_on_error=False
    )


def test_one_partition_from_the_page(house: House, instance: DagsterInstance) -> None:
    everything(house, instance)
    house.made()
    offer(house.root, a=40, b=50)
    assert materialise_from_the_page(house, instance, "offers", None).success
    result = materialise_from_the_page(house, instance, "auxiliary_datasets", "a")
    assert result.success
    assert house.made() == {"offers": [""], "auxiliary_datasets": ["a"]}
    assert materialised(result) == [("auxiliary_datasets", "a")]
    status = dvc(house.root, "status").stdout
    assert "auxiliary_datasets" in status, "half of a stage must not be recorded as done"


def test_many_partitions_in_one_run_keep_their_own_versions(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    offer(house.root, a=40, b=50)
    materialise_from_the_page(house, instance, "offers", None)
    kind = partitions.definitions(house.project.params)["dataset"]
    job = define_asset_job("page", AssetSelection.assets("auxiliary_datasets"), partitions_def=kind)
    defs = Definitions.merge(definitions(house), Definitions(jobs=[job]))
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    result = defs.resolve_job_def("page").execute_in_process(instance=instance, tags=tags)
    assert result.success
    found = set()
    for key in ("a", "b"):
        record = instance.get_latest_data_version_record(AssetKey("auxiliary_datasets"), False, key)
        assert record
        found.add((record.event_log_entry.tags or {})[DATA_VERSION_TAG])
    assert found == {house.project.content("auxiliary_datasets", key) for key in ("a", "b")}
    assert {name for name in stale(house, instance) if name.startswith("aux")} == set()


def test_target_and_policy_from_the_page(house: House, instance: DagsterInstance) -> None:
    everything(house, instance)
    key = MultiPartitionKey({"target": "desk", "policy": "kmm"})
    result = materialise_from_the_page(house, instance, "selected_subset", key)
    assert materialised(result) == [("selected_subset", "kmm|desk")]
    assert stale(house, instance) == set()


def test_assets_and_their_checks_run_together_from_the_page(
    house: House, instance: DagsterInstance
) -> None:
    everything(house, instance)
    kind = partitions.definitions(house.project.params)["dataset"]
    selection = AssetSelection.assets("gradient_sketches")
    job = define_asset_job("page", selection, partitions_def=kind)
    defs = Definitions.merge(definitions(house), Definitions(jobs=[job]))
    house.broken = True
    result = defs.resolve_job_def("page").execute_in_process(
        instance=instance, partition_key="a", raise_on_error=False
    )
    checks = result.get_asset_check_evaluations()
    assert [(check.check_name, check.passed) for check in checks] == [("whole", False)]


def test_a_blocking_check_stops_what_comes_after(house: House, instance: DagsterInstance) -> None:
    house.broken = True
    result = everything(house, instance)
    assert not result.success
    evaluations = [
        e.event_specific_data
        for e in result.all_events
        if e.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert [(e.check_name, e.passed, e.blocking) for e in evaluations] == [("whole", False, True)]
    assert house.project.partitions("gradient_sketches") == ["a", "b"], "what is made stays"
    assert house.project.partitions("kernel_matrix") == []
    house.broken = False
    assert everything(house, instance).success


def test_an_error_of_the_library_is_one_line(house: House, instance: DagsterInstance) -> None:
    offer(house.root)
    result = everything(house, instance)
    assert not result.success
    failure = result.failure_data_for_node("offers")
    assert failure
    assert failure.user_failure_data
    assert (
        failure.user_failure_data.description == "pool.json: expected offers, found none; add one"
    )
    assert failure.user_failure_data.metadata["exit_code"].value == 2


def test_the_edges_of_the_job_are_those_of_the_assets(house: House) -> None:
    job = jobs.everything(house.pipeline, {"mlflow": MlflowLog()})
    graph = definitions(house).resolve_asset_graph()
    for node, needed in job.graph.dependencies.items():
        assert isinstance(node, NodeInvocation)
        parents = {key.to_user_string() for key in graph.get(AssetKey(str(node.alias))).parent_keys}
        assert {one.node for one in needed.values()} == parents
