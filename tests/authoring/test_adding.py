"""Files become offers and a target: looked at, shown as the model reads them, written down."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from appraise.authoring import hub, look
from appraise.authoring.new_project import write_project
from appraise.cli import main
from appraise.errors import OfferError
from appraise.project.params import read_params
from appraise.steps.offers import read_pool
from appraise.storage.files import sha256_file

ROWS = [{"question": f"What is {n} and {n}?", "answer": str(2 * n), "level": n} for n in range(40)]
BOUGHT = ("--price", "100", "--provider", "Lexa Data")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, in which we are."""
    root = tmp_path / "ours"
    write_project(root)
    (root / "files").mkdir()
    written(root / "files" / "Sums, easy.jsonl", ROWS)
    monkeypatch.chdir(root)
    return root


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


def add(*words: str) -> Result:
    return run("offers", "add", *words)


def test_an_offer_is_shown_and_added_and_the_comments_stay(root: Path) -> None:
    before = (root / "pool.yaml").read_text()
    done = add("files/Sums, easy.jsonl", *BOUGHT, "--licence", "CC-BY-4.0")
    assert done.exit_code == 0, done.output
    after = (root / "pool.yaml").read_text()
    assert [line for line in after.splitlines() if line.startswith("#")] == [
        line for line in before.splitlines() if line.startswith("#")
    ]
    assert yaml.safe_load(after)["offers"] == [
        {
            "id": "sums_easy",
            "title": "Sums easy",
            "provider": "Lexa Data",
            "version": "1",
            "licence": "CC-BY-4.0",
            "price": 100,
            "source": "files/Sums, easy.jsonl",
            "sha256": sha256_file(root / "files" / "Sums, easy.jsonl"),
            "prompt": "{question}",
            "completion": "{answer}",
        }
    ]
    assert read_pool(root / "pool.yaml", root).by_id["sums_easy"].price == 100


def test_rows_are_shown_as_the_model_reads_them(root: Path) -> None:
    shown = add("files/Sums, easy.jsonl", *BOUGHT).output
    for n in range(3):
        assert f"│ Question: What is {n} and {n}?\n│ Answer:\n▸  {2 * n}↵\n" in shown
    assert "What is 3 and 3?" not in shown, "three rows"
    assert "  question  text          What is 0 and 0?" in shown
    assert "  level     number" in shown
    assert "Sums, easy.jsonl: 40 rows" in shown
    assert root.name not in shown


def test_what_would_steer_the_terminal_is_shown_as_text(root: Path) -> None:
    rows = [{"prompt": "\x1b[31mred\u202e", "completion": " a\n\tb"}]
    shown = add(str(written(root / "x.jsonl", rows)), *BOUGHT).output
    assert "│ Question: \\x1b[31mred\\u202e\n" in shown
    assert "\\tb↵" in shown


def test_of_a_long_text_the_middle_is_left_out(root: Path) -> None:
    rows = [{"prompt": "a" * 2000 + "end", "completion": "b"}]
    shown = add(str(written(root / "x.jsonl", rows)), *BOUGHT).output
    assert "│ [… 1,121 characters …]\n" in shown
    assert "aaend\n│ Answer:\n" in shown


def test_in_the_chat_format_of_the_model(root: Path, tiny: Path) -> None:
    said = json.loads((tiny / "tokenizer_config.json").read_text())
    said["chat_template"] = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    model = root / "model"
    model.mkdir()
    for path in tiny.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    (model / "tokenizer_config.json").write_text(json.dumps(said))
    chat = (root / "params.yaml").read_text().replace("  chat: false", "  chat: true")
    (root / "params.yaml").write_text(chat)
    assert "chat format is not shown" in add("files/Sums, easy.jsonl", *BOUGHT).output
    here = chat.replace("source: HuggingFaceTB/SmolLM2-135M-Instruct", "source: model")
    (root / "params.yaml").write_text(here)
    shown = add("files/Sums, easy.jsonl", *BOUGHT, "--id", "chat").output
    assert "│ <user>What is 1 and 1?</s><assistant>\n▸ 2</s>\n" in shown


