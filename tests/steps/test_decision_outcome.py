"""The outcome: losses with intervals, and verdicts that the intervals bear out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fabricated  # type: ignore[import-not-found]
import pytest
from fabricated import POLICIES, TARGET

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.steps import valuation_decision
from appraise.steps.decision_outcome import STEP, verdict
from appraise.steps.runner import run
from appraise.storage.files import read_json, read_table


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = fabricated.project(tmp_path_factory.mktemp("outcome"))
    run(valuation_decision.STEP, made)
    run(STEP, made)
    return made


@pytest.fixture(scope="module")
def outcome(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = read_json(project.open(STEP.noun, TARGET) / "outcome.json")
    return found


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.2, -0.1, "kmm is better"),
        (0.1, 0.2, "random is better"),
        (-0.1, 0.1, "no detectable difference"),
        (-0.1, 0.0, "no detectable difference"),
    ],
)
def test_verdict_needs_an_interval_without_zero(low: float, high: float, words: str) -> None:
    assert verdict("kmm", "random", low, high) == words


def test_loss_is_nats_per_token_and_lies_in_its_interval(
    project: Project, outcome: dict[str, Any]
) -> None:
    for policy, found in outcome["policies"].items():
        items = read_table(project.open("evaluation", f"{TARGET}/{policy}") / "items.parquet")
        assert found["loss"] == pytest.approx(items["nats"].sum() / items["tokens"].sum())
        assert found["low"] < found["loss"] < found["high"]


def test_kmm_is_compared_with_every_other_policy(outcome: dict[str, Any]) -> None:
    assert [(pair["a"], pair["b"]) for pair in outcome["comparisons"]] == [
        ("kmm", policy) for policy in sorted(POLICIES) if policy != "kmm"
    ]
    for pair in outcome["comparisons"]:
        losses = outcome["policies"]
        assert pair["difference"] == pytest.approx(
            losses["kmm"]["loss"] - losses[pair["b"]]["loss"]
        )
        assert pair["verdict"] == "kmm is better"


def test_pairs_are_sharper_than_the_intervals_of_each(outcome: dict[str, Any]) -> None:
    kmm = outcome["policies"]["kmm"]
    pair = next(pair for pair in outcome["comparisons"] if pair["b"] == "one_step")
    assert pair["high"] - pair["low"] < 0.5 * (kmm["high"] - kmm["low"])


def test_equal_adapters_show_no_detectable_difference(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    kmm = project.open("evaluation", f"{TARGET}/kmm")
    files = {
        "items.parquet": read_table(kmm / "items.parquet").sample(frac=1, random_state=0),
        "metrics.json": read_json(kmm / "metrics.json"),
    }
    fabricated.write(project, "evaluation", f"{TARGET}/random", files)  # in another order
    run(valuation_decision.STEP, project)
    run(STEP, project)
    outcome = read_json(project.folder(STEP.noun, TARGET) / "outcome.json")
    pair = next(pair for pair in outcome["comparisons"] if pair["b"] == "random")
    assert pair["verdict"] == "no detectable difference"
    assert pair["difference"] == 0


def test_metrics_and_plot_are_where_dvc_expects_them(
    project: Project, outcome: dict[str, Any]
) -> None:
    folder = project.open(STEP.noun, TARGET)
    metrics = read_json(folder / "metrics.json")
    assert metrics["kmm"]["loss"] == outcome["policies"]["kmm"]["loss"]
    assert metrics["kmm_minus_none"] < 0
    lines = (folder / "loss.csv").read_text().splitlines()
    assert lines[0] == "policy,loss,low,high"
    assert len(lines) == 1 + len(POLICIES)
    policy, loss, *_ = lines[1].split(",")
    assert float(loss) == outcome["policies"][policy]["loss"]


def test_evaluations_on_different_items_are_refused(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    folder = project.open("evaluation", f"{TARGET}/random")
    files = {
        "items.parquet": read_table(folder / "items.parquet").iloc[1:],
        "metrics.json": read_json(folder / "metrics.json"),
    }
    fabricated.write(project, "evaluation", f"{TARGET}/random", files)
    run(valuation_decision.STEP, project)
    with pytest.raises(
        ArtifactError, match="the same items for every policy, found others for random"
    ):
        run(STEP, project)
