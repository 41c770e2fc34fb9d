"""Our assets in somebody's code location: the code of docs/dagster.md, as it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey, DagsterInstance, Definitions, ExecuteInProcessResult, JobDefinition
from fake_pipeline import TinyProject, dvc, make_project  # type: ignore[import-not-found]
from one_offer import one_offer  # type: ignore[import-not-found]

from appraise.errors import ParamsError
from appraise.orchestration.definitions import definitions, definitions_of
from appraise.project import Project
from appraise.steps.flow import step
from appraise.steps.recorder import Registry
from appraise.steps.runner import run

PAGE = Path(__file__).parents[2] / "docs" / "dagster.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
LOCATION, TWO_PROJECTS, EXECUTOR, RECORDER = BLOCKS


def executed(block: str, **paths: Path) -> dict[str, Any]:
    """The names that a block of the page defines, its paths replaced."""
    for name, path in paths.items():
        assert f'"/path/to/{name}"' in block
        block = block.replace(f"/path/to/{name}", str(path))
    names: dict[str, Any] = {"__name__": "documented"}
    exec(compile(block, str(PAGE), "exec"), names)
    return names


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    """An instance with storage of its own."""
    (tmp_path / "storage").mkdir()
    with DagsterInstance.local_temp(str(tmp_path / "storage")) as storage:
        yield storage


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder which is no project, and which must stay empty."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("APPRAISE_PROJECT", str(tmp_path / "nowhere"))
    yield folder
    assert list(folder.iterdir()) == []


def all_assets(defs: Definitions, instance: DagsterInstance) -> ExecuteInProcessResult:
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)


def names(defs: Definitions) -> set[str]:
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    return {key.to_user_string() for key in keys}


def test_the_documented_location(tmp_path: Path, instance: DagsterInstance) -> None:
    project = Project(one_offer(tmp_path / "project"))
    defs = executed(LOCATION, project=project.root)["defs"]
    Definitions.validate_loadable(defs)
    assert names(defs) == {"orders", "offers"}
    result = all_assets(defs, instance)
    assert result.success
    assert result.output_for_node("orders") == "db.example.org", "your resource, your IO manager"
    assert project.intact("offers")
    event = instance.get_latest_materialization_event(AssetKey("offers"))
    assert event
    assert event.asset_materialization
    shown = event.asset_materialization.metadata
    assert shown["content_sha256"].value == project.content("offers")
    assert str(shown["dvc_md5"].value).endswith(".dir")
    assert "up to date" in dvc(project.root, "status").stdout


def test_adding_them_takes_five_lines() -> None:
    ours = [line for line in LOCATION.splitlines() if "definitions_of" in line]
    assert len(ours) <= 5


def test_two_projects_of_the_page_fit_one_location(
    tmp_path: Path, instance: DagsterInstance
) -> None:
    roots = {name: one_offer(tmp_path / name) for name in ("clinic", "court")}
    defs = executed(TWO_PROJECTS, **roots)["defs"]
    Definitions.validate_loadable(defs)
    assert names(defs) == {"clinic/offers", "court/offers"}
    graph = defs.resolve_asset_graph()
    assert graph.get(AssetKey(["clinic", "offers"])).group_name == "clinic_pool"
    assert graph.get(AssetKey(["court", "offers"])).group_name == "court"
    assert all_assets(defs, instance).success
    for root in roots.values():
        shown = json.loads((root / "data" / "offers" / "offers.json").read_text())
        assert shown["title"] == root.name


@pytest.fixture
def two(tmp_path: Path) -> list[TinyProject]:
    """Two projects with all kinds of partitions, in one location."""
    return [
        TinyProject(make_project(tmp_path / "tiny" / name), ("teams", name))
        for name in ("clinic", "court")
    ]


def test_jobs_sensors_and_partitions_of_two_projects_keep_apart(
    two: list[TinyProject], instance: DagsterInstance
) -> None:
    (two[0].root / "pool.json").write_text(json.dumps({"a": 1}))
    defs = Definitions.merge(*(definitions(one.pipeline) for one in two))
    Definitions.validate_loadable(defs)
    repository = defs.get_repository_def()
    assert {sensor.name for sensor in repository.sensor_defs} == {
        f"teams_{name}_{sensor}"
        for name in ("clinic", "court")
        for sensor in ("reported_versions", "new_offers")
    }
    for name in ("clinic", "court"):
        job: JobDefinition = defs.resolve_job_def(f"teams_{name}_everything")
        assert job.execute_in_process(instance=instance).success
    partitions = [
        instance.get_dynamic_partitions(f"teams_{name}_auxiliary_datasets")
        for name in ("clinic", "court")
    ]
    assert partitions == [["a"], ["a", "b"]]
    graph = defs.resolve_asset_graph()
    parents = graph.get(AssetKey(["teams", "court", "kernel_matrix"])).parent_keys
    assert parents == {AssetKey(["teams", "court", "gradient_sketches"])}
    for one in two:
        assert one.made()["kernel_matrix"] == [""]
        assert "up to date" in dvc(one.root, "status").stdout


@pytest.mark.parametrize(
    "given", [{"key_prefix": "a-b"}, {"key_prefix": ["x", ""]}, {"group": "ü!"}]
)
def test_a_prefix_that_is_no_name_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    root = one_offer(tmp_path / "project")
    with pytest.raises(ParamsError, match="expected letters, digits and _ for Dagster"):
        definitions_of(root, **given)


def test_a_folder_that_is_no_project_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"dvc\.yaml: .* found no file"):
        definitions_of(tmp_path)


def test_importing_reads_no_project(elsewhere: Path) -> None:
    code = "from appraise.orchestration.definitions import definitions_of; print('imported')"
    words = [sys.executable, "-W", "ignore", "-B", "-c", code]
    done = subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, check=False)
    assert done.stdout == "imported\n", done.stderr


def executor_of(root: Path, instance: DagsterInstance, **given: Any) -> str:
    """What a run says of the executor, which there is none of."""
    config = given.pop("run_config", {})
    job = definitions_of(root, **given).resolve_job_def("everything")
    result = job.execute_in_process(instance=instance, run_config=config, raise_on_error=False)
    failure = result.failure_data_for_node("offers")
    assert failure
    assert failure.user_failure_data
    return str(failure.user_failure_data.description)


def test_the_executor_is_configured_or_of_the_environment(
    tmp_path: Path, instance: DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = one_offer(tmp_path / "project")
    assert "found 'mars'" in executor_of(root, instance, executor="mars")
    resources = {"step_executor": {"config": {"executor": "moon"}}}
    config = {"resources": resources}
    assert "found 'moon'" in executor_of(root, instance, executor="mars", run_config=config)
    monkeypatch.setenv("APPRAISE_EXECUTOR", "sun")
    assert "found 'sun'" in executor_of(root, instance)
    monkeypatch.setenv("APPRAISE_EXECUTOR", "processes:1")
    job = definitions_of(root).resolve_job_def("everything")
    assert job.execute_in_process(instance=instance).success


def test_the_executor_of_the_page(tmp_path: Path) -> None:
    project = Project(one_offer(tmp_path / "project"))
    made = run(step("offers"), project, executor=executed(EXECUTOR)["Reversed"]())
    assert made.made == ("",)


def test_the_recorder_of_the_page(tmp_path: Path, instance: DagsterInstance) -> None:
    root = one_offer(tmp_path / "project")
    registry: Registry = executed(RECORDER)["RECORDERS"]
    recorders = [make() for make in registry.values()]
    assert [recorder.name for recorder in recorders] == list(registry)
    result = all_assets(definitions_of(root, recorders=recorders), instance)
    assert (root / "ledger.txt").read_text() == f"offers: 1 partitions, run {result.run_id}\n"
    event = instance.get_latest_materialization_event(AssetKey("offers"))
    assert event
    assert event.asset_materialization
    assert event.asset_materialization.metadata["ledger"].value == "ledger.txt"
    assert not (root / "dvc.lock").exists(), "in place of ours"
