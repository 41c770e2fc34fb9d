"""Datasets of the pool: what is dropped, what is set aside and why, and that the others go on."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_project import (
    objective,
    offer,
    rows,
    small_project,
    write_lines,
    write_params,
    write_pool,
)

from appraise.errors import OfferError
from appraise.project import Project
from appraise.records.offers import Offers
from appraise.steps import auxiliary_datasets, offers, target_sets
from appraise.steps.runner import Made, run
from appraise.storage.files import read_json, read_table


def make(project: Project) -> Made:
    """Offers, targets and datasets; what the last step did."""
    run(offers.STEP, project)
    run(target_sets.STEP, project)
    return run(auxiliary_datasets.STEP, project)


def make_with(project: Project, *more: dict[str, Any]) -> Made:
    write_pool(project.root, [offer(project.root, "good"), *more])
    return make(project)


def card(project: Project, key: str) -> dict[str, Any]:
    return dict(read_json(project.open("auxiliary_datasets", key) / "card.json"))


def examples(project: Project, key: str) -> Any:
    return read_table(project.open("auxiliary_datasets", key) / "examples.parquet")


def test_a_good_dataset(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make(project)
    table = examples(project, "good")
    assert list(table.columns) == ["id", "prompt", "completion"]
    assert len(table) == table["id"].nunique() == 16, "max_examples"
    found = card(project, "good")
    assert (found["rows"], found["usable"], found["kept"]) == (30, 30, 16)
    assert found["dropped"] == {"duplicate": 0, "overlap": {"desk": 0}}
    # Question: what … number 1 ? A. nothing at all B. it says 1 Answer: B. it says 1
    assert found["tokens"] == {"mean": 23.0, "p95": 23, "max": 23}
    checks = read_json(project.open("auxiliary_datasets", "good") / "validation.json")
    assert len(checks) > 8
    assert all(check["success"] for check in checks)
    assert (tmp_path / ".appraise" / "data_docs" / "index.html").is_file()


BAD: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "not_json": (
        [*rows(30), b"{oops"],
        {},
        "row 31: expected a row that can be read, found not JSON",
    ),
    "a_list": (
        [b"[1]", *rows(30)],
        {},
        "expected one array of objects and nothing after it, or ",
    ),
    "not_utf8": ([*rows(30), b'{"question": "\xff"}'], {}, "found not UTF-8: byte 0xff at 14"),
    "giant_rows": (
        [*rows(30), *[{"question": "x" * 10_000_000, "answer": "y", "options": "z"}] * 2],
        {},
        "at most 5% invalid rows, found 2 of 32 (2 too_large; row 31 has 10000048 bytes); co",
    ),
    "no_answers": (
        [{"question": f"why {i}?", "options": "A. a\nB. b"} for i in range(30)],
        {},
        "completion template: expected a column answer, found options, question; name one of these",
    ),
    "empty_answers": (
        [row | {"answer": None if i < 20 else row["answer"]} for i, row in enumerate(rows(30))],
        {},
        "expected at most 5% invalid rows, found 20 of 30 (20 empty)",
    ),
    "several_answers": (
        [row | {"answer": ["a", "b"] if i < 20 else "a"} for i, row in enumerate(rows(30))],
        {},
        "found 20 of 30 (20 not_understood; row 1: {answer}: expected one text, found a list of 2; "
        "say which, as in {answer:first}); correct the templates, ask the provider",
    ),
    "few_rows": (
        [*rows(6), rows(7)[6] | {"answer": ["a", "b"]}, *[rows(9)[8]] * 21],
        {},
        "(dropped: 1 not_understood, 20 duplicate; row 7: {answer}: expected one text",
    ),
    "broken_text": ([*rows(10), {"question": "\x00", "answer": "\ud800"}] * 3, {}, "(3 encoding)"),
    "no_such_choice": (
        [row | {"answer": "C. what"} for row in rows(30)],
        {"choices": "{options}"},
        "(30 answer_not_in_choices)",
    ),
    "no_preference": (
        [row | {"worse": row["answer"] if i < 4 else "no"} for i, row in enumerate(rows(30))],
        {"rejected": "{worse}"},
        "expected at most 5% invalid rows, found 4 of 30 (4 no_preference)",
    ),
    "no_such_row": (
        rows(30),
        {"where": {"question": "^who"}},
        "expected rows in which each `where` is found, found none",
    ),
    "no_such_column": (
        rows(30),
        {"where": {"kind": "^who"}},
        "where template: expected a column kind, found answer, options, question",
    ),
    "too_few": (rows(7) * 2, {}, "at least 8 examples, found 7 usable of 14 rows (dropped: 7 dupl"),
    "too_long": (
        [row | {"question": f"{row['question']} " * 20} for row in rows(30)],
        {},
        "found 0 usable of 30 rows (dropped: 30 too_long)",
    ),
    "no_rows": ([], {}, "expected rows, found none"),
    "no_file": (
        [],
        {"source": "files/away.jsonl"},
        "files/away.jsonl: expected a file, found none",
    ),
    "damaged": (rows(30), {"sha256": "0" * 64}, "expected SHA-256 000000000000…, found "),
    "no_archive": ([], {"source": "zip://a.jsonl::files/a.zip"}, "expected a file, found none"),
    "bad_archive": ([b"no zip"], {"source": "zip://a.jsonl::files/bad_archive.jsonl"}, "not a zip"),
    "no_protocol": ([], {"source": "nowhere://a.jsonl"}, "Protocol not known: nowhere"),
    "not_parquet": ([b"text"], {"source": "files/copy.parquet"}, "expected a Parquet file, found"),
    "no_kind": (rows(30), {"source": "files/copy.txt"}, "expected a name that ends in .jsonl"),
}


def test_bad_datasets_are_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    entries = []
    for name, (content, change, _) in BAD.items():
        entry = offer(tmp_path, name, content)
        if "copy" in str(change.get("source")):
            (tmp_path / change["source"]).write_bytes((tmp_path / entry["source"]).read_bytes())
        entries.append(entry | change)
    made = make_with(project, *entries)
    assert set(made.made) == {"good", *BAD}
    assert project.set_aside("auxiliary_datasets", "good") is None
    for name, (_, _, expected) in BAD.items():
        reason = project.set_aside("auxiliary_datasets", name)
        assert reason is not None, name
        assert expected in reason, name
        assert "\n" not in reason, name
        assert not (project.folder("auxiliary_datasets", name) / "examples.parquet").exists()
        assert card(project, name)["kept"] == 0

    again = run(auxiliary_datasets.STEP, project)
    unreadable = {"no_file", "damaged", "no_archive", "bad_archive", "no_protocol"}
    assert set(again.made) == unreadable, "only what may have been repaired is looked at again"


def test_a_repaired_file_comes_back(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    entry = offer(tmp_path, "later", rows(30, "later"))
    path = tmp_path / entry["source"]
    content = path.read_bytes()
    path.write_bytes(content[:-10])
    make_with(project, entry)
    assert "expected SHA-256" in str(project.set_aside("auxiliary_datasets", "later"))
    path.write_bytes(content)
    assert make(project).made == ("later",)
    assert project.set_aside("auxiliary_datasets", "later") is None
    assert make(project).made == ()


def test_a_few_bad_rows_are_dropped_with_their_reasons(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    good = rows(60)
    bad = [{"question": "no answer?", "answer": " "}, {"question": "caf\ufffd?", "answer": "yes"}]
    long = {"question": "word " * 70, "answer": "yes"}
    large = {"question": "word " * 1000, "answer": "yes"}
    make_with(project, offer(tmp_path, "some", [*bad, *good, long, good[3], large]))
    found = card(project, "some")
    assert found["dropped"] == {
        "empty": 1, "encoding": 1, "too_large": 1, "too_long": 1, "duplicate": 1,
        "overlap": {"desk": 0},
    }  # fmt: skip
    assert found["usable"] == 60
    checks = read_json(project.open("auxiliary_datasets", "some") / "validation.json")
    failed = {
        (row["row"], row["column"], row["value"], row["reason"])
        for check in checks
        for row in check["failed_rows"]
    }
    assert (1, "completion", " ", "no text") in failed
    assert (2, "prompt", "caf\ufffd?", "U+FFFD or NUL in the text") in failed
    assert any(row == (63, "tokens", "73", "at most 60 tokens") for row in failed)
    assert (65, "size", "5034", "at most 5000 bytes") in failed
    assert {row for row, column, *_ in failed if "choices" in column} == {6, 64}


def test_overlap_with_any_split_is_removed_and_reported(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    target = rows(40, "target")
    asked_otherwise = [  # upper case, no question mark, the options in another way
        {
            "question": row["question"].upper().removesuffix("?"),
            "answer": row["answer"],
            "options": f"A: {i}\nB: none of these",
        }
        for i, row in enumerate(target[:12])
    ]
    make_with(
        project, offer(tmp_path, "leaky", [*rows(30, "leaky"), *target[12:15], *asked_otherwise])
    )
    found = card(project, "leaky")
    assert found["dropped"]["overlap"] == {"desk": 15}
    assert found["overlap_questions"] == {"desk": 15}
    assert found["usable"] == 30
    folder = project.open("target_sets", "desk")
    for split in ("value", "train", "test"):
        table = read_table(folder / f"{split}.parquet")
        assert set(table["id"]).isdisjoint(examples(project, "leaky")["id"])


def test_everything_overlaps(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make_with(project, offer(tmp_path, "copy", rows(40, "target")))
    reason = project.set_aside("auxiliary_datasets", "copy")
    assert reason is not None
    assert reason.endswith("found 0 usable of 40 rows (dropped: 40 overlap with desk)")


def test_same_bytes_whatever_the_order_of_rows_and_datasets(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    content = [*rows(50, "one"), *rows(5, "one")]
    content[3] = content[3] | {"question": content[3]["question"].upper()}
    one, two = offer(tmp_path, "one", content), offer(tmp_path, "two", rows(20, "two"))
    make_with(project, one, two)
    before = [examples(project, key) for key in ("one", "two")]
    files = [project.manifest("auxiliary_datasets", key).files for key in ("one", "two")]
    random.Random(0).shuffle(content)
    make_with(project, two, offer(tmp_path, "one", content))
    after = [examples(project, key) for key in ("one", "two")]
    for old, new in zip(before, after, strict=True):
        assert old.equals(new)
    name = "examples.parquet"
    assert project.manifest("auxiliary_datasets", "one").files[name] == files[0][name]
    run(auxiliary_datasets.STEP, project, force=True)
    assert project.manifest("auxiliary_datasets", "two").files == files[1]


def test_a_new_offer_leaves_the_others_alone(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make(project)
    assert make_with(project, offer(tmp_path, "new", rows(20, "new"))).made == ("new",)
    assert make_with(project).removed == ("new",)


def test_a_clone_without_the_sources_has_nothing_to_do(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make(project)
    (tmp_path / "files" / "good.jsonl").unlink()
    assert run(auxiliary_datasets.STEP, Project(tmp_path)).made == ()


def test_a_setting_that_matters_recomputes_and_one_that_does_not_does_not(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make(project)
    project = write_params(tmp_path, base_model={"lora": {"rank": 4}})
    assert make(project).made == ()
    project = write_params(tmp_path, auxiliary_datasets={"max_examples": 12})
    assert make(project).made == ("good",)
    assert card(project, "good")["kept"] == 12


def test_pages_of_other_datasets_stay(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    make(project)
    make_with(project, offer(tmp_path, "new", rows(20, "new")))
    make(project)
    index = (tmp_path / ".appraise" / "data_docs" / "index.html").read_text(encoding="utf-8")
    for key in ("good", "new"):
        assert f"validations/{key}/" in index
        pages = tmp_path / ".appraise" / "data_docs" / "validations" / key
        assert len(list(pages.rglob("*.html"))) == 1


def test_parquet_and_the_hubs_layout(tmp_path: Path) -> None:
    import pandas as pd

    from appraise.examples.sources import source_sha256

    project = small_project(tmp_path)
    table = pd.DataFrame(rows(20, "table")).assign(answer=[["first", "second"]] * 20)
    table.to_parquet(tmp_path / "files" / "table.parquet")
    folder = tmp_path / "hub" / "layout"
    (folder / "data").mkdir(parents=True)
    pd.DataFrame(rows(20, "hub")).to_parquet(folder / "data" / "train-00000.parquet")
    card_text = "---\nconfigs:\n- config_name: default\n  data_files:\n"
    card_text += "  - split: train\n    path: data/train-*\n---\n"
    (folder / "README.md").write_text(card_text, encoding="utf-8")
    file, layout = "files/table.parquet", "hub/layout"
    make_with(
        project,
        offer(
            tmp_path,
            "table",
            source=file,
            sha256=source_sha256(file, tmp_path),
            completion="{answer:first}",
        ),
        offer(
            tmp_path, "hub", source=layout, sha256=source_sha256(layout, tmp_path), split="train"
        ),
        offer(tmp_path, "nosplit", source=layout, sha256=source_sha256(layout, tmp_path)),
        offer(tmp_path, "badsplit", source=layout, split="dev"),
    )
    assert set(examples(project, "table")["completion"]) == {"first"}
    assert card(project, "hub")["kept"] == 16
    assert "expected `split` to name one of train" in str(
        project.set_aside("auxiliary_datasets", "nosplit")
    )
    assert "expected SHA-256" in str(project.set_aside("auxiliary_datasets", "badsplit"))


def test_an_unknown_offer_has_a_clear_message(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    run(offers.STEP, project)
    with pytest.raises(OfferError, match="expected an offer 'none', found none"):
        project.read(Offers, "offers")["none"]


def test_importing_the_steps_imports_nothing_heavy() -> None:
    code = (
        "import sys, appraise.steps.auxiliary_datasets, appraise.steps.target_sets;"
        "heavy = {'torch', 'transformers', 'peft', 'trl', 'lm_eval', 'datasets', 'matplotlib',"
        "'great_expectations', 'pyscipopt', 'sklearn'};"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == ""


def test_a_line_is_one_row_however_long_its_neighbours_are(tmp_path: Path) -> None:
    from appraise.examples.sources import read_rows
    from appraise.settings.data import Source

    lines = [b'{"a": 1}', b'{"a": "' + b"x" * 3_000_000 + b'"}', b"", b'{"a": 2}']
    write_lines(tmp_path / "x.jsonl", lines)
    found = list(read_rows(Source(source="x.jsonl"), tmp_path, 100))
    assert [row.number for row in found] == [1, 2, 4]
    assert [row.columns for row in found] == [{"a": "1"}, {}, {"a": "2"}]
    assert (found[1].size, found[1].unreadable, found[1].too_large) == (3_000_010, None, True)


def test_an_objective_of_pairs_sets_aside_what_gives_none(tmp_path: Path) -> None:
    small_project(tmp_path)
    chosen = offer(tmp_path, "chosen", rows(30, "chosen"), choices="{options}")
    stated = [row | {"worse": f"no idea of {i}"} for i, row in enumerate(rows(30, "stated"))]
    worse = offer(tmp_path, "worse", stated, rejected="{worse}")
    one_choice = [row | {"options": row["answer"]} for row in rows(30, "single")]
    single = offer(tmp_path, "single", one_choice, choices="{options}")
    project = write_params(tmp_path)
    make_with(project, chosen, worse, single)
    assert list(examples(project, "good").columns) == ["id", "prompt", "completion"]
    for key, more in (("chosen", ["choices", "answer"]), ("worse", [])):
        table = examples(project, key)
        assert list(table.columns) == ["id", "prompt", "completion", *more, "rejected"]
        assert (table["rejected"] != table["completion"]).all()
        assert (table["rejected"].str.len() > 0).all()
    before = {key: project.manifest("auxiliary_datasets", key).files for key in ("chosen", "worse")}
    assert project.set_aside("auxiliary_datasets", "single") is None

    project = write_params(tmp_path, gradient_sketches=objective("grpo"))
    assert make(project).made == (), "the same examples for every objective without pairs"
    project = write_params(tmp_path, gradient_sketches=objective("dpo"))
    make(project)
    reason = str(project.set_aside("auxiliary_datasets", "good"))
    assert (
        "expected pairs of a better and a worse answer, which gradient_sketches.objective "
        "compares, found neither `rejected` nor `choices`" in reason
    )
    assert "add the template of the worse answer" in reason
    assert "30 no_preference" in str(project.set_aside("auxiliary_datasets", "single"))
    assert examples(project, "worse")["rejected"].str.startswith("no idea of ").all()
    for key, files in before.items():
        found = project.manifest("auxiliary_datasets", key).files
        assert found["examples.parquet"] == files["examples.parquet"], key
    assert make(project).made == ()


def test_conversations_are_checked_like_other_rows(tmp_path: Path) -> None:
    project = small_project(tmp_path)
    target = rows(40, "target")

    def talk(question: str, answer: str) -> dict[str, Any]:
        asked = [{"from": "system", "value": "Be kind."}, {"from": "human", "value": question}]
        return {"talk": [*asked, {"from": "gpt", "value": answer}]}

    content = [talk(row["question"], row["answer"]) for row in rows(30, "talk")]
    leaked = [talk(f"{row['question']}\n{row['options']}", row["answer"]) for row in target[:3]]
    unanswered = {"talk": [{"from": "human", "value": "is anybody there?"}]}
    entry = offer(tmp_path, "talk", [*content, *leaked, unanswered, content[0]], messages="talk")
    del entry["prompt"], entry["completion"]
    make_with(project, entry)
    found = card(project, "talk")
    assert found["dropped"] == {
        "duplicate": 1, "not_understood": 1, "overlap": {"desk": 3},
    }  # fmt: skip
    assert found["usable"] == 30
    messages = json.loads(examples(project, "talk")["prompt"][0])
    assert [message["role"] for message in messages] == ["system", "user"]
