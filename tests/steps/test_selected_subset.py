from __future__ import annotations

from pathlib import Path

import pytest
from sketched_project import PRICES, sketched, write_offers, write_params

from appraise.errors import ArtifactError, ParamsError
from appraise.policies import POLICIES
from appraise.policies.by_value import by_value
from appraise.project import Project
from appraise.steps import candidates, dataset_values, kernel_matrix
from appraise.steps.runner import run
from appraise.steps.selected_subset import STEP
from appraise.storage.files import read_json, read_table


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = sketched(tmp_path)
    run(candidates.STEP, made)
    run(kernel_matrix.STEP, made)
    run(dataset_values.STEP, made)
    return made


def subset(project: Project, policy: str) -> dict:
    found: dict = read_json(project.open("selected_subset", f"t/{policy}") / "subset.json")
    return found


def test_a_partition_for_each_target_and_policy(project: Project) -> None:
    policies = ("none", "kmm", "one_step", "random")
    expected = tuple(f"{target}/{policy}" for target in "tu" for policy in policies)
    assert run(STEP, project).made == expected
    assert run(STEP, project).made == ()


def test_what_each_policy_buys(project: Project, tmp_path: Path) -> None:
    policies = ["none", "kmm", "largest_weights", "one_step", "random"]
    project = write_params(tmp_path, selected_subset={"k": 2, "policies": policies})
    run(STEP, project)
    table = read_table(project.open("dataset_values", "t/kmm") / "weights.parquet")
    for policy, score in (("largest_weights", "weight"), ("one_step", "cosine")):
        best = table[table[score] > 0].sort_values(score, ascending=False)["id"].head(2)
        found = subset(project, policy)
        assert found["datasets"] == list(best)
        assert found["cost"] == sum(PRICES[name] for name in best)
        assert [item["id"] for item in found["ranking"]] == list(
            table.sort_values(score, ascending=False, kind="stable")["id"]
        )
        assert {item["reason"] for item in found["ranking"]} <= {"chosen", "beyond_k", "no_score"}
    assert subset(project, "none")["datasets"] == []
    assert len(subset(project, "random")["datasets"]) == 2
    assert (found["k"], found["budget"], found["currency"]) == (2, None, "EUR")


def test_budget_and_k_are_obeyed(project: Project, tmp_path: Path) -> None:
    changed = {"k": 4, "budget": 35.0, "policies": ["kmm", "random", "all", "target_only"]}
    project = write_params(tmp_path, selected_subset=changed)
    made = run(STEP, project)
    assert "t/target_only" not in made.made, "it needs target data in the mix"
    for policy in ("kmm", "random"):
        assert subset(project, policy)["cost"] <= 35
    assert subset(project, "all")["datasets"] == sorted(PRICES)


def test_policies_by_the_objective(project: Project, tmp_path: Path) -> None:
    policies = ["largest_weights", "greedy", "kmm"]
    project = write_params(tmp_path, selected_subset={"k": 2, "policies": policies})
    assert run(STEP, project).made == tuple(f"{t}/{p}" for t in "tu" for p in policies)
    assert run(STEP, project).made == ()
    for policy in policies[1:]:
        found = subset(project, policy)
        assert 1 <= len(found["datasets"]) <= 2
        ranked = [item["id"] for item in found["ranking"]]
        assert ranked[: len(found["datasets"])] == found["datasets"]
        assert sorted(ranked) == sorted(PRICES)
        assert found["cost"] == sum(PRICES[name] for name in found["datasets"])
        reasons = {item["id"]: item["reason"] for item in found["ranking"]}
        assert {reasons[name] for name in found["datasets"]} == {"chosen"}
        assert set(reasons.values()) <= {"chosen", "beyond_k", "no_score"}


def test_a_budget_binds_the_policies_by_the_objective(project: Project, tmp_path: Path) -> None:
    changed = {"k": 4, "budget": 35.0, "policies": ["largest_weights", "greedy", "kmm"]}
    project = write_params(tmp_path, selected_subset=changed)
    run(STEP, project)
    for policy in ("greedy", "kmm"):
        found = subset(project, policy)
        assert 0 < found["cost"] <= 35
        assert "d" not in found["datasets"], "it costs 40"


def test_only_the_random_policy_depends_on_the_seed(project: Project, tmp_path: Path) -> None:
    run(STEP, project)
    project = write_params(tmp_path, selected_subset={"k": 2, "seed": 5})
    assert run(STEP, project).made == ("t/random", "u/random")


def test_the_policy_that_decides_says_what_would_have_to_change(
    project: Project, tmp_path: Path
) -> None:
    run(STEP, project)
    changed = {"k": 2, "decide_by": "one_step"}
    project = write_params(tmp_path, selected_subset=changed)
    assert run(STEP, project).made == ("t/kmm", "t/one_step", "u/kmm", "u/one_step")
    assert "changes" not in subset(project, "kmm")
    decided = subset(project, "one_step")
    assert set(decided["changes"]) == set(PRICES) - set(decided["datasets"])
    assert decided["frontier"][-1]["datasets"] == decided["datasets"]
    assert {point["objective"] for point in decided["frontier"]} == {None}
    assert decided["shadow_price"] is None


def test_a_policy_that_is_registered_buys(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_cosine = by_value("mine", title="Mine", meaning="whatever I like", method="alignment")
    monkeypatch.setitem(POLICIES, "mine", by_cosine)
    changed = {"k": 2, "policies": ["kmm", "mine", "one_step"]}
    project = write_params(tmp_path, selected_subset=changed)
    run(STEP, project)
    assert subset(project, "mine")["datasets"] == subset(project, "one_step")["datasets"]


def test_a_new_title_costs_nothing(project: Project) -> None:
    run(STEP, project)
    write_offers(project, PRICES, title="renamed")
    assert run(STEP, project).made == ()


def test_errors_say_what_to_do(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    run(candidates.STEP, project)
    run(kernel_matrix.STEP, project)
    with pytest.raises(ArtifactError, match="run `appraise dataset-values` first"):
        run(STEP, project)
    with pytest.raises(ParamsError, match=r"found '\.\./kmm'"):
        run(STEP, project, ["../kmm"])
