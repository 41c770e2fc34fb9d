"""Candidates of a large pool: whoever can have a weight is among them, and the rest is proven."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sketched_project import D, write_offers, write_params, write_sketch

from appraise.errors import ArtifactError, SolverError
from appraise.methods.questions import question_of
from appraise.numerics import kernel
from appraise.numerics.kmm import solve_program
from appraise.numerics.program import Program
from appraise.numerics.valuation import weigh
from appraise.project import Project
from appraise.records.candidates import Candidates
from appraise.steps import candidates, dataset_values, kernel_matrix
from appraise.steps.candidates import STEP
from appraise.steps.runner import run
from appraise.storage.files import read_arrays, read_json, read_table

N = 160
IDS = [f"d{i:03d}" for i in range(N)]


def drawn(i: int) -> np.ndarray:
    rng = np.random.default_rng(i)
    themes = np.random.default_rng(0).normal(size=(8, D))
    return (rng.normal(size=8) @ themes + 0.7 * rng.normal(size=(6, D))).astype(np.float32)


PRICES = {name: 10.0 + i % 7 for i, name in enumerate(IDS)}


def large_pool(root: Path, **asked: Any) -> Project:
    """160 datasets of which 100 find room, those with sketches; nothing is made yet."""
    made = write_params(
        root,
        candidates={"largest": 100},
        kmm_weights={"rule": "relative"} | asked,
        dataset_values={"bootstraps": 5},
    )
    for i, name in enumerate(IDS):
        write_sketch(made, "gradient_sketches", name, rows=drawn(i))
    for i, target in enumerate(("t", "u")):
        write_sketch(made, "target_sketches", target, rows=drawn(1000 + i))
    write_offers(made, PRICES)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = large_pool(tmp_path)
    run(STEP, made)
    return made


@pytest.mark.parametrize(
    "asked",
    [
        {"rule": "number", "number": 25},
        {"rule": "absolute", "absolute_lambda": 0.1},
        {"cap": 0.01},
        {"cap": 0.02, "caps": {"d003": 0.5}, "total": 1.0},
        {"owner_cap": 0.4, "ridge": 0.5, "relative_lambda": 0.02},
    ],
    ids=str,
)
def test_the_proof_is_of_the_program_that_decides(tmp_path: Path, asked: dict[str, Any]) -> None:
    made = large_pool(tmp_path, **asked)
    for step in (STEP, kernel_matrix.STEP, dataset_values.STEP):
        run(step, made)
    G = np.array([kernel.mean_gradient(drawn(i)) for i in range(N)])
    question = question_of(made.params.kmm_weights, IDS, ["owner of d"] * N)
    content = read_json(made.open("candidates") / "candidates.json")
    for i, target in enumerate(("t", "u")):
        g = kernel.mean_gradient(drawn(1000 + i))
        whole = weigh(G @ G.T, G @ g, float(g @ g), question)
        table = read_table(made.open("dataset_values", f"{target}/kmm") / "weights.parquet")
        found = dict(zip(table["id"], table["weight"], strict=True))
        for name, weight in zip(IDS, whole.solution.weights, strict=True):
            assert found.get(name, 0.0) == pytest.approx(weight, abs=1e-9)
        proof = content["certificates"][target]
        assert proof["lambda"] == pytest.approx(whole.lam.value, rel=1e-5)  # of float32
        assert proof["positive"] == np.count_nonzero(whole.solution.weights)
    screened = read_table(made.open("candidates") / "screened.parquet")
    assert (screened["margin"] < screened["threshold"]).all()


def test_every_setting_of_the_question_asks_for_new_candidates(project: Project) -> None:
    assert run(STEP, project).made == ()
    changes: list[dict[str, Any]] = [
        {"cap": 0.3}, {"caps": {"d001": 0.1}}, {"owner_cap": 0.9}, {"total": 0.8}, {"ridge": 0.1},
        {"rule": "number", "number": 5}, {"relative_lambda": 0.3}, {"rule": "absolute"},
    ]  # fmt: skip
    for change in changes:
        other = write_params(
            project.root, candidates={"largest": 100},
            kmm_weights={"rule": "relative"} | change,
        )  # fmt: skip
        assert not STEP.current(other, ""), change
    unasked = {"bootstraps": 7, "confidence": 0.5, "seed": 3}
    other = write_params(
        project.root, candidates={"largest": 100}, kmm_weights={"rule": "relative"},
        dataset_values=unasked,
    )  # fmt: skip
    assert STEP.current(other, "")


def test_what_cannot_be_answered_names_the_target_and_the_way_out(tmp_path: Path) -> None:
    made = large_pool(tmp_path, tolerance=1e-30)
    with pytest.raises(SolverError, match=r"^candidates t: .* raise candidates\.largest to 160"):
        run(STEP, made)
    full = large_pool(tmp_path, cap=0.001, total=1.0)
    with pytest.raises(SolverError, match="total: expected weights that can add up to 1"):
        run(STEP, full)


def test_the_weights_are_those_of_all_datasets(project: Project) -> None:
    chosen = list(project.read(Candidates, "candidates").ids)
    assert len(chosen) == 100
    run(kernel_matrix.STEP, project)
    run(dataset_values.STEP, project)
    G = np.array([kernel.mean_gradient(drawn(i)) for i in range(N)])
    for i, target in enumerate(("t", "u")):
        g = kernel.mean_gradient(drawn(1000 + i))
        program = Program(G @ G.T, G @ g, float(g @ g), np.ones(N))
        whole = solve_program(program, 0.2 * (G @ g).max()).weights
        table = read_table(project.open("dataset_values", f"{target}/kmm") / "weights.parquet")
        found = dict(zip(table["id"], table["weight"], strict=True))
        assert set(found) == set(chosen)
        for name, weight in zip(IDS, whole, strict=True):
            assert found.get(name, 0.0) == pytest.approx(weight, abs=1e-7)


def test_those_left_out_are_proven_to_have_no_weight(project: Project) -> None:
    content = read_json(project.open("candidates") / "candidates.json")
    assert content["screened"] == N - 100
    for one in content["certificates"].values():
        assert one["datasets"] == N
        assert one["relative_error"] < 1e-7
    table = read_table(project.open("candidates") / "screened.parquet")
    assert len(table) == 2 * (N - 100)
    assert (table["margin"] < table["threshold"]).all()
    assert not set(table["id"]) & set(content["ids"])


def test_a_newcomer_costs_one_mean_gradient(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(STEP, project).made == ()
    averaged: list[int] = []
    mean = kernel.mean_gradient
    monkeypatch.setattr(candidates, "mean_gradient", lambda *a: averaged.append(1) or mean(*a))
    write_sketch(project, "gradient_sketches", "new", rows=drawn(1000))
    write_offers(project, {**{name: 10.0 + i % 7 for i, name in enumerate(IDS)}, "new": 9.0})
    assert run(STEP, project).made == ("",)
    assert len(averaged) == 3, "the newcomer and two targets"
    assert "new" in list(project.read(Candidates, "candidates").ids), "it is the target's own data"


def test_a_small_pool_is_taken_whole_and_depends_on_no_prices(tmp_path: Path) -> None:
    project = write_params(tmp_path)
    for name in "ab":
        write_sketch(project, "gradient_sketches", name)
    run(STEP, project)
    assert list(project.read(Candidates, "candidates").ids) == ["a", "b"]
    write_offers(project, {"a": 1.0, "b": 2.0})
    assert run(STEP, project).made == ()
    assert not (project.folder("candidates") / "gradients.safetensors").exists()


def test_without_any_sketch_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="candidates: expected the sketch of at least one"):
        run(STEP, write_params(tmp_path))


def test_gradients_are_kept_as_float32(project: Project) -> None:
    arrays, meta = read_arrays(project.open("candidates") / "gradients.safetensors")
    assert arrays["G"].dtype == np.float32
    assert list(meta["contents"]) == IDS
