"""The decision: complete, named by its content, the same wherever it is replayed."""

from __future__ import annotations

from pathlib import Path

import fabricated  # type: ignore[import-not-found]
import factory  # type: ignore[import-not-found]
import jsonschema
import pytest
from fabricated import DATASETS, TARGET

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.records.decision import Decision, json_schema
from appraise.records.subset import Subset
from appraise.steps.runner import run
from appraise.steps.valuation_decision import STEP
from appraise.storage.files import read_json, sha256_json


def decided(project: Project) -> Decision:
    run(STEP, project)
    return Decision.read(project.open(STEP.noun, TARGET))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = fabricated.project(tmp_path_factory.mktemp("decision"))
    run(STEP, made)
    return made


@pytest.fixture(scope="module")
def decision(project: Project) -> Decision:
    return decided(project)


@pytest.fixture(scope="module")
def by_rank(tmp_path_factory: pytest.TempPathFactory) -> Decision:
    """A decision by alignment, a method that has values and no program."""
    root = tmp_path_factory.mktemp("by_rank")
    return decided(fabricated.project(root, selected_subset={"decide_by": "one_step"}))


def test_the_id_is_the_hash_of_all_the_rest(project: Project, decision: Decision) -> None:
    rest = read_json(project.open(STEP.noun, TARGET) / "decision.json")
    assert rest.pop("decision_id") == decision.decision_id == sha256_json(rest)
    assert decision.own_id() == decision.decision_id
    rest["cost"] += 1
    assert decision.decision_id != sha256_json(rest)


def test_it_is_what_its_published_schema_says(project: Project, by_rank: Decision) -> None:
    content = read_json(project.open(STEP.noun, TARGET) / "decision.json")
    assert content["schema"] == "appraise/decision/5"
    assert "mlflow" not in content, "what a recorder knows is not in the decision"
    for found in (content, by_rank.as_json()):
        jsonschema.Draft202012Validator(json_schema()).validate(found)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(found | {"cost": "330 USD"}, json_schema())


def test_every_dataset_is_bought_refused_or_set_aside(decision: Decision) -> None:
    refused = [item.id for item in decision.refused]
    assert sorted([*decision.bought_ids, *refused]) == sorted(DATASETS)
    assert (decision.policy, decision.method) == ("kmm", "kmm")
    assert tuple(decision.bought_ids) == decision.policies["kmm"].datasets
    assert decision.cost == sum(item.price for item in decision.bought)
    assert {item.id: item.step for item in decision.set_aside} == {
        "../../x": "offers",
        "boolq": "auxiliary_datasets",
    }


def test_each_refusal_has_the_reason_that_its_numbers_give(decision: Decision) -> None:
    kinds = {item.id: item.reason_kind for item in decision.refused}
    assert kinds["logiqa"] == "beyond_k"
    assert kinds["abstract_narrative"] == "harmful"
    assert kinds["fiqa"] == "unrelated"
    assert kinds["asdiv"] == "weak"
    assert kinds["consumer_contracts"] == "covered"
    for item in decision.refused:
        if item.reason_kind == "covered":
            assert item.adds.margin <= item.adds.needed < item.alignment


def test_what_covers_a_dataset_is_bought_and_adds_up(decision: Decision) -> None:
    for item in decision.valued():
        covered = sum(other.amount for other in item.adds.covered_by)
        assert covered == pytest.approx(item.alignment - item.adds.margin, abs=1e-12)
        assert {other.id for other in item.adds.covered_by} <= set(decision.bought_ids) - {item.id}
        assert (item.adds.share > 0) == (item.id in decision.bought_ids)


def test_evidence_names_what_was_read_and_what_that_was_made_from(
    project: Project, decision: Decision
) -> None:
    evidence = decision.evidence
    assert evidence["kernel_matrix"] == project.content("kernel_matrix")
    assert evidence["auxiliary_datasets/csqa"] == project.content("auxiliary_datasets", "csqa")
    assert evidence["base_model"] == factory.sha("model")  # through the sketches' manifests
    assert "gradient_sketches/boolq" not in evidence
    assert "gradient_sketches/csqa/x" not in evidence  # a file of what is named as a whole
    assert all(len(content) == 64 for content in evidence.values())


def test_a_replay_elsewhere_gives_the_same_bytes(project: Project, tmp_path: Path) -> None:
    again = fabricated.project(tmp_path)
    run(STEP, again)
    assert again.content(STEP.noun, TARGET) == project.content(STEP.noun, TARGET)


