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
from fake_pipeline import TinyProject, dvc, make_project, offer  # type: ignore[import-not-found]

from appraise.orchestration import jobs, partitions
from appraise.orchestration.partitions import dagster_key


@pytest.fixture
def tiny_project(tmp_path: Path) -> TinyProject:
    return TinyProject(make_project(tmp_path / "project"))


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as one:
        yield one


def everything(tiny_project: TinyProject, instance: DagsterInstance) -> ExecuteInProcessResult:
    job = jobs.everything(tiny_project.pipeline)
    return job.execute_in_process(instance=instance, raise_on_error=False)


def definitions(tiny_project: TinyProject) -> Definitions:
    return Definitions(
        assets=jobs.assets(tiny_project.pipeline),
        asset_checks=jobs.asset_checks(tiny_project.pipeline),
        resources=jobs.step_executor(tiny_project.pipeline),
    )


def materialised(result: ExecuteInProcessResult) -> list[tuple[str, str | None]]:
    events = [
        e.step_materialization_data.materialization
        for e in result.all_events
        if e.event_type == DagsterEventType.ASSET_MATERIALIZATION
    ]
    return sorted((e.asset_key.to_user_string(), str(e.partition or "")) for e in events)


def stale(tiny_project: TinyProject, instance: DagsterInstance) -> set[str]:
    """The partitions that Dagster shows as stale or missing, as "noun key"."""
    graph = definitions(tiny_project).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    found = set()
    for noun in tiny_project.pipeline.stages:
        kind = tiny_project.pipeline.partitions(noun)
        for key in tiny_project.fakes[noun].step.keys(tiny_project.project):
            status = resolver.get_status(AssetKey(noun), dagster_key(kind, key))
            if status != StaleStatus.FRESH:
                found.add(f"{noun} {key}".strip())
    return found


