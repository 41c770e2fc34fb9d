"""Cards of datasets and targets, and validation.json: what is written comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from appraise.errors import ArtifactError
from appraise.examples.counts import ComponentCounts, DatasetCounts, Lengths
from appraise.examples.verdicts import CheckResult, FailedRow
from appraise.records.cards import DatasetCard, TargetCard, ValidationChecks
from appraise.records.offers import Offer
from appraise.storage.files import read_json, write_json

OFFER = Offer(
    id="good", title="Good", provider="P", version="1", licence="MIT", price=10.0,
    source="files/good.jsonl", registered="2026-05-01", excludes=("bad",),
)  # fmt: skip
COUNTS = DatasetCounts(
    rows=30, usable=20, kept=16, dropped={"empty": 2, "duplicate": 3}, overlap={"desk": 5},
    overlap_questions={"desk": 6}, tokens=Lengths.of([3, 4, 6]),
)  # fmt: skip
COMPONENT = ComponentCounts("desk", "files/desk.jsonl", 40, 37, {"too_long": 3}, 6, 4, 10)
FAILED = FailedRow(7, "prompt", "", "no text")
CHECKS = (
    CheckResult("expect_column_to_exist", "question", True, 0),
    CheckResult("expect_column_values_to_match_regex", "prompt", False, 1, (FAILED,)),
)


def test_a_datasets_card(tmp_path: Path) -> None:
    DatasetCard(OFFER, COUNTS).write(tmp_path)
    assert DatasetCard.read(tmp_path) == DatasetCard(OFFER, COUNTS)
    content = read_json(tmp_path / "card.json")
    assert content == OFFER.model_dump(mode="json") | {
        "rows": 30,
        "usable": 20,
        "kept": 16,
        "dropped": {"empty": 2, "duplicate": 3, "overlap": {"desk": 5}},
        "overlap_questions": {"desk": 6},
        "tokens": {"mean": 4.333, "p95": 6, "max": 6},
    }


def test_a_card_of_a_dataset_that_could_not_be_read(tmp_path: Path) -> None:
    DatasetCard(OFFER, None).write(tmp_path)
    assert DatasetCard.read(tmp_path) == DatasetCard(OFFER, None)
    content = read_json(tmp_path / "card.json")
    assert content == OFFER.model_dump(mode="json") | {"rows": 0, "usable": 0, "kept": 0}


def test_a_targets_card(tmp_path: Path) -> None:
    TargetCard("A desk", (COMPONENT, COMPONENT)).write(tmp_path)
    assert TargetCard.read(tmp_path) == TargetCard("A desk", (COMPONENT, COMPONENT))
    assert read_json(tmp_path / "card.json")["components"][1]["dropped"] == {"too_long": 3}


def test_checks(tmp_path: Path) -> None:
    for checks in ((), CHECKS):
        ValidationChecks(checks).write(tmp_path)
        assert ValidationChecks.read(tmp_path) == ValidationChecks(checks)
    assert read_json(tmp_path / "validation.json")[1]["failed_rows"] == [
        {"row": 7, "column": "prompt", "value": "", "reason": "no text"}
    ]


def test_what_does_not_fit_names_the_step_to_run(tmp_path: Path) -> None:
    write_json(tmp_path / "card.json", {"title": "A desk", "components": [{"name": "desk"}]})
    with pytest.raises(ArtifactError, match=r"components\.0\.source.*run `appraise target-sets`"):
        TargetCard.read(tmp_path)
    with pytest.raises(ArtifactError, match=r"id: Field required.*run `appraise auxiliary-dat"):
        DatasetCard.read(tmp_path)
    with pytest.raises(ArtifactError, match=r"validation\.json: expected a file, found none"):
        ValidationChecks.read(tmp_path)
