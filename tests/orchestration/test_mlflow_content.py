"""What MLflow is to show of a decision: as much as its method says."""

from __future__ import annotations

import pytest
from finished_project import TARGET, finished  # type: ignore[import-not-found]

from appraise.orchestration.recorders import mlflow_content
from appraise.project import Project
from appraise.records.decision import Decision

OF_A_PROGRAM = {"gap", "lambda", "objective", "bound", "signed.gap"}


@pytest.fixture(scope="module")
def by_weight(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = finished(tmp_path_factory.mktemp("content") / "project")
    return made


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("by_rank") / "project"
    made: Project = finished(root, selected_subset={"decide_by": "one_step"})
    return made


def test_a_decision_with_a_program_shows_its_proof(by_weight: Project) -> None:
    content = mlflow_content.decision(by_weight, TARGET)
    decision = Decision.read(by_weight.folder("valuation_decision", TARGET))
    numbers = {name: value for name, value, _ in content.metrics}
    assert set(numbers) > OF_A_PROGRAM
    assert numbers["gap"] == decision.certificate.gap
    assert numbers["objective"] == decision.reached.objective
    assert set(content.pictures) == {"kernel.png", "weights.png", "path.png"}
    assert [path.name for path in content.files] == [
        "decision.json", "weights.parquet", "certificate.json",
    ]  # fmt: skip
    assert content.params["policy"] == "kmm"


def test_a_decision_by_alignment_shows_no_proof(by_rank: Project) -> None:
    content = mlflow_content.decision(by_rank, TARGET)
    decision = Decision.read(by_rank.folder("valuation_decision", TARGET))
    numbers = {name: value for name, value, _ in content.metrics}
    assert not set(numbers) & OF_A_PROGRAM
    for item in decision.valued():
        assert numbers[f"weight.{item.id}"] == item.alignment
    assert (numbers["bought"], numbers["cost"]) == (3, decision.cost)
    assert set(content.pictures) == {"kernel.png", "weights.png"}
    assert [path.name for path in content.files] == ["decision.json", "weights.parquet"]
    assert content.params["policy"] == "one_step"


def test_its_outcome_and_its_adapters_are_shown_like_any_other(by_rank: Project) -> None:
    assert "one_step" in mlflow_content.trained_policies(by_rank, TARGET)
    outcome = mlflow_content.outcome(by_rank, TARGET)
    names = {name for name, *_ in outcome.metrics}
    assert "outcome.one_step_minus_kmm" in names
    assert set(outcome.pictures) == {"outcome.png", "training.png"}
    curve = [name for name, *_ in mlflow_content.adapter(by_rank, TARGET, "one_step").metrics]
    assert curve.count("train_loss") == 60
