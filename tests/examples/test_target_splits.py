"""A target's splits from its components, once it is known which rows are valid."""

from __future__ import annotations

import pytest
from as_read import as_read, talk  # type: ignore[import-not-found]

from appraise.errors import OfferError
from appraise.examples.example import Example, Unreadable
from appraise.examples.overlap import Marks
from appraise.examples.reading import SourceExamples
from appraise.examples.targets import SPLITS, check_readable, split_target
from appraise.examples.templates import RowTemplates
from appraise.examples.verdicts import Validation
from appraise.settings.data import Component, TargetParams

ONE, TWO = (Component(name=name, source=f"{name}.jsonl") for name in ("one", "two"))
TARGET = TargetParams(title="A desk", components=(ONE, TWO), value=2, train=1, test=3)
Part = tuple[Component, SourceExamples, Validation]


def part(component: Component, examples: list[Example], **reasons: str) -> Part:
    columns = frozenset({"prompt", "completion"})
    templates = RowTemplates.of(component)
    dataset = SourceExamples(component.source, templates, tuple(examples), (), columns)
    return component, dataset, Validation((), {int(row[1:]): why for row, why in reasons.items()})


def asked(count: int) -> list[Example]:
    return [as_read(row, f"what is it about number {row}", str(row)) for row in range(1, count + 1)]


def test_components_one_after_the_other() -> None:
    talks = [as_read(row, talk(("user", f"and what about {row} ?")), "x") for row in range(1, 9)]
    made = split_target("desk", TARGET, [part(ONE, asked(9), r1="too_long"), part(TWO, talks)])
    assert {name: len(examples) for name, examples in made.splits.items()} == {
        "value": 4, "train": 2, "test": 6,
    }  # fmt: skip
    assert tuple(made.splits) == SPLITS
    for examples in made.splits.values():
        names = [example.component for example in examples]
        assert names == sorted(names)
    assert made.components[0].dropped == {"too_long": 1}
    assert (made.components[0].rows, made.components[0].usable) == (9, 8)
    known = Marks(asked(9)).all | Marks(talks).all
    assert list(made.fingerprints) == sorted(known), "of rows that are dropped too"


def test_too_few_rows() -> None:
    with pytest.raises(OfferError, match=r"desk, component one: .* found 5 usable of 5 rows"):
        split_target("desk", TARGET, [part(ONE, asked(5)), part(TWO, asked(9))])


def test_a_row_that_cannot_be_read() -> None:
    templates = RowTemplates.of(ONE)
    lost = Unreadable(2, 5, "not JSON")
    dataset = SourceExamples("one.jsonl", templates, (*asked(1),), (lost,), frozenset())
    check_readable(ONE, dataset, Validation((), {1: "empty"}))
    with pytest.raises(OfferError, match=r"one\.jsonl: row 2: expected .* found not JSON"):
        check_readable(ONE, dataset, Validation((), {2: "unreadable"}))


@pytest.mark.parametrize("listed", [False, True])
def test_a_target_of_one_prompt_whose_options_are_its_content(listed: bool) -> None:
    rows = []
    for row in range(60):
        options = (f"Please open door {row}.", f"Open door {row}, now.")
        prompt = "Which of these two sentences is polite?"
        if listed:
            prompt += f"\nA. {options[0]}\nB. {options[1]}"
        choices = ("A", "B") if listed else options
        rows.append(as_read(row, prompt, choices[0], choices=choices, answer=0))
    target = TargetParams(title="Manners", components=(ONE,), value=16, train=10, test=34)
    made = split_target("manners", target, [part(ONE, rows)])
    assert {name: len(rows) for name, rows in made.splits.items()} == {
        "value": 16, "train": 10, "test": 34,
    }  # fmt: skip