def test_without_a_price_it_is_only_looked_at(root: Path) -> None:
    before = (root / "pool.yaml").read_bytes()
    done = add("files/Sums, easy.jsonl")
    assert done.exit_code == 2
    assert "▸  4↵" in done.stdout
    assert "nothing was added: expected --price and --provider too" in done.stderr
    dry = add("files/Sums, easy.jsonl", *BOUGHT, "--dry-run")
    assert dry.exit_code == 0
    assert "- id: sums_easy\n" in dry.output
    assert (root / "pool.yaml").read_bytes() == before


def test_several_files_are_all_added_or_none(root: Path) -> None:
    more = written(root / "more.jsonl", [{"prompt": str(n), "completion": "x"} for n in range(5)])
    before = (root / "pool.yaml").read_bytes()
    bad = written(root / "bad.jsonl", [{"a": 1}])
    done = add("files/Sums, easy.jsonl", str(bad), "nowhere.jsonl", *BOUGHT)
    assert done.exit_code == 2
    assert "bad.jsonl: expected columns such as" in done.stderr
    assert "nowhere.jsonl: expected a file" in done.stderr
    assert "nothing was added" in done.stderr
    assert (root / "pool.yaml").read_bytes() == before
    assert add("files/Sums, easy.jsonl", str(more), *BOUGHT).exit_code == 0
    assert list(read_pool(root / "pool.yaml", root).by_id) == ["more", "sums_easy"]


def test_what_does_not_fit_is_refused_and_the_pool_stays(root: Path) -> None:
    add("files/Sums, easy.jsonl", *BOUGHT)
    before = (root / "pool.yaml").read_bytes()
    again = add("files/Sums, easy.jsonl", *BOUGHT)
    assert "expected an id that is not taken, found sums_easy" in again.stderr
    for words, said in (
        (("--licence", "MITT"), "MITT is no SPDX licence"),
        (("--id", "Not an id"), "id: String should match pattern"),
        (("--price", "-1"), "price: Input should be greater than or equal to 0"),
        (("--completion", "{nothing}"), "expected a column nothing"),
        (("--prompt", "{question"), "prompt template"),
    ):
        done = add("files/Sums, easy.jsonl", "--id", "other", *BOUGHT, *words)
        assert done.exit_code == 2, words
        assert said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    two = add("files/Sums, easy.jsonl", "files/Sums, easy.jsonl", "--id", "x", *BOUGHT)
    assert "expected one file for the name x, found 2" in two.stderr
    assert (root / "pool.yaml").read_bytes() == before


def test_faults_are_counted_and_a_file_of_nothing_else_is_refused(root: Path) -> None:
    rows = [{"question": "?", "options": "red\nblue", "answer": "red"} for _ in range(8)]
    wrong = [row | {"answer": "B"} for row in rows[:2]]
    some = written(root / "some.jsonl", [*rows, *wrong, {"question": "", "answer": "blue"}])
    shown = add(str(some), *BOUGHT).output
    assert "2 of 11 rows (answer: the completion is not one of the choices)" in shown
    assert "1 of 11 rows (prompt: no text)" in shown
    done = add(str(written(root / "none.jsonl", wrong)), *BOUGHT)
    assert "found none (2 answer: the completion is not one of the choices)" in done.stderr


def test_members_of_archives_and_files_elsewhere(root: Path, tmp_path: Path) -> None:
    outside = written(tmp_path / "outside.jsonl", ROWS)
    with zipfile.ZipFile(root / "all.zip", "w") as archive:
        archive.write(outside, "in/sums.jsonl")
    assert add(str(outside), "zip://in/sums.jsonl::all.zip", *BOUGHT).exit_code == 0
    offers = read_pool(root / "pool.yaml", root).by_id
    assert offers["outside"].source == str(outside)
    assert offers["sums"].source == "zip://in/sums.jsonl::all.zip"
    assert offers["sums"].sha256 == sha256_file(outside)