def test_everything_is_made_shown_and_recorded(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    result = everything(tiny_project, instance)
    assert result.success
    assert materialised(result) == [
        ("auxiliary_datasets", "a"),
        ("auxiliary_datasets", "b"),
        ("dataset_values", "alignment|desk"),
        ("dataset_values", "kmm|desk"),
        ("gradient_sketches", "a"),
        ("gradient_sketches", "b"),
        ("kernel_matrix", ""),
        ("offers", ""),
        ("selected_subset", "kmm|desk"),
        ("selected_subset", "none|desk"),
    ]
    assert stale(tiny_project, instance) == set()
    assert "up to date" in dvc(tiny_project.root, "status").stdout
    repro = dvc(tiny_project.root, "repro")
    assert repro.returncode == 0
    assert "Running stage" not in repro.stdout


def test_data_versions_are_the_hashes_of_the_content(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    for noun in tiny_project.pipeline.stages:
        for key in tiny_project.project.partitions(noun):
            partition = dagster_key(tiny_project.pipeline.partitions(noun), key)
            record = instance.get_latest_data_version_record(AssetKey(noun), False, partition)
            assert record
            entry = record.event_log_entry
            assert (entry.tags or {})[DATA_VERSION_TAG] == tiny_project.project.content(noun, key)
            metadata = entry.asset_materialization.metadata  # type: ignore[union-attr]
            assert metadata["content_sha256"].value == tiny_project.project.content(noun, key)
            assert str(metadata["dvc_md5"].value).endswith(".dir")


def test_a_second_run_computes_nothing_and_says_nothing_again(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    tiny_project.made()
    again = everything(tiny_project, instance)
    assert again.success
    assert tiny_project.made() == {}
    assert materialised(again) == []


def test_one_more_offer_computes_one_dataset_and_one_sketch(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    tiny_project.made()
    offer(tiny_project.root, a=1, b=12, c=30)
    result = everything(tiny_project, instance)
    made = tiny_project.made()
    assert made["auxiliary_datasets"] == ["c"]
    assert made["gradient_sketches"] == ["c"]
    assert ("gradient_sketches", "a") not in materialised(result)
    assert sorted(instance.get_dynamic_partitions("auxiliary_datasets")) == ["a", "b", "c"]
    assert stale(tiny_project, instance) == set()
    assert "up to date" in dvc(tiny_project.root, "status").stdout


def test_a_withdrawn_offer_is_no_partition_any_more(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    offer(tiny_project.root, b=12)
    assert everything(tiny_project, instance).success
    assert instance.get_dynamic_partitions("auxiliary_datasets") == ["b"]
    assert tiny_project.project.partitions("gradient_sketches") == ["b"]
    assert stale(tiny_project, instance) == set()
    assert "up to date" in dvc(tiny_project.root, "status").stdout


def test_staleness_goes_by_content(tiny_project: TinyProject, instance: DagsterInstance) -> None:
    """An offer changes; its sketch does not: what rests on sketches is not stale, and stays."""
    everything(tiny_project, instance)
    tiny_project.made()
    offer(tiny_project.root, a=1, b=13)
    defs = definitions(tiny_project)
    selection = AssetSelection.assets("offers")
    job = define_asset_job("some", selection)
    defs = Definitions.merge(defs, Definitions(jobs=[job]))
    assert defs.resolve_job_def("some").execute_in_process(instance=instance).success
    assert {name for name in stale(tiny_project, instance) if "auxiliary" in name} == {
        "auxiliary_datasets a",
        "auxiliary_datasets b",
    }
    assert everything(tiny_project, instance).success
    assert tiny_project.made()["auxiliary_datasets"] == ["b"]
    assert stale(tiny_project, instance) == set()


@pytest.mark.parametrize(("value", "expected"), [(13, False), (25, True)])
def test_only_a_changed_sketch_makes_the_kernel_stale(
    tiny_project: TinyProject, instance: DagsterInstance, value: int, expected: bool
) -> None:
    everything(tiny_project, instance)
    offer(tiny_project.root, a=1, b=value)
    for noun in ("offers", "auxiliary_datasets", "gradient_sketches"):
        result = materialise_from_the_page(
            tiny_project, instance, noun, "b" if noun != "offers" else None
        )
        assert result.success
    assert ("kernel_matrix" in stale(tiny_project, instance)) is expected


def materialise_from_the_page(
    tiny_project: TinyProject, instance: DagsterInstance, noun: str, partition: str | None
) -> ExecuteInProcessResult:
    kind = partitions.definitions(tiny_project.pipeline)[tiny_project.pipeline.partitions(noun)]
    job = define_asset_job("page", AssetSelection.assets(noun), partitions_def=kind)
    defs = Definitions.merge(definitions(tiny_project), Definitions(jobs=[job]))
    return defs.resolve_job_def("page").execute_in_process(
        instance=instance, partition_key=partition, raise_on_error=False
    )


def test_one_partition_from_the_page(tiny_project: TinyProject, instance: DagsterInstance) -> None:
    everything(tiny_project, instance)
    tiny_project.made()
    offer(tiny_project.root, a=40, b=50)
    assert materialise_from_the_page(tiny_project, instance, "offers", None).success
    result = materialise_from_the_page(tiny_project, instance, "auxiliary_datasets", "a")
    assert result.success
    assert tiny_project.made() == {"offers": [""], "auxiliary_datasets": ["a"]}
    assert materialised(result) == [("auxiliary_datasets", "a")]
    status = dvc(tiny_project.root, "status").stdout
    assert "auxiliary_datasets" in status, "half of a stage must not be recorded as done"


def test_many_partitions_in_one_run_keep_their_own_versions(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    offer(tiny_project.root, a=40, b=50)
    materialise_from_the_page(tiny_project, instance, "offers", None)
    kind = partitions.definitions(tiny_project.pipeline)["dataset"]
    job = define_asset_job("page", AssetSelection.assets("auxiliary_datasets"), partitions_def=kind)
    defs = Definitions.merge(definitions(tiny_project), Definitions(jobs=[job]))
    tags = {"dagster/asset_partition_range_start": "a", "dagster/asset_partition_range_end": "b"}
    result = defs.resolve_job_def("page").execute_in_process(instance=instance, tags=tags)
    assert result.success
    found = set()
    for key in ("a", "b"):
        record = instance.get_latest_data_version_record(AssetKey("auxiliary_datasets"), False, key)
        assert record
        found.add((record.event_log_entry.tags or {})[DATA_VERSION_TAG])
    assert found == {tiny_project.project.content("auxiliary_datasets", key) for key in ("a", "b")}
    assert {name for name in stale(tiny_project, instance) if name.startswith("aux")} == set()


def test_target_and_policy_from_the_page(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    key = MultiPartitionKey({"target": "desk", "policy": "kmm"})
    result = materialise_from_the_page(tiny_project, instance, "selected_subset", key)
    assert materialised(result) == [("selected_subset", "kmm|desk")]
    assert stale(tiny_project, instance) == set()


def test_assets_and_their_checks_run_together_from_the_page(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    everything(tiny_project, instance)
    kind = partitions.definitions(tiny_project.pipeline)["dataset"]
    selection = AssetSelection.assets("gradient_sketches")
    job = define_asset_job("page", selection, partitions_def=kind)
    defs = Definitions.merge(definitions(tiny_project), Definitions(jobs=[job]))
    tiny_project.broken = True
    result = defs.resolve_job_def("page").execute_in_process(
        instance=instance, partition_key="a", raise_on_error=False
    )
    checks = result.get_asset_check_evaluations()
    assert [(check.check_name, check.passed) for check in checks] == [("whole", False)]


def test_a_blocking_check_stops_what_comes_after(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    tiny_project.broken = True
    result = everything(tiny_project, instance)
    assert not result.success
    evaluations = [
        e.event_specific_data
        for e in result.all_events
        if e.event_type == DagsterEventType.ASSET_CHECK_EVALUATION
    ]
    assert [(e.check_name, e.passed, e.blocking) for e in evaluations] == [("whole", False, True)]
    assert tiny_project.project.partitions("gradient_sketches") == ["a", "b"], "what is made stays"
    assert tiny_project.project.partitions("kernel_matrix") == []
    tiny_project.broken = False
    assert everything(tiny_project, instance).success


def test_an_error_of_the_library_is_one_line(
    tiny_project: TinyProject, instance: DagsterInstance
) -> None:
    offer(tiny_project.root)
    result = everything(tiny_project, instance)
    assert not result.success
    failure = result.failure_data_for_node("offers")
    assert failure
    assert failure.user_failure_data
    assert (
        failure.user_failure_data.description == "pool.json: expected offers, found none; add one"
    )
    assert failure.user_failure_data.metadata["exit_code"].value == 2


def test_the_edges_of_the_job_are_those_of_the_assets(tiny_project: TinyProject) -> None:
    job = jobs.everything(tiny_project.pipeline)
    graph = definitions(tiny_project).resolve_asset_graph()
    for node, needed in job.graph.dependencies.items():
        assert isinstance(node, NodeInvocation)
        if node.alias == jobs.RECORDED:
            assert set(needed) == set(tiny_project.pipeline.stages)
            continue
        parents = {key.to_user_string() for key in graph.get(AssetKey(str(node.alias))).parent_keys}
        assert {one.node for one in needed.values()} == parents
