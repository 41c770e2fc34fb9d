"""The report: self-contained, escaped, the same bytes, and true to the decision."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import fabricated  # type: ignore[import-not-found]
import factory  # type: ignore[import-not-found]
import pytest
from fabricated import TARGET

from appraise.policies import POLICIES
from appraise.project import Project
from appraise.records.copies import Copied, CopiesSummary
from appraise.records.decision import Decision
from appraise.records.subset import Subset
from appraise.records.values import WeightsTable
from appraise.review.summary import summary
from appraise.steps import decision_outcome, valuation_decision
from appraise.steps.report import STEP
from appraise.steps.runner import run

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


def made(project: Project) -> str:
    """The page of a project, made with what stands before it."""
    for step in (valuation_decision.STEP, decision_outcome.STEP, STEP):
        run(step, project)
    return (project.open(STEP.noun, TARGET) / "report.html").read_text(encoding="utf-8")


def finished(root: Path) -> Project:
    project: Project = fabricated.project(root)
    made(project)
    return project


def outlined(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    return parser


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def html(project: Project) -> str:
    return (project.open(STEP.noun, TARGET) / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def outline(html: str) -> Outline:
    return outlined(html)


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
    assert "for 440 USD (example prices)" in text
    assert "The prices on this page are examples. No provider asked them." in text
    assert "taking at most three with no limit on spending" in text
    assert "It is better than “best one by one” and “drawn at random”." in text


def test_every_decision_is_shown_with_its_reason(project: Project, outline: Outline) -> None:
    decision = Decision.read(project.open("valuation_decision", TARGET))
    text = words(outline.text)
    for item in decision.valued():
        assert words(item.title) in text
        assert words(item.reason) in text
    for aside in decision.set_aside:
        assert aside.reason in text
    assert decision.decision_id in text
    for name, content in decision.evidence.items():
        assert name in text
        assert content in text


def test_same_inputs_same_bytes(project: Project, tmp_path: Path) -> None:
    again = finished(tmp_path)
    assert again.content(STEP.noun, TARGET) == project.content(STEP.noun, TARGET)


def test_nothing_worth_buying_and_no_training_is_a_page_too(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    table = WeightsTable.read(project.open("dataset_values", f"{TARGET}/kmm")).table
    zero = dict.fromkeys(("weight", "low", "high", "weight_probability", "signed_weight"), 0.0)
    nothing = WeightsTable(table.assign(**zero, covered_by="[]"))
    factory.changed(project, "dataset_values", f"{TARGET}/kmm", nothing)
    for policy in fabricated.POLICIES:
        part = f"{TARGET}/{policy}"
        subset = Subset.read(project.open("selected_subset", part))
        beyond = fabricated.alternatives([], [])
        none = subset.model_copy(update={"datasets": (), "cost": 0.0, "alternatives": beyond})
        factory.put(project, "selected_subset", part, none)
        factory.put(project, "lora_adapter", part, factory.training())
    page = made(project)
    assert "Buy nothing: no dataset on offer earns its place." in page
    assert "We would pay up to" not in page


def test_the_page_is_current_until_something_it_shows_changes(tmp_path: Path) -> None:
    project = finished(tmp_path)
    assert run(STEP, project).made == ()
    factory.put(project, "lora_adapter", f"{TARGET}/kmm", factory.training([3.0, 2.0]))
    assert run(STEP, project).made == (TARGET,)


def test_without_a_bootstrap_there_are_no_intervals_and_no_failure(tmp_path: Path) -> None:
    changes = {"dataset_values": {"bootstraps": 0}}
    project = fabricated.project(tmp_path, resamples=0, **changes)
    page = made(project)
    assert "not by chance" not in page
    assert "(– to –)" in page
    assert summary(project, TARGET)


OF_A_PROGRAM = (
    "Proof of optimum",
    "have a weight",
    "ideal mix",
    "Covered",
    "We would pay up to",
    "How we know that this is the optimum",
    "If we were stricter",
    "What more money would buy",
    "What it would add",
    "Bought when resampled",
    "It adds",
    "(– to –)",
)


def test_a_decision_by_alignment_shows_what_alignment_can_say(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path, selected_subset={"decide_by": "one_step"})
    page = made(project)
    outline = outlined(page)
    text = words(outline.text)
    assert outline.open == []
    assert "None" not in text
    assert [said for said in OF_A_PROGRAM if said in text] == []
    decision = Decision.read(project.open("valuation_decision", TARGET))
    for item in decision.valued():
        assert words(item.reason) in text
    assert "ranked by alignment, each looked at by itself" in text
    assert "This decision one_step · the datasets bought above" in text
    assert f"It is worse than “{POLICIES['kmm'].title.lower()}”" in text
    assert page.count('class="ours"') == 1
    assert "How sure the weights are" not in text
    assert "alignment (filled: bought; line: interval)" in page


def test_of_a_program_is_what_the_page_by_kmm_says(outline: Outline) -> None:
    text = words(outline.text)
    assert [said for said in OF_A_PROGRAM[:-1] if said not in text] == []


def test_rows_that_others_had_name_who_had_most_of_them(tmp_path: Path) -> None:
    project = fabricated.project(tmp_path)
    summary_ = CopiesSummary.read(project.open("near_copies"))
    of = {"asdiv": 3, "mmlu": 40, "piqa": 5}
    copied = summary_.datasets | {"obqa": Copied(rows=512, copied=48, of=of)}
    factory.put(project, "near_copies", "", CopiesSummary(datasets=copied))
    assert "48 of OpenBookQA (first in mmlu )" in words(outlined(made(project)).text)