def test_a_dataset_of_the_hub_is_pinned_by_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Api:
        def dataset_info(self, identity: str) -> Any:
            if identity == "no/such":
                raise OSError("not found")
            return type("Info", (), {"sha": f"commit of {identity}"})

    monkeypatch.setattr(hub, "HfApi", Api)
    assert hub.commit("owner/name") == "commit of owner/name"
    with pytest.raises(OfferError, match="no/such: expected a file, or a dataset on the hub"):
        hub.commit("no/such")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a/Supplier Contracts-2.1.parquet", "supplier_contracts_2_1"),
        ("x.jsonl.gz", "x"),
        ("owner/My.Set", "my_set"),
        ("zip://in/a.jsonl::b.zip", "a"),
        ("__.csv", ""),
        ("y" * 80 + ".csv", "y" * 63),
    ],
)
def test_a_name_for_a_file(file: str, name: str) -> None:
    assert look.identity(file) == name


def test_a_target_is_made_with_the_comments_of_its_settings(root: Path) -> None:
    done = run("target-sets", "add", "files/Sums, easy.jsonl", "--target", "school")
    assert done.exit_code == 0, done.output
    assert "Made target school in params.yaml: sums_easy" in done.output
    assert "sums_easy has 40 rows for 16 value, 0 train and 60 test examples" in done.output
    target = read_params(root / "params.yaml").target_sets["school"]
    assert (target.title, target.value, target.test) == ("School", 16, 60)
    assert target.components[0].sha256 == sha256_file(root / "files" / "Sums, easy.jsonl")
    text = (root / "params.yaml").read_text()
    assert "    # Examples of each component whose gradients make the target's gradient." in text
    stages = yaml.safe_load((root / "dvc.yaml").read_text())
    assert stages["metrics"] == ["data/decision_outcome/school/metrics.json"]
    (plot,) = stages["plots"][0].values()
    assert plot["y"] == {"data/decision_outcome/school/loss.csv": "loss"}


def test_a_second_component_and_a_second_target(root: Path) -> None:
    more = str(written(root / "more.jsonl", ROWS))
    run("target-sets", "add", "files/Sums, easy.jsonl")
    assert list(read_params(root / "params.yaml").target_sets) == ["sums_easy"], "after the file"
    assert "Added to target sums_easy" in run("target-sets", "add", more).output
    run("target-sets", "add", more, "--target", "other", "--title", "Another", "--group", "{level}")
    targets = read_params(root / "params.yaml").target_sets
    assert [part.name for part in targets["sums_easy"].components] == ["sums_easy", "more"]
    assert targets["other"].title == "Another"
    assert targets["other"].components[0].group == "{level}"
    asked = run("target-sets", "add", more)
    assert asked.exit_code == 2
    assert "--target: expected one of sums_easy, other or a new name" in asked.stderr
    bad = run("target-sets", "add", more, "--target", "Not a name")
    assert "Not a name" in bad.stderr
    assert len(read_params(root / "params.yaml").target_sets) == 2


def test_outside_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for noun in ("offers", "target-sets"):
        done = run(noun, "add", "x.jsonl")
        assert done.exit_code == 2
        assert "`appraise init FOLDER` makes one" in done.stderr


@pytest.mark.usefixtures("root")
def test_the_step_itself_runs_as_before() -> None:
    add("files/Sums, easy.jsonl", *BOUGHT)
    run("target-sets", "add", "files/Sums, easy.jsonl")
    done = run("offers", "--no-record", "--json")
    assert json.loads(done.stdout)["made"] == [""]
    assert "Reads: params.yaml only." in run("offers", "--help").output
