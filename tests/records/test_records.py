"""Records: what is written is read, whatever does not fit is refused in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import factory  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
import pytest
from steps import fabricated  # type: ignore[import-not-found]

from appraise.errors import ArtifactError
from appraise.project import Project
from appraise.records.base_model import BaseModelFingerprint
from appraise.records.candidates import Candidates, PoolGradients, ScreenedTable, Screening
from appraise.records.certificate import ProgramCertificate
from appraise.records.copies import Copied, CopiesSummary, CopiesTable
from appraise.records.decision import Decision
from appraise.records.kernel import Kernel
from appraise.records.offers import Offers
from appraise.records.outcome import LossTable, Outcome
from appraise.records.program import SolvedProgram
from appraise.records.record import ArrayRecord, JsonRecord, Record, TableRecord, read_if_there
from appraise.records.subset import Subset
from appraise.records.values import WeightsTable
from appraise.steps.flow import NOUNS, step
from appraise.steps.runner import run
from appraise.storage.files import read_json, write_arrays, write_json, write_table

WRITTEN = [(record, noun) for noun in NOUNS for record in step(noun).writes]
RECORDS: list[type[Any]] = [
    record for record in dict(WRITTEN) if issubclass(record, JsonRecord | TableRecord | ArrayRecord)
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made: Project = fabricated.project(tmp_path_factory.mktemp("records"))
    for noun in ("valuation_decision", "decision_outcome"):
        run(step(noun), made)
    return made


MADE_HERE: list[Any] = [
    CopiesTable.of_rows([("b", "2", "a", "1", 0.9), ("b", "1", "target:t", "7", 1.0)]),
    Candidates(
        ids=("a", "b"),
        screened=3,
        certificates={
            "t": Screening(
                lam=0.2, lambda_max=1.0, datasets=5, positive=2, gap=1e-12, kkt_violation=0.0,
                relative_error=1e-12, passes=2,
            )
        },
    ),
    ScreenedTable(
        pd.DataFrame(
            {"id": ["z"], "target": "t", "alignment": 0.1, "margin": 0.05, "threshold": 0.2}
        )
    ),
    PoolGradients(np.ones((2, 3), np.float32), {"a": "0" * 64, "b": "1" * 64}, "unit"),
    BaseModelFingerprint(
        fingerprint="f", weights={"model.safetensors": "0"}, config="1",
        tokenizer={"tokenizer.json": "2"}, lora={"rank": 8}, lora_a="3", format={"chat": False},
    ),
]  # fmt: skip


def folders_of(project: Project, record: type[Record]) -> list[Path]:
    """Partitions with this record's file."""
    folders = [project.folder(record.STEP, key) for key in project.partitions(record.STEP)]
    return [folder for folder in folders if (folder / record.FILE).is_file()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_what_is_read_and_written_again_has_the_same_bytes(
    project: Project, record: type[Record], tmp_path: Path
) -> None:
    folders = folders_of(project, record)
    for made in MADE_HERE:
        if isinstance(made, record):
            (tmp_path / "made").mkdir(exist_ok=True)
            made.write(tmp_path / "made")
            folders.append(tmp_path / "made")
    assert folders, "no example of this record"
    for place, folder in enumerate(folders):
        again = tmp_path / str(place)
        again.mkdir()
        record.read(folder).write(again)
        assert (again / record.FILE).read_bytes() == (folder / record.FILE).read_bytes()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_an_error_names_the_step_that_writes_it(record: type[Record]) -> None:
    assert (record, record.STEP) in WRITTEN


def test_an_unknown_name_or_a_missing_one_is_one_line(project: Project, tmp_path: Path) -> None:
    content = read_json(project.folder("selected_subset", f"{fabricated.TARGET}/kmm") / Subset.FILE)
    for wrong, found in (
        (content | {"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({n: v for n, v in content.items() if n != "cost"}, "cost: Field required"),
        (content | {"cost": "dear"}, "cost: Input should be a valid number"),
        (["a"], "the whole: Input should be"),
    ):
        write_json(tmp_path / Subset.FILE, wrong)
        with pytest.raises(ArtifactError, match=found) as error:
            Subset.read(tmp_path)
        assert "\n" not in str(error.value)
        assert "run `appraise selected-subset` again" in str(error.value)


def test_a_missing_file_and_a_damaged_one_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="found none; run the step that makes it"):
        Offers.read(tmp_path)
    (tmp_path / Offers.FILE).write_text("{")
    with pytest.raises(ArtifactError, match=r"offers\.json: expected JSON"):
        Offers.read(tmp_path)
    assert read_if_there(ProgramCertificate, tmp_path) is None
    assert read_if_there(ProgramCertificate, None) is None


def test_a_table_without_a_column_says_which(tmp_path: Path) -> None:
    write_table(tmp_path / WeightsTable.FILE, pd.DataFrame({"id": ["a"], "price": [1.0]}))
    with pytest.raises(ArtifactError, match="expected columns owner, rows, weight"):
        WeightsTable.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "array", "found"),
    [
        ("K", np.zeros((2, 3)), r"K of 2 × 2|K of n × n"),
        ("C", np.zeros((1, 3)), r"C of t × 16"),
        ("G", np.zeros(16), r"G of 16 × d, found shape \(16,\)"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(
    project: Project, tmp_path: Path, name: str, array: np.ndarray, found: str
) -> None:
    kernel = Kernel.read(project.folder("kernel_matrix"))
    replace(kernel, **{name: array}).write(tmp_path)
    with pytest.raises(ArtifactError, match=f"expected {found}"):
        Kernel.read(tmp_path)


def test_a_kernel_without_an_array_or_with_other_names_is_refused(
    project: Project, tmp_path: Path
) -> None:
    kernel = Kernel.read(project.folder("kernel_matrix"))
    write_arrays(tmp_path / Kernel.FILE, {"K": kernel.K}, kernel.meta())
    with pytest.raises(ArtifactError, match="expected arrays C, G, T"):
        Kernel.read(tmp_path)
    replace(kernel, ids=kernel.ids[1:]).write(tmp_path)
    with pytest.raises(ArtifactError, match=r"found 15 datasets .*; run `appraise kernel-matrix`"):
        Kernel.read(tmp_path)
    with pytest.raises(ArtifactError, match="expected target x, found clinic_desk"):
        kernel.row("x")


def test_ids_stand_beside_their_sketches_and_are_cut_out_of_no_key(project: Project) -> None:
    kernel = Kernel.read(project.folder("kernel_matrix"))
    assert set(kernel.sketches) == set(kernel.ids)
    assert set(kernel.target_sketches) == {fabricated.TARGET}


def test_whose_rows_were_copied_is_in_order_of_how_many() -> None:
    """In the file they are in order of their names."""
    copied = Copied(rows=20, copied=9, of={"a": 2, "b": 5, "c": 2})
    assert copied.most_first() == [("b", 5), ("a", 2), ("c", 2)]
    with pytest.raises(ArtifactError, match="expected z in copies"):
        CopiesSummary(datasets={"a": copied})["z"]


def test_rows_of_a_program_and_of_another_method(project: Project) -> None:
    of_program = WeightsTable.read(
        project.folder("dataset_values", f"{fabricated.TARGET}/kmm")
    ).weights()
    assert all(row.standing and row.resampled for row in of_program.values())
    brand = of_program["drugswap_brand"]
    assert brand.standing.family == of_program["drugswap_generic"].standing.family
    amounts = [cover.amount for cover in brand.standing.covered_by]
    assert amounts == sorted(amounts, reverse=True)
    folder = project.folder("dataset_values", f"{fabricated.TARGET}/alignment")
    for row in WeightsTable.read(folder).weights().values():
        assert row.standing is row.resampled is None
        assert row.weight == row.alignment


def test_a_program_is_put_together_from_its_records(project: Project) -> None:
    kernel, target = Kernel.read(project.folder("kernel_matrix")), fabricated.TARGET
    folder = project.folder("dataset_values", f"{target}/kmm")
    solved = SolvedProgram.read(folder, kernel, target)
    table = solved.weights.table.set_index("id")
    margins = solved.program.margins(table["weight"].to_numpy())
    np.testing.assert_allclose(margins, table["margin"], atol=1e-12)
    assert solved.program.lambda_max() == pytest.approx(solved.certificate.lambda_max)
    other = replace(kernel, ids=("x", *kernel.ids[1:]))
    with pytest.raises(ArtifactError, match="expected the kernel's datasets, found others"):
        SolvedProgram.read(folder, other, target)


def test_a_subset_says_only_what_is_known_of_it(project: Project, tmp_path: Path) -> None:
    subset = Subset.read(project.folder("selected_subset", f"{fabricated.TARGET}/one_step"))
    assert subset.alternatives is None
    subset.model_copy(update={"reached": None}).write(tmp_path)
    assert not {"objective", "reached", "frontier", "alternatives"} & set(
        read_json(tmp_path / Subset.FILE)
    )
    assert Subset.read(tmp_path).reached is None


def test_a_decision_is_named_by_all_the_rest(project: Project) -> None:
    decision = Decision.read(project.folder("valuation_decision", fabricated.TARGET))
    assert decision.own_id() == decision.decision_id
    dearer = decision.model_copy(update={"cost": decision.cost + 1})
    assert dearer.own_id() != decision.decision_id
    assert dearer.named().decision_id == dearer.own_id()


def test_a_settings_value_is_looked_up_by_section_and_name(project: Project) -> None:
    asked = Decision.read(project.folder("valuation_decision", fabricated.TARGET)).asked
    assert asked.setting("kmm_weights", "rule") == "absolute"
    assert asked.setting("kmm_weights", "caps") is None, "a mapping is no single value"
    assert asked.setting("nothing", "at all") is None
    assert (asked.priced, asked.confidence, asked.resamples) == (False, 0.9, 100)


def test_a_loss_table_with_another_head_is_refused(project: Project, tmp_path: Path) -> None:
    outcome = Outcome.read(project.folder("decision_outcome", fabricated.TARGET))
    LossTable.of(outcome).write(tmp_path)
    assert LossTable.read(tmp_path).rows == LossTable.of(outcome).rows
    (tmp_path / LossTable.FILE).write_text("policy;loss\n")
    with pytest.raises(ArtifactError, match="expected policy,loss,low,high, found policy;loss"):
        LossTable.read(tmp_path)


def test_numbers_that_json_has_not_are_refused(tmp_path: Path) -> None:
    endless = factory.training([float("inf")])
    with pytest.raises(ValueError, match="not JSON compliant"):
        endless.write(tmp_path)
