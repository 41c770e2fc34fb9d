"""Several targets weighed together from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from steps.sketched_project import sketched  # type: ignore[import-not-found]

from appraise.cli import main
from appraise.steps import candidates, dataset_values, kernel_matrix
from appraise.steps.runner import run
from appraise.storage.files import read_arrays, read_table


def valued(folder: Path, **asked: Any) -> Path:
    project = sketched(folder, kmm_weights=asked, dataset_values={"bootstraps": 2})
    for one in (candidates, kernel_matrix, dataset_values):
        run(one.STEP, project)
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return valued(tmp_path_factory.mktemp("joint"))


def asked(root: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["--project", str(root), "joint", *words])


def test_each_target_alone_has_the_weights_of_its_own_step(root: Path) -> None:
    found = json.loads(asked(root, "--json").stdout)
    assert found["targets"] == ["t", "u"]
    for target in ("t", "u"):
        table = read_table(root / "data/dataset_values" / target / "kmm/weights.parquet")
        for name, weight in zip(table["id"], table["weight"], strict=True):
            assert found["weights"][name][target] == pytest.approx(weight, abs=1e-9)
    assert max(abs(gap) for gap in found["gaps"].values()) < 1e-7


def test_shares_of_one_are_that_one_alone(root: Path) -> None:
    found = json.loads(asked(root, "--share", "u=3", "--json").stdout)
    assert found["shares"]["combined"] == {"t": 0.0, "u": 1.0}
    for weights in found["weights"].values():
        assert weights["combined"] == pytest.approx(weights["u"], abs=1e-9)


def test_the_worst_served_is_served_best(root: Path) -> None:
    found = json.loads(asked(root, "--json").stdout)
    arrays, meta = read_arrays(root / "data/kernel_matrix/kernel.safetensors")
    shares = found["shares"]["worst_case"]
    assert sum(shares.values()) == pytest.approx(1)
    worst = max(found["objectives"].values())
    assert all(
        found["objectives"][name] == pytest.approx(worst, abs=1e-6)
        for name, share in shares.items()
        if share > 1e-6
    )
    assert len(arrays["K"]) == len(meta["ids"]) == len(found["weights"])


def test_the_table_and_bad_shares(root: Path) -> None:
    lines = asked(root).stdout.splitlines()
    assert lines[0].split() == ["dataset", "t", "u", "combined", "worst_case"]
    assert len(lines) == 1 + 4 + 1
    for words, message in (
        (["--share", "x=1"], "expected targets of the kernel (t, u), found x"),
        (["--share", "t"], "expected target=number, found 't'"),
        (["--share", "t=-1"], "expected 2 shares of at least 0"),
    ):
        refused = asked(root, *words)
        assert refused.exit_code == 2
        assert message in refused.output


@pytest.mark.parametrize(
    "asked_for",
    [
        {"cap": 0.2},
        {"caps": {"a": 0.05}, "total": 0.7},
        {"owner_cap": 0.25, "rule": "relative"},
        {"ridge": 0.3, "total": 1.0, "absolute_lambda": 0.02},
    ],
    ids=str,
)
def test_limits_ridge_and_rule_are_those_of_the_own_step(
    tmp_path: Path, asked_for: dict[str, Any]
) -> None:
    found = json.loads(asked(valued(tmp_path, **asked_for), "--json").stdout)
    for target in ("t", "u"):
        table = read_table(tmp_path / "data/dataset_values" / target / "kmm/weights.parquet")
        for name, weight in zip(table["id"], table["weight"], strict=True):
            assert found["weights"][name][target] == pytest.approx(weight, abs=1e-9)
    for column in ("t", "u", "combined", "worst_case"):
        weights = {name: row[column] for name, row in found["weights"].items()}
        assert max(weights.values()) <= asked_for.get("cap", 9.0) + 1e-9
        assert weights["a"] <= asked_for.get("caps", {}).get("a", 9.0) + 1e-9
        assert weights["a"] + weights["a_b"] <= asked_for.get("owner_cap", 9.0) + 1e-9
        if "total" in asked_for:
            assert sum(weights.values()) == pytest.approx(asked_for["total"], abs=1e-9)
    assert max(abs(gap) for gap in found["gaps"].values()) < 1e-7


def test_a_rule_that_counts_on_a_path_is_refused_by_name(tmp_path: Path) -> None:
    refused = asked(valued(tmp_path, rule="number", number=2))
    assert refused.exit_code == 2
    assert "joint: expected kmm_weights.rule absolute or relative" in refused.output
    assert "found number" in refused.output
