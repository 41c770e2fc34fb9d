"""Two projects with the same pool under two models, compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from steps import sketched_project  # type: ignore[import-not-found]

from appraise.cli import main
from appraise.errors import ArtifactError, ParamsError, SolverError
from appraise.numerics.subsets import refit
from appraise.project import Project, Recipe
from appraise.records.kernel import Kernel
from appraise.records.program import SolvedProgram
from appraise.review.agreement import agreement, lines
from appraise.steps.flow import step
from appraise.steps.runner import run
from appraise.storage.files import read_json, write_table

PRICES = sketched_project.PRICES | {"e": 15.0, "f": 25.0}
STEPS = ("candidates", "kernel_matrix", "dataset_values", "selected_subset")


def write_value_split(project: Project, target: str, prompt: str = "what is it ?") -> None:
    with project.writing("target_sets", target, Recipe("1", {})) as folder:
        write_table(folder / "value.parquet", pd.DataFrame({"id": ["1"], "prompt": [prompt]}))


def brought(project: Project) -> Project:
    for noun in STEPS:
        run(step(noun), project)
    return project


def valued(root: Path, noise: float = 0.0, seed: int = 0) -> Project:
    """The made-up pool, valued; with noise it is as another model sees it."""
    root.mkdir()
    project = sketched_project.sketched(root, dataset_values={"bootstraps": 2})
    for target in ("t", "u"):
        write_value_split(project, target)
    rng = np.random.default_rng(seed)
    for name in PRICES:
        rows = sketched_project.rows(name)
        changed = rows + noise * rng.normal(size=rows.shape[1]).astype(np.float32)
        sketched_project.write_sketch(project, "gradient_sketches", name, rows=changed)
    sketched_project.write_offers(project, PRICES)
    return brought(project)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("agreement")
    valued(root / "small")
    valued(root / "alike", noise=0.02)
    valued(root / "strange", noise=4.0)
    return root


def asked(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(folder / "small"), "agreement", *words])


def test_the_purchases_compared_are_those_that_were_made(folder: Path) -> None:
    small, large = Project(folder / "small"), Project(folder / "strange")
    found = agreement(small, large)
    assert (found.value_with, found.buy_for) == ("small", "strange")
    assert list(found.targets) == ["t", "u"]
    for target, one in found.targets.items():
        assert one.datasets == sorted(PRICES)
        for bought, project in ((one.bought, small), (one.wanted, large)):
            subset = read_json(project.root / f"data/selected_subset/{target}/kmm/subset.json")
            assert bought == subset["datasets"]
        assert set(one.same) == set(one.bought) & set(one.wanted)


def test_regret_is_of_the_other_project_s_program(folder: Path) -> None:
    """Of sets as the other project values them: the objective of the same set is the one stated."""
    large = Project(folder / "strange")
    one = agreement(Project(folder / "small"), large, "t").targets["t"]
    kernel = Kernel.read(large.open("kernel_matrix"))
    solved = SolvedProgram.read(large.open("dataset_values", "t/kmm"), kernel, "t")
    places = [solved.weights.ids.index(name) for name in one.bought]
    reached = read_json(large.root / "data/selected_subset/t/kmm/subset.json")["objective"]
    nothing = solved.program.tau / 2
    other = refit(solved.program, solved.certificate.lam, sorted(places))[0]
    assert one.regret == pytest.approx((other - reached) / (nothing - reached))


def test_nearly_the_same_model_agrees_and_a_strange_one_does_not(folder: Path) -> None:
    small = Project(folder / "small")
    alike = agreement(small, Project(folder / "alike"), "t").targets["t"]
    assert alike.alignment.spearman == 1
    assert alike.regret == pytest.approx(0, abs=0.02)
    assert (alike.verdict, alike.statement[:3]) == ("go", "GO:")
    strange = agreement(small, Project(folder / "strange"), "t").targets["t"]
    assert (strange.verdict, strange.statement[:6]) == ("no-go", "NO-GO:")
    assert "value with strange itself" in strange.statement


def test_datasets_of_one_project_alone_are_left_out_and_named(folder: Path, tmp_path: Path) -> None:
    one = valued(tmp_path / "one")
    sketched_project.write_sketch(one, "gradient_sketches", "g")
    sketched_project.write_offers(one, PRICES | {"g": 5.0})
    found = agreement(brought(one), Project(folder / "alike"), "t")
    assert found.targets["t"].left_out == {"g": "one"}
    assert "g" not in found.targets["t"].bought
    assert "  left out: g, only in one" in lines(found)


def test_too_few_datasets_in_common(folder: Path, tmp_path: Path) -> None:
    few = valued(tmp_path / "few")
    for name in ("e", "f"):
        sketched_project.set_aside(few, name)
    one = agreement(brought(few), Project(folder / "alike"), "t").targets["t"]
    assert one.alignment.spearman == 1
    assert "an order of 4 datasets can be right by luck" in one.statement
    for name in ("c", "d"):
        sketched_project.set_aside(few, name)
    with pytest.raises(SolverError, match="t: agreement: expected the same 3 datasets or more"):
        agreement(brought(few), Project(folder / "alike"), "t")


def test_another_value_split_is_refused(folder: Path, tmp_path: Path) -> None:
    other = valued(tmp_path / "other")
    write_value_split(other, "u", "something else ?")
    small = Project(folder / "small")
    assert agreement(small, other, "t").targets["t"].regret == 0
    with pytest.raises(ArtifactError, match="target u: expected the same value split"):
        agreement(small, other)


def test_another_dataset_of_the_same_name_is_refused(folder: Path, tmp_path: Path) -> None:
    other = valued(tmp_path / "other")
    sketched_project.write_offers(other, PRICES, {"a": {"sha256": "0" * 64}})
    with pytest.raises(ArtifactError, match="dataset a: expected the same sha256"):
        agreement(Project(folder / "small"), brought(other), "t")


def test_targets_and_projects_that_are_not_there(folder: Path, tmp_path: Path) -> None:
    small = Project(folder / "small")
    with pytest.raises(ParamsError, match="expected target x in both, found t and u here"):
        agreement(small, Project(folder / "alike"), "x")
    with pytest.raises(ParamsError, match="expected two projects"):
        agreement(small, Project(folder / "small"))
    with pytest.raises(ParamsError, match="found no file"):
        agreement(small, Project(tmp_path))
    with pytest.raises(ArtifactError, match="run `appraise target-sets` first"):
        agreement(small, sketched_project.write_params(tmp_path))


def test_on_the_command_line(folder: Path) -> None:
    alike = str(folder / "alike")
    found = json.loads(asked(folder, alike, "--json").stdout)
    assert list(found["targets"]) == ["t", "u"]
    shown = asked(folder, alike, "--target", "t")
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == "t: 6 datasets in both projects"
    assert shown.stdout.splitlines()[-1].startswith("GO: buy for alike")
    refused = asked(folder, alike, "--target", "x")
    assert refused.exit_code == 2
    assert "expected target x in both" in refused.output
