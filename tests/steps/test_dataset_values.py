"""What datasets are worth by each method: certified, consistent, and never out of date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sketched_project import PRICES, rows, sketched, write_offers, write_params, write_sketch

from appraise.errors import ArtifactError, OfferError
from appraise.numerics.kmm import certify_program
from appraise.numerics.optimum import NOTHING_SERVES
from appraise.numerics.program import Program
from appraise.project import Project
from appraise.steps import candidates, kernel_matrix
from appraise.steps.dataset_values import STEP
from appraise.steps.runner import run
from appraise.storage.files import read_arrays, read_json, read_table

KEYS = ("t/kmm", "t/alignment", "u/kmm", "u/alignment")


def valued(root: Path, bootstraps: int = 20, **kmm: Any) -> Project:
    project = sketched(root, dataset_values={"bootstraps": bootstraps}, kmm_weights=kmm)
    run(candidates.STEP, project)
    run(kernel_matrix.STEP, project)
    run(STEP, project)
    return project


def table(project: Project, target: str = "t") -> pd.DataFrame:
    return read_table(
        project.open("dataset_values", f"{target}/kmm") / "weights.parquet"
    ).set_index("id")


@pytest.mark.parametrize("rule", ["absolute", "relative"])
def test_certificate_can_be_recomputed_from_the_files(tmp_path: Path, rule: str) -> None:
    project = valued(tmp_path, rule=rule)
    kernel, meta = read_arrays(project.open("kernel_matrix") / "kernel.safetensors")
    for row, target in enumerate(("t", "u")):
        stated = read_json(project.open("dataset_values", f"{target}/kmm") / "certificate.json")
        found = table(project, target)
        assert list(found.index) == meta["ids"]
        data = kernel["K"], kernel["C"][row], float(kernel["tau"][row])
        penalties = np.ones(len(found))
        for weights, facts in (("weight", stated), ("signed_weight", stated["signed"])):
            program = Program(*data, penalties, facts["ridge"], facts["nonnegative"])
            again = certify_program(program, found[weights].to_numpy(), facts["lambda"])
            differing = {name for name, value in again.as_json().items() if facts[name] != value}
            assert differing <= {"relative_lambda"}  # stated as asked, 0.2, not as divided
            assert max(abs(again.gap), again.kkt_violation) < 1e-12
        top, tau = stated["lambda_max"], stated["tau"]
        expected = 0.05 * tau if rule == "absolute" else 0.2 * top
        assert stated["lambda"] == pytest.approx(expected)
        assert stated["relative_lambda"] == pytest.approx(expected / top)


def test_table_is_consistent(tmp_path: Path) -> None:
    project = valued(tmp_path, rule="relative")
    found = table(project)
    stated = read_json(project.open("dataset_values", "t/kmm") / "certificate.json")
    np.testing.assert_allclose(found["threshold"], stated["lambda"])
    np.testing.assert_array_equal(found["status"] == "in", found["weight"] > 0)
    chosen = found["weight"] > 0
    assert chosen.any()
    assert not chosen.all()
    assert (found["value"] > 0).equals(chosen)
    for _, row in found.iterrows():
        covered = json.loads(row["covered_by"])
        assert sum(amount for _, amount, _ in covered) == pytest.approx(
            row["alignment"] - row["margin"], abs=1e-12
        )
        assert all(share == amount / row["alignment"] for _, amount, share in covered)
    resamples, meta = read_arrays(project.open("dataset_values", "t/kmm") / "bootstrap.safetensors")
    assert meta["ids"] == list(found.index)
    assert resamples["weights"].shape == (20, 4)
    np.testing.assert_allclose(found["weight_probability"], (resamples["weights"] > 0).mean(axis=0))
    path, _ = read_arrays(project.open("dataset_values", "t/kmm") / "path.safetensors")
    assert path["lambdas"][0] == pytest.approx(stated["lambda_max"])
    assert path["weights"].shape == (len(path["lambdas"]), 4)


def test_without_resamples_the_interval_is_the_weight(tmp_path: Path) -> None:
    found = table(valued(tmp_path, bootstraps=0))
    for end in ("low", "high"):
        np.testing.assert_array_equal(found[end], found["weight"])
        np.testing.assert_array_equal(found[f"signed_{end}"], found["signed_weight"])


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        project = valued(tmp_path / name)
        contents.append([project.content("dataset_values", key) for key in KEYS])
    assert contents[0] == contents[1]


def test_what_costs_a_new_valuation_and_what_does_not(tmp_path: Path) -> None:
    project = valued(tmp_path)
    write_offers(project, PRICES, title="renamed")
    assert run(STEP, project).made == ()
    write_offers(project, PRICES | {"zzz": 1.0})  # offered, but not in the kernel
    assert run(STEP, project).made == ()
    write_offers(project, PRICES | {"c": 31.0, "d": 0.0})
    assert run(STEP, project).made == (), "what it teaches does not depend on what is asked for it"
    assert run(STEP, write_params(tmp_path, kmm_weights={"absolute_lambda": 0.3})).made


def test_a_dataset_without_an_offer_is_named(tmp_path: Path) -> None:
    project = valued(tmp_path)
    write_offers(project, {name: 1.0 for name in PRICES if name != "c"})
    with pytest.raises(OfferError, match="found none for c"):
        run(STEP, project)


def test_a_kernel_older_than_its_sketches_is_refused(tmp_path: Path) -> None:
    project = valued(tmp_path)
    write_sketch(project, "gradient_sketches", "c", rows=rows("new"))
    with pytest.raises(
        ArtifactError, match=r"gradient_sketches/c: .* run `appraise kernel-matrix`"
    ):
        run(STEP, project)


def test_a_target_that_nothing_serves(tmp_path: Path) -> None:
    project = sketched(tmp_path)
    for noun, sign in (("gradient_sketches", 1), ("target_sketches", -1)):
        for name in project.partitions(noun):
            write_sketch(project, noun, name, rows=sign * np.abs(rows(name)))
    run(candidates.STEP, project)
    run(kernel_matrix.STEP, project)
    run(STEP, project)
    found = table(project)
    assert (found["weight"] == 0).all()
    assert (found["signed_weight"] < 0).any()
    stated = read_json(project.open("dataset_values", "t/kmm") / "certificate.json")
    assert (stated["lambda_max"], stated["status"]) == (0, NOTHING_SERVES)
