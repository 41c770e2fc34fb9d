"""The terminal's short form: complete, honest, harmless."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from steps import fabricated  # type: ignore[import-not-found]

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.records.decision import Decision
from appraise.records.outcome import OutcomeMetrics
from appraise.review.summary import summary
from appraise.steps import decision_outcome, report, valuation_decision
from appraise.steps.runner import run


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project: Project = fabricated.project(tmp_path_factory.mktemp("summary"))
    run(valuation_decision.STEP, project)
    return project


def test_a_decision_can_be_read_before_its_outcome_is_known(decided: Project) -> None:
    text = summary(decided, fabricated.TARGET)
    assert text.splitlines()[0] == (
        "A clinic's help desk: Buy PrivacyQA, CommonsenseQA and PubMedQA, expert labels for "
        "440 USD (example prices)."
    )
    assert text.splitlines()[1].startswith("Licence unknown: PubMedQA, expert labels. Ask")
    assert "minus" not in text
    assert text.count("appraise run") == 1, "the whole next command"
    assert "Report" not in text
    assert re.search(r"Gradients of [\d,]+ examples: [\d,]+ tokens; sketches of [\d.]+ MB\.", text)
    assert "Optimum certified: gap 3.2 × 10⁻¹²" in text
    for name in (*fabricated.DATASETS, "boolq"):
        assert name in text
    assert max(len(line) for line in text.splitlines()[1:]) <= 100


def test_the_outcome_follows_with_its_verdicts(decided: Project) -> None:
    run(decision_outcome.STEP, decided)
    text = summary(decided, fabricated.TARGET)
    decision = Decision.read(decided.folder("valuation_decision", fabricated.TARGET))
    assert decision.decision_id in text
    assert "kmm minus one_step: −0.195" in text
    assert "kmm is better" in text


def test_what_came_of_another_decision_is_not_shown(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    for step in (valuation_decision.STEP, decision_outcome.STEP, report.STEP):
        run(step, project)
    shown = summary(project, fabricated.TARGET)
    assert "kmm minus one_step" in shown
    assert f"Report data/report/{fabricated.TARGET}/report.html" in shown
    fabricated.subsets(project, fabricated.valuation(project, relative_lambda=0.1))
    run(valuation_decision.STEP, project)
    newer = summary(project, fabricated.TARGET)
    assert "minus" not in newer
    assert "Report" not in newer
    assert "appraise run" in newer


def test_rewards_are_shown_where_they_were_trained_for(decided: Project, tmp_path: Path) -> None:
    project = fabricated.project(tmp_path, rewarded=True)
    run(valuation_decision.STEP, project)
    run(decision_outcome.STEP, project)
    line = next(one for one in summary(project, fabricated.TARGET).splitlines() if "reward" in one)
    assert line.split()[:2] == ["policy", "loss"]
    metrics = OutcomeMetrics.read(project.open("decision_outcome", fabricated.TARGET)).policies
    assert {metrics[policy]["reward"] for policy in fabricated.POLICIES} >= {0.25, 0.375}
    run(decision_outcome.STEP, decided)
    assert "reward" not in summary(decided, fabricated.TARGET)


def test_titles_cannot_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = ("Priv\x1b]0;owned\x07acy\u202e", *fabricated.DATASETS["privacy_policy"][1:])
    monkeypatch.setitem(fabricated.DATASETS, "privacy_policy", hostile)
    project = fabricated.project(tmp_path)
    run(valuation_decision.STEP, project)
    text = summary(project, fabricated.TARGET)
    assert all(line.isprintable() for line in text.splitlines())


def test_no_decision_says_what_to_run(tmp_path: Path) -> None:
    project = fabricated.settings(tmp_path)
    with pytest.raises(ArtifactError, match="run `appraise valuation-decision` first"):
        summary(project, fabricated.TARGET)


def test_a_decision_by_alignment_says_what_alignment_can_say(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path, selected_subset={"decide_by": "one_step"})
    run(valuation_decision.STEP, project)
    run(decision_outcome.STEP, project)
    text = summary(project, fabricated.TARGET)
    for said in ("None", "worth up to", "bought in", "adds", "certified", "Objective"):
        assert said not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["bought", "price", "alignment"] in lines
    assert ["not", "bought", "price", "alignment", "why"] in lines
    assert "It comes 4th of 16 by alignment; three were bought." in text
    assert "one_step minus kmm: +0.195" in text
