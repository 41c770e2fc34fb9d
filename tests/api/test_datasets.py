"""Datasets and a model go in; a decision comes out, the same as a project's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pandas as pd
import pyarrow
import pytest
from tiny_project import WORDS

import appraise
from appraise.api.rows import written
from appraise.errors import AppraiseError, OfferError, ParamsError
from appraise.project import Project
from appraise.storage.files import read_arrays

SETTINGS = {
    "base_model": {"max_length": 64, "prompt": "{prompt}:", "lora": {"rank": 2}},
    "gradient_sketches": {"dimension": 128, "preview": 6},
    "dataset_values": {"bootstraps": 10},
}
TASK = [{"question": f"talk {n}", "answer": ["red", "dog", "one", "hen"][n % 4]} for n in range(20)]


def rows(name: str, count: int = 30) -> list[dict[str, Any]]:
    return [{"prompt": f"{name} {n}", "completion": WORDS[name][n % 4]} for n in range(count)]


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """Three datasets, each as somebody else has it, and one of which there is too little."""
    return {
        "Colours!": rows("colours"),
        "animals": pd.DataFrame(rows("animals")),
        "numbers": datasets.Dataset.from_list(rows("numbers")),
        "few": rows("colours", 3),
    }


@pytest.fixture(scope="module")
def valued(
    given: dict[str, Any], tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> appraise.DatasetValuation:
    return appraise.value_datasets(
        given,
        TASK,
        model=tiny,
        k=2,
        prices={"Colours!": 5, "animals": 6, "numbers": 7, "few": 1},
        currency="EUR",
        settings=SETTINGS,
        folder=tmp_path_factory.mktemp("valued"),
    )


def test_weights_reasons_and_a_table(valued: appraise.DatasetValuation) -> None:
    assert set(valued.weights) == {"Colours!", "animals", "numbers"}
    assert 0 < len(valued.selected) <= 2
    assert all(valued.weights[name] > 0 for name in valued.selected)
    frame = valued.to_frame().set_index("dataset")
    assert list(frame.index[frame.bought]) == list(valued.selected)
    assert frame.price["animals"] == 6
    assert frame.low["animals"] <= frame.weight["animals"] <= frame.high["animals"]
    assert frame.weight.isna()["few"]
    assert "expected at least 8 examples" in valued.reasons["few"]
    assert all(valued.reasons.values())


def test_it_can_be_read_in_a_terminal_and_in_a_notebook(
    valued: appraise.DatasetValuation,
) -> None:
    text = str(valued)
    assert repr(valued) == text
    assert text.startswith(f"Buy {valued.selected[0]}")
    assert "EUR.\n\n" in text
    for name in (*valued.weights, "few"):
        assert name in text
    assert max(map(len, text.splitlines())) <= 100
    assert "<td>Colours!</td>" in valued._repr_html_()


def test_the_decision_is_that_of_a_project(valued: appraise.DatasetValuation) -> None:
    from tiny_project import appraise as command

    root = valued.project.root
    before = valued.decision.decision_id
    done = command(root, "run", "--until", "valuation_decision", "--no-record")
    assert done.exit_code == 3, "one was set aside"
    assert "valuation_decision: 0 made, 1 already up to date" in done.stdout
    assert Project(root).params.selected_subset.k == 2
    assert before == valued.decision.own_id()


def test_a_loaded_model_gives_the_same_gradients_as_its_folder(
    given: dict[str, Any], valued: appraise.DatasetValuation, tiny: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(tiny))
    again = appraise.value_datasets(
        {name: given[name] for name in ("animals", "numbers")},
        TASK,
        model=model,
        tokenizer=AutoTokenizer.from_pretrained(str(tiny)),
        settings=SETTINGS,
        folder=tmp_path,
    )
    for name in ("animals", "numbers"):
        sketch = f"data/gradient_sketches/{name}/sketch.safetensors"
        one, other = read_arrays(tmp_path / sketch), read_arrays(valued.project.root / sketch)
        assert (one[0]["rows"] == other[0]["rows"]).all()
    assert again.to_frame().price.isna().all(), "nothing has a price"
    assert "for" not in again.headline


def test_a_folder_keeps_what_did_not_change(
    given: dict[str, Any], valued: appraise.DatasetValuation, tiny: Path
) -> None:
    sketches = valued.project.root / "data" / "gradient_sketches"
    before = {path: path.stat().st_mtime_ns for path in sketches.rglob("*.safetensors")}
    more = {**given, "more": rows("colours", 12)}
    again = appraise.value_datasets(
        more, TASK, model=tiny, settings=SETTINGS, folder=valued.project.root
    )
    after = {path: path.stat().st_mtime_ns for path in sketches.rglob("*.safetensors")}
    assert set(before.items()) <= set(after.items())
    assert "more" in again.reasons


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"datasets": [TASK]}, ParamsError, "datasets: expected a mapping .* found list"),
        ({"datasets": {}}, ParamsError, "datasets: expected a mapping .* an empty one"),
        ({"datasets": {3: TASK}}, ParamsError, "names with letters or digits, found 3"),
        ({"datasets": {"a!": TASK, "a?": TASK}}, ParamsError, "found 'a\\?' and 'a!'"),
        ({"datasets": {"a": [1]}}, OfferError, "a: row 1: expected a mapping .* found int"),
        ({"datasets": {"a": []}}, OfferError, "a: expected rows, found none"),
        ({"datasets": {"a": {"prompt": ["x"]}}}, OfferError, "a: expected rows .* found dict"),
        ({"datasets": {"a": 3}}, OfferError, "a: expected rows .* found int"),
        ({"datasets": {"a": "nowhere.jsonl"}}, OfferError, "a: nowhere.jsonl: expected a file"),
        ({"datasets": {"a": [{"x": 1}]}}, OfferError, "a: .*expected columns such as prompt"),
        ({"datasets": {"a": [{"p": 1}, {"p": "x"}]}}, OfferError, "a: expected columns of one ty"),
        (
            {"datasets": {"a": [{"x": 1}], "b": [2]}}, OfferError,
            "2 things(.|\n)*- a: expected columns(.|\n)*- b: row 1: expected a mapping",
        ),
        ({"target": datasets.DatasetDict({"train": None})}, OfferError, "the splits train; give"),
        ({"model": 3}, ParamsError, "model: expected a model .* found int"),
        ({"model": "nowhere"}, ParamsError, "nowhere: expected a folder .* found nothing"),
        ({"prices": {"b": 1}}, ParamsError, "prices: .* found none for a"),
        ({"settings": {"selected_subset": {"k": 0}}}, ParamsError, "selected_subset.k"),
        ({"policy": "best"}, ParamsError, "found 'best'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_before_anything_is_computed(
    change: dict[str, Any], error: type[AppraiseError], said: str, tmp_path: Path, tiny: Path
) -> None:
    arguments = {"datasets": {"a": rows("colours")}, "target": TASK, "model": tiny} | change
    with pytest.raises(error, match=said) as caught:
        appraise.value_datasets(**arguments, folder=tmp_path / "new")
    assert str(caught.value).count("\n") in (0, 2), "a line, or a line for each"
    assert not (tmp_path / "new" / "data").exists()


def test_a_project_written_by_hand_is_left_alone(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "params.yaml").write_text("base_model: {}\n")
    with pytest.raises(ParamsError, match="found a project that was written by hand"):
        appraise.value_datasets({"a": TASK}, TASK, model=tiny, folder=tmp_path)


def test_rows_that_have_different_columns_keep_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    written("a", [{"x": "1"}, {"y": [1, 2]}], file)
    assert pyarrow.parquet.read_table(file).to_pylist() == [
        {"x": "1", "y": None},
        {"x": None, "y": [1, 2]},
    ]
    assert written("a", Path("some/file.csv"), file) == "some/file.csv"
