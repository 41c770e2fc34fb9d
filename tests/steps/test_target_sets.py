"""Targets: disjoint splits, the same whatever the order of the rows, or one clear line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from small_project import (
    TARGET_ROWS,
    objective,
    rows,
    small_project,
    write_lines,
    write_params,
)

from appraise.errors import ArtifactError, OfferError
from appraise.examples.example import Example
from appraise.examples.overlap import Marks, normalise
from appraise.project import Project
from appraise.records.fingerprints import Fingerprints
from appraise.steps import target_sets
from appraise.steps.runner import run
from appraise.storage.files import read_json, read_table

COMPONENT = {
    "name": "desk",
    "source": "files/target.jsonl",
    "prompt": "{question}\n{options}",
    "completion": "{answer}",
    "choices": "{options}",
}


def with_components(root: Path, *components: dict[str, str], **sizes: int) -> Project:
    target = {"title": "A desk", "value": 6, "test": 10, "components": list(components)} | sizes
    return write_params(root, target_sets={"desk": target})


def test_splits_are_disjoint_and_as_large_as_asked(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(target_sets.STEP, project)
    folder = project.open("target_sets", "desk")
    tables = {name: read_table(folder / f"{name}.parquet") for name in ("value", "train", "test")}
    assert {name: len(table) for name, table in tables.items()} == {
        "value": 6,
        "train": 4,
        "test": 10,
    }
    prompts = [normalise(prompt) for table in tables.values() for prompt in table["prompt"]]
    assert len(set(prompts)) == 20
    test = tables["test"]
    columns = ["id", "prompt", "completion", "component", "choices", "answer", "rejected"]
    assert list(test.columns) == columns
    for _, row in test.iterrows():
        assert row["choices"][row["answer"]] == row["completion"]
        assert row["rejected"] == "A. nothing at all"


def test_order_of_rows_does_not_matter_and_a_second_run_computes_nothing(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(target_sets.STEP, project)
    content = project.content("target_sets", "desk")
    assert run(target_sets.STEP, project).made == ()
    shuffled = rows(TARGET_ROWS, "target")
    random.Random(1).shuffle(shuffled)
    write_lines(tmp_path / "files" / "target.jsonl", shuffled)
    assert run(target_sets.STEP, project).made == ("desk",), "the file is not pinned: it decides"
    assert project.content("target_sets", "desk") == content


def test_bad_rows_are_dropped_and_counted(tmp_path: Path) -> None:
    good = rows(TARGET_ROWS, "target")
    bad = [
        {"question": "", "answer": "", "options": ""},
        {"question": "is it?", "answer": "C. it is", "options": "A. yes\nB. no"},
        {"question": "long " * 80, "answer": "A. yes", "options": "A. yes\nB. no"},
        good[0] | {"question": good[0]["question"].replace(" ", "  ")},
    ]
    project = small_project(tmp_path)
    write_lines(tmp_path / "files" / "target.jsonl", good + bad)
    run(target_sets.STEP, project)
    card = read_json(project.open("target_sets", "desk") / "card.json")["components"][0]
    assert card["dropped"] == {
        "empty": 1,
        "answer_not_in_choices": 1,
        "too_long": 1,
        "duplicate": 1,
    }
    assert (card["rows"], card["usable"]) == (TARGET_ROWS + 4, TARGET_ROWS)


def test_what_no_row_can_be_read_from_is_said(tmp_path: Path) -> None:
    small_project(tmp_path)
    content = [row | {"answer": {"text": row["answer"]}} for row in rows(TARGET_ROWS, "target")]
    write_lines(tmp_path / "files" / "target.jsonl", content)
    with pytest.raises(
        OfferError,
        match=r"\(dropped: 40 not_understood; row 1: {answer}: expected a text, found an object "
        r"with text; name what is in it, as in {answer\.text}, .*\); lower",
    ):
        run(target_sets.STEP, with_components(tmp_path, COMPONENT))
    project = with_components(tmp_path, COMPONENT | {"completion": "{answer.text}"})
    assert run(target_sets.STEP, project).made == ("desk",)


def test_a_group_is_in_one_split_only(tmp_path: Path) -> None:
    content = [
        {"passage": f"passage {i // 4} " * 5, "question": f"is it {i}", "answer": str(i % 2 == 0)}
        for i in range(80)
    ]
    small_project(tmp_path)
    write_lines(tmp_path / "files" / "target.jsonl", content)
    project = with_components(
        tmp_path,
        COMPONENT
        | {"prompt": "{passage}\n{question}", "choices": "True\nFalse", "group": "{passage}"},
    )
    run(target_sets.STEP, project)
    folder = project.open("target_sets", "desk")
    passages = {
        name: {prompt.split("\n")[0] for prompt in read_table(folder / f"{name}.parquet")["prompt"]}
        for name in ("value", "test")
    }
    assert passages["value"].isdisjoint(passages["test"])
    assert set(read_table(folder / "test.parquet")["answer"]) <= {0, 1}


def test_components_do_not_share_prompts_between_splits(tmp_path: Path) -> None:
    small_project(tmp_path)
    project = with_components(tmp_path, COMPONENT, COMPONENT | {"name": "again"}, value=10, test=20)
    run(target_sets.STEP, project)
    folder = project.open("target_sets", "desk")
    value, test = (set(read_table(folder / f"{name}.parquet")["id"]) for name in ("value", "test"))
    assert value.isdisjoint(test)


def test_sizes_do_not_change_what_the_pool_is_compared_with(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(target_sets.STEP, project)
    before = project.content("target_sets", "desk", file=Fingerprints.FILE)
    project = with_components(tmp_path, COMPONENT, value=3, test=12, seed=5)
    assert run(target_sets.STEP, project).made == ("desk",)
    assert project.content("target_sets", "desk", file=Fingerprints.FILE) == before


def test_a_number_of_held_out_rows_leaves_the_other_splits_as_they_are(tmp_path: Path) -> None:
    small_project(tmp_path)
    files = []
    for test in (12, 4):
        project = with_components(tmp_path, COMPONENT, value=8, train=6, test=test)
        run(target_sets.STEP, project)
        files.append(project.manifest("target_sets", "desk").files)
    assert files[0]["test.parquet"] != files[1]["test.parquet"]
    for split in ("value.parquet", "train.parquet"):
        assert files[0][split] == files[1][split], "what is valued and trained on moved"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"source": "files/none.jsonl"}, "files/none.jsonl: expected a file, found none"),
        ({"sha256": "0" * 64}, "expected SHA-256 000000000000…"),
        ({"completion": "{label}"}, "expected a column label, found answer, options, question"),
    ],
)
def test_a_target_that_cannot_be_read(
    tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    small_project(tmp_path)
    project = with_components(tmp_path, COMPONENT | changes)
    with pytest.raises(OfferError, match="target desk, component desk: ") as caught:
        run(target_sets.STEP, project)
    assert expected in str(caught.value)
    assert project.partitions("target_sets") == []


def test_too_few_rows_says_how_many(tmp_path: Path) -> None:
    small_project(tmp_path)
    project = with_components(tmp_path, COMPONENT, value=30, test=30)
    with pytest.raises(OfferError, match="of 40 rows, enough for 30 value, 0 train and 10 test"):
        run(target_sets.STEP, project)


def test_a_damaged_row_stops_the_target(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    write_lines(tmp_path / "files" / "target.jsonl", [*rows(TARGET_ROWS, "target"), b"{oops"])
    with pytest.raises(OfferError, match="row 41: expected a row that can be read, found not JSON"):
        run(target_sets.STEP, project)


def test_the_tokenizer_is_needed_whole(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    path = project.folder("base_model") / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"tokenizer\.json: expected SHA-256 .* damaged"):
        run(target_sets.STEP, project)


def test_an_objective_of_pairs_needs_pairs(tmp_path: Path) -> None:
    small_project(tmp_path)
    plain = {name: value for name, value in COMPONENT.items() if name != "choices"}
    target = {"title": "A desk", "value": 6, "test": 10, "components": [plain]}
    for kind in ("sft", "grpo"):
        project = write_params(
            tmp_path, target_sets={"desk": target}, gradient_sketches=objective(kind)
        )
        made = run(target_sets.STEP, project).made
        assert made == (("desk",) if kind == "sft" else ()), "this objective changes no example"
    assert "rejected" not in read_table(project.open("target_sets", "desk") / "value.parquet")
    project = write_params(
        tmp_path, target_sets={"desk": target}, gradient_sketches=objective("dpo")
    )
    with pytest.raises(
        OfferError, match=r"target desk, component desk: .* found neither `rejected`"
    ):
        run(target_sets.STEP, project)


def test_pairs_are_the_same_whatever_the_objective(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(target_sets.STEP, project)
    before = project.manifest("target_sets", "desk").files
    project = write_params(tmp_path, gradient_sketches=objective("dpo"))
    assert run(target_sets.STEP, project).made == ("desk",)
    assert project.manifest("target_sets", "desk").files == before


def test_a_worse_answer_that_is_none_and_one_that_is_too_long(tmp_path: Path) -> None:
    good = [row | {"worse": f"maybe {i}"} for i, row in enumerate(rows(TARGET_ROWS, "target"))]
    good[0]["worse"] = good[0]["answer"].replace(" ", "  ")
    good[1]["worse"] = " "
    good[2]["worse"] = "maybe " * 60
    good[3]["worse"] = "ma\x00ybe"
    small_project(tmp_path)
    write_lines(tmp_path / "files" / "target.jsonl", good)
    component = COMPONENT | {"rejected": "{worse}"}
    for kind, too_long in (("sft", {}), ("dpo", {"too_long": 1})):
        target = {"title": "A desk", "value": 6, "test": 10, "components": [component]}
        project = write_params(
            tmp_path, target_sets={"desk": target}, gradient_sketches=objective(kind)
        )
        run(target_sets.STEP, project)
        card = read_json(project.open("target_sets", "desk") / "card.json")["components"][0]
        assert card["dropped"] == {"encoding": 1, "no_preference": 2} | too_long


def test_rows_that_where_leaves_out_may_be_in_the_pool(tmp_path: Path) -> None:
    content = rows(TARGET_ROWS, "target")
    small_project(tmp_path)
    project = with_components(tmp_path, COMPONENT | {"where": {"question": "[02468] [?]$"}})  # type: ignore[dict-item]
    run(target_sets.STEP, project)
    folder = project.open("target_sets", "desk")
    assert read_json(folder / "card.json")["components"][0]["rows"] == TARGET_ROWS / 2
    known = set(read_table(folder / Fingerprints.FILE)["fingerprint"])
    even, odd = (
        Marks(
            Example("", f"{row['question']}\n{row['options']}", row["answer"])
            for row in content[start::2]
        ).all
        for start in (0, 1)
    )
    assert known == even
    assert known.isdisjoint(odd)
