"""MLflow: what is logged, that it is logged once, and what happens when something fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import pytest
from finished_project import (  # type: ignore[import-not-found]
    POLICIES,
    TARGET,
    finished,
    trained,
    valued,
)
from mlflow_database import with_database  # type: ignore[import-not-found]

from appraise.errors import ArtifactError, ModelError, RecorderError
from appraise.orchestration.recorders import mlflow_content
from appraise.orchestration.recorders.lineage import Lineage
from appraise.orchestration.recorders.mlflow import Mlflow
from appraise.project import Project
from appraise.storage.files import read_json


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """A finished project, logged."""
    project = with_database(finished(tmp_path_factory.mktemp("mlflow") / "project"))
    return project, log(project, "report", "dagster-run")


def log(project: Project, noun: str, run_id: str = "r") -> dict[str, str]:
    """Log, and join the lineage; key of the partition → id of the MLflow run."""
    recorded = Mlflow().record(project, noun, run_id)
    assert not recorded.left_out
    assert Lineage().record(project, noun, run_id).facts == {}
    return {key: facts["mlflow_run_id"] for key, facts in recorded.facts.items()}


def client(project: Project) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(f"sqlite:///{project.root}/.appraise/mlflow.db")


def runs(project: Project, kind: str = "") -> list[Any]:
    found = client(project)
    experiment = found.get_experiment_by_name(f"appraise/{TARGET}")
    query = f"tags.`appraise.kind` = '{kind}'" if kind else ""
    return list(found.search_runs([experiment.experiment_id], query))


def decision(project: Project) -> dict[str, Any]:
    made: dict[str, Any] = read_json(project.folder("valuation_decision", TARGET) / "decision.json")
    return made


def test_a_run_for_the_decision_with_what_it_rests_on(logged) -> None:  # type: ignore[no-untyped-def]
    project, ids = logged
    (run,) = runs(project, "decision")
    made = decision(project)
    assert ids == {TARGET: run.info.run_id}
    assert run.info.status == "FINISHED"
    assert run.data.tags["appraise.decision_id"] == made["decision_id"]
    assert run.data.tags["dagster_run_id"] == "dagster-run"
    assert run.data.params["k"] == "3"
    assert run.data.params["params.kmm_weights.relative_lambda"] == "0.2"
    assert run.data.metrics["gap"] == made["certificate"]["gap"]
    assert run.data.metrics["bought"] == len(made["bought"])
    assert run.data.metrics["gradients.tokens"] > 0
    assert run.data.metrics["gradients.stored"] > 0
    best = made["bought"][0]
    assert run.data.metrics[f"weight.{best['id']}"] == best["weight"]


def test_datasets_are_inputs_with_digests_and_contexts(logged) -> None:  # type: ignore[no-untyped-def]
    project, _ = logged
    (run,) = runs(project, "decision")
    found = {}
    for one in run.inputs.dataset_inputs:
        tags = {tag.key: tag.value for tag in one.tags}
        found.setdefault(tags["mlflow.data.context"], set()).add(one.dataset.name)
        assert tags["sha256"].startswith(one.dataset.digest)
        assert len(one.dataset.digest) == 36
    made = decision(project)
    assert found["bought"] == {one["id"] for one in made["bought"]}
    assert found["refused"] == {one["id"] for one in made["refused"]}
    assert found["value"] == {f"{TARGET}_value"}
    assert found["test"] == {f"{TARGET}_test"}


def test_pictures_decision_outcome_and_report_are_artifacts(logged) -> None:  # type: ignore[no-untyped-def]
    project, ids = logged
    names = {item.path for item in client(project).list_artifacts(ids[TARGET])}
    assert {"decision.json", "weights.parquet", "outcome.json", "report.html"} <= names
    figures = {item.path for item in client(project).list_artifacts(ids[TARGET], "figures")}
    wanted = ("kernel", "weights", "path", "outcome", "training")
    assert figures == {f"figures/{name}.png" for name in wanted}


def test_a_nested_run_for_each_adapter(logged) -> None:  # type: ignore[no-untyped-def]
    project, ids = logged
    nested = {run.data.tags["appraise.policy"]: run for run in runs(project, "adapter")}
    assert set(nested) == set(POLICIES)
    for policy, run in nested.items():
        assert run.data.tags["mlflow.parentRunId"] == ids[TARGET]
        key = f"{TARGET}/{policy}"
        metrics = read_json(project.folder("evaluation", key) / "metrics.json")
        assert run.data.metrics["test.loss"] == metrics["loss"]
        curve = read_json(project.folder("lora_adapter", key) / "training.json")["loss"]
        history = client(project).get_metric_history(run.info.run_id, "train_loss")
        assert [point.value for point in sorted(history, key=lambda p: p.step)] == curve
        assert run.outputs.model_outputs


def test_nothing_is_logged_twice(logged, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    project, ids = logged
    for name in ("decision", "adapter", "evaluation", "outcome", "report"):
        monkeypatch.setattr(mlflow_content, name, lambda *_: pytest.fail("logged again"))
    before = (project.root / "lineage.dvc").read_text()
    assert log(project, "report", "another run") == ids
    assert len(runs(project)) == 1 + len(POLICIES)
    assert (project.root / "lineage.dvc").read_text() == before


def test_lineage_joins_the_ids(logged) -> None:  # type: ignore[no-untyped-def]
    project, ids = logged
    made = decision(project)
    lineage = json.loads((project.root / "lineage" / f"{made['decision_id']}.json").read_text())
    nested = {run.data.tags["appraise.policy"]: run.info.run_id for run in runs(project, "adapter")}
    assert lineage["mlflow"] == {
        "experiment": f"appraise/{TARGET}",
        "run_id": ids[TARGET],
        "adapters": nested,
    }
    assert lineage["dagster"] == {"run_id": "dagster-run"}
    assert len(lineage["git"]["commit"]) == 40


def test_ids_of_adapters_come_back_by_partition(logged) -> None:  # type: ignore[no-untyped-def]
    project, _ = logged
    found = log(project, "evaluation")
    assert set(found) == {f"{TARGET}/{policy}" for policy in POLICIES}
    assert not Mlflow().applies(project, "kernel_matrix", "dagster")


def test_it_grows_with_the_pipeline_and_fails_with_it(tmp_path: Path) -> None:
    project = with_database(valued(tmp_path / "project"))
    log(project, "valuation_decision")
    assert len(runs(project)) == 1, "no adapter was trained for this decision yet"
    Mlflow().failed(project, "lora_adapter", ModelError("NaN in the loss"))
    (run_,) = runs(project, "decision")
    assert run_.info.status == "FAILED"
    assert run_.data.tags["appraise.failed_step"] == "lora_adapter"
    assert run_.data.tags["appraise.error"] == "NaN in the loss"
    trained(project)
    log(project, "lora_adapter")
    (run_,) = runs(project, "decision")
    assert run_.info.status == "FINISHED"
    assert "appraise.error" not in run_.data.tags
    assert len(runs(project, "adapter")) == len(POLICIES)
    trained(project, steps=61)
    log(project, "evaluation")
    assert len(runs(project, "adapter")) == 2 * len(POLICIES), "other adapters, other runs"


def test_what_breaks_while_logging_leaves_no_run_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = with_database(valued(tmp_path / "project"))
    read = mlflow_content.decision

    def fail(*_: object) -> None:
        raise ArtifactError("weights.parquet: expected Parquet, found rubbish")

    monkeypatch.setattr(mlflow_content, "decision", fail)
    with pytest.raises(ArtifactError, match="rubbish"):
        log(project, "valuation_decision")
    assert [run_.info.status for run_ in runs(project)] == ["FAILED"]
    monkeypatch.setattr(mlflow_content, "decision", read)
    log(project, "valuation_decision")
    assert [run_.info.status for run_ in runs(project)] == ["FINISHED"]


def test_a_deleted_experiment_is_restored(tmp_path: Path) -> None:
    project = with_database(valued(tmp_path / "project"))
    first = log(project, "valuation_decision")
    found = client(project)
    found.delete_experiment(found.get_experiment_by_name(f"appraise/{TARGET}").experiment_id)
    trained(project)
    adapters = log(project, "lora_adapter")
    assert len(adapters) == len(POLICIES)
    (run_,) = runs(project, "decision")
    assert run_.info.run_id == first[TARGET], "the run of the decision is the one it had"


def test_a_server_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = valued(tmp_path / "project")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RecorderError, match=r"MLflow at http://127\.0\.0\.1:9: expected to log"):
        log(project, "valuation_decision")


def test_an_adapter_loads_back_with_peft(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    project = with_database(valued(tmp_path / "project"))
    trained(project)
    shape = {"hidden_size": 16, "intermediate_size": 16, "vocab_size": 32}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    base = LlamaForCausalLM(LlamaConfig(**shape, **heads))
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    key = f"{TARGET}/kmm"
    manifest = project.manifest("lora_adapter", key)
    adapted = get_peft_model(base, config)
    expected = {n: p.clone() for n, p in adapted.named_parameters() if "lora" in n}
    with project.writing("lora_adapter", key, manifest.recipe) as folder:
        adapted.save_pretrained(folder)
        factory.training([1.0]).write(folder)
    log(project, "lora_adapter")
    experiment = client(project).get_experiment_by_name(f"appraise/{TARGET}").experiment_id
    models = client(project).search_logged_models([experiment])
    (model,) = (m for m in models if m.name == f"{TARGET}-kmm")
    assert model.status.value == "READY"
    again = LlamaForCausalLM(LlamaConfig(**shape, **heads))
    place = model.artifact_location.removeprefix("file://")
    loaded = PeftModel.from_pretrained(again, place)
    found = {n: p for n, p in loaded.named_parameters() if "lora" in n}
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
