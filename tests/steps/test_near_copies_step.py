"""Near copies between offers: who was first, what that does to the preview, what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factory import changed  # type: ignore[import-not-found]
from small_project import offer, rows, small_project, write_pool

from appraise.project import Project
from appraise.records.copies import CopiesSummary
from appraise.steps import auxiliary_datasets, gradient_sketches, near_copies, offers, target_sets
from appraise.steps.runner import run
from appraise.storage.files import read_json, read_table


def sentences(count: int, seed: int) -> list[dict[str, Any]]:
    """Rows of words that no other seed has."""
    rng = np.random.default_rng(seed)
    words = ["".join(chr(97 + c) for c in rng.integers(0, 26, 7)) for _ in range(60)]
    return [
        {
            "question": " ".join(rng.choice(words, 12)),
            "answer": str(rng.choice(words)),
            "options": "-",
        }
        for _ in range(count)
    ]


def shouted(content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"question": row["question"].upper() + "  !"} for row in content]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = small_project(tmp_path)
    first = sentences(16, 1)
    write_pool(tmp_path, [
        offer(tmp_path, "late", shouted(first), registered="2026-05-01"),
        offer(tmp_path, "first", first),
        offer(tmp_path, "half", [*first[:8], *sentences(8, 2)], registered="2026-04-01"),
        offer(tmp_path, "other", sentences(16, 3)),
    ])  # fmt: skip
    bring_up_to_date(made)
    return made


def bring_up_to_date(project: Project) -> tuple[str, ...]:
    for one in (offers, target_sets, auxiliary_datasets):
        run(one.STEP, project)
    return run(near_copies.STEP, project).made


def summary(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = read_json(project.open("near_copies") / "copies.json")
    return found


def test_the_first_registered_keeps_its_rows(project: Project) -> None:
    found = summary(project)
    assert near_copies.in_order(project) == ["first", "other", "half", "late"]
    assert found["first"] == found["other"] == {"rows": 16, "copied": 0, "of": {}}
    assert found["half"] == {"rows": 16, "copied": 8, "of": {"first": 8}}
    assert found["late"] == {"rows": 16, "copied": 16, "of": {"first": 16}}
    table = read_table(project.open("near_copies") / "copies.parquet")
    assert table["similarity"].between(0.4, 1).all()
    assert len(near_copies.copied_rows(project, "half")) == 8
    assert near_copies.copied_rows(project, "other") == []


def test_a_copy_of_the_targets_own_rows_is_found(project: Project, tmp_path: Path) -> None:
    value = read_table(project.open("target_sets", "desk") / "value.parquet")
    stolen = [
        {"question": prompt.replace("\n", " ") + " please", "answer": completion, "options": ""}
        for prompt, completion in zip(value["prompt"], value["completion"], strict=True)
    ]
    write_pool(tmp_path, [offer(tmp_path, "spy", [*stolen, *sentences(16, 5)])])
    bring_up_to_date(project)
    found = summary(project)["spy"]
    assert found["of"]["target:desk"] == found["copied"] > 0
    kept = read_table(project.open("auxiliary_datasets", "spy") / "examples.parquet")
    assert found["copied"] == kept["completion"].str.startswith("B. it says").sum()


def test_what_costs_a_new_comparison(project: Project, tmp_path: Path) -> None:
    assert bring_up_to_date(project) == ()
    pool = [offer(tmp_path, "first"), offer(tmp_path, "new", rows(20, "new"))]
    write_pool(tmp_path, pool)
    assert bring_up_to_date(project) == ("",)
    assert list(summary(project)) == ["first", "new"]


def test_a_sketch_depends_on_its_own_copies_only(project: Project, tmp_path: Path) -> None:
    before = {
        key: gradient_sketches.STEP.recipe(project, key).facts["copied"]
        for key in ("first", "half", "other")
    }
    assert before["first"] == before["other"] != before["half"]
    pool = [offer(tmp_path, name) for name in ("first", "half", "other")]
    write_pool(tmp_path, [*pool, offer(tmp_path, "new", shouted(sentences(16, 3)))])
    bring_up_to_date(project)
    assert summary(project)["new"]["of"] == {"other": 16}
    after = {key: gradient_sketches.STEP.recipe(project, key).facts["copied"] for key in before}
    assert after == before


def test_whose_rows_they_are_counts_for_the_sketch_too(project: Project) -> None:
    """The reason of a refusal names them: it must not name a seller who has them no longer."""
    before = {key: gradient_sketches.STEP.recipe(project, key) for key in ("first", "half")}
    copies = project.read(CopiesSummary, "near_copies")
    half = copies["half"]
    assert list(half.of) == ["first"]
    others = half.model_copy(update={"of": {"other": half.copied}})
    changed(project, "near_copies", "", CopiesSummary(datasets={**copies.datasets, "half": others}))
    after = {key: gradient_sketches.STEP.recipe(Project(project.root), key) for key in before}
    assert after["first"] == before["first"]
    assert after["half"] != before["half"]
