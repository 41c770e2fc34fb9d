from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls
from sketched_project import PRICES, rows, sketched, write_offers, write_params

import appraise
from appraise.errors import ArtifactError, ParamsError
from appraise.policies import POLICIES
from appraise.policies.by_value import by_value
from appraise.project import Project
from appraise.steps import candidates, dataset_values, kernel_matrix
from appraise.steps.runner import run
from appraise.steps.selected_subset import STEP
from appraise.storage.files import read_arrays, read_json, read_table


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = sketched(tmp_path)
    run(candidates.STEP, made)
    run(kernel_matrix.STEP, made)
    run(dataset_values.STEP, made)
    return made


def subset(project: Project, policy: str, target: str = "t") -> dict:
    found: dict = read_json(project.open("selected_subset", f"{target}/{policy}") / "subset.json")
    return found


def each_set(
    project: Project, target: str, k: int, budget: float = math.inf
) -> dict[frozenset[str], float]:
    """The objective of each set within k and budget, by non-negative least squares."""
    kernel, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    stated = read_json(project.open("dataset_values", f"{target}/kmm") / "certificate.json")
    row = ("t", "u").index(target)
    found = {}
    for size in range(k + 1):
        for on in itertools.combinations(range(len(meta["ids"])), size):
            names = frozenset(meta["ids"][i] for i in on)
            if sum(PRICES[name] for name in names) > budget:
                continue
            K, b = kernel["K"][np.ix_(on, on)], kernel["C"][row][list(on)] - stated["lambda"]
            goal = np.linalg.solve(np.linalg.cholesky(K), b) if on else np.zeros(0)
            missed = nnls(np.linalg.cholesky(K).T, goal)[1] if on else 0.0
            found[names] = float(0.5 * missed**2 - 0.5 * goal @ goal + 0.5 * stated["tau"])
    return found


def test_a_partition_for_each_target_and_policy(project: Project) -> None:
    policies = ("none", "kmm", "one_step", "random")
    expected = tuple(f"{target}/{policy}" for target in "tu" for policy in policies)
    assert run(STEP, project).made == expected
    assert run(STEP, project).made == ()


def test_what_each_policy_buys(project: Project) -> None:
    run(STEP, project)
    table = read_table(project.open("dataset_values", "t/kmm") / "weights.parquet")
    best = table[table["cosine"] > 0].sort_values("cosine", ascending=False)["id"].head(2)
    found = subset(project, "one_step")
    assert found["datasets"] == list(best)
    assert found["cost"] == sum(PRICES[name] for name in best)
    assert [item["id"] for item in found["ranking"]] == list(
        table.sort_values("cosine", ascending=False, kind="stable")["id"]
    )
    assert {item["reason"] for item in found["ranking"]} <= {"chosen", "beyond_k", "no_score"}
    assert {item["beside"] for item in found["ranking"]} == {None}, "cosines are no mix"
    assert subset(project, "none")["datasets"] == []
    assert len(subset(project, "random")["datasets"]) == 2
    assert (found["k"], found["budget"], found["currency"]) == (2, None, "EUR")


def test_budget_and_k_are_obeyed(project: Project, tmp_path: Path) -> None:
    changed = {"k": 4, "budget": 35.0, "policies": ["kmm", "random", "all", "target_only"]}
    project = write_params(tmp_path, selected_subset=changed)
    made = run(STEP, project)
    assert "t/target_only" not in made.made, "it needs target data in the mix"
    for policy in ("kmm", "random"):
        assert 0 < subset(project, policy)["cost"] <= 35
    assert subset(project, "all")["datasets"] == sorted(PRICES)


def test_policies_by_the_objective(project: Project, tmp_path: Path) -> None:
    policies = ["kmm", "greedy", "largest_weights"]
    project = write_params(tmp_path, selected_subset={"k": 2, "policies": policies})
    assert run(STEP, project).made == tuple(f"{t}/{p}" for t in "tu" for p in policies)
    assert run(STEP, project).made == ()
    for policy in policies:
        found = subset(project, policy)
        assert 1 <= len(found["datasets"]) <= 2
        ranked = [item["id"] for item in found["ranking"]]
        assert ranked[: len(found["datasets"])] == found["datasets"]
        assert sorted(ranked) == sorted(PRICES)
        assert found["cost"] == sum(PRICES[name] for name in found["datasets"])
        reasons = {item["id"]: item["reason"] for item in found["ranking"]}
        assert {reasons[name] for name in found["datasets"]} == {"chosen"}
        assert set(reasons.values()) <= {"chosen", "beyond_k", "no_score"}
    for target in "tu":
        objectives = [subset(project, policy, target)["objective"] for policy in policies]
        assert objectives[0] == pytest.approx(min(each_set(project, target, k=2).values()))
        assert objectives[0] == min(objectives)


