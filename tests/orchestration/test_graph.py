"""One graph: `dvc.yaml` and the steps say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from appraise.errors import ParamsError
from appraise.orchestration.graph import read_graph
from appraise.steps.flow import NOUNS, step

ROOT = Path(__file__).parents[2]


def test_stages_are_the_steps_in_their_order() -> None:
    assert tuple(read_graph(ROOT)) == NOUNS


@pytest.mark.parametrize("noun", NOUNS)
def test_edges_are_those_of_the_step(noun: str) -> None:
    assert set(read_graph(ROOT)[noun].needs) == set(step(noun).needs)
    assert step(noun).noun == noun


@pytest.mark.parametrize("noun", NOUNS)
def test_a_stage_calls_its_subcommand_and_keeps_its_folder(noun: str) -> None:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][noun]
    assert stage["cmd"].split()[:2] == ["appraise", noun.replace("_", "-")]
    assert stage["outs"] == [{f"data/{noun}": {"persist": True}}]


def test_sections_exist_in_params() -> None:
    sections = yaml.safe_load((ROOT / "params.yaml").read_text())
    for stage in read_graph(ROOT).values():
        assert set(stage.sections) <= set(sections)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "expected `stages`"),
        ("stages: {a: {cmd: x}}", "expected `stages`"),
        ("stages: {a: {cmd: x, desc: y, deps: [data/b]}}", "found b"),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "dvc.yaml").write_text(text)
    with pytest.raises(ParamsError, match=message):
        read_graph(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"dvc\.yaml: .* found no file"):
        read_graph(tmp_path)
