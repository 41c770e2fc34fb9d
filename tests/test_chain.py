"""Every step on a tiny model through the command line: what is made, remade, refused."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from tiny_project import WORDS, all_of_it, appraise, write_project, write_rows

from appraise.errors import AppraiseError
from appraise.project import Project, Recipe
from appraise.project.params import Params
from appraise.records.subset import Subset
from appraise.steps.flow import NOUNS, step
from appraise.steps.runner import run, write
from appraise.steps.step import Output
from appraise.storage.files import read_arrays, read_json, read_table


@pytest.fixture(scope="module")
def done(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_project(tmp_path_factory.mktemp("chain") / "project", tiny)
    all_of_it(root)
    return root


@pytest.fixture
def project(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "project"))


def contents(root: Path) -> dict[str, str]:
    found = Project(root)
    return {f"{n}/{k}": found.content(n, k) for n in NOUNS for k in found.partitions(n)}


def change(root: Path, section: str, **values: Any) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text())
    params[section] = params.get(section, {}) | values
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def test_it_ends_in_a_report_and_a_summary(done: Path) -> None:
    decision = read_json(done / "data/valuation_decision/desk/decision.json")
    assert 1 <= len(decision["bought"]) <= 2
    page = (done / "data/report/desk/report.html").read_text()
    assert decision["decision_id"][:12] in page
    summary = appraise(done, "summary")
    assert summary.exit_code == 0
    assert "kmm minus none" in summary.stdout
    verified = appraise(done, "verify")
    assert verified.exit_code == 0, verified.stdout


def test_the_policy_that_buys_nothing_is_the_base_model(done: Path) -> None:
    training = read_json(done / "data/lora_adapter/desk/none/training.json")
    assert (training["steps"], training["mix"]) == (0, {})
    arrays, _ = read_arrays(done / "data/lora_adapter/desk/none/adapter_model.safetensors")
    assert all(not array.any() for name, array in arrays.items() if "lora_B" in name)


def test_a_second_run_makes_nothing(project: Path) -> None:
    assert all(made == [] for made in all_of_it(project).values())


def test_elsewhere_it_gives_the_same_bytes(done: Path, tiny: Path, tmp_path: Path) -> None:
    other = write_project(tmp_path / "elsewhere", tiny)
    all_of_it(other)
    assert contents(other) == contents(done)


def test_a_target_share_adds_the_policy_that_trains_on_the_target_alone(project: Path) -> None:
    change(project, "lora_adapter", target_share=0.7, steps=5)
    made = all_of_it(project)
    assert made["gradient_sketches"] == made["dataset_values"] == []
    assert "desk/target_only" in made["lora_adapter"]
    mixes = {
        policy: read_json(project / f"data/lora_adapter/desk/{policy}/training.json")["mix"]
        for policy in ("kmm", "target_only", "none")
    }
    assert mixes["kmm"]["target"] == 7
    assert mixes["target_only"] == {"target": 10}
    assert mixes["none"] == {}


def test_policies_that_buy_the_same_are_trained_and_evaluated_once(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appraise.language_model import evaluation, training

    def purchases() -> dict[str, frozenset[str]]:
        found = Project(project)
        keys = found.partitions("selected_subset")
        return {key: frozenset(found.read(Subset, "selected_subset", key).datasets) for key in keys}

    def counted(module: Any, name: str) -> list[str]:
        calls, real = list[str](), getattr(module, name)

        def counting(*args: Any) -> Any:
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(module, name, counting)
        return calls

    before = set(purchases().values())
    change(project, "selected_subset", k=3, policies=["none", "kmm", "random", "all"])
    trained, evaluated = counted(training, "train"), counted(evaluation, "likelihoods")
    made = all_of_it(project)
    assert {"desk/all", "desk/random"} <= set(made["lora_adapter"]) & set(made["evaluation"])
    bought = purchases()
    assert bought["desk/all"] == bought["desk/random"] == set(WORDS)
    assert len(trained) == len(evaluated) == len(set(bought.values()) - before) >= 1
    shared = contents(project)
    for noun in ("lora_adapter", "evaluation"):
        run(step(noun), Project(project), ["desk/random"], force=True)
    assert contents(project) == shared, "alone it is trained to the same bytes"
    verified = appraise(project, "verify")
    assert verified.exit_code == 0, verified.stdout


def test_all_layers_are_a_matter_of_the_settings_alone(project: Path) -> None:
    params = yaml.safe_load((project / "params.yaml").read_text())
    params["base_model"]["lora"]["last_layers"] = None
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    made = all_of_it(project)
    assert len(made["gradient_sketches"]) == 3
    _, meta = read_arrays(project / "data/gradient_sketches/colours/sketch.safetensors")
    assert meta["native_dimension"] == 4 * 2 * (32 + 16 + 16)


def test_one_more_offer_makes_one_sketch(project: Path) -> None:
    pool = yaml.safe_load((project / "pool.yaml").read_text())
    more = write_rows(project, "fruits", ["fig", "pear", "plum", "lime"])
    pool["offers"].append(pool["offers"][0] | {"id": "fruits", "title": "Fruits"} | more)
    (project / "pool.yaml").write_text(yaml.safe_dump(pool))
    before, _ = read_arrays(project / "data/kernel_matrix/kernel.safetensors")
    made = all_of_it(project)
    assert made["auxiliary_datasets"] == made["gradient_sketches"] == ["fruits"]
    assert made["target_sketches"] == []
    after, meta = read_arrays(project / "data/kernel_matrix/kernel.safetensors")
    old = [place for place, name in enumerate(meta["ids"]) if name != "fruits"]
    np.testing.assert_array_equal(after["K"][np.ix_(old, old)], before["K"])


def resell(project: Path) -> tuple[dict[str, Any], Any]:
    """Offer the best dataset twice more; give its offer and the weights as they were."""
    pool = yaml.safe_load((project / "pool.yaml").read_text())
    before = read_table(project / "data/dataset_values/desk/kmm/weights.parquet").set_index("id")
    best = str(before["weight"].idxmax())
    original = next(offer for offer in pool["offers"] if offer["id"] == best)
    pool["offers"] += [
        original | {"id": f"zz_resold_{n}", "provider": f"Reseller {n}"} for n in range(2)
    ]
    (project / "pool.yaml").write_text(yaml.safe_dump(pool))
    return original, before


def test_a_resold_dataset_is_set_aside_before_it_is_sketched(project: Path) -> None:
    original, before = resell(project)
    for noun in NOUNS:
        result = appraise(project, noun.replace("_", "-"), "--json", "--allow-set-aside")
        assert result.exit_code == 0, result.stderr
    after = read_table(project / "data/dataset_values/desk/kmm/weights.parquet")
    assert list(after["weight"]) == list(before["weight"])
    decision = read_json(project / "data/valuation_decision/desk/decision.json")
    aside = {one["id"]: one for one in decision["set_aside"]}
    assert set(aside) == {"zz_resold_0", "zz_resold_1"}
    for one in aside.values():
        assert one["step"] == "gradient_sketches"
        assert f"20 of {original['id']}" in one["reason"]


def test_a_copy_of_a_dataset_gains_nothing_and_takes_nothing(project: Path) -> None:
    change(project, "near_copies", similarity=None)  # what if nobody looks at the rows?
    original, before = resell(project)
    all_of_it(project)
    after = read_table(project / "data/dataset_values/desk/kmm/weights.parquet").set_index("id")
    columns = ["weight", "low", "high", "weight_probability", "signed_weight"]
    np.testing.assert_allclose(after.loc[before.index, columns], before[columns], atol=1e-12)
    copies = after[after.index.str.startswith("zz")]
    assert not copies[["weight", "high", "weight_probability"]].to_numpy().any()
    decision = read_json(project / "data/valuation_decision/desk/decision.json")
    refused = {one["id"]: one for one in decision["refused"]}
    for copy in copies.index:
        assert refused[copy]["reason_kind"] == "copy"
        assert original["title"] in refused[copy]["reason"]


def test_shares_of_a_mixture_with_caps_and_lambda_by_number(project: Path) -> None:
    change(
        project, "kmm_weights", total=1.0, cap=0.6, caps={"colours": 0.1}, rule="number", number=2
    )
    change(
        project, "selected_subset", k=3, policies=["none", "kmm", "kmm_bagged", "largest_weights"]
    )
    all_of_it(project)
    table = read_table(project / "data/dataset_values/desk/kmm/weights.parquet")
    assert table["weight"].sum() == pytest.approx(1, abs=1e-9)
    assert table["weight"].max() <= 0.6 + 1e-9
    stated = read_json(project / "data/dataset_values/desk/kmm/certificate.json")
    limits = {"cap": 0.6, "caps": {"colours": 0.1}, "owner_cap": None, "total": 1.0}
    assert stated["limits"] == limits
    assert table.set_index("id").loc["colours", "weight"] <= 0.1 + 1e-9
    assert stated["rule"] == "number"
    assert appraise(project, "verify").exit_code == 0, "the certificate knows the limits"
    subset = read_json(project / "data/selected_subset/desk/kmm/subset.json")
    assert subset["proof"] == "branch and bound"
    assert subset["gap"] == 0
    other = read_json(project / "data/selected_subset/desk/largest_weights/subset.json")
    assert other["proof"] == "relaxation"
    assert other["objective"] >= subset["objective"] - 1e-12


def test_caps_that_leave_no_room_are_one_line(project: Path) -> None:
    change(project, "kmm_weights", total=1.0, owner_cap=0.5)
    refused = appraise(project, "dataset-values")
    assert refused.exit_code == 2
    assert "caps that allow 0.5 for 3 datasets of 1 owners" in refused.stderr


def test_bundles_and_exclusions_are_bought_so(project: Path) -> None:
    pool = yaml.safe_load((project / "pool.yaml").read_text())
    by_id = {offer["id"]: offer for offer in pool["offers"]}
    by_id["colours"]["bundle"] = by_id["animals"]["bundle"] = "both"
    by_id["numbers"]["excludes"] = ["colours"]
    (project / "pool.yaml").write_text(yaml.safe_dump(pool))
    change(project, "kmm_weights", absolute_lambda=0.001)
    change(project, "selected_subset", k=3, policies=["none", "kmm", "greedy", "largest_weights"])
    all_of_it(project)
    for policy in ("kmm", "greedy", "largest_weights"):
        subset = read_json(project / f"data/selected_subset/desk/{policy}/subset.json")
        bought = set(subset["datasets"])
        assert bought in ({"colours", "animals"}, {"numbers"}), policy
    decision = read_json(project / "data/valuation_decision/desk/decision.json")
    left = {one["id"]: one["reason_kind"] for one in decision["refused"]}
    assert "excluded" in left.values() or not any(one["weight"] for one in decision["refused"])


def test_a_licence_that_is_not_accepted_bars_a_dataset_before_it_is_read(project: Path) -> None:
    pool = yaml.safe_load((project / "pool.yaml").read_text())
    pool["offers"][0]["licence"] = "NOASSERTION"
    barred = pool["offers"][0]["id"]
    (project / "pool.yaml").write_text(yaml.safe_dump(pool))
    change(project, "offers", licences=["MIT", "Apache-2.0"])
    (project / pool["offers"][0]["source"]).unlink()
    first = appraise(project, "offers")
    assert first.exit_code == 3, "it was set aside"
    for noun in NOUNS[2:]:
        assert appraise(project, noun.replace("_", "-")).exit_code == 0
    decision = read_json(project / "data/valuation_decision/desk/decision.json")
    (aside,) = decision["set_aside"]
    assert (aside["id"], aside["step"]) == (barred, "offers")
    assert "found unknown terms" in aside["reason"]
    assert barred not in {one["id"] for one in decision["bought"] + decision["refused"]}


def test_a_damaged_sketch_is_noticed_and_made_again(project: Path) -> None:
    path = project / "data/gradient_sketches/colours/sketch.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x01")
    shutil.rmtree(project / "data/kernel_matrix")  # it would take over what it has of this sketch
    refused = appraise(project, "kernel-matrix")
    assert refused.exit_code == 2
    assert "colours" in refused.stderr
    assert appraise(project, "gradient-sketches").exit_code == 0
    assert path.read_bytes() == whole


@pytest.mark.parametrize(("part", "value"), [("fingerprint", "0" * 64), ("seed", 9)])
def test_a_sketch_made_with_something_else_is_refused(
    project: Path, part: str, value: object
) -> None:
    from appraise.storage.files import write_arrays

    found = Project(project)
    path = found.folder("gradient_sketches", "colours") / "sketch.safetensors"
    arrays, meta = read_arrays(path)
    recipe = found.manifest("gradient_sketches", "colours").recipe
    with found.writing("gradient_sketches", "colours", recipe) as folder:
        write_arrays(folder / path.name, arrays, meta | {part: value})
    refused = appraise(project, "kernel-matrix")
    assert refused.exit_code == 2
    assert "colours" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1


def test_gradients_that_are_not_finite(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appraise.language_model.gradients import LoraGradients

    honest = LoraGradients.rows

    def poisoned(self: LoraGradients, examples: Any, projection: Any) -> Any:
        found = honest(self, examples, projection)
        for example, row in zip(examples, found, strict=True):
            row.values[:] *= float("nan") if example.terms[0].encoded.ids[-2] % 2 else 1.0
        return found

    monkeypatch.setattr(LoraGradients, "rows", poisoned)
    result = appraise(project, "gradient-sketches", "--force")
    assert result.exit_code == 3, "some were set aside"
    found = Project(project)
    aside = [key for key in WORDS if found.set_aside("gradient_sketches", key)]
    for key in WORDS:
        if key not in aside:
            _, meta = read_arrays(found.open("gradient_sketches", key) / "sketch.safetensors")
            assert len(meta["dropped_not_finite"]) + len(meta["example_ids"]) == 6
    assert aside
    reason = found.set_aside("gradient_sketches", aside[0])
    assert reason is not None
    assert "expected finite gradients of 6 examples" in reason


def test_a_target_with_a_gradient_that_is_not_finite(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appraise.language_model.gradients import LoraGradients

    honest = LoraGradients.rows

    def poisoned(self: LoraGradients, examples: Any, projection: Any) -> Any:
        found = honest(self, examples, projection)
        for row in found:
            row.values[:] = float("nan")
        return found

    monkeypatch.setattr(LoraGradients, "rows", poisoned)
    result = appraise(project, "target-sketches", "--force")
    assert result.exit_code == 2
    assert "expected finite gradients of all 6 value examples" in result.stderr


def test_a_stop_in_the_middle_keeps_what_is_done(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from appraise.language_model.sketcher import Sketcher

    before = contents(project)
    whole, count = Sketcher.finished, [0]

    def stops(self: Sketcher, *words: Any) -> Any:
        count[0] += 1
        if count[0] == 2:
            raise KeyboardInterrupt
        return whole(self, *words)

    shutil.rmtree(project / "data/gradient_sketches")
    monkeypatch.setattr(Sketcher, "finished", stops)
    stopped = appraise(project, "gradient-sketches")
    assert stopped.exit_code == 130
    assert len(Project(project).partitions("gradient_sketches")) == 1
    monkeypatch.undo()
    result = json.loads(appraise(project, "gradient-sketches", "--json").stdout)
    assert (len(result["made"]), len(result["current"])) == (2, 1)
    assert contents(project) == before


def test_an_input_that_changes_while_a_step_computes(project: Path) -> None:
    found, one = Project(project), step("target_sketches")

    class Changing:
        def write(self, folder: Path) -> None:
            (folder / "x").write_text("x")
            change(project, "gradient_sketches", seed=7)
            found.__dict__.pop("params")

    with pytest.raises(AppraiseError, match="an input changed"):
        write(one, found, Output("desk", (Changing(),)), one.recipe(found, "desk"))
    assert step("target_sketches").current(Project(project), "desk") is False


def test_two_at_once_do_it_once(project: Path) -> None:
    shutil.rmtree(project / "data/dataset_values")
    made: list[tuple[str, ...]] = []

    def one() -> None:
        made.append(run(step("dataset_values"), Project(project)).made)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [(), ("desk/kmm", "desk/alignment")]


def test_evaluation_without_lm_eval_has_no_accuracy(project: Path) -> None:
    change(project, "evaluation", lm_eval=False)
    all_of_it(project)
    metrics = read_json(project / "data/evaluation/desk/kmm/metrics.json")
    assert metrics["accuracy"] is None
    assert metrics["loss"] > 0
    items = read_table(project / "data/evaluation/desk/kmm/items.parquet")
    assert len(items) == 8
    assert "kmm minus none" in appraise(project, "summary").stdout


def test_tasks_of_ones_own_are_scored_beside_it(project: Path) -> None:
    before = (project / "data/evaluation/desk/kmm/metrics.json").read_bytes()
    task = {
        "task": "colour_or_beast",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": "own/rows.jsonl"}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}:",
        "doc_to_choice": ["red", "dog"],
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    (project / "own").mkdir()
    (project / "own" / "task.yaml").write_text(yaml.safe_dump(task))
    rows = [{"prompt": f"talk {number}", "gold": number % 2} for number in range(4)]
    (project / "own" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    change(project, "evaluation", tasks=["own"], limit=3)
    assert appraise(project, "evaluation").exit_code == 0
    scored = read_json(project / "data/evaluation/desk/kmm/metrics.json")
    (accuracy, stderr) = scored.pop("tasks")["colour_or_beast"].items()
    assert accuracy[0] == "acc"
    assert 0 <= accuracy[1] <= 1
    assert stderr[0] == "acc_stderr"
    assert scored == json.loads(before), "nothing else changes"
    made = json.loads(appraise(project, "evaluation", "--json").stdout)
    assert made["made"] == []
    with (project / "own" / "task.yaml").open("a") as file:
        file.write("description: '?'\n")
    assert json.loads(appraise(project, "evaluation", "--json").stdout)["made"]


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for name, inner in value.items() for leaf in leaves(inner, (*path, name))]


OTHER = {
    ("base_model", "source"): "elsewhere",
    ("gradient_sketches", "projection"): "none",
    ("kernel_matrix", "normalize"): "none",
    ("near_copies", "similarity"): 0.7,
    ("kmm_weights", "absolute_lambda"): 0.1,
    ("kmm_weights", "relative_lambda"): 0.3,
    ("kmm_weights", "rule"): None,  # needs one of the next two
    ("kmm_weights", "number"): 2,
    ("kmm_weights", "cap"): 0.4,
    ("kmm_weights", "owner_cap"): 0.5,
    ("kmm_weights", "total"): 1.0,
    ("offers", "licences"): ["MIT"],
    ("offers", "pool"): None,  # its content counts, not its name
    ("selected_subset", "policies"): ["kmm"],
    ("selected_subset", "decide_by"): "one_step",
    ("selected_subset", "budget"): 100.0,
    ("selected_subset", "exchange_rate"): 200.0,
    ("base_model", "lora", "target_modules"): ["q_proj"],
    ("base_model", "lora", "layers"): None,  # not beside last_layers
    ("gradient_sketches", "objective", "kind"): "dpo",
    ("gradient_sketches", "vectors"): "task_vectors",
    ("gradient_sketches", "distortion"): None,  # not beside dimension
    ("gradient_sketches", "dtype"): "bfloat16",
    ("target_sets", "desk", "components"): None,
    ("dataset_values", "methods"): ["kmm", "alignment"],
    ("lora_adapter", "mix"): None,  # there is no other yet
    ("evaluation", "tasks"): ["arc_easy"],
    ("evaluation", "limit"): 5,
}


def another(path: tuple[str, ...], value: Any) -> Any:
    if path in OTHER:
        return OTHER[path]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.5
    if path[-1] == "sha256":
        return "0" * 64
    return f"{value or ''}x"


def test_dvc_knows_every_setting_that_a_step_depends_on(done: Path) -> None:
    stages = yaml.safe_load((Path(__file__).parents[1] / "dvc.yaml").read_text())["stages"]
    whole = Project(done).params.model_dump(mode="json")
    checked = 0
    for path, value in leaves(whole):
        new = another(path, value)
        if new is None or new == value:
            continue
        params = json.loads(json.dumps(whole))
        before = Project(done)
        if path == ("gradient_sketches", "vectors"):  # one_step values gradients
            params["selected_subset"]["policies"] = ["kmm"]
            before.__dict__["params"] = Params.model_validate(params)
        place = params
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = new
        if path == ("lora_adapter", "target_share"):
            params["target_sets"]["desk"]["train"] = 5
        changed = Project(done)
        changed.__dict__["params"] = Params.model_validate(params)
        for noun in NOUNS:
            if same_settings(noun, before, changed):
                continue
            known = stages[noun].get("params", [])
            names = {".".join(path[:end]) for end in range(1, len(path) + 1)}
            through = path[0] == "base_model" and "data/base_model" in stages[noun].get("deps", [])
            assert names & set(known) or through, f"{noun} depends on {'.'.join(path)}"
            checked += 1
    assert checked > 30


def decided(recipe: Recipe) -> Any:
    return recipe.settings, recipe.facts


def same_settings(noun: str, before: Project, after: Project) -> bool:
    one = step(noun)
    try:
        return all(
            decided(one.recipe(before, key)) == decided(one.recipe(after, key))
            for key in set(one.keys(before)) & set(one.keys(after))
        )
    except AppraiseError:
        return True  # an input of it is not there yet: known through that