def test_how_each_dataset_stands_to_what_is_bought(project: Project) -> None:
    run(STEP, project)
    found, sets = subset(project, "kmm"), each_set(project, "t", k=4)
    bought = frozenset(found["datasets"])
    assert found["objective"] == pytest.approx(sets[bought])
    for item in found["ranking"]:
        beside, name = item["beside"], item["id"]
        gain = abs(sets[bought ^ {name}] - sets[bought])
        assert item["score"] == pytest.approx(gain, abs=1e-9)
        assert beside["gain"] == pytest.approx(gain / sets[frozenset()], abs=1e-9)
        assert {cover["id"] for cover in beside["covered_by"]} == bought - {name}
        assert (beside["weight"] > 0) == (name in bought)


def test_the_same_purchase_and_prices_as_of_arrays(project: Project, tmp_path: Path) -> None:
    """What `appraise.value` says of the same rows: in the resamples too, which draw alike."""
    gradients = {name: rows(name) for name in PRICES}
    for asked in (
        {"k": 2}, {"k": 3, "budget": 65.0}, {"k": 4, "exchange_rate": 400.0},
        {"k": 2, "budget": 45.0, "exchange_rate": 150.0},
    ):  # fmt: skip
        project = write_params(tmp_path, selected_subset=asked)
        run(STEP, project)
        for target in "tu":
            expected = appraise.value(
                gradients, rows(target, 48), prices=PRICES, resamples=20, **asked
            )
            found = subset(project, "kmm", target)
            assert found["datasets"] == list(expected.selected)
            assert found["exchange_rate"] == asked.get("exchange_rate")
            assert found["bought_probability"] == pytest.approx(expected.bought_probability)
            assert set(found["walk_away"]) == set(expected.selected)
            stated = found["walk_away"] | {
                name: change["price"] for name, change in found["changes"].items()
            }
            for name in PRICES:
                price = expected.walk_away_price(name)
                price = None if price is None or math.isinf(price) else pytest.approx(price)
                assert stated[name] == price
            assert found["separations"] == {}


def test_without_resamples_nothing_is_said_of_them(tmp_path: Path) -> None:
    project = sketched(tmp_path, dataset_values={"bootstraps": 0})
    for step in (candidates.STEP, kernel_matrix.STEP, dataset_values.STEP, STEP):
        run(step, project)
    assert subset(project, "kmm")["bought_probability"] == {}
    assert not {"gradient_sketches", "target_sketches"} & nouns(project, "t/kmm")


def nouns(project: Project, key: str) -> set[str]:
    """What a partition was made from."""
    return {each.noun for each in project.manifest("selected_subset", key).recipe.inputs}


def test_only_the_policy_that_decides_by_the_program_reads_sketches(project: Project) -> None:
    run(STEP, project)
    assert {"gradient_sketches", "target_sketches"} <= nouns(project, "t/kmm")
    for policy in ("none", "one_step", "random"):
        assert not {"gradient_sketches", "target_sketches"} & nouns(project, f"t/{policy}")


def test_a_policy_that_cuts_a_ranking_says_how_settled_the_cut_is(
    project: Project, tmp_path: Path
) -> None:
    changed = {"decide_by": "largest_weights", "policies": ["kmm", "largest_weights"]}
    project = write_params(tmp_path, selected_subset={"k": 2} | changed)
    run(STEP, project)
    found = subset(project, "largest_weights")
    draws, meta = read_arrays(project.open("dataset_values", "t/kmm") / "bootstrap.safetensors")
    times = dict.fromkeys(meta["ids"], 0)
    for weights in draws["weights"]:
        largest = sorted(range(4), key=lambda i: -weights[i])[:2]
        for i in largest:
            times[meta["ids"][i]] += bool(weights[i] > 0)
    assert found["bought_probability"] == {name: count / 20 for name, count in times.items()}
    assert set(found["separations"]) <= set(PRICES)
    assert found["separations"]


def test_another_price_asks_for_another_purchase_and_no_other_value(project: Project) -> None:
    run(STEP, project)
    write_offers(project, PRICES | {"c": 1.0})
    assert run(dataset_values.STEP, project).made == ()
    assert set(run(STEP, project).made) >= {"t/kmm", "u/kmm"}


def test_a_budget_binds_the_policies_by_the_objective(project: Project, tmp_path: Path) -> None:
    changed = {"k": 4, "budget": 35.0, "policies": ["kmm", "greedy"]}
    project = write_params(tmp_path, selected_subset=changed)
    run(STEP, project)
    for policy in ("kmm", "greedy"):
        found = subset(project, policy)
        assert 0 < found["cost"] <= 35
        assert "d" not in found["datasets"], "it costs 40"
    sets = each_set(project, "t", k=4, budget=35.0)
    assert subset(project, "kmm")["objective"] == pytest.approx(min(sets.values()))


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
