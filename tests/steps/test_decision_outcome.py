"""The outcome: losses with intervals, and verdicts that the intervals bear out."""

from __future__ import annotations

from pathlib import Path

import fabricated  # type: ignore[import-not-found]
import factory  # type: ignore[import-not-found]
import pytest
from fabricated import POLICIES, TARGET

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.records.adapter import ItemsTable
from appraise.records.outcome import LossTable, Outcome, OutcomeMetrics
from appraise.steps import valuation_decision
from appraise.steps.decision_outcome import STEP, verdict
from appraise.steps.runner import run
from appraise.storage.files import read_json


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = fabricated.project(tmp_path_factory.mktemp("outcome"))
    run(valuation_decision.STEP, made)
    run(STEP, made)
    return made


@pytest.fixture(scope="module")
def outcome(project: Project) -> Outcome:
    return Outcome.read(project.open(STEP.noun, TARGET))


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
    project: Project, outcome: Outcome
) -> None:
    for policy, score in outcome.policies.items():
        items = ItemsTable.read(project.open("evaluation", f"{TARGET}/{policy}"))
        loss = items.numbers("nats").sum() / items.numbers("tokens").sum()
        assert score.loss == pytest.approx(loss)
        assert score.low < score.loss < score.high


def test_kmm_is_compared_with_every_other_policy(outcome: Outcome) -> None:
    assert outcome.policy == "kmm"
    assert [(pair.a, pair.b) for pair in outcome.comparisons] == [
        ("kmm", policy) for policy in sorted(POLICIES) if policy != "kmm"
    ]
    for pair in outcome.comparisons:
        losses = outcome.policies
        assert pair.difference == pytest.approx(losses["kmm"].loss - losses[pair.b].loss)
        assert pair.verdict == "kmm is better"


def test_the_policy_that_decides_is_compared_with_every_other(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path, selected_subset={"decide_by": "one_step"})
    run(valuation_decision.STEP, project)
    run(STEP, project)
    outcome = Outcome.read(project.folder(STEP.noun, TARGET))
    assert outcome.policy == "one_step"
    assert outcome.ours == outcome.policies["one_step"]
    assert {pair.a for pair in outcome.comparisons} == {"one_step"}
    assert {pair.b for pair in outcome.comparisons} == set(POLICIES) - {"one_step"}
    to_kmm = next(pair for pair in outcome.comparisons if pair.b == "kmm")
    assert to_kmm.verdict == "kmm is better"


def test_the_outcome_says_its_layout(project: Project) -> None:
    found = read_json(project.open(STEP.noun, TARGET) / "outcome.json")
    assert (found["schema"], found["policy"]) == ("appraise/outcome/2", "kmm")


def test_pairs_are_sharper_than_the_intervals_of_each(outcome: Outcome) -> None:
    kmm = outcome.policies["kmm"]
    pair = next(pair for pair in outcome.comparisons if pair.b == "one_step")
    assert pair.high - pair.low < 0.5 * (kmm.high - kmm.low)


def test_equal_adapters_show_no_detectable_difference(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    items = ItemsTable.read(project.open("evaluation", f"{TARGET}/kmm"))
    shuffled = ItemsTable(items.table.sample(frac=1, random_state=0))
    factory.changed(project, "evaluation", f"{TARGET}/random", shuffled)  # in another order
    run(valuation_decision.STEP, project)
    run(STEP, project)
    outcome = Outcome.read(project.folder(STEP.noun, TARGET))
    pair = next(pair for pair in outcome.comparisons if pair.b == "random")
    assert pair.verdict == "no detectable difference"
    assert pair.difference == 0


def test_metrics_and_plot_are_where_dvc_expects_them(project: Project, outcome: Outcome) -> None:
    folder = project.open(STEP.noun, TARGET)
    metrics = OutcomeMetrics.read(folder)
    assert metrics.policies["kmm"]["loss"] == outcome.policies["kmm"].loss
    assert metrics.differences["kmm_minus_none"] < 0
    assert read_json(folder / "metrics.json")["kmm_minus_none"] < 0, "beside the policies"
    lines = (folder / "loss.csv").read_text().splitlines()
    assert lines[0] == "policy,loss,low,high"
    assert len(lines) == 1 + len(POLICIES)
    policy, loss, *_ = lines[1].split(",")
    assert float(loss) == outcome.policies[policy].loss
    assert LossTable.read(folder).rows == LossTable.of(outcome).rows


def test_evaluations_on_different_items_are_refused(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    items = ItemsTable.read(project.open("evaluation", f"{TARGET}/random"))
    fewer = ItemsTable(items.table.iloc[1:])
    factory.changed(project, "evaluation", f"{TARGET}/random", fewer)
    run(valuation_decision.STEP, project)
    with pytest.raises(
        ArtifactError, match="the same items for every policy, found others for random"
    ):
        run(STEP, project)
