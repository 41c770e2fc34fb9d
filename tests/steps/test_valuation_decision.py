"""The decision: complete, named by its content, the same wherever it is replayed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import fabricated  # type: ignore[import-not-found]
import pytest
from fabricated import DATASETS, TARGET

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.steps.runner import run
from appraise.steps.valuation_decision import STEP
from appraise.storage.files import read_json, read_table, sha256_json


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = fabricated.project(tmp_path_factory.mktemp("decision"))
    run(STEP, made)
    return made


@pytest.fixture(scope="module")
def decision(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = read_json(project.open(STEP.noun, TARGET) / "decision.json")
    return found


def test_the_id_is_the_hash_of_all_the_rest(decision: dict[str, Any]) -> None:
    rest = {name: value for name, value in decision.items() if name != "decision_id"}
    assert decision["decision_id"] == sha256_json(rest)
    rest["cost"] += 1
    assert decision["decision_id"] != sha256_json(rest)


def test_every_dataset_is_bought_refused_or_set_aside(decision: dict[str, Any]) -> None:
    bought = [item["id"] for item in decision["bought"]]
    refused = [item["id"] for item in decision["refused"]]
    assert sorted([*bought, *refused]) == sorted(DATASETS)
    assert bought == decision["policies"]["kmm"]["datasets"]
    assert decision["cost"] == sum(item["price"] for item in decision["bought"])
    assert {item["id"]: item["step"] for item in decision["set_aside"]} == {
        "../../x": "offers",
        "boolq": "auxiliary_datasets",
    }


def test_each_refusal_has_the_reason_that_its_numbers_give(decision: dict[str, Any]) -> None:
    kinds = {item["id"]: item["reason_kind"] for item in decision["refused"]}
    assert kinds["logiqa"] == "beyond_k"
    assert kinds["abstract_narrative"] == "harmful"
    assert kinds["fiqa"] == "unrelated"
    assert kinds["asdiv"] == "weak"
    assert kinds["consumer_contracts"] == "covered"
    for item in decision["refused"]:
        if item["reason_kind"] == "covered":
            assert item["margin"] <= item["threshold"] < item["alignment"]


def test_what_covers_a_refused_dataset_adds_up(decision: dict[str, Any]) -> None:
    for item in decision["refused"]:
        covered = sum(other["amount"] for other in item["covered_by"])
        if item["weight"] == 0:
            assert covered == pytest.approx(item["alignment"] - item["margin"], abs=1e-12)
        assert item["id"] not in {other["id"] for other in item["covered_by"]}


def test_evidence_names_what_was_read_and_what_that_was_made_from(
    project: Project, decision: dict[str, Any]
) -> None:
    evidence = decision["evidence"]
    assert evidence["kernel_matrix"] == project.content("kernel_matrix")
    assert evidence["auxiliary_datasets/csqa"] == project.content("auxiliary_datasets", "csqa")
    assert evidence["base_model"] == fabricated.sha("model")  # through the sketches' manifests
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
    run(STEP, project)
    decision = read_json(project.folder(STEP.noun, TARGET) / "decision.json")
    refused = {item["id"]: item for item in decision["refused"]}
    assert refused["csqa"]["reason_kind"] == "ineligible"
    assert "forbids commercial use" in refused["csqa"]["reason"]


def test_without_prices_in_the_penalty_there_is_no_price_to_walk_away_from(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    folder = project.open("kmm_weights", TARGET)
    table = read_table(folder / "weights.parquet").assign(walk_away_price=math.nan)
    certificate = read_json(folder / "certificate.json")
    files = {"weights.parquet": table, "certificate.json": certificate}
    files |= {name: read_table(folder / name) for name in ("path.parquet", "owners.parquet")}
    fabricated.write(project, "kmm_weights", TARGET, files)
    run(STEP, project)
    text = (project.folder(STEP.noun, TARGET) / "decision.json").read_text()
    assert all(item["walk_away_price"] is None for item in json.loads(text)["refused"])


def test_weights_of_another_pool_are_refused(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    content = fabricated.offers()
    content["offers"] = [offer for offer in content["offers"] if offer["id"] != "csqa"]
    fabricated.write(project, "offers", "", {"offers.json": content})
    with pytest.raises(ArtifactError, match="offers of the same datasets, found csqa in some only"):
        run(STEP, project)