def test_a_second_run_computes_nothing_and_new_weights_are_noticed(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    assert run(STEP, project).made == (TARGET,)
    before = project.content(STEP.noun, TARGET)
    assert run(STEP, project).made == ()
    fabricated.subsets(project, fabricated.valuation(project, relative_lambda=0.1))
    assert run(STEP, project).made == (TARGET,)
    assert project.content(STEP.noun, TARGET) != before


def test_a_dataset_that_may_not_be_bought_says_so(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    barred = {"csqa": "licence CC-BY-NC-4.0 forbids commercial use"}
    fabricated.subsets(project, fabricated.valuation(project), barred)
    refused = {item.id: item for item in decided(project).refused}
    assert refused["csqa"].reason_kind == "ineligible"
    assert "forbids commercial use" in refused["csqa"].reason


def test_prices_to_walk_away_from_are_those_of_the_purchase(decision: Decision) -> None:
    assert {item.walk_away_price for item in decision.bought} == {210.0}
    for item in decision.refused:
        assert item.walk_away_price == item.change.price
    assert {item.id for item in decision.refused if item.walk_away_price} == {"obqa"}


def test_what_a_dataset_adds_is_worth_what_the_buyer_says(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    part = f"{TARGET}/kmm"
    subset = Subset.read(project.open("selected_subset", part))
    rated = subset.model_copy(update={"exchange_rate": 2000.0})
    factory.put(project, "selected_subset", part, rated)
    decision = decided(project)
    assert decision.asked.exchange_rate == 2000
    for item in decision.valued():
        assert item.adds.gain_in_money == pytest.approx(2000 * item.adds.gain)


def test_weights_of_another_pool_are_refused(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    factory.put(project, "offers", "", fabricated.pool(without=["csqa"]))
    with pytest.raises(ArtifactError, match="offers of the same datasets, found csqa in some only"):
        run(STEP, project)


def test_without_resamples_no_interval_is_claimed(tmp_path: Path) -> None:
    decision = decided(fabricated.project(tmp_path, resamples=0))
    assert all(item.uncertainty is None for item in decision.valued())
    kinds = {item.id: item.reason_kind for item in decision.refused}
    assert kinds["abstract_narrative"] == "points_away", "harmful needs an interval"


def test_a_method_without_a_program_proves_and_prices_nothing(by_rank: Decision) -> None:
    assert (by_rank.policy, by_rank.method) == ("one_step", "alignment")
    assert by_rank.certificate is by_rank.reached is by_rank.families is None
    for item in by_rank.valued():
        assert item.explained is item.uncertainty is item.walk_away_price is item.cut is None
        assert item.adds is item.bought_probability is None
        assert item.weight == item.alignment
    for owner in by_rank.owners:
        assert owner.weight is owner.value is None
        assert owner.datasets
    assert {item.remedy for item in by_rank.refused} == {""}


def test_its_reasons_are_ranks(by_rank: Decision) -> None:
    assert [item.rank for item in by_rank.bought] == [1, 2, 3]
    assert [item.reason for item in by_rank.bought] == [
        "It comes 1st of 16 by alignment.",
        "It comes 2nd of 16 by alignment.",
        "It comes 3rd of 16 by alignment.",
    ]
    fourth, *_, last = by_rank.refused
    assert (fourth.rank, fourth.reason_kind) == (4, "beyond_k")
    assert fourth.reason == "It comes 4th of 16 by alignment; three were bought."
    assert last.rank == 16


def test_what_may_not_be_bought_says_so_by_any_method(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path, selected_subset={"decide_by": "one_step"})
    fabricated.subsets(project, fabricated.valuation(project), {"csqa": "of another licence"})
    refused = {item.id: item for item in decided(project).refused}
    assert refused["csqa"].reason_kind == "ineligible"
    assert refused["csqa"].reason == "It may not be bought: of another licence."


def test_a_policy_that_looks_at_no_value_decides_too(tmp_path: Path) -> None:
    """Its datasets stand in the order in which they were drawn."""
    decision = decided(fabricated.project(tmp_path, selected_subset={"decide_by": "random"}))
    assert (decision.policy, decision.method) == ("random", None)
    assert decision.bought_ids == ["asdiv", "piqa", "truthfulqa"]
    assert decision.bought[1].reason == "It comes 2nd of 16."
    assert decision.certificate is None
