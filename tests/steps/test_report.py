"""The report: self-contained, escaped, the same bytes, and true to the decision."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import fabricated  # type: ignore[import-not-found]
import pytest
import yaml
from fabricated import TARGET

from appraise.project import Project
from appraise.review.summary import summary
from appraise.steps import decision_outcome, valuation_decision
from appraise.steps.report import STEP, standing, verdict_sentence
from appraise.steps.runner import run
from appraise.storage.files import read_arrays, read_json, read_table

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Outline(HTMLParser):
    """Tags that are open, all tags and ids seen, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name in ("href", "src", "xlink:href") else []
            assert not name.startswith("on"), f"{tag} {name}: no script may run"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += " " + data


def finished(root: Path) -> Project:
    project: Project = fabricated.project(root)
    for step in (valuation_decision.STEP, decision_outcome.STEP, STEP):
        run(step, project)
    return project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(project: Project) -> str:
    return (project.open(STEP.noun, TARGET) / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    return parser


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_page_is_well_formed_and_stands_alone(html: str, outline: Outline) -> None:
    assert outline.open == []
    assert not outline.seen & {"script", "link", "iframe", "object", "img", "form"}
    assert all(link.startswith("#") for link in outline.links)
    assert not re.search(r"""(src|href)=["']https?://|@import|url\((?!#)""", html)
    assert "default-src 'none'" in html
    assert len(outline.ids) == len(set(outline.ids))


def test_titles_are_text_whatever_they_contain(html: str, outline: Outline) -> None:
    assert fabricated.HOSTILE in outline.text
    assert "&lt;script&gt;" in html


def test_the_answer_comes_first(outline: Outline) -> None:
    text = words(outline.text)
    assert "for 330 USD (example prices)" in text
    assert "The prices on this page are examples. No provider asked them." in text
    assert "taking at most three with no limit on spending" in text
    assert "It is better than “best one by one” and “drawn at random”." in text


def test_every_decision_is_shown_with_its_reason(project: Project, outline: Outline) -> None:
    decision = read_json(project.open("valuation_decision", TARGET) / "decision.json")
    text = words(outline.text)
    for item in [*decision["bought"], *decision["refused"]]:
        assert words(item["title"]) in text
        assert words(item["reason"]) in text
    for item in decision["set_aside"]:
        assert item["reason"] in text
    assert decision["decision_id"] in text
    for name, content in decision["evidence"].items():
        assert name in text
        assert content in text


def test_same_inputs_same_bytes(project: Project, tmp_path: Path) -> None:
    again = finished(tmp_path)
    assert again.content(STEP.noun, TARGET) == project.content(STEP.noun, TARGET)


def test_nothing_worth_buying_and_no_training_is_a_page_too(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    folder = project.open("kmm_weights", TARGET)
    table = read_table(folder / "weights.parquet")
    zero = dict.fromkeys(("weight", "low", "high", "chosen_probability", "signed_weight"), 0.0)
    table = table.assign(**zero, covered_by="[]", walk_away_price=None)
    files = {
        "weights.parquet": table,
        "certificate.json": read_json(folder / "certificate.json"),
        "path.safetensors": read_arrays(folder / "path.safetensors"),
        **{name: read_table(folder / name) for name in ("path.parquet", "owners.parquet")},
    }
    fabricated.write(project, "kmm_weights", TARGET, files)
    for policy in fabricated.POLICIES:
        part = f"{TARGET}/{policy}"
        subset = read_json(project.open("selected_subset", part) / "subset.json")
        subset |= fabricated.alternatives(list(fabricated.DATASETS), [])
        subset |= {"datasets": [], "cost": 0}
        fabricated.write(project, "selected_subset", part, {"subset.json": subset})
        fabricated.write(
            project, "lora_adapter", part, {"training.json": {"loss": [], "reward": []}}
        )
    for step in (valuation_decision.STEP, decision_outcome.STEP, STEP):
        run(step, project)
    page = (project.folder(STEP.noun, TARGET) / "report.html").read_text()
    assert "Buy nothing: no dataset on offer earns its place." in page
    assert "We would pay up to" not in page


PAIR = {"a": "kmm", "b": "random", "difference": -0.2, "low": -0.3, "high": -0.1}


def test_verdicts_are_said_in_words() -> None:
    assert verdict_sentence(PAIR) == "Better than “drawn at random”: its loss is lower by 0.20."
    worse = {**PAIR, "difference": 0.2, "low": 0.1, "high": 0.3}
    assert verdict_sentence(worse) == "Worse than “drawn at random”: its loss is higher by 0.20."
    even = {**PAIR, "high": 0.1}
    assert verdict_sentence(even).startswith("No detectable difference from “drawn at random”")
    assert standing([PAIR, {**even, "b": "one_step"}, {**worse, "b": "all"}]) == (
        "It is better than “drawn at random”. No difference from “best one by one” could be "
        "detected. It is worse than “everything”."
    )


def test_the_page_is_current_until_something_it_shows_changes(tmp_path: Path) -> None:
    project = finished(tmp_path)
    assert run(STEP, project).made == ()
    part = f"{TARGET}/kmm"
    training = {"loss": [3.0, 2.0], "reward": []}
    fabricated.write(project, "lora_adapter", part, {"training.json": training})
    assert run(STEP, project).made == (TARGET,)


def test_without_a_bootstrap_there_are_no_intervals_and_no_failure(tmp_path: Path) -> None:
    fabricated.project(tmp_path)
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["dataset_values"]["bootstraps"] = 0
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    project = Project(tmp_path)
    for step in (valuation_decision.STEP, decision_outcome.STEP, STEP):
        run(step, project)
    page = (project.folder(STEP.noun, TARGET) / "report.html").read_text()
    assert "not by chance" not in page
    assert "(– to –)" in page
    assert summary(project, TARGET)
